"""One run in which people and the world do what they can, by chance.

Whenever something can be done that could not be before (a record has entered a
stage whose run has joined, an event is waited for, a task is open), it is drawn
once whether it will be done, and when. The earliest is done first; what cannot
be done by then any more is dropped.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from nexus.core.commands import Act, Actor, CompleteTask, ReceiveEvent, Start
from nexus.core.decide import can
from nexus.core.errors import Rejected
from nexus.core.program import BUILT_IN_ACTIONS, Program
from nexus.core.state import Record, Task
from nexus.core.steps import WaitForStep
from nexus.simulation.generated import People, generated_data
from nexus.simulation.population import Doing, Population, drawn
from nexus.simulation.scenarios import SUBJECT
from nexus.simulation.simulator import Simulation

WORLD = Actor("world", ("admin",))  # whoever tells of what happened outside


@dataclass(frozen=True, slots=True, order=True)
class _Intent:
    """Something that is going to be done."""

    at: datetime
    number: int
    kind: str = field(compare=False)
    what: str = field(compare=False)
    record: str = field(compare=False)
    visit: int = field(compare=False)
    doing: Doing = field(compare=False)


class Living:
    """The people of one run, and the world around it.

    Attributes:
        refused: How often what was tried was refused, by `action: code`.
        not_started: Why the instance could not be started: who was refused, and with what.
    """

    def __init__(self, simulation: Simulation, population: Population, rng: random.Random) -> None:
        """Nothing has happened yet.

        Args:
            simulation: A new one.
            population: What people and the world are like.
            rng: Where chance comes from.
        """
        self._simulation = simulation
        self._program: Program = simulation.program
        self._population = population
        self._people: People = population.people_for(simulation.program)
        self._rng = rng
        self._intents: list[_Intent] = []
        self._seen: set[tuple[str, ...]] = set()
        self._number = 0
        self.refused: Counter[str] = Counter()
        self.not_started: tuple[str, Rejected] | None = None

    def start(self, data: dict[str, object] | None = None) -> bool:
        """Start the instance, by whoever may. Returns whether somebody could.

        Args:
            data: What it is started with; None for what the population has.
        """
        if data is None:
            data = self._population.start_data(self._program, self._rng)
        for name in self._shuffled():
            actor = Actor(name, self._people[name])
            try:
                self._simulation.give(
                    Start(actor=actor, subject=SUBJECT, data=data, entity=self._population.entity)
                )
            except Rejected as rejected:
                self.not_started = (name, rejected)
                if rejected.code != "forbidden":
                    break
            else:
                self.not_started = None
                return True
        if self.not_started is not None:
            self.refused[f"start: {self.not_started[1].code}"] += 1
        return False

    def live(self, until: datetime) -> None:
        """Let everything happen that will, up to a moment or to the instance's end.

        Raises:
            TooLong: The run goes in circles.
        """
        simulation = self._simulation
        while not simulation.state.ended or simulation.next_due() is not None:
            self._intend()
            intent = self._intents[0] if self._intents else None
            due = simulation.next_due()
            if intent is not None and (due is None or intent.at < due):
                if intent.at > until:
                    break
                heappop(self._intents)
                simulation.advance(intent.at)
                self._do(intent)
            elif due is None or due > until:
                break
            else:
                simulation.advance(due)
        simulation.advance(until)

    # --- intending --------------------------------------------------------------------------

    def _intend(self) -> None:
        for record in self._simulation.state.records.values():
            if record.stage is None or record.status != "open":
                continue
            if not record.running and self._is_new("stage", record.id, str(record.visit)):
                for action in self._actions(record):
                    self._mean("action", action, record, self._population.doing(action))
            for event in self._events(record):
                if self._is_new("event", record.id, str(record.visit), event):
                    self._mean("event", event, record, self._population.happening(event))
        for task in self._simulation.state.tasks.values():
            if self._is_new("task", task.id):
                record = self._simulation.state.records[task.record]
                self._mean("task", task.id, record, self._population.tasks)

    def _is_new(self, *key: str) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _mean(self, kind: str, what: str, record: Record, doing: Doing | None) -> None:
        if doing is None or self._rng.random() >= doing.probability:
            return
        at = self._simulation.now + doing.delay(self._rng)
        self._number += 1
        heappush(
            self._intents,
            _Intent(at, self._number, kind, what, record.id, record.visit, doing),
        )

    def _actions(self, record: Record) -> Iterator[str]:
        assert record.stage is not None
        exits = self._program.entities[record.entity].exits.get(record.stage)
        yield from (transition.name for transition in exits.action) if exits else ()
        for name in self._population.actions or ():
            if name in BUILT_IN_ACTIONS and name not in self._program.transitions:
                yield name

    def _events(self, record: Record) -> Iterator[str]:
        """What is waited for now."""
        assert record.stage is not None
        entity = self._program.entities[record.entity]
        exits = entity.exits.get(record.stage)
        yield from dict.fromkeys(t.trigger.event for t in exits.event) if exits else ()
        run = entity.stages[record.stage].run
        if run is None or not record.running:
            return
        for step in run.by_path.values():
            if isinstance(step, WaitForStep) and record.run.get(step.path) == "running":
                yield step.event

    # --- doing ------------------------------------------------------------------------------

    def _do(self, intent: _Intent) -> None:
        record = self._simulation.state.records[intent.record]
        if intent.kind == "task":
            task = self._simulation.state.tasks.get(intent.what)
            if task is not None:
                self._complete(task, intent.doing)
            return
        if record.visit != intent.visit or record.status != "open":
            return
        if intent.kind == "event":
            data = self._data(intent.doing)
            self._try(
                intent.what,
                ReceiveEvent(actor=WORLD, event=intent.what, data=data, record=record.id),
            )
            return
        self._act(intent.what, record, intent.doing)

    def _act(self, action: str, record: Record, doing: Doing) -> None:
        refused = None
        for name in [doing.by] if doing.by else self._shuffled():
            actor = Actor(name, self._people.get(name, ()))
            act = Act(actor=actor, action=action, record=record.id)
            answer = can(self._program, self._simulation.state, act, self._simulation.now)
            if answer["allowed"]:
                transition = self._program.transitions.get(action)
                data = (
                    drawn(doing.data, self._rng)
                    if doing.data is not None
                    else generated_data(transition.input if transition else None, self._rng)
                )
                self._try(action, Act(actor=actor, action=action, record=record.id, data=data))
                return
            refused = answer["code"]
            if refused != "forbidden":
                break
        self.refused[f"{action}: {refused}"] += 1

    def _complete(self, task: Task, doing: Doing) -> None:
        record = self._simulation.state.records[task.record]
        who = task.assignees or record.assignees
        for name in [doing.by] if doing.by else self._shuffled():
            roles = self._people.get(name, ())
            if not who or name in who.users or set(roles) & set(who.roles):
                actor = Actor(name, roles)
                data = self._data(doing)
                self._try("complete", CompleteTask(actor=actor, task=task.id, data=data))
                return
        self.refused["complete: forbidden"] += 1

    def _data(self, doing: Doing) -> dict[str, object]:
        return drawn(doing.data or {}, self._rng)

    def _try(self, what: str, command: Act | ReceiveEvent | CompleteTask) -> None:
        try:
            self._simulation.give(command)
        except Rejected as rejected:
            self.refused[f"{what}: {rejected.code}"] += 1

    def _shuffled(self) -> list[str]:
        names = list(self._people)
        self._rng.shuffle(names)
        return names

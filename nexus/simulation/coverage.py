"""What a definition's scenarios have shown of it, and what not.

A stage is covered once a record entered it, a transition once it was taken. A
branch is a way that a condition or a wait can go: a step's `when` either way,
each branch of a gateway, an event that came or did not in time, and the
condition of a transition that is nobody's action and did not hold. A refusal is
an action that was tried and could not be: its condition did not hold, the person
is none of its takers, its data was not what its `input` wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from nexus.core.events import (
    ActionTaken,
    AnyEvent,
    ChannelFailed,
    ChannelRequested,
    ChannelSucceeded,
    EventApplied,
    EventReceived,
    RecordCreated,
    StageEntered,
    StepEnded,
    StepStarted,
    TaskCompleted,
    TaskOpened,
    TimerFired,
)
from nexus.core.program import Program, Stage, Transition
from nexus.core.state import RUN_ROOT
from nexus.core.steps import GatewayStep, Run, Step, WaitForStep
from nexus.simulation.playing import Played

Kind = Literal["stages", "transitions", "branches", "refusals"]
KINDS: tuple[Kind, ...] = ("stages", "transitions", "branches", "refusals")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that scenarios can show, in words that say which."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was shown of all that can be.

    Attributes:
        items: All that can be, in the order of the definition.
        covered: What was.
    """

    items: tuple[Item, ...]
    covered: frozenset[Item]

    @property
    def missing(self) -> tuple[Item, ...]:
        """What was not, in the order of the definition."""
        return tuple(item for item in self.items if item not in self.covered)

    def of(self, kind: Kind) -> tuple[int, int]:
        """How many of a kind were shown, and how many there are."""
        every = [item for item in self.items if item.kind == kind]
        return sum(item in self.covered for item in every), len(every)


def coverage_of(program: Program, played: Iterable[Played]) -> Coverage:
    """What these runs have shown of a definition."""
    items = tuple(dict.fromkeys(_items(program)))
    covered: set[Item] = set()
    for one in played:
        covered.update(_Shown(program, one).items())
    return Coverage(items, frozenset(covered) & frozenset(items))


# --- what there is ------------------------------------------------------------------------------


def _items(program: Program) -> Iterator[Item]:
    for entity in program.entities.values():
        for stage in entity.stages.values():
            yield _stage(program, entity.name, stage.id)
            if stage.run is not None:
                for step in stage.run.by_path.values():
                    yield from _branches(_place(program, entity.name, stage), stage.run, step)
    for transition in program.transitions.values():
        yield Item("transitions", transition.name)
        if transition.trigger.kind != "action":
            if transition.condition is not None:
                yield _not_held(transition.name)
            continue
        if transition.condition is not None:
            yield _refusal(transition.name, "condition_not_met")
        if transition.users is not None or transition.roles is not None:
            yield _refusal(transition.name, "forbidden")
        if transition.input is not None:
            yield _refusal(transition.name, "invalid_data")


def _stage(program: Program, entity: str, stage: str) -> Item:
    return Item("stages", stage if len(program.entities) == 1 else f"{entity}: {stage}")


def _place(program: Program, entity: str, stage: Stage) -> str:
    return _stage(program, entity, stage.id).name


def _not_held(transition: str) -> Item:
    return Item("branches", f"{transition}: its condition does not hold")


def _refusal(action: str, code: str) -> Item:
    return Item("refusals", f"{action}: {code}")


def _branch(place: str, run: Run, step: Step, what: str) -> Item:
    return Item("branches", f"{place}, {run.name_of(step.path)}: {what}")


def _branches(place: str, run: Run, step: Step) -> Iterator[Item]:
    if step.when is not None:
        yield _branch(place, run, step, "its 'when' holds")
        if not _is_branch(run, step):
            yield _branch(place, run, step, "its 'when' does not hold")
    match step:
        case GatewayStep():
            for number in range(1, len(step.branches) + 1):
                yield _branch(place, run, step, f"branch {number}")
            yield _branch(place, run, step, "no branch" if step.default is None else "default")
        case WaitForStep():
            yield _branch(place, run, step, f"{step.event!r} comes")
            if step.timeout is not None:
                yield _branch(place, run, step, f"{step.event!r} does not come in time")
        case _:
            pass


# What a decision begins with.
_CAUSES = (ActionTaken, ChannelFailed, ChannelSucceeded, EventReceived, TaskCompleted, TimerFired)

# --- what was shown -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Visit:
    """One visit of a record in a stage, as far as the events tell.

    Attributes:
        begun: Paths of the steps that were not skipped.
        joined: Its run is over.
        settled: Something happened after that, so automatic transitions had had their turn.
    """

    entity: str
    stage: Stage
    begun: set[str]
    joined: bool
    settled: bool = False


class _Shown:
    """Goes through the events of one run, and collects what they show."""

    def __init__(self, program: Program, played: Played) -> None:
        self._program = program
        self._played = played
        self._found: set[Item] = set()
        self._entities: dict[str, str] = {}
        self._visits: dict[str, _Visit] = {}

    def items(self) -> set[Item]:
        for event in self._played.simulation.events:
            self._look(event)
        for visit in self._visits.values():
            self._left(visit, None)
        for refusal in self._played.refusals:
            if refusal.kind == "do":
                self._found.add(_refusal(refusal.what, refusal.rejected.code))
        return self._found

    def _look(self, event: AnyEvent) -> None:
        record = event.record
        if isinstance(event, _CAUSES):
            for visit in self._visits.values():
                visit.settled = visit.settled or visit.joined
        match event:
            case RecordCreated():
                assert record is not None
                self._entities[record] = event.entity
            case StageEntered():
                assert record is not None
                self._enter(record, event)
            case TimerFired() if event.outcome == "condition_not_met":
                self._found.add(_not_held(event.transition))
            case EventReceived() | EventApplied():
                for why in event.why:
                    if isinstance(name := why.get("transition"), str):
                        self._found.add(_not_held(name))
            case StepStarted():
                self._begun(record, event.step)
            case ChannelRequested():
                self._begun(record, event.call.path)
            case TaskOpened():
                self._begun(record, event.task.path)
            case StepEnded():
                self._ended(record, event)
            case _:
                pass

    def _enter(self, record: str, event: StageEntered) -> None:
        entity = self._entities[record]
        self._found.add(_stage(self._program, entity, event.stage))
        transition = self._taken(event)
        if transition is not None:
            self._found.add(Item("transitions", transition.name))
        if record in self._visits:
            self._left(self._visits[record], transition)
        stage = self._program.entities[entity].stages[event.stage]
        self._visits[record] = _Visit(entity, stage, set(), stage.run is None)

    def _taken(self, event: StageEntered) -> Transition | None:
        name = event.transition
        return None if name is None else self._program.transitions[name]

    def _left(self, visit: _Visit, by: Transition | None) -> None:
        """A stage's automatic transitions that did not take the record out of it did not hold."""
        exits = self._program.entities[visit.entity].exits.get(visit.stage.id)
        if exits is not None and visit.joined:
            for transition in exits.auto:
                if transition.condition is not None and (transition is not by or visit.settled):
                    self._found.add(_not_held(transition.name))

    def _begun(self, record: str | None, path: str) -> None:
        visit = self._visits.get(record or "")
        run = visit.stage.run if visit else None
        if visit is None or run is None or path in visit.begun:
            return
        visit.begun.add(path)
        step = run.by_path[path]
        place = _place(self._program, visit.entity, visit.stage)
        if step.when is not None:
            self._found.add(_branch(place, run, step, "its 'when' holds"))
        for gateway in run.by_path.values():
            if isinstance(gateway, GatewayStep):
                for number, branch in enumerate(gateway.branches, start=1):
                    if branch.step.path == path:
                        self._found.add(_branch(place, run, gateway, f"branch {number}"))
                if gateway.default is not None and gateway.default.path == path:
                    self._found.add(_branch(place, run, gateway, "default"))

    def _ended(self, record: str | None, event: StepEnded) -> None:
        visit = self._visits.get(record or "")
        run = visit.stage.run if visit else None
        if visit is None or run is None:
            return
        if event.step == RUN_ROOT:
            visit.joined = True
        place = _place(self._program, visit.entity, visit.stage)
        waiting = event.step.removesuffix("/waitFor")
        step = run.by_path.get(event.step) or run.by_path[waiting]
        if isinstance(step, WaitForStep) and event.step == step.waiting:
            came = "comes" if event.outcome == "done" else "does not come in time"
            self._found.add(_branch(place, run, step, f"{step.event!r} {came}"))
            return
        if event.outcome == "skipped":
            if step.when is not None and event.why and not _is_branch(run, step):
                self._found.add(_branch(place, run, step, "its 'when' does not hold"))
            return
        self._begun(record, event.step)
        if isinstance(step, GatewayStep) and step.default is None:
            chosen = any(branch.step.path in visit.begun for branch in step.branches)
            if not chosen:
                self._found.add(_branch(place, run, step, "no branch"))


def _is_branch(run: Run, step: Step) -> bool:
    """A branch that was not chosen is skipped with the gateway's reasons, not with its own."""
    return any(
        step.path == branch.step.path
        for gateway in run.by_path.values()
        if isinstance(gateway, GatewayStep)
        for branch in gateway.branches
    )

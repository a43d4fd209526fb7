"""Playing a scenario: what happens is given to a simulation, and what then is true is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from nexus.core.calls import CallRequest
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CompleteTask,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
)
from nexus.core.errors import Rejected, nearest
from nexus.core.program import Program
from nexus.core.reasons import several
from nexus.core.steps import ChannelStep, Retry
from nexus.simulation.expectations import Difference, differences
from nexus.simulation.reading import when_of
from nexus.simulation.scenarios import Given, Happening, Scenario, ScriptedAnswer
from nexus.simulation.simulator import MOST_EVENTS, Answer, Simulation, TooLong

if TYPE_CHECKING:
    from nexus.channels import Channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A command that was refused.

    Attributes:
        kind: What was tried: `start`, or a kind of `Happening`.
        what: The action, the event's type …
        before: How many events there were by then.
    """

    at: datetime
    by: str
    kind: str
    what: str
    rejected: Rejected
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that is not as the scenario has it.

    Attributes:
        pointer: Where it stands in the file.
        message: What is wrong, in a sentence.
        at: When, in the run.
        differences: What was expected and what is, where that can be compared.
    """

    pointer: str
    message: str
    at: datetime
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a scenario.

    Attributes:
        failures: Empty where everything is as it should be.
        refusals: All that was refused, expected or not.
    """

    scenario: Scenario
    simulation: Simulation
    failures: list[Failure] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Everything was as it should be."""
        return not self.failures


def play(
    program: Program,
    scenario: Scenario,
    *,
    channels: Channels | None = None,
    until: timedelta | None = None,
    most_events: int = MOST_EVENTS,
    tenant: str = "simulated",
) -> Played:
    """Run a scenario.

    Args:
        program: The compiled definition.
        scenario: What happens, and what is expected.
        channels: The channels whose contents are rendered and checked.
        until: How far time goes on after the last that happens, from the start; None for no
            further.
        most_events: How many events it may have.
        tenant: Whose channels are meant.

    Returns:
        What came of it; after the first failure of what happens nothing further is done.
    """
    return _Playing(program, scenario, channels, most_events, tenant).played(until)


class _Playing:
    def __init__(
        self,
        program: Program,
        scenario: Scenario,
        channels: Channels | None,
        most_events: int,
        tenant: str,
    ) -> None:
        self._program = program
        self._scenario = scenario
        self._given = scenario.given
        simulation = Simulation(
            program,
            at=self._given.at,
            answering=Answers(program, self._given.answers),
            channels=channels,
            most_events=most_events,
            tenant=tenant,
        )
        self._played = Played(scenario=scenario, simulation=simulation)
        self._seen_calls = 0

    def played(self, until: timedelta | None) -> Played:
        """Run it to its end, or to the first thing that does not happen as it should."""
        played, scenario, simulation = self._played, self._scenario, self._played.simulation
        pointer = f"{scenario.pointer}/given"
        try:
            if not self._happen(start_of(self._given), None, pointer, "start", "start"):
                return played
            before = simulation.now
            for happening in scenario.when:
                before = when_of(happening, self._given.at, before)
                simulation.advance(before)
                if not self._take(happening):
                    return played
            if until is not None:
                simulation.advance(max(before, self._given.at + until))
        except TooLong as error:
            self._fail(pointer, str(error))
            return played
        if scenario.then is not None:
            self._compare(scenario.then.expected, scenario.then.pointer)
        return played

    def _take(self, happening: Happening) -> bool:
        then = happening.then
        if happening.kind is not None:
            expected = (
                str(then.expected["refused"]) if then and "refused" in then.expected else None
            )
            self._seen_calls = len(self._played.simulation.calls)
            actor = actor_of(self._given, happening.by)
            try:
                command = self._command(happening, actor)
            except _NoneFits as error:
                self._fail(f"{happening.pointer}/{happening.kind}", str(error))
                return False
            pointer, kind, what = happening.pointer, happening.kind, happening.what
            if not self._happen(command, expected, pointer, kind, what):
                return False
        if then is not None:
            self._compare(then.expected, then.pointer)
        return True

    def _happen(
        self, command: WireCommand, refused: str | None, pointer: str, kind: str, what: str
    ) -> bool:
        """Give a command. Returns whether it came to what was expected of it."""
        simulation, by = self._played.simulation, command.actor.id
        before = len(simulation.events)
        try:
            simulation.give(command)
        except Rejected as rejected:
            refusal = Refusal(
                at=simulation.now, by=by, kind=kind, what=what, rejected=rejected, before=before
            )
            self._played.refusals.append(refusal)
            if refused == rejected.code:
                return True
            told = f"{what!r} by {by!r} was refused ({rejected.code}): {rejected.message}"
            otherwise = (Difference("refused", refused, rejected.code),) if refused else ()
            self._fail(pointer, told, otherwise)
            return False
        if refused is not None:
            told = f"{what!r} by {by!r} was not refused"
            self._fail(pointer, told, (Difference("refused", refused, None),))
            return False
        return True

    def _compare(self, expected: Mapping[str, object], pointer: str) -> None:
        simulation = self._played.simulation
        calls = simulation.calls[self._seen_calls :]
        self._seen_calls = len(simulation.calls)
        found = differences(self._program, simulation, expected, calls, self._given.at)
        if found:
            what = several(difference.what for difference in found)
            self._fail(pointer, f"not as expected: {what}", tuple(found))

    def _fail(self, pointer: str, message: str, differences: tuple[Difference, ...] = ()) -> None:
        self._played.failures.append(
            Failure(
                pointer=pointer,
                message=message,
                at=self._played.simulation.now,
                differences=differences,
            )
        )

    # --- commands ---------------------------------------------------------------------------

    def _command(self, happening: Happening, actor: Actor) -> WireCommand:
        what, data, comment = happening.what, happening.data, happening.comment
        match happening.kind:
            case "do":
                return Act(
                    actor=actor, action=what, record=happening.record, data=data, comment=comment
                )
            case "event":
                return ReceiveEvent(actor=actor, event=what, data=data, record=happening.record)
            case "complete":
                task = self._task(what, happening.record)
                return CompleteTask(actor=actor, task=task, data=data, comment=comment)
            case "retry":
                incident = self._incident(what, happening.record)
                return RetryIncident(actor=actor, incident=incident, comment=comment)
            case "skip":
                incident = self._incident(what, happening.record)
                return SkipIncident(actor=actor, incident=incident, comment=comment)
            case _:
                return AddRecord(actor=actor, entity=what, data=data)

    def _task(self, what: str, record: str | None) -> str:
        """The id of a task that is meant; that of one which is not open is left for the core."""
        state = self._played.simulation.state
        names = {
            task.id: (task.id, task.title, self._step(task.record, None, task.path))
            for task in state.tasks.values()
            if record in (None, task.record)
        }
        return _one(what, names, "task", "task-")

    def _incident(self, what: str, record: str | None) -> str:
        state = self._played.simulation.state
        names = {}
        for incident in state.incidents.values():
            if record in (None, incident.record):
                call = incident.call
                more = (
                    ()
                    if call is None
                    else (call.channel, self._step(call.record, call.stage, call.path))
                )
                names[incident.id] = (incident.id, incident.code, *more)
        return _one(what, names, "incident", "incident-")

    def _step(self, record_id: str, stage: str | None, path: str) -> str:
        record = self._played.simulation.state.records[record_id]
        stage = stage or record.stage
        assert stage is not None
        run = self._program.entities[record.entity].stages[stage].run
        assert run is not None
        return run.name_of(path)


class _NoneFits(Exception):  # never leaves this file
    """Nothing, or more than one thing, is called that."""


def _one(
    what: str, names: Mapping[str, tuple[str, ...]], kind: Literal["task", "incident"], prefix: str
) -> str:
    found = [id_ for id_, called in names.items() if what in called]
    if len(found) == 1:
        return found[0]
    if found:
        raise _NoneFits(f"{what!r} is the name of {len(found)} open {kind}s: {several(found)}")
    if what.startswith(prefix):
        return what
    every = [name for called in names.values() for name in called]
    near = nearest(what, every)
    hint = f" Did you mean {near!r}?" if near else ""
    there = (
        f"open are: {several(called[1] for called in names.values())}" if names else "none is open"
    )
    raise _NoneFits(f"no open {kind} is called {what!r}; {there}.{hint}")


def actor_of(given: Given, name: str | None) -> Actor:
    """A person with the roles that they have."""
    name = name or given.by
    return Actor(name, given.people.get(name, ()))


def start_of(given: Given) -> Start:
    """The command that begins a run."""
    return Start(
        actor=actor_of(given, None),
        subject=given.subject,
        data=given.data,
        entity=given.entity,
        records=tuple(NewRecord(one.entity, one.data) for one in given.records),
    )


class Answers:
    """Answers calls as a scenario has it: each call gets the first answer that fits."""

    def __init__(self, program: Program, answers: tuple[ScriptedAnswer, ...]) -> None:
        """None has been given yet.

        Args:
            program: The compiled definition, for the names of steps.
            answers: In the order in which they are looked at.
        """
        self._program = program
        self._answers = answers
        self._given = [0] * len(answers)

    def __call__(self, request: CallRequest) -> Answer:
        """What a call comes to."""
        entity = request.record.rpartition("-")[0]
        run = self._program.entities[entity].stages[request.stage].run
        assert run is not None
        step = run.by_path[request.step]
        assert isinstance(step, ChannelStep)
        names = (request.step, run.name_of(request.step))
        for index, answer in enumerate(self._answers):
            if (
                answer.channel in (None, request.channel)
                and (answer.step is None or answer.step in names)
                and answer.record in (None, request.record)
                and (answer.times is None or self._given[index] < answer.times)
            ):
                self._given[index] += 1
                return _answer(answer, step.retry)
        return Answer()


def _answer(scripted: ScriptedAnswer, retry: Retry) -> Answer:
    if scripted.code is None:
        attempts = scripted.attempts or 1
        after = pauses(retry, attempts) if scripted.after is None else scripted.after
        return Answer(response=scripted.response, attempts=attempts, after=after)
    attempts = scripted.attempts or retry.attempts
    return Answer(
        outcome="timed_out" if scripted.code == "timed_out" else "failed",
        code=scripted.code,
        message=scripted.message or "as the scenario has it",
        attempts=attempts,
        after=pauses(retry, attempts) if scripted.after is None else scripted.after,
    )


def pauses(retry: Retry, attempts: int) -> timedelta:
    """How long is waited between so many tries, in all."""
    waited, pause = timedelta(), retry.initial
    for _ in range(attempts - 1):
        waited += min(pause, retry.maximum)
        pause = min(pause * retry.backoff, retry.maximum)
    return waited

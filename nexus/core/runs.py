"""What a stage runs: steps begin when their turn comes, and blocks end when theirs have ended.

Theory of operation. `Record.run` says of each step, by its static path, that it
is `running` or how it ended; a step that is not in there has not begun.
`advance` walks the tree from its root, begins what has its turn, and ends each
block all of whose steps have ended, however they did (R9). Whatever ends a leaf
(a call, a clock, an event, a person) ends that leaf and walks again, so there is
one place that knows what follows what. The run has joined when its root ended.

A `waitFor` has two parts: the waiting, of path `…/waitFor`, and then the branch
that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from nexus.core.calls import step_scope
from nexus.core.commands import SYSTEM_ACTOR
from nexus.core.decision import Decision
from nexus.core.durations import format_duration
from nexus.core.errors import Rejected
from nexus.core.events import (
    ChannelRequested,
    RunStopped,
    StepEnded,
    StepStarted,
    TaskOpened,
)
from nexus.core.incidents import raise_incident
from nexus.core.record_data import change_data, compute
from nexus.core.state import Call, EndOfStep, Record, Task, Timer
from nexus.core.steps import (
    ChannelStep,
    GatewayStep,
    LaterStep,
    ParallelStep,
    Run,
    SequenceStep,
    SetStep,
    Step,
    TaskStep,
    WaitForStep,
    WaitStep,
)

Why = tuple[Mapping[str, object], ...]


def advance(decision: Decision, record_id: str) -> None:
    """Begin what has its turn in a record's run, and end what has ended."""
    record = decision.state.records[record_id]
    run = run_of_record(decision, record)
    if run is None or (record.run and not record.running):
        return
    cause = decision.actor
    decision.actor = SYSTEM_ACTOR
    _Walk(decision, record_id, run).proceed(run.root)
    decision.actor = cause


def run_of_record(decision: Decision, record: Record) -> Run | None:
    """What the stage of a record runs."""
    if record.stage is None:
        return None
    return decision.program.entities[record.entity].stages[record.stage].run


def stop_run(decision: Decision, record_id: str) -> None:
    """Stop what is left of a record's run: its calls are cancelled, and awaited by who needs to."""
    record = decision.state.records[record_id]
    if record.running:
        steps = tuple(path for path, outcome in record.run.items() if outcome == "running")
        decision.emit(RunStopped, record=record_id, steps=steps)


def hear(decision: Decision, record_id: str, name: str, data: Mapping[str, object]) -> str | None:
    """Let the first step that waits for this event have it, and go on.

    Returns:
        The step's path; None where none waits for it.
    """
    record = decision.state.records[record_id]
    run = run_of_record(decision, record)
    if run is None or name not in run.events:
        return None
    for step in run.by_path.values():
        if isinstance(step, WaitForStep) and step.event == name and _waits(record, step):
            end_waiting(decision, record_id, step, {"type": name, "data": dict(data)})
            advance(decision, record_id)
            return step.path
    return None


def end_waiting(
    decision: Decision,
    record_id: str,
    step: WaitForStep,
    event: Mapping[str, object] | None,
) -> None:
    """The event that a step waits for has come, or its time is up where there is none."""
    decision.emit(
        StepEnded,
        record=record_id,
        step=step.waiting,
        kind=step.kind,
        outcome="timed_out" if event is None else "done",
        event=event,
    )


def clock_of_step(decision: Decision, timer: Timer) -> None:
    """The clock of a `wait` or a `waitFor` came due."""
    record = decision.state.records[timer.record]
    run = run_of_record(decision, record)
    assert run is not None
    step = run.by_path[timer.name]
    cause = decision.actor
    decision.actor = SYSTEM_ACTOR
    if isinstance(step, WaitForStep):
        end_waiting(decision, record.id, step, None)
    else:
        decision.emit(StepEnded, record=record.id, step=step.path, kind=step.kind, outcome="done")
    decision.actor = cause
    advance(decision, record.id)


def what_runs(record: Record, run: Run) -> list[str]:
    """The leaves that a run waits for, each in a few words for a person."""
    told = []
    for path, outcome in record.run.items():
        step = run.by_path.get(path)
        if outcome != "running" or step is None:
            continue
        match step:
            case ChannelStep():
                told.append(f"the channel {step.channel!r}")
            case TaskStep():
                told.append(f"the task {step.title!r}")
            case WaitStep():
                told.append(f"a wait of {format_duration(step.wait)}")
            case WaitForStep() if step.waiting not in record.run:
                told.append(f"the event {step.event!r}")
            case _:
                pass
    return told


def _waits(record: Record, step: WaitForStep) -> bool:
    return record.run.get(step.path) == "running" and step.waiting not in record.run


class _Walk:
    """One walk through a run: what has its turn begins, what has ended ends its block."""

    def __init__(self, decision: Decision, record: str, run: Run) -> None:
        self._decision = decision
        self._id = record
        self._run = run

    def proceed(self, step: Step) -> bool:
        """Take a step as far as it goes now. Returns whether it has ended."""
        outcome = self._record.run.get(step.path)
        if outcome is None and not self._begin(step):
            return True
        if outcome not in (None, "running"):
            return True
        match step:
            case ParallelStep():
                ended = self._all(step.steps)
            case SequenceStep():
                ended = all(self.proceed(child) for child in step.steps)
            case GatewayStep():
                ended = self._all(step.choices)
            case WaitForStep():
                return self._follow(step)
            case _:
                return self._has_ended(step)
        if ended:
            self._end(step, "done")
        return ended

    def _all(self, steps: Iterable[Step]) -> bool:
        """Whether all have ended; each gets its turn, whatever the others came to."""
        ended = [self.proceed(step) for step in steps]
        return all(ended)

    @property
    def _record(self) -> Record:
        return self._decision.state.records[self._id]

    def _has_ended(self, step: Step) -> bool:
        return self._record.run.get(step.path, "running") != "running"

    # --- beginning --------------------------------------------------------------------------

    def _begin(self, step: Step) -> bool:
        """Let a step begin. Returns whether it did: its `when` may not hold."""
        if step.when is not None:
            scope = self._scope(step)
            if step.when.holds(scope) is not True:
                self._end(step, "skipped", (step.when.explain(scope),))
                return False
        match step:
            case ChannelStep():
                self._request(step)
            case TaskStep():
                self._open(step)
            case WaitStep():
                self._start(step, self._clock(step, step.wait))
            case WaitForStep():
                clock = () if step.timeout is None else (self._clock(step, step.timeout),)
                self._start(step, *clock)
                self._hear_kept(step)
            case SetStep():
                self._set(step)
            case LaterStep():
                why = {"result": False, "reason": f"{step.kind!r} has no effect in this version"}
                self._end(step, "skipped", (why,))
            case GatewayStep():
                self._start(step)
                self._choose(step)
            case _:
                self._start(step)
        return True

    def _start(self, step: Step, *timers: Timer) -> None:
        self._decision.emit(
            StepStarted, record=self._id, step=step.path, kind=step.kind, timers=timers
        )

    def _request(self, step: ChannelStep) -> None:
        record = self._record
        assert record.stage is not None
        call = Call(
            id=f"{record.id}/{record.visit}/{step.path}",
            record=record.id,
            visit=record.visit,
            stage=record.stage,
            path=step.path,
            channel=step.channel,
        )
        self._decision.emit(ChannelRequested, record=record.id, call=call)

    def _open(self, step: TaskStep) -> None:
        decision = self._decision
        task = Task(
            id=f"task-{decision.state.seq + 1}",
            record=self._id,
            path=step.path,
            title=step.title,
            assignees=step.assign,
            opened_at=decision.now,
        )
        decision.emit(TaskOpened, record=self._id, task=task)

    def _clock(self, step: Step, length: timedelta) -> Timer:
        record = self._record
        about = f"waiting for {step.event}" if isinstance(step, WaitForStep) else "waiting"
        return Timer(
            id=f"{record.id}/{record.visit}/{step.path}",
            record=record.id,
            kind="wait",
            name=step.path,
            due=self._decision.now + length,
            summary=f"{record.id} in {record.stage}: {about} ends after {format_duration(length)}",
        )

    def _hear_kept(self, step: WaitForStep) -> None:
        kept = next(
            (
                one
                for one in self._record.awaiting
                if one.kind == "event" and one.name == step.event
            ),
            None,
        )
        if kept is not None:
            event = {"type": kept.name, "data": dict(kept.data)}
            end_waiting(self._decision, self._id, step, event)

    def _set(self, step: SetStep) -> None:
        decision, record = self._decision, self._record
        before = decision.mark()
        try:
            values = compute(step.set, self._scope(step), f"{step.path}/set")
            if values:
                change_data(decision, record, values)
        except Rejected as refusal:
            decision.back_to(before)
            self._end(step, "failed")
            raise_incident(
                decision,
                refusal.code,
                f"The step {step.path!r} of {record.stage!r} failed: {refusal.message}",
                f"{record.id}/{record.visit}/{step.path}",
                record=record.id,
                details=refusal.details,
            )
        else:
            self._end(step, "done")

    def _choose(self, gateway: GatewayStep) -> None:
        """Decide on the branches once, when the gateway is reached: the others are skipped."""
        scope = self._scope(gateway)
        chosen = False
        for branch in gateway.branches:
            if chosen and gateway.kind == "exclusive":
                self._end(branch.step, "skipped")
            elif branch.when.holds(scope) is True:
                chosen = True
            else:
                self._end(branch.step, "skipped", (branch.when.explain(scope),))
        if gateway.default is not None and chosen:
            self._end(gateway.default, "skipped")

    # --- going on ---------------------------------------------------------------------------

    def _follow(self, step: WaitForStep) -> bool:
        """The branch that follows the waiting, once that is over."""
        heard = self._record.run.get(step.waiting)
        if heard is None:
            return False
        branch = step.then if heard == "done" else step.otherwise
        if branch is not None and not self.proceed(branch):
            return False
        self._end(step, "done" if heard == "done" else "timed_out")
        return True

    def _end(self, step: Step, outcome: EndOfStep, why: Why = ()) -> None:
        self._decision.emit(
            StepEnded, record=self._id, step=step.path, kind=step.kind, outcome=outcome, why=why
        )

    def _scope(self, step: Step) -> dict[str, object]:
        return step_scope(self._decision, self._record, self._run, step.path)

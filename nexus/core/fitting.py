"""Whether an instance that began elsewhere, or under another version, can go on under a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus.core.errors import Rejected, nearest
from nexus.core.program import Entity, Program
from nexus.core.state import OPEN, Call, Record, State, Task, Timer
from nexus.core.steps import (
    ChannelStep,
    LaterStep,
    Run,
    SetStep,
    Step,
    TaskStep,
    WaitForStep,
    WaitStep,
)

_ENDS_AT_ONCE = (SetStep, LaterStep)


def misfits(program: Program, state: State) -> list[str]:
    """What an instance has, or waits for, that a program knows nothing of.

    Args:
        program: What it is to go on under.
        state: The instance as it stands.

    Returns:
        A sentence for each; empty where it fits.
    """
    found = [
        text for record in state.records.values() for text in _of_record(program, state, record)
    ]
    if not found:  # else each of these would be said twice
        found += [
            text for timer in state.timers.values() for text in _of_timer(program, state, timer)
        ]
        found += [text for call in state.calls.values() for text in _of_call(program, state, call)]
        found += [text for task in state.tasks.values() for text in _of_task(program, state, task)]
        for incident in state.incidents.values():
            if incident.call is not None:
                found += [
                    f"{incident.id}: {one}" for one in _of_call(program, state, incident.call)
                ]
        for record in state.records.values():
            found += _of_running(program, state, record)
    return list(dict.fromkeys(found))


def require_fit(program: Program, state: State) -> None:
    """Refuse a program that does not know what an instance has.

    Raises:
        Rejected: `conflict`, with all `misfits`.
    """
    found = misfits(program, state)
    if found:
        raise Rejected(
            "conflict",
            f"The definition {program.id!r} {program.version} has no place for what there is: "
            f"{' '.join(found)}",
            {"misfits": found},
        )


def _of_record(program: Program, state: State, record: Record) -> Iterator[str]:
    entity = program.entities.get(record.entity)
    if entity is None:
        near = _near(record.entity, program.entities)
        yield f"{record.id} is of the entity {record.entity!r}, which there is not.{near}"
    elif record.stage is None:
        if entity.stages and record.status == OPEN and not state.ended:
            yield f"{record.id} stands in no stage, and {entity.name!r} has stages."
    elif record.stage not in entity.stages:
        near = _near(record.stage, entity.stages)
        what = f"{record.id} stands in {record.stage!r}, and {entity.name!r} has no such stage."
        yield f"{what}{near}"
    elif record.run and entity.stages[record.stage].run is None:
        yield f"{record.id} runs steps in {record.stage!r}, and this stage has none."
    else:
        for one in record.awaiting:
            if one.kind == "after" and one.name not in program.transitions:
                yield f"{record.id} keeps the clock of {one.name!r}, which there is not."


def _of_timer(program: Program, state: State, timer: Timer) -> Iterator[str]:
    record = state.records.get(timer.record)
    if record is None:
        yield f"The clock {timer.id!r} is of a record that there is not."
    elif timer.kind == "wait":
        if not isinstance(_step(program, record, timer.name), WaitStep | WaitForStep):
            yield f"{record.id} waits at {timer.name!r} of {record.stage!r}; nothing waits there."
    else:
        transition = program.transitions.get(timer.name)
        if transition is None or transition.trigger.kind != "after":
            yield f"{record.id} has a clock for {timer.name!r}, which no clock takes."
        elif transition.entity != record.entity or record.stage not in transition.sources:
            yield (
                f"{record.id} has a clock for {timer.name!r}, which does not lead out of "
                f"{record.stage!r}."
            )


def _of_call(program: Program, state: State, call: Call) -> Iterator[str]:
    record = state.records.get(call.record)
    if record is None:
        yield f"The call {call.id!r} is of a record that there is not."
        return
    stage = _entity(program, record).stages.get(call.stage)
    if stage is None:
        yield f"{record.id} calls {call.channel!r} for {call.stage!r}, and there is no such stage."
    elif stage.run is None or not isinstance(stage.run.by_path.get(call.path), ChannelStep):
        yield (
            f"{record.id} calls {call.channel!r} at {call.path!r} of {call.stage!r}, and no "
            "channel is called there."
        )


def _of_task(program: Program, state: State, task: Task) -> Iterator[str]:
    record = state.records.get(task.record)
    if record is None:
        yield f"{task.id} is of a record that there is not."
    elif not isinstance(_step(program, record, task.path), TaskStep):
        yield f"{task.id} is open at {task.path!r} of {record.stage!r}, and there is no task."


def _of_running(program: Program, state: State, record: Record) -> Iterator[str]:
    """Steps that are running have to be there, and to be what they were: else none ever ends."""
    run = _run(program, record)
    if not record.running or run is None:
        return
    mine = f"{record.id}/{record.visit}/"
    at_work = {call.path for call in state.calls.values() if call.id.startswith(mine)}
    at_work |= {task.path for task in state.tasks.values() if task.record == record.id}
    at_work |= {timer.name for timer in state.timers.values() if timer.id.startswith(mine)}
    for path, outcome in record.run.items():
        step = run.by_path.get(path)
        if outcome != "running":
            continue
        if step is None:
            yield f"{record.id} runs {path!r} of {record.stage!r}, and there is no such step."
        elif isinstance(step, _ENDS_AT_ONCE) or (
            isinstance(step, ChannelStep | TaskStep | WaitStep) and path not in at_work
        ):
            yield f"{record.id} runs {path!r} of {record.stage!r}, and that is another step here."


def _entity(program: Program, record: Record) -> Entity:
    return program.entities[record.entity]


def _run(program: Program, record: Record) -> Run | None:
    return None if record.stage is None else _entity(program, record).stages[record.stage].run


def _step(program: Program, record: Record, path: str) -> Step | None:
    run = _run(program, record)
    return None if run is None else run.by_path.get(path)


def _near(name: str, names: Iterable[str]) -> str:
    near = nearest(name, names)
    return f" Did you mean {near!r}?" if near else ""

"""What the events of a run make of a state: steps, calls, tasks, and what waits for them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from nexus.core.events import (
    ChannelFailed,
    ChannelRequested,
    ChannelSucceeded,
    RunStopped,
    StepEnded,
    StepStarted,
    TaskCompleted,
    TaskOpened,
)
from nexus.core.state import Awaiting, Data, Record, RunOutcome, State


def evolve_step(
    state: State, event: StepStarted | StepEnded | RunStopped | TaskOpened | TaskCompleted
) -> dict[str, Any]:
    """The fields of the state that an event of a step changes."""
    assert event.record is not None
    record = state.records[event.record]
    match event:
        case StepStarted():
            changes = with_record(state, _at(record, event.step, "running"))
            if event.timers:
                timers = {timer.id: timer for timer in event.timers}
                changes["timers"] = {**state.timers, **timers}
            return changes
        case StepEnded():
            return _step_ended(state, event, record)
        case RunStopped():
            return _stopped(state, record)
        case TaskOpened():
            task = event.task
            record = _at(record, task.path, "running")
            return {**with_record(state, record), "tasks": {**state.tasks, task.id: task}}
        case TaskCompleted():
            left: Data = {"by": event.actor, "data": event.data}
            record = _at(record, event.step, "done", left)
            tasks = {id_: task for id_, task in state.tasks.items() if id_ != event.task}
            return {**with_record(state, record), "tasks": tasks}


def evolve_call(
    state: State, event: ChannelRequested | ChannelSucceeded | ChannelFailed
) -> dict[str, Any]:
    """The fields of the state that an event of a channel call changes.

    What became of a call is told to the visit that asked for it, and to no later one.
    """
    assert event.record is not None
    record = state.records[event.record]
    if isinstance(event, ChannelRequested):
        call = event.call
        calls = {**state.calls, call.id: call}
        return {**with_record(state, _at(record, call.path, "running")), "calls": calls}
    call = state.calls[event.call]
    changes: dict[str, Any] = {"calls": {k: c for k, c in state.calls.items() if k != call.id}}
    if call.visit != record.visit or call.cancelling:
        return changes
    if isinstance(event, ChannelSucceeded):
        record = _at(record, call.path, "done", {"response": event.response})
    else:
        record = _at(record, call.path, event.outcome)
    return {**changes, **with_record(state, record)}


def with_record(state: State, record: Record) -> dict[str, Any]:
    """One record replaced."""
    return {"records": {**state.records, record.id: record}}


def keeping(record: Record, came: Awaiting) -> Record:
    """The record with one more event, or clock, that waits."""
    return replace(record, awaiting=(*record.awaiting, came))


def without_first(record: Record, kind: Literal["event", "after"], name: str) -> Record:
    """The record without the first that waits under this name; itself where there is none."""
    for index, one in enumerate(record.awaiting):
        if one.kind == kind and one.name == name:
            rest = record.awaiting[:index] + record.awaiting[index + 1 :]
            return replace(record, awaiting=rest)
    return record


def _at(record: Record, path: str, outcome: RunOutcome, left: Data | None = None) -> Record:
    steps = record.steps if left is None else {**record.steps, path: left}
    return replace(record, run={**record.run, path: outcome}, steps=steps)


def _step_ended(state: State, event: StepEnded, record: Record) -> dict[str, Any]:
    left = None if event.event is None else {"event": event.event}
    ended = _at(record, event.step, event.outcome, left)
    if event.event is not None:
        # A step that waits has none that was kept: what is kept is taken when it begins.
        ended = without_first(ended, "event", str(event.event["type"]))
    changes = with_record(state, ended)
    timer = f"{record.id}/{record.visit}/{event.step.removesuffix('/waitFor')}"
    if timer in state.timers:
        changes["timers"] = {key: one for key, one in state.timers.items() if key != timer}
    return changes


def _stopped(state: State, record: Record) -> dict[str, Any]:
    run: dict[str, RunOutcome] = {
        path: "cancelled" if outcome == "running" else outcome
        for path, outcome in record.run.items()
    }
    stopped = replace(record, run=run, awaiting=())
    return {
        **with_record(state, stopped),
        "timers": {
            key: timer
            for key, timer in state.timers.items()
            if timer.record != record.id or timer.kind != "wait"
        },
        "tasks": {id_: task for id_, task in state.tasks.items() if task.record != record.id},
        "calls": {
            id_: replace(call, cancelling=True)
            if (call.record, call.visit) == (record.id, record.visit) and call.incident is None
            else call
            for id_, call in state.calls.items()
        },
    }

"""evolve(state, event) -> state: what an event makes of an instance. No decision is taken here.

Whatever `decide` emitted is applied as it stands, so replaying the events of
an instance gives its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexus.core.events import (
    AnyEvent,
    Assigned,
    DataChanged,
    InstanceEnded,
    InstanceStarted,
    RecordClosed,
    RecordCreated,
    StageEntered,
    TimerFired,
)
from nexus.core.state import Record, State, Timer


def evolve(state: State, event: AnyEvent) -> State:
    """The state after one event. Never raises on an event that `decide` emitted for this state."""
    match event:
        case StageEntered():
            state = _stage_entered(state, event)
        case DataChanged():
            state = _data_changed(state, event)
        case Assigned(record=str(record)):
            state = _with(state, replace(state.records[record], assignees=event.assignees))
        case TimerFired():
            timers = {key: timer for key, timer in state.timers.items() if key != event.timer}
            state = replace(state, timers=timers)
        case RecordCreated(record=str(record)):
            created = Record(
                id=record,
                entity=event.entity,
                created_at=event.at,
                data=event.data,
                parent=event.parent,
            )
            state = _with(state, created)
        case RecordClosed(record=str(record)):
            closed = replace(state.records[record], status="closed")
            state = replace(_with(state, closed), timers=_without_timers_of(state.timers, record))
        case InstanceStarted():
            state = replace(
                state,
                status="active",
                subject=event.subject,
                data=event.data,
                started_by=event.actor,
                started_at=event.at,
            )
        case InstanceEnded():
            state = replace(state, status=event.status, ended_at=event.at, timers={})
        case _:
            pass  # ActionTaken and its like are facts for the history alone
    return replace(state, seq=event.seq, updated_at=event.at)


def _stage_entered(state: State, event: StageEntered) -> State:
    assert event.record is not None
    before = state.records[event.record]
    entered = replace(
        before,
        stage=event.stage,
        status="final" if event.final else "open",
        assignees=event.assignees,
        visit=before.visit + 1,
        entered_at=event.at,
        previous=event.previous,
        run={},
    )
    timers = _without_timers_of(state.timers, event.record)
    timers.update((timer.id, timer) for timer in event.timers)
    return replace(_with(state, entered), timers=timers)


def _data_changed(state: State, event: DataChanged) -> State:
    if event.record is None:
        return replace(state, data={**state.data, **event.changes})
    record = state.records[event.record]
    return _with(state, replace(record, data={**record.data, **event.changes}))


def _with(state: State, record: Record) -> State:
    return replace(state, records={**state.records, record.id: record})


def _without_timers_of(timers: Mapping[str, Timer], record: str) -> dict[str, Timer]:
    return {key: timer for key, timer in timers.items() if timer.record != record}

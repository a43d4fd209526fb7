"""evolve(state, event) -> state: what an event makes of an instance. No decision is taken here.

Whatever `decide` emitted is applied as it stands, so replaying the events of
an instance gives its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nexus.core.events import (
    AnyEvent,
    Assigned,
    DataChanged,
    IncidentClosed,
    IncidentRaised,
    InstanceEnded,
    InstanceStarted,
    RecordClosed,
    RecordCreated,
    StageEntered,
    TimerFired,
)
from nexus.core.state import Incident, Record, State, Timer


def evolve(state: State, event: AnyEvent) -> State:
    """The state after one event. Never raises on an event that `decide` emitted for this state."""
    return replace(state, seq=event.seq, updated_at=event.at, **_changes(state, event))


def _changes(state: State, event: AnyEvent) -> dict[str, Any]:
    """The fields of the state that an event changes, beside those that each one does."""
    match event:
        case StageEntered():
            return _stage_entered(state, event)
        case DataChanged(record=None):
            return {"data": {**state.data, **event.changes}}
        case DataChanged(record=str(id_)):
            record = state.records[id_]
            return _with(state, replace(record, data={**record.data, **event.changes}))
        case Assigned(record=str(id_)):
            return _with(state, replace(state.records[id_], assignees=event.assignees))
        case TimerFired():
            return {"timers": {k: timer for k, timer in state.timers.items() if k != event.timer}}
        case RecordCreated(record=str(id_)):
            created = Record(
                id=id_,
                entity=event.entity,
                created_at=event.at,
                data=event.data,
                parent=event.parent,
            )
            return _with(state, created)
        case RecordClosed(record=str(id_)):
            closed = replace(state.records[id_], status="closed")
            return {**_with(state, closed), "timers": _without_timers_of(state.timers, id_)}
        case IncidentRaised():
            return {"incidents": {**state.incidents, event.incident: _raised(state, event)}}
        case IncidentClosed():
            closed_id = event.incident.id
            return {"incidents": {k: i for k, i in state.incidents.items() if k != closed_id}}
        case InstanceStarted():
            return {
                "status": "active",
                "subject": event.subject,
                "data": event.data,
                "started_by": event.actor,
                "started_at": event.at,
            }
        case InstanceEnded():
            return {"status": event.status, "ended_at": event.at, "timers": {}}
        case _:
            return {}  # ActionTaken and its like are facts for the history alone


def _stage_entered(state: State, event: StageEntered) -> dict[str, Any]:
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
    return {**_with(state, entered), "timers": timers}


def _raised(state: State, event: IncidentRaised) -> Incident:
    before = state.incidents.get(event.incident)
    return Incident(
        id=event.incident,
        record=event.record,
        code=event.code,
        message=event.message,
        cause=event.cause,
        raised_at=before.raised_at if before else event.at,
        call=event.call,
        attempts=event.attempts + (before.attempts if before else 0),
    )


def _with(state: State, record: Record) -> dict[str, Any]:
    return {"records": {**state.records, record.id: record}}


def _without_timers_of(timers: Mapping[str, Timer], record: str) -> dict[str, Timer]:
    return {key: timer for key, timer in timers.items() if timer.record != record}

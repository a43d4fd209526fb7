"""evolve(state, event) -> state: what an event makes of an instance. No decision is taken here.

Whatever `decide` emitted is applied as it stands, so replaying the events of
an instance gives its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from nexus.core.events import (
    AnyEvent,
    Assigned,
    CarriedOver,
    ChannelFailed,
    ChannelRequested,
    ChannelSucceeded,
    DataChanged,
    EventApplied,
    EventReceived,
    IncidentClosed,
    IncidentRaised,
    IncidentRetried,
    InstanceEnded,
    InstanceEnding,
    InstanceStarted,
    RecordClosed,
    RecordCreated,
    RunStopped,
    StageEntered,
    StepEnded,
    StepStarted,
    TaskCompleted,
    TaskOpened,
    TimerFired,
)
from nexus.core.evolve_run import (
    evolve_call,
    evolve_step,
    keeping,
    with_record,
    without_first,
)
from nexus.core.state import Awaiting, Incident, Record, State, Timer


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
            return with_record(state, replace(record, data={**record.data, **event.changes}))
        case Assigned(record=str(id_)):
            return with_record(state, replace(state.records[id_], assignees=event.assignees))
        case TimerFired(record=str(id_)):
            return _timer_fired(state, event, state.records[id_])
        case EventReceived() | EventApplied():
            return _awaiting(state, event)
        case StepStarted() | StepEnded() | RunStopped() | TaskOpened() | TaskCompleted():
            return evolve_step(state, event)
        case ChannelRequested() | ChannelSucceeded() | ChannelFailed():
            return evolve_call(state, event)
        case RecordCreated(record=str(id_)):
            created = Record(
                id=id_,
                entity=event.entity,
                created_at=event.at,
                data=event.data,
                parent=event.parent,
            )
            return with_record(state, created)
        case RecordClosed(record=str(id_)):
            closed = replace(state.records[id_], status="closed", awaiting=())
            return {**with_record(state, closed), "timers": _without_timers_of(state.timers, id_)}
        case IncidentRaised():
            return {"incidents": {**state.incidents, event.incident: _raised(state, event)}}
        case IncidentRetried():
            incident = replace(state.incidents[event.incident], retrying=True)
            return {
                "incidents": {**state.incidents, incident.id: incident},
                "calls": {**state.calls, event.call.id: event.call},
            }
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
        case CarriedOver():
            # One that is carried on once more keeps the keys that its calls have had.
            return {"origin": state.origin or event.origin}
        case InstanceEnded():
            return {
                "status": event.status,
                "ended_at": event.at,
                "ending": None,
                "timers": {},
                "tasks": {},
            }
        case InstanceEnding():
            return {
                "ending": event.status,
                "timers": {},
                "tasks": {},
                "calls": {k: replace(call, cancelling=True) for k, call in state.calls.items()},
            }
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
        steps={},
        awaiting=(),
    )
    timers = _without_timers_of(state.timers, event.record)
    timers.update((timer.id, timer) for timer in event.timers)
    return {**with_record(state, entered), "timers": timers}


def _timer_fired(state: State, event: TimerFired, record: Record) -> dict[str, Any]:
    """A clock that has to wait for the join is kept, and spent when its turn has come."""
    timers = {key: timer for key, timer in state.timers.items() if key != event.timer}
    if event.outcome == "awaits_join":
        assert event.due is not None
        clock = Awaiting("after", event.transition, event.due)
        return {"timers": timers, **with_record(state, keeping(record, clock))}
    spent = without_first(record, "after", event.transition)
    return {"timers": timers, **({} if spent is record else with_record(state, spent))}


def _awaiting(state: State, event: EventReceived | EventApplied) -> dict[str, Any]:
    if isinstance(event, EventApplied):
        assert event.record is not None
        record = without_first(state.records[event.record], "event", event.event)
        return with_record(state, record)
    if not event.kept:
        return {}
    came = Awaiting("event", event.event, event.at, event.data)
    kept = {id_: keeping(state.records[id_], came) for id_ in event.kept}
    return {"records": {**state.records, **kept}}


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


def _without_timers_of(timers: Mapping[str, Timer], record: str) -> dict[str, Timer]:
    return {key: timer for key, timer in timers.items() if timer.record != record}

"""From state and events to rows: what the projection of a decision writes, as values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec

from nexus.core.events import (
    AnyEvent,
    Assigned,
    DataChanged,
    Event,
    IncidentClosed,
    InstanceStarted,
    RecordClosed,
    StageEntered,
)
from nexus.core.program import Program
from nexus.core.projection import (
    HistoryRow,
    IncidentRow,
    IncidentStatus,
    InstanceRow,
    Projection,
    RecordRow,
    Snapshot,
    TaskRow,
    TimerRow,
)
from nexus.core.state import Assignees, Incident, Record, State, Task


@dataclass(frozen=True, slots=True)
class Identity:
    """What a shell knows of an instance and the core does not.

    Attributes:
        id: Opaque, unique per run (R25).
        workflow_id: `{tenant}:{definition}:{subject type}:{subject id}`, each part encoded.
    """

    id: str
    tenant: str
    workflow_id: str


def instance_row(identity: Identity, program: Program, state: State) -> InstanceRow:
    """The instance as it stands. It must have been started."""
    assert state.subject is not None
    assert state.started_at is not None
    assert state.updated_at is not None
    return InstanceRow(
        id=identity.id,
        tenant=identity.tenant,
        workflow_id=identity.workflow_id,
        definition=program.id,
        version=program.version,
        domain=program.domain,
        subject_type=state.subject.type,
        subject_id=state.subject.id,
        status=state.status,
        stage=first_stage(state),
        data=state.data,
        started_by=state.started_by,
        started_at=state.started_at,
        ended_at=state.ended_at,
        seq=state.seq,
        updated_at=state.updated_at,
    )


def first_stage(state: State) -> str | None:
    """The stage of the first staged record: the instance's `state` in the HTTP contract."""
    return next((r.stage for r in state.records.values() if r.stage is not None), None)


def snapshot(identity: Identity, program: Program, state: State) -> Snapshot:
    """The whole instance as it stands."""
    return Snapshot(
        instance=instance_row(identity, program, state),
        records=record_rows(program, state, state.records),
        timers=timer_rows(state, state.records),
        tasks=task_rows(state, state.records),
        incidents=tuple(map(_incident_row, state.incidents.values())),
    )


def project(
    identity: Identity, program: Program, state: State, history: Sequence[HistoryRow]
) -> Projection:
    """What is to be written after these events led to this state.

    An instance that has ended takes its open records out of everybody's hands,
    so then all of them are written.
    """
    changed = {row.record for row in history if row.record is not None}
    if state.ended or len(changed) == len(state.records):
        return project_all(identity, program, state, history)
    return Projection(
        instance=instance_row(identity, program, state),
        records=record_rows(program, state, changed),
        timers=timer_rows(state, changed),
        history=history,
        tasks=task_rows(state, changed),
        incidents=incident_rows(state, changed, history),
    )


def project_all(
    identity: Identity, program: Program, state: State, history: Sequence[HistoryRow]
) -> Projection:
    """The same with every record, so that a writer can replace whatever it has."""
    return Projection(
        instance=instance_row(identity, program, state),
        records=record_rows(program, state, state.records),
        timers=timer_rows(state, state.records),
        history=history,
        tasks=task_rows(state, state.records),
        incidents=incident_rows(state, state.records, history),
        complete=True,
    )


def record_rows(program: Program, state: State, ids: Iterable[str]) -> tuple[RecordRow, ...]:
    """The rows of these records, in order of creation."""
    wanted = set(ids)
    due: dict[str, TimerRow] = {}
    for timer in timer_rows(state, wanted):
        if timer.record not in due or timer.trigger_at < due[timer.record].trigger_at:
            due[timer.record] = timer
    return tuple(
        _record_row(program, state, record, position, due.get(record.id))
        for position, record in enumerate(state.records.values(), start=1)
        if record.id in wanted
    )


def _record_row(
    program: Program, state: State, record: Record, position: int, due: TimerRow | None
) -> RecordRow:
    is_open = record.status == "open" and not state.ended
    return RecordRow(
        id=record.id,
        position=position,
        entity=record.entity,
        table=program.entities[record.entity].table,
        stage=record.stage,
        status=record.status if is_open or record.status != "open" else "closed",
        data=record.data,
        users=record.assignees.users,
        roles=record.assignees.roles,
        pending=is_open and record.stage is not None and not record.running,
        running=record.running and not state.ended,
        parent=record.parent,
        created_at=record.created_at,
        since=record.entered_at,
        due_at=due.trigger_at if due else None,
    )


def timer_rows(state: State, records: Iterable[str]) -> tuple[TimerRow, ...]:
    """The running clocks of these records, the next one first."""
    wanted = set(records)
    rows = (
        TimerRow(
            id=timer.id,
            record=timer.record,
            kind=timer.kind,
            name=timer.name,
            trigger_at=timer.due,
            summary=timer.summary,
        )
        for timer in state.timers.values()
        if timer.record in wanted
    )
    return tuple(sorted(rows, key=lambda row: (row.trigger_at, row.id)))


def task_rows(state: State, records: Iterable[str]) -> tuple[TaskRow, ...]:
    """The open tasks of these records, in order of opening."""
    wanted = set(records)
    return tuple(
        _task_row(task, state.records[task.record])
        for task in state.tasks.values()
        if task.record in wanted
    )


def _task_row(task: Task, record: Record) -> TaskRow:
    assignees = task.assignees or record.assignees
    return TaskRow(
        id=task.id,
        record=task.record,
        step=task.path,
        title=task.title,
        users=assignees.users,
        roles=assignees.roles,
        since=task.opened_at,
    )


def incident_rows(
    state: State, records: Iterable[str], history: Sequence[HistoryRow]
) -> tuple[IncidentRow, ...]:
    """The open incidents of these records and of the whole instance, and those just settled."""
    wanted = {None, *records}
    opened = [_incident_row(i) for i in state.incidents.values() if i.record in wanted]
    closed = [_closed_incident_row(row) for row in history if row.event == IncidentClosed.name]
    return (*closed, *opened)


def _closed_incident_row(row: HistoryRow) -> IncidentRow:
    incident = msgspec.convert(row.payload["incident"], type=Incident)
    status = msgspec.convert(row.payload["outcome"], type=IncidentStatus)
    return dataclasses.replace(
        _incident_row(incident), status=status, closed_at=row.at, closed_by=row.actor
    )


def _incident_row(incident: Incident) -> IncidentRow:
    call = incident.call
    return IncidentRow(
        id=incident.id,
        seq=int(incident.id.removeprefix("incident-")),
        record=incident.record,
        code=incident.code,
        message=incident.message,
        stage=call.stage if call else None,
        step=call.path if call else None,
        channel=call.channel if call else None,
        retryable=call is not None,
        attempts=incident.attempts,
        status="retrying" if incident.retrying else "open",
        raised_at=incident.raised_at,
    )


def history_row(event: AnyEvent, command: str | None = None) -> HistoryRow:
    """One event as the audit trail keeps it.

    Args:
        event: What happened.
        command: Id of the update that caused it; None for clocks and signals.
    """
    before, after = _change(event)
    return HistoryRow(
        seq=event.seq,
        at=event.at,
        event=event.name,
        actor=event.actor,
        on_behalf_of=event.on_behalf_of,
        record=event.record,
        before=before,
        after=after,
        comment=event.comment,
        payload={name: _plain(getattr(event, name)) for name in _FACTS[type(event)]},
        command=command,
    )


def _change(event: AnyEvent) -> tuple[object, object]:
    match event:
        case StageEntered():
            return event.previous, event.stage
        case DataChanged():
            return dict(event.previous), dict(event.changes)
        case Assigned():
            return _plain(event.previous), _plain(event.assignees)
        case RecordClosed():
            return event.stage, None
        case InstanceStarted():
            return None, dict(event.data)
        case _:
            return None, None


# Facts that stand in `before` and `after` already.
_SHOWN = {"previous", "changes"}


_COMMON = set(Event.__struct_fields__)
_FACTS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(
        name for name in kind.__struct_fields__ if name not in _COMMON and name not in _SHOWN
    )
    for kind in get_args(AnyEvent)
}
"""The fields of each event that are its own and go into the payload."""


_SCALARS = frozenset({str, int, float, bool})


def _plain(value: object) -> object:
    """Values of events as JSON knows them."""
    if value is None or type(value) in _SCALARS:  # most are, and this is asked of every event
        return value
    if isinstance(value, Assignees):
        return {"users": list(value.users), "roles": list(value.roles)}
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value

"""Database rows from the rows of a projection, by column name.

The edges refuse text that is too long for its column, and NUL characters, with
a reason. Where an event has happened nevertheless, its instance must not stand
still over it: `fit` makes the row acceptable to both databases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nexus.core.projection import (
    HistoryRow,
    IncidentRow,
    InstanceRow,
    RecordRow,
    TaskRow,
    TimerRow,
)
from nexus.core.state import OPEN
from storage.tables import Assignment, History, Incident, Instance, Record, Task, Timer, table_of
from storage.types import canonical_json

# Stands for "no deadline" where rows are sorted by deadline.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)

INSTANCES, RECORDS, HISTORY = table_of(Instance), table_of(Record), table_of(History)
TIMERS, ASSIGNMENTS = table_of(Timer), table_of(Assignment)
TASKS, INCIDENTS = table_of(Task), table_of(Incident)
_INCIDENT_FIELDS = tuple(
    column.name for column in INCIDENTS.columns if column.name not in ("tenant", "instance")
)
_INSTANCE_FIELDS = tuple(
    column.name for column in INSTANCES.columns if not column.name.startswith("chain_")
)


def of_instance(instance: InstanceRow) -> dict[str, Any]:
    """A row of `instances`, without the head of its chain."""
    return fit(INSTANCES, {name: getattr(instance, name) for name in _INSTANCE_FIELDS})


def of_event(instance: InstanceRow, event: HistoryRow) -> dict[str, Any]:
    """A row of `history`, without its place in the chain."""
    return fit(
        HISTORY,
        {
            "tenant": instance.tenant,
            "instance": instance.id,
            "seq": event.seq,
            "at": event.at,
            "event": event.event,
            "actor": event.actor,
            "on_behalf_of": event.on_behalf_of,
            "record": event.record,
            "before": canonical_json(event.before),
            "after": canonical_json(event.after),
            "comment": event.comment,
            "payload": canonical_json(event.payload),
            "command": event.command,
        },
    )


def of_record(instance: InstanceRow, record: RecordRow) -> dict[str, Any]:
    """A row of `records`."""
    return fit(
        RECORDS,
        {
            "tenant": instance.tenant,
            "instance": instance.id,
            "id": record.id,
            "position": record.position,
            "entity": record.entity,
            "typed_table": record.table,
            "stage": record.stage,
            "status": record.status,
            "data": record.data,
            "users": list(record.users),
            "roles": list(record.roles),
            "pending": record.pending,
            "running": record.running,
            "parent": record.parent,
            "created_at": record.created_at,
            "since": record.since,
            "due_at": record.due_at,
            "seq": instance.seq,
        },
    )


def of_timer(instance: InstanceRow, timer: TimerRow) -> dict[str, Any]:
    """A row of `timers`."""
    return fit(
        TIMERS,
        {
            "tenant": instance.tenant,
            "instance": instance.id,
            "id": timer.id,
            "record": timer.record,
            "kind": timer.kind,
            "name": timer.name,
            "trigger_at": timer.trigger_at,
            "summary": timer.summary,
        },
    )


def of_task(instance: InstanceRow, task: TaskRow) -> dict[str, Any]:
    """A row of `tasks`."""
    return fit(
        TASKS,
        {
            "tenant": instance.tenant,
            "instance": instance.id,
            "id": task.id,
            "record": task.record,
            "step": task.step,
            "title": task.title,
            "users": list(task.users),
            "roles": list(task.roles),
            "since": task.since,
        },
    )


def of_incident(instance: InstanceRow, incident: IncidentRow) -> dict[str, Any]:
    """A row of `incidents`."""
    row = {name: getattr(incident, name) for name in _INCIDENT_FIELDS}
    return fit(INCIDENTS, {"tenant": instance.tenant, "instance": instance.id, **row})


def of_assignees(
    instance: InstanceRow,
    record: RecordRow,
    tasks: Sequence[TaskRow] = (),
    incidents: int = 0,
) -> list[dict[str, Any]]:
    """What dashboards show of a record and its tasks: one row for each user and role.

    Args:
        instance: The instance.
        record: One of its records.
        tasks: The open tasks of that record.
        incidents: How many of its incidents are open.
    """
    found = _of_assignees(instance, record, None, incidents) if record.status == OPEN else []
    for task in tasks:
        found += _of_assignees(instance, record, task, incidents)
    return found


def _of_assignees(
    instance: InstanceRow, record: RecordRow, task: TaskRow | None, incidents: int
) -> list[dict[str, Any]]:
    owner = task or record
    assignees = dict.fromkeys(
        [("user", user) for user in owner.users] + [("role", role) for role in owner.roles]
    )
    since = task.since if task else record.since or record.created_at
    return [
        fit(
            ASSIGNMENTS,
            {
                "tenant": instance.tenant,
                "instance": instance.id,
                "record": record.id,
                "task": task.id if task else "",
                "kind": kind,
                "assignee": assignee,
                "entity": record.entity,
                "definition": instance.definition,
                "version": instance.version,
                "stage": record.stage,
                "subject_type": instance.subject_type,
                "subject_id": instance.subject_id,
                "pending": task is not None or record.pending,
                "title": task.title if task else None,
                "incidents": incidents,
                "since": since,
                "due_at": record.due_at,
                "due_sort": record.due_at or NEVER,
            },
        )
        for kind, assignee in assignees
    ]


@lru_cache
def _limits(table: sa.Table) -> Mapping[str, int]:
    lengths = {column.name: getattr(column.type, "length", None) for column in table.columns}
    return {name: length for name, length in lengths.items() if length}


def fit(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """Clip what is too long and replace NUL, which PostgreSQL would refuse for ever."""
    limits = _limits(table)
    for name, value in row.items():
        if type(value) is str:
            limit = limits.get(name)
            if limit is not None and len(value) > limit:
                row[name] = value[: limit - 1] + "…"
            if "\0" in value:
                row[name] = row[name].replace("\0", "\ufffd")
    return row

"""Reading instances as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nexus.core.projection import InstanceRow, RecordRow, Snapshot, TaskRow, TimerRow
from storage.incidents import open_incidents
from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import Instance, Record, Task, Timer, columns_of

INSTANCE = columns_of(Instance)
RECORD = columns_of(Record)
TIMER = columns_of(Timer)
TASK = columns_of(Task)

SortBy = Literal["started_at", "updated_at", "id"]

_INSTANCE = (
    INSTANCE.id,
    INSTANCE.tenant,
    INSTANCE.workflow_id,
    INSTANCE.definition,
    INSTANCE.version,
    INSTANCE.domain,
    INSTANCE.subject_type,
    INSTANCE.subject_id,
    INSTANCE.status,
    INSTANCE.stage,
    INSTANCE.data,
    INSTANCE.started_by,
    INSTANCE.started_at,
    INSTANCE.ended_at,
    INSTANCE.seq,
    INSTANCE.updated_at,
)
_RECORD = (
    RECORD.instance,
    RECORD.id,
    RECORD.position,
    RECORD.entity,
    RECORD.typed_table,
    RECORD.stage,
    RECORD.status,
    RECORD.data,
    RECORD.users,
    RECORD.roles,
    RECORD.pending,
    RECORD.running,
    RECORD.parent,
    RECORD.created_at,
    RECORD.since,
    RECORD.due_at,
)
_TIMER = (
    TIMER.instance,
    TIMER.id,
    TIMER.record,
    TIMER.kind,
    TIMER.name,
    TIMER.trigger_at,
    TIMER.summary,
)
_TASK = (
    TASK.instance,
    TASK.id,
    TASK.record,
    TASK.step,
    TASK.title,
    TASK.users,
    TASK.roles,
    TASK.since,
)
_ID = Key(INSTANCE.id, str)
_KEYS: Mapping[SortBy, tuple[Key, ...]] = {
    "started_at": (Key(INSTANCE.started_at, datetime), _ID),
    "updated_at": (Key(INSTANCE.updated_at, datetime), _ID),
    "id": (_ID,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances to list; all of it has to hold.

    Attributes:
        data: Key of the data → value as text. An instance is listed if its own
            data or one of its records' has that value there: the text itself,
            or what the text says as JSON (`5`, `true`, `null`).
    """

    definition: str | None = None
    version: str | None = None
    stage: str | None = None
    status: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)


def get(session: TenantSession, instance: str) -> Snapshot | None:
    """The whole of an instance; None where the tenant has none with this id."""
    row = get_row(session, instance)
    return _snapshots(session, [row])[0] if row else None


def get_row(session: TenantSession, instance: str) -> InstanceRow | None:
    """An instance without its records: enough to find its workflow."""
    row = session.execute(sa.select(*_INSTANCE).where(INSTANCE.id == instance)).one_or_none()
    return _instance(row) if row else None


def list_instances(
    session: TenantSession,
    wanted: InstanceFilter,
    *,
    sort: SortBy = "started_at",
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Snapshot]:
    """A page of instances with their records and clocks.

    Raises:
        InvalidCursor: The cursor cannot be read, or belongs to another order.
    """
    order = Order(f"instances.{sort}", _KEYS[sort], descending)
    statement = (
        sa.select(*_INSTANCE)
        .where(*_matches(session, wanted), *order.after(cursor))
        .order_by(*order.clauses())
        .limit(limit + 1)
    )
    found = [_instance(row) for row in session.execute(statement)]
    names = [key.column.key for key in order.keys]
    rows, following = order.page(found, limit, lambda row: [getattr(row, name) for name in names])
    return Page(tuple(_snapshots(session, rows)), following)


def _matches(session: TenantSession, wanted: InstanceFilter) -> list[Any]:
    exact = {
        INSTANCE.definition: wanted.definition,
        INSTANCE.version: wanted.version,
        INSTANCE.stage: wanted.stage,
        INSTANCE.status: wanted.status,
        INSTANCE.subject_type: wanted.subject_type,
        INSTANCE.subject_id: wanted.subject_id,
    }
    conditions: list[Any] = [
        column == value for column, value in exact.items() if value is not None
    ]
    for name, text in wanted.data.items():
        of_a_record = (
            sa.select(RECORD.id)
            .where(RECORD.instance == INSTANCE.id, _has(session, RECORD.data, name, text))
            .exists()
        )
        conditions.append(sa.or_(_has(session, INSTANCE.data, name, text), of_a_record))
    return conditions


def _has(session: TenantSession, column: Any, name: str, text: str) -> Any:
    """Whether a JSON object holds a value under a name, as text or as what the text says."""
    candidates: list[Any] = [text, *_scalar(text)]
    if session.on_postgresql:
        stored = sa.type_coerce(column, JSONB)
        return sa.or_(*(stored.contains({name: value}) for value in candidates))
    # Walking the entries takes any name; a JSON path has no way to quote some.
    entry = sa.func.json_each(column).table_valued("key", "value", "type")
    return (
        sa.select(sa.literal(1))
        .select_from(entry)
        .where(entry.c.key == name, sa.or_(*(_is(entry, value) for value in candidates)))
        .exists()
    )


def _is(entry: Any, value: Any) -> Any:
    if value is None:
        return entry.c.type == "null"
    if isinstance(value, bool):
        return entry.c.type == ("true" if value else "false")
    if isinstance(value, str):
        return sa.and_(entry.c.type == "text", entry.c.value == value)
    return sa.and_(entry.c.type.in_(("integer", "real")), entry.c.value == value)


def _scalar(text: str) -> list[Any]:
    """What a text says as JSON, where that is a number, a truth value or null."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return []
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return []
    return [] if isinstance(value, str | list | dict) else [value]


def _snapshots(session: TenantSession, rows: Sequence[InstanceRow]) -> list[Snapshot]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    records: dict[str, list[RecordRow]] = {}
    for row in session.execute(
        sa.select(*_RECORD)
        .where(_in(RECORD.instance, ids))
        .order_by(RECORD.instance, RECORD.position)
    ):
        records.setdefault(row.instance, []).append(_record(row))
    timers: dict[str, list[TimerRow]] = {}
    clocks = sa.select(*_TIMER).where(_in(TIMER.instance, ids))
    for clock in session.execute(clocks.order_by(TIMER.trigger_at, TIMER.id)):
        timers.setdefault(clock.instance, []).append(TimerRow(**_without_instance(clock)))
    tasks: dict[str, list[TaskRow]] = {}
    opened = (
        sa.select(*_TASK)
        .where(_in(TASK.instance, ids))
        # In order of opening: the number in an id has no leading zeros.
        .order_by(TASK.since, sa.func.length(TASK.id), TASK.id)
    )
    for task in session.execute(opened):
        tasks.setdefault(task.instance, []).append(_task(task))
    incidents = open_incidents(session, ids)
    return [
        Snapshot(
            instance=row,
            records=tuple(records.get(row.id, ())),
            timers=tuple(timers.get(row.id, ())),
            tasks=tuple(tasks.get(row.id, ())),
            incidents=tuple(incidents.get(row.id, ())),
        )
        for row in rows
    ]


def _in(column: Any, ids: Sequence[str]) -> Any:
    return column == ids[0] if len(ids) == 1 else column.in_(ids)


def _instance(row: Any) -> InstanceRow:
    return InstanceRow(**row._mapping)  # noqa: SLF001 - its public name


def _record(row: Any) -> RecordRow:
    values = _without_instance(row)
    values["table"] = values.pop("typed_table")
    values["users"], values["roles"] = tuple(values["users"]), tuple(values["roles"])
    return RecordRow(**values)


def _task(row: Any) -> TaskRow:
    values = _without_instance(row)
    values["users"], values["roles"] = tuple(values["users"]), tuple(values["roles"])
    return TaskRow(**values)


def _without_instance(row: Any) -> dict[str, Any]:
    values = dict(row._mapping)  # noqa: SLF001 - its public name
    del values["instance"]
    return values

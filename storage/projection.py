"""Write what was decided: every row of a projection in one transaction.

A worker may die after this has committed and before Temporal has stored what
was decided. Then the work is decided again: later, in another order, or never.
What is in the database and nobody knows of any more is called a ghost here; how
it is told from the truth, and replaced, stands in
`docs/decisions/storage-ghost-decisions.md`.

Core statements only: model objects cost more than the database does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from nexus.core.projection import HistoryRow, InstanceRow, Projection, RecordRow, TimerRow
from nexus.core.state import OPEN
from storage.chain import GENESIS, hash_row
from storage.engine import is_postgresql
from storage.tables import Assignment, History, Instance, Record, Timer, table_of
from storage.typed import TYPED, Source
from storage.types import canonical_json

Outcome = Literal["applied", "resync"]

# Stands for "no deadline" where rows are sorted by deadline.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)

INSTANCES, RECORDS, HISTORY = table_of(Instance), table_of(Record), table_of(History)
TIMERS, ASSIGNMENTS = table_of(Timer), table_of(Assignment)
_CURRENT = (TIMERS, ASSIGNMENTS, *(table for table, _ in TYPED.values()), RECORDS)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database knows of the instance; `top` is the highest number in its history."""

    seq: int
    updated_at: datetime
    chain_position: int
    chain_hash: str
    data: Mapping[str, Any]
    top: int


def write_projection(engine: Engine, projection: Projection) -> Outcome:
    """Write all rows of a projection, once, however often it is called.

    Returns:
        `applied`: the database now holds this projection, or a later one.
        `resync`: nothing was written, because the database holds a ghost that
        touched records which are not in this projection, or lacks an earlier
        one; the caller has to send a `complete` projection instead.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: Nothing was written;
            `storage.errors.is_unavailable` says whether trying again may help.
    """
    instance = projection.instance
    first = projection.history[0].seq if projection.history else instance.seq + 1
    with engine.begin() as connection:
        _enter(connection, instance)
        stored = _stored(connection, instance.id)
        if stored and (instance.updated_at, instance.seq) < (stored.updated_at, stored.seq):
            return "applied"  # from a worker that was given up: what is stored is newer
        if not projection.complete and _needs_all(connection, projection, stored, first):
            return "resync"
        chain = _append_history(connection, projection, stored, first)
        _write_instance(connection, instance, stored, chain)
        _write_records(connection, projection, stored)
    return "applied"


def _enter(connection: Connection, instance: InstanceRow) -> None:
    """Name the tenant, and wait for other writers of this instance.

    A lock on the instance's row would not keep two first projections apart.
    """
    if is_postgresql(connection):
        connection.execute(_ENTER, {"tenant": instance.tenant, "instance": instance.id})


_ENTER = sa.select(
    sa.func.set_config("nexus.tenant", sa.bindparam("tenant"), True),
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("instance"), 0)),
)

_STORED = sa.select(
    INSTANCES.c.seq,
    INSTANCES.c.updated_at,
    INSTANCES.c.chain_position,
    INSTANCES.c.chain_hash,
    INSTANCES.c.data,
    # Above `seq` it shows what a replaced ghost has left there.
    sa.select(sa.func.coalesce(sa.func.max(HISTORY.c.seq), 0))
    .where(HISTORY.c.instance == sa.bindparam("instance"))
    .scalar_subquery(),
).where(INSTANCES.c.id == sa.bindparam("instance"))


def _stored(connection: Connection, instance: str) -> _Stored | None:
    row = connection.execute(_STORED, {"instance": instance}).one_or_none()
    return _Stored(*row) if row else None


_TOUCHED = sa.select(RECORDS.c.id).where(
    RECORDS.c.instance == sa.bindparam("instance"), RECORDS.c.seq >= sa.bindparam("first")
)


def _needs_all(
    connection: Connection, projection: Projection, stored: _Stored | None, first: int
) -> bool:
    """Whether the records in the projection do not suffice to make the database right."""
    last = stored.seq if stored else 0
    if last < first - 1:
        return True
    if last == first - 1:
        return False
    parameters = {"instance": projection.instance.id, "first": first}
    touched = set(connection.execute(_TOUCHED, parameters).scalars())
    return not touched.issubset(record.id for record in projection.records)


# --- history ---------------------------------------------------------------

_LATEST = (
    sa.select(HISTORY)
    .where(HISTORY.c.instance == sa.bindparam("instance"), HISTORY.c.seq >= sa.bindparam("first"))
    .order_by(HISTORY.c.seq, HISTORY.c.revision)
)

# What makes two rows of one number the same event. The moment does not: what is
# decided again is decided later.
_IDENTITY = (
    "event",
    "actor",
    "on_behalf_of",
    "record",
    "before",
    "after",
    "comment",
    "payload",
    "command",
)


_Known = dict[int, tuple[int, tuple[Any, ...] | None]]


def _latest_history(connection: Connection, instance: str, first: int, stored: _Stored) -> _Known:
    """By number: the highest revision, and its identity while it stands.

    A row above the stored number belongs to a ghost that was already replaced.
    Its number may come again much later, with its own moment: it never stands.
    """
    rows = connection.execute(_LATEST, {"instance": instance, "first": first}).mappings()
    return {
        row["seq"]: (row["revision"], _identity(row) if row["seq"] <= stored.seq else None)
        for row in rows
    }


def _identity(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in _IDENTITY)


def _append_history(
    connection: Connection,
    projection: Projection,
    stored: _Stored | None,
    first: int,
) -> tuple[int, str]:
    """Append the events that do not stand there yet; the chain's new head."""
    position = stored.chain_position if stored else 0
    head = stored.chain_hash if stored else GENESIS
    known: _Known = {}
    if stored and stored.top >= first:
        known = _latest_history(connection, projection.instance.id, first, stored)
    rows: list[dict[str, Any]] = []
    for event in projection.history:
        row = _fit(HISTORY, _history_row(projection.instance, event))
        revision, standing = known.get(event.seq, (0, None))
        if standing is not None and standing == _identity(row):
            continue
        position += 1
        row["revision"], row["position"], row["prev_hash"] = revision + 1, position, head
        row["hash"] = head = hash_row(head, row)
        rows.append(row)
    if rows:
        connection.execute(sa.insert(HISTORY), rows)
    return position, head


def _history_row(instance: InstanceRow, event: HistoryRow) -> dict[str, Any]:
    return {
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
    }


# --- what stands now -------------------------------------------------------


def _write_instance(
    connection: Connection,
    instance: InstanceRow,
    stored: _Stored | None,
    chain: tuple[int, str],
) -> None:
    row = _fit(INSTANCES, {name: getattr(instance, name) for name in _INSTANCE_FIELDS})
    row["chain_position"], row["chain_hash"] = chain
    if stored is None:
        connection.execute(sa.insert(INSTANCES), row)
    else:
        row["of_instance"] = row.pop("id")
        connection.execute(_UPDATE_INSTANCE, row)


_INSTANCE_FIELDS = tuple(
    column.name for column in INSTANCES.columns if not column.name.startswith("chain_")
)
_UPDATE_INSTANCE = sa.update(INSTANCES).where(INSTANCES.c.id == sa.bindparam("of_instance"))


def _write_records(connection: Connection, projection: Projection, stored: _Stored | None) -> None:
    instance, records = projection.instance, projection.records
    if stored is not None:
        _clear(connection, projection)
    if records:
        _upsert(connection, RECORDS, [_record_row(instance, record) for record in records])
    open_here = instance.status == "active"
    if open_here and projection.timers:
        timers = [_timer_row(instance, timer) for timer in projection.timers]
        _upsert(connection, TIMERS, timers)
    assignments = [row for record in records for row in _assignment_rows(instance, record)]
    if open_here and assignments:
        connection.execute(sa.insert(ASSIGNMENTS), assignments)
    sources = [
        (record.table, record.id, Source(record.stage, record.parent, record.data))
        for record in records
        if record.table in TYPED
    ]
    if stored is not None and not projection.complete and stored.data != instance.data:
        sources += _other_sources(connection, projection)
    _write_typed(connection, instance, sources)


def _clear(connection: Connection, projection: Projection) -> None:
    """Take away what the projection replaces, and what it says is over."""
    instance = projection.instance
    if projection.complete:
        for table in _CURRENT:
            connection.execute(_delete_all(table), {"of_instance": instance.id})
        return
    if instance.status != "active":
        for table in (TIMERS, ASSIGNMENTS):
            connection.execute(_delete_all(table), {"of_instance": instance.id})
        return
    keys = [{"of_instance": instance.id, "of_record": record.id} for record in projection.records]
    if keys:
        for table in (TIMERS, ASSIGNMENTS):
            connection.execute(_delete_of_record(table), keys)


@lru_cache
def _delete_all(table: sa.Table) -> sa.Delete:
    return sa.delete(table).where(table.c.instance == sa.bindparam("of_instance"))


@lru_cache
def _delete_of_record(table: sa.Table) -> sa.Delete:
    return _delete_all(table).where(table.c.record == sa.bindparam("of_record"))


def _upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(_upsert_statement(table, connection.dialect.name), rows)


@lru_cache
def _upsert_statement(table: sa.Table, dialect: str) -> Any:
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = build(table)
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(
        index_elements=keys,
        set_={
            name: statement.excluded[name]
            for column in table.c
            if (name := column.name) not in keys
        },
    )


def _record_row(instance: InstanceRow, record: RecordRow) -> dict[str, Any]:
    return _fit(
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
            "parent": record.parent,
            "created_at": record.created_at,
            "since": record.since,
            "due_at": record.due_at,
            "seq": instance.seq,
        },
    )


def _timer_row(instance: InstanceRow, timer: TimerRow) -> dict[str, Any]:
    return _fit(
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


def _assignment_rows(instance: InstanceRow, record: RecordRow) -> list[dict[str, Any]]:
    """One row for each user and role that an open record waits for or belongs to."""
    if record.status != OPEN:
        return []
    assignees = dict.fromkeys(
        [("user", user) for user in record.users] + [("role", role) for role in record.roles]
    )
    return [
        _fit(
            ASSIGNMENTS,
            {
                "tenant": instance.tenant,
                "instance": instance.id,
                "record": record.id,
                "kind": kind,
                "assignee": assignee,
                "entity": record.entity,
                "definition": instance.definition,
                "version": instance.version,
                "stage": record.stage,
                "subject_type": instance.subject_type,
                "subject_id": instance.subject_id,
                "pending": record.pending,
                "since": record.since or record.created_at,
                "due_at": record.due_at,
                "due_sort": record.due_at or NEVER,
            },
        )
        for kind, assignee in assignees
    ]


_OTHERS = sa.select(
    RECORDS.c.typed_table, RECORDS.c.id, RECORDS.c.stage, RECORDS.c.parent, RECORDS.c.data
).where(RECORDS.c.instance == sa.bindparam("instance"), RECORDS.c.typed_table.is_not(None))


def _other_sources(connection: Connection, projection: Projection) -> list[tuple[str, str, Source]]:
    """Records that the projection leaves alone, whose typed rows show the instance's new data."""
    changed = {record.id for record in projection.records}
    rows = connection.execute(_OTHERS, {"instance": projection.instance.id})
    return [
        (row.typed_table, row.id, Source(row.stage, row.parent, row.data))
        for row in rows
        if row.id not in changed and row.typed_table in TYPED
    ]


def _write_typed(
    connection: Connection, instance: InstanceRow, sources: Sequence[tuple[str | None, str, Source]]
) -> None:
    by_table: dict[str, list[dict[str, Any]]] = {}
    for name, record, source in sources:
        if name is None:
            continue
        table, columns = TYPED[name]
        seen = Source(source.stage, source.parent, {**instance.data, **source.data})
        row = {"tenant": instance.tenant, "instance": instance.id, "id": record, **columns(seen)}
        by_table.setdefault(name, []).append(_fit(table, row))
    for name, rows in by_table.items():
        _upsert(connection, TYPED[name][0], rows)


# --- the last resort -------------------------------------------------------


@lru_cache
def _limits(table: sa.Table) -> Mapping[str, int]:
    lengths = {column.name: getattr(column.type, "length", None) for column in table.columns}
    return {name: length for name, length in lengths.items() if length}


def _fit(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """Clip what is too long and replace NUL, which PostgreSQL would refuse for ever.

    The edges refuse both with a reason. Here the event has happened already,
    and an instance must not stand still over it.
    """
    limits = _limits(table)
    for name, value in row.items():
        if type(value) is str:
            limit = limits.get(name)
            if limit is not None and len(value) > limit:
                row[name] = value[: limit - 1] + "…"
            if "\0" in value:
                row[name] = row[name].replace("\0", "\ufffd")
    return row


__all__ = ["NEVER", "Outcome", "write_projection"]

"""Write what was decided: every row of a projection in one transaction.

A worker may die after this has committed and before Temporal has stored what
was decided. Then the work is decided again: later, in another order, or never.
What is in the database and nobody knows of any more is called a ghost here; how
it is told from the truth, and replaced, stands in
`docs/decisions/storage-ghost-decisions.md`.

Core statements only: model objects cost more than the database does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from nexus.core.projection import InstanceRow, Projection, TaskRow
from storage import rows
from storage.chain import GENESIS, hash_row
from storage.engine import is_postgresql
from storage.tables import (
    Assignment,
    History,
    Incident,
    Instance,
    Record,
    Task,
    Timer,
    table_of,
)
from storage.typed import TYPED, Source

Outcome = Literal["applied", "resync"]

INSTANCES, RECORDS, HISTORY = table_of(Instance), table_of(Record), table_of(History)
TIMERS, ASSIGNMENTS = table_of(Timer), table_of(Assignment)
TASKS, INCIDENTS = table_of(Task), table_of(Incident)
_WAITING = (TIMERS, TASKS, ASSIGNMENTS)  # what an ended instance has none of
_CURRENT = (*_WAITING, *(table for table, _ in TYPED.values()), RECORDS)


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
        _write_incidents(connection, projection, stored, first)
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
    found = connection.execute(_LATEST, {"instance": instance, "first": first}).mappings()
    return {
        row["seq"]: (row["revision"], _identity(row) if row["seq"] <= stored.seq else None)
        for row in found
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
    appended: list[dict[str, Any]] = []
    for event in projection.history:
        row = rows.of_event(projection.instance, event)
        revision, standing = known.get(event.seq, (0, None))
        if standing is not None and standing == _identity(row):
            continue
        position += 1
        row["revision"], row["position"], row["prev_hash"] = revision + 1, position, head
        row["hash"] = head = hash_row(head, row)
        appended.append(row)
    if appended:
        connection.execute(sa.insert(HISTORY), appended)
    return position, head


# --- what stands now -------------------------------------------------------


def _write_instance(
    connection: Connection,
    instance: InstanceRow,
    stored: _Stored | None,
    chain: tuple[int, str],
) -> None:
    row = rows.of_instance(instance)
    row["chain_position"], row["chain_hash"] = chain
    if stored is None:
        connection.execute(sa.insert(INSTANCES), row)
    else:
        row["of_instance"] = row.pop("id")
        connection.execute(_UPDATE_INSTANCE, row)


_UPDATE_INSTANCE = sa.update(INSTANCES).where(INSTANCES.c.id == sa.bindparam("of_instance"))


def _write_records(connection: Connection, projection: Projection, stored: _Stored | None) -> None:
    instance, records = projection.instance, projection.records
    if stored is not None:
        _clear(connection, projection)
    if records:
        _upsert(connection, RECORDS, [rows.of_record(instance, record) for record in records])
    open_here = instance.status == "active"
    if open_here and projection.timers:
        timers = [rows.of_timer(instance, timer) for timer in projection.timers]
        _upsert(connection, TIMERS, timers)
    if open_here:
        if projection.tasks:
            _upsert(connection, TASKS, [rows.of_task(instance, t) for t in projection.tasks])
        if assignments := _assignments(projection):
            _upsert(connection, ASSIGNMENTS, assignments)
    sources = [
        (record.table, record.id, Source(record.stage, record.parent, record.data))
        for record in records
        if record.table in TYPED
    ]
    if stored is not None and not projection.complete and stored.data != instance.data:
        sources += _other_sources(connection, projection)
    _write_typed(connection, instance, sources)


def _assignments(projection: Projection) -> list[dict[str, Any]]:
    troubles = Counter(one.record for one in projection.incidents if one.closed_at is None)
    tasks: dict[str, list[TaskRow]] = {}
    for task in projection.tasks:
        tasks.setdefault(task.record, []).append(task)
    return [
        row
        for record in projection.records
        for row in rows.of_assignees(
            projection.instance, record, tasks.get(record.id, ()), troubles[record.id]
        )
    ]


def _write_incidents(
    connection: Connection, projection: Projection, stored: _Stored | None, first: int
) -> None:
    """Write the incidents given; those that only a ghost raised go, and the others stay."""
    instance = projection.instance
    if stored is not None:
        if stored.top >= first:
            connection.execute(_GHOSTS, {"of_instance": instance.id, "first": first})
        if projection.complete:
            connection.execute(_OPEN_INCIDENTS, {"of_instance": instance.id})
    if projection.incidents:
        found = [rows.of_incident(instance, incident) for incident in projection.incidents]
        _upsert(connection, INCIDENTS, found)


_GHOSTS = sa.delete(INCIDENTS).where(
    INCIDENTS.c.instance == sa.bindparam("of_instance"), INCIDENTS.c.seq >= sa.bindparam("first")
)
_OPEN_INCIDENTS = sa.delete(INCIDENTS).where(
    INCIDENTS.c.instance == sa.bindparam("of_instance"), INCIDENTS.c.closed_at.is_(None)
)


def _clear(connection: Connection, projection: Projection) -> None:
    """Take away what the projection replaces, and what it says is over."""
    instance = projection.instance
    if projection.complete:
        for table in _CURRENT:
            connection.execute(_delete_all(table), {"of_instance": instance.id})
        return
    if instance.status != "active":
        for table in _WAITING:
            connection.execute(_delete_all(table), {"of_instance": instance.id})
        return
    keys = [{"of_instance": instance.id, "of_record": record.id} for record in projection.records]
    if keys:
        for table in _WAITING:
            connection.execute(_delete_of_record(table), keys)


@lru_cache
def _delete_all(table: sa.Table) -> sa.Delete:
    return sa.delete(table).where(table.c.instance == sa.bindparam("of_instance"))


@lru_cache
def _delete_of_record(table: sa.Table) -> sa.Delete:
    return _delete_all(table).where(table.c.record == sa.bindparam("of_record"))


def _upsert(connection: Connection, table: sa.Table, values: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(_upsert_statement(table, connection.dialect.name), values)


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


_OTHERS = sa.select(
    RECORDS.c.typed_table, RECORDS.c.id, RECORDS.c.stage, RECORDS.c.parent, RECORDS.c.data
).where(RECORDS.c.instance == sa.bindparam("instance"), RECORDS.c.typed_table.is_not(None))


def _other_sources(connection: Connection, projection: Projection) -> list[tuple[str, str, Source]]:
    """Records that the projection leaves alone, whose typed rows show the instance's new data."""
    changed = {record.id for record in projection.records}
    others = connection.execute(_OTHERS, {"instance": projection.instance.id})
    return [
        (row.typed_table, row.id, Source(row.stage, row.parent, row.data))
        for row in others
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
        by_table.setdefault(name, []).append(rows.fit(table, row))
    for name, typed in by_table.items():
        _upsert(connection, TYPED[name][0], typed)

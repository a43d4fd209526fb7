"""Reading incidents: what needs a person, and what was made of it (R10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nexus.core.projection import IncidentRow
from storage.engine import Engine, is_postgresql
from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import Incident, Instance, columns_of, table_of

INCIDENT = columns_of(Incident)
INSTANCE = columns_of(Instance)

OPEN = ("open", "retrying")

_COLUMNS = (
    INCIDENT.instance,
    INCIDENT.id,
    INCIDENT.seq,
    INCIDENT.record,
    INCIDENT.code,
    INCIDENT.message,
    INCIDENT.stage,
    INCIDENT.step,
    INCIDENT.channel,
    INCIDENT.retryable,
    INCIDENT.attempts,
    INCIDENT.status,
    INCIDENT.raised_at,
    INCIDENT.closed_at,
    INCIDENT.closed_by,
)
_OF_INSTANCE = (
    INSTANCE.definition,
    INSTANCE.version,
    INSTANCE.subject_type,
    INSTANCE.subject_id,
)
_KEYS = (
    Key(INCIDENT.raised_at, datetime),
    Key(INCIDENT.instance, str),
    Key(INCIDENT.id, str),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIncident:
    """One incident, with what its instance is about."""

    instance: str
    definition: str
    version: str
    subject_type: str
    subject_id: str
    incident: IncidentRow


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents to list; all of it has to hold."""

    statuses: Sequence[str] = OPEN
    instance: str | None = None
    definition: str | None = None
    code: str | None = None
    channel: str | None = None


def list_incidents(
    session: TenantSession,
    wanted: IncidentFilter,
    *,
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ListedIncident]:
    """A page of the tenant's incidents, in the order in which they were raised.

    Raises:
        InvalidCursor: The cursor cannot be read, or belongs to another order.
    """
    order = Order("incidents", _KEYS, descending)
    statement = (
        _select()
        .where(*_matches(wanted), *order.after(cursor))
        .order_by(*order.clauses())
        .limit(limit + 1)
    )
    found = [_listed(row) for row in session.execute(statement)]
    rows, following = order.page(
        found, limit, lambda one: [one.incident.raised_at, one.instance, one.incident.id]
    )
    return Page(tuple(rows), following)


def get_incident(session: TenantSession, instance: str, incident: str) -> ListedIncident | None:
    """One incident, open or settled; None where the tenant has none with this id."""
    statement = _select().where(INCIDENT.instance == instance, INCIDENT.id == incident)
    row = session.execute(statement).one_or_none()
    return _listed(row) if row else None


def open_incidents(
    session: TenantSession, instances: Sequence[str]
) -> dict[str, list[IncidentRow]]:
    """The open incidents of these instances, by instance, in the order of their numbers."""
    statement = (
        sa.select(*_COLUMNS)
        .where(INCIDENT.instance.in_(instances), INCIDENT.closed_at.is_(None))
        .order_by(INCIDENT.instance, INCIDENT.seq)
    )
    found: dict[str, list[IncidentRow]] = {}
    for row in session.execute(statement):
        found.setdefault(row.instance, []).append(_incident(row))
    return found


def count_open(engine: Engine) -> dict[tuple[str, str], int]:
    """How many incidents are open, by status and code: of all tenants, and naming none.

    PostgreSQL lets a transaction that says it counts see these rows (migration 0003).
    """
    table = table_of(Incident)
    statement = (
        sa.select(table.c.status, table.c.code, sa.func.count())
        .where(table.c.status.in_(OPEN))
        .group_by(table.c.status, table.c.code)
    )
    with engine.connect() as connection:
        if is_postgresql(connection):
            connection.execute(sa.select(sa.func.set_config("nexus.counting", "on", True)))
        return {(status, code): count for status, code, count in connection.execute(statement)}


def _select() -> Any:
    return sa.select(*_COLUMNS, *_OF_INSTANCE).join(Instance, INSTANCE.id == INCIDENT.instance)


def _matches(wanted: IncidentFilter) -> list[Any]:
    exact = {
        INCIDENT.instance: wanted.instance,
        INSTANCE.definition: wanted.definition,
        INCIDENT.code: wanted.code,
        INCIDENT.channel: wanted.channel,
    }
    conditions: list[Any] = [
        column == value for column, value in exact.items() if value is not None
    ]
    if len(wanted.statuses) == 1:
        conditions.append(INCIDENT.status == wanted.statuses[0])
    elif wanted.statuses:
        conditions.append(INCIDENT.status.in_(wanted.statuses))
    return conditions


def _listed(row: Any) -> ListedIncident:
    return ListedIncident(
        instance=row.instance,
        definition=row.definition,
        version=row.version,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        incident=_incident(row),
    )


def _incident(row: Any) -> IncidentRow:
    return IncidentRow(**{column.key: getattr(row, column.key) for column in _COLUMNS[1:]})

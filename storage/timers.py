"""Reading the clocks that are running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import Timer, columns_of

TIMER = columns_of(Timer)

_COLUMNS = (
    TIMER.instance,
    TIMER.id,
    TIMER.record,
    TIMER.kind,
    TIMER.name,
    TIMER.trigger_at,
    TIMER.summary,
)
_ORDER = Order(
    "timers", (Key(TIMER.trigger_at, datetime), Key(TIMER.instance, str), Key(TIMER.id, str))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTimer:
    """One clock, with the instance that it belongs to."""

    instance: str
    id: str
    record: str
    kind: str
    name: str
    trigger_at: datetime
    summary: str


def list_timers(
    session: TenantSession,
    *,
    due_before: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[DueTimer]:
    """A page of the tenant's clocks, the next due first.

    Args:
        session: Whose clocks.
        due_before: Only those due earlier than this; timezone-aware.
        limit: Rows of a page.
        cursor: Of the page before.

    Raises:
        InvalidCursor: The cursor cannot be read.
    """
    conditions: list[Any] = list(_ORDER.after(cursor))
    if due_before is not None:
        conditions.append(TIMER.trigger_at < due_before)
    statement = sa.select(*_COLUMNS).where(*conditions).order_by(*_ORDER.clauses()).limit(limit + 1)
    found = [DueTimer(**row._mapping) for row in session.execute(statement)]  # noqa: SLF001
    rows, following = _ORDER.page(found, limit, lambda row: [row.trigger_at, row.instance, row.id])
    return Page(tuple(rows), following)

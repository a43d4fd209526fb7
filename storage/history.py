"""Reading the audit trail: of each number the revision that stands."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from nexus.core.projection import HistoryRow
from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import History, Instance, columns_of
from storage.types import decode_json

HISTORY = columns_of(History)
INSTANCE = columns_of(Instance)

_COLUMNS = (
    HISTORY.seq,
    HISTORY.at,
    HISTORY.event,
    HISTORY.actor,
    HISTORY.on_behalf_of,
    HISTORY.record,
    HISTORY.before,
    HISTORY.after,
    HISTORY.comment,
    HISTORY.payload,
    HISTORY.command,
)
_ORDER = Order("history", (Key(HISTORY.seq, int),))
_LATEST_FIRST = Order("history", _ORDER.keys, descending=True)


def list_history(
    session: TenantSession,
    instance: str,
    *,
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[HistoryRow]:
    """A page of an instance's events; empty where the tenant has no such instance.

    Raises:
        InvalidCursor: The cursor cannot be read.
    """
    order = _LATEST_FIRST if descending else _ORDER
    statement = (
        _standing(instance).where(*order.after(cursor)).order_by(*order.clauses()).limit(limit + 1)
    )
    found = [_event(row) for row in session.execute(statement)]
    rows, following = order.page(found, limit, lambda row: [row.seq])
    return Page(tuple(rows), following)


def list_of_command(session: TenantSession, instance: str, command: str) -> tuple[HistoryRow, ...]:
    """The events that an update caused, by its id; none where it was never projected."""
    statement = _standing(instance).where(HISTORY.command == command).order_by(*_ORDER.clauses())
    return tuple(_event(row) for row in session.execute(statement))


def _standing(instance: str) -> sa.Select[Any]:
    """Of each number up to the instance's own, the highest revision.

    What stands above is a ghost's: decided, written, and then decided otherwise.
    """
    newer: Any = aliased(History)
    superseded = (
        sa.select(newer.seq)
        .where(
            newer.instance == HISTORY.instance,
            newer.seq == HISTORY.seq,
            newer.revision > HISTORY.revision,
        )
        .exists()
    )
    last = sa.select(INSTANCE.seq).where(INSTANCE.id == instance).scalar_subquery()
    return sa.select(*_COLUMNS).where(
        HISTORY.instance == instance, HISTORY.seq <= last, ~superseded
    )


def _event(row: Any) -> HistoryRow:
    return HistoryRow(
        seq=row.seq,
        at=row.at,
        event=row.event,
        actor=row.actor,
        on_behalf_of=row.on_behalf_of,
        record=row.record,
        before=decode_json(row.before),
        after=decode_json(row.after),
        comment=row.comment,
        payload=decode_json(row.payload),
        command=row.command,
    )

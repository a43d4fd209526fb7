"""What a user has to do: records assigned to them or to one of their roles (R17)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import sqlalchemy as sa

from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import Assignment, Instance, columns_of

ASSIGNMENT = columns_of(Assignment)
INSTANCE = columns_of(Instance)

SortBy = Literal["since", "due_at"]
AssignedAs = Literal["user", "role"]

_PLACE = (
    Key(ASSIGNMENT.instance, str),
    Key(ASSIGNMENT.record, str),
    Key(ASSIGNMENT.task, str),
)
_KEYS: Mapping[SortBy, tuple[Key, ...]] = {
    "since": (Key(ASSIGNMENT.since, datetime), *_PLACE),
    "due_at": (Key(ASSIGNMENT.due_sort, datetime), *_PLACE),
}
_COLUMNS = (
    ASSIGNMENT.instance,
    ASSIGNMENT.record,
    ASSIGNMENT.task,
    ASSIGNMENT.entity,
    ASSIGNMENT.definition,
    ASSIGNMENT.version,
    ASSIGNMENT.stage,
    ASSIGNMENT.subject_type,
    ASSIGNMENT.subject_id,
    ASSIGNMENT.kind,
    ASSIGNMENT.assignee,
    ASSIGNMENT.pending,
    ASSIGNMENT.title,
    ASSIGNMENT.incidents,
    ASSIGNMENT.since,
    ASSIGNMENT.due_at,
    ASSIGNMENT.due_sort,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardRow:
    """One record, or one task of it, on a dashboard.

    Attributes:
        task: Id of the task; None where it is the record itself.
        title: What is to be done for the task.
        incidents: How many of the record's incidents are open.
        assigned_as: `user` where the user is named, even if a role is as well.
        role: The role it came by; None for `user`.
        pending: It waits for a person.
        since: When the record entered its stage, or the task was opened.
        due_at: When the record's next clock comes due.
    """

    instance: str
    record: str
    task: str | None
    entity: str
    definition: str
    version: str
    stage: str | None
    subject_type: str
    subject_id: str
    assigned_as: AssignedAs
    role: str | None
    pending: bool
    title: str | None
    incidents: int
    since: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardFilter:
    """Which rows to show; all of it has to hold.

    Attributes:
        domain: Of the definition; one that names no domain is in each of them.
    """

    pending_only: bool = True
    definition: str | None = None
    stage: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    domain: str | None = None


def list_dashboard(
    session: TenantSession,
    user: str,
    roles: Sequence[str],
    wanted: DashboardFilter,
    *,
    sort: SortBy = "since",
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[DashboardRow]:
    """A page of a user's dashboard, each record and each task once.

    Sorted by `due_at`, rows without a deadline come last (first when descending).

    Each assignee's rows are one range of an index, already in order; merging
    the heads of these ranges reads no more than a page of each.

    Raises:
        InvalidCursor: The cursor cannot be read, or belongs to another order.
    """
    order = Order(f"dashboard.{sort}", _KEYS[sort], descending)
    conditions = [*_matches(wanted), *_in_domain(session, wanted.domain), *order.after(cursor)]
    names = [key.column.key for key in order.keys]

    def values(row: Any) -> list[Any]:
        return [getattr(row, name) for name in names]

    # The user's own rows first: where two rows are equal, merging takes the first.
    assignees = [("user", user), *(("role", role) for role in dict.fromkeys(roles))]
    ranges = [
        session.execute(
            sa.select(*_COLUMNS)
            .where(
                ASSIGNMENT.kind == kind,
                ASSIGNMENT.assignee == assignee,
                *conditions,
            )
            .order_by(*order.clauses())
            .limit(limit + 1)
        ).all()
        for kind, assignee in assignees
    ]
    merged = heapq.merge(*ranges, key=values, reverse=descending)
    found = list(islice(_once(merged), limit + 1))
    rows, following = order.page(found, limit, values)
    return Page(tuple(_row(row) for row in rows), following)


def _matches(wanted: DashboardFilter) -> list[Any]:
    exact = {
        ASSIGNMENT.definition: wanted.definition,
        ASSIGNMENT.stage: wanted.stage,
        ASSIGNMENT.subject_type: wanted.subject_type,
        ASSIGNMENT.subject_id: wanted.subject_id,
        ASSIGNMENT.pending: True if wanted.pending_only else None,
    }
    return [column == value for column, value in exact.items() if value is not None]


def _in_domain(session: TenantSession, domain: str | None) -> list[Any]:
    """Asked of the instance, which is found by its key for each row that is looked at."""
    if domain is None:
        return []
    of_it = sa.or_(INSTANCE.domain == domain, INSTANCE.domain.is_(None))
    return [
        sa.exists().where(
            INSTANCE.tenant == session.tenant, INSTANCE.id == ASSIGNMENT.instance, of_it
        )
    ]


def _once(rows: Iterator[Any]) -> Iterator[Any]:
    """Rows of one record, or task, stand side by side, as they have the same keys."""
    last: tuple[str, str, str] | None = None
    for row in rows:
        if (row.instance, row.record, row.task) != last:
            last = (row.instance, row.record, row.task)
            yield row


def _row(row: Any) -> DashboardRow:
    return DashboardRow(
        instance=row.instance,
        record=row.record,
        task=row.task or None,
        entity=row.entity,
        definition=row.definition,
        version=row.version,
        stage=row.stage,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        assigned_as=row.kind,
        role=row.assignee if row.kind == "role" else None,
        pending=row.pending,
        title=row.title,
        incidents=row.incidents,
        since=row.since,
        due_at=row.due_at,
    )

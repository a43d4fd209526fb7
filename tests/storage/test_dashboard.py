"""What somebody has to do (R17)."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from storage.dashboard import DashboardFilter, DashboardRow, SortBy, list_dashboard
from storage.errors import InvalidCursor
from storage.projection import write_projection
from storage.scope import reading
from tests.storage.making import Batch, at, record
from tests.storage.test_lists import all_pages

_tenants = count()
EVERYTHING = DashboardFilter(pending_only=False)


@pytest.fixture
def board(engine: Engine) -> Engine:
    records = [
        record("lead-1", users=("ann",), roles=("sales",), since=at(1), due_at=at(90)),
        record("lead-2", roles=("sales", "boss"), since=at(2), due_at=at(80), stage="won"),
        record("lead-3", users=("ann",), since=at(3), pending=False),
        record("lead-4", users=("bob",), since=at(4)),
        record("lead-5", users=("ann",), since=at(5), status="closed"),
        record("lead-6", since=at(6)),
    ]
    write_projection(engine, Batch(1, 6, 9, records).projection())
    other = {"id": "run-2", "definition": "promo", "subject_id": "8"}
    promo = record("campaign-1", users=("ann",), since=None, due_at=None)
    write_projection(engine, Batch(1, 1, 9, [promo], row=other).projection())
    return engine


def shown(
    engine: Engine, *roles: str, wanted: DashboardFilter = EVERYTHING, **options: Any
) -> list[str]:
    with reading(engine, "acme") as session:
        page = list_dashboard(session, "ann", roles, wanted, **options)
    return [row.record for row in page.items]


def test_a_row_says_all_that_a_dashboard_shows(board: Engine) -> None:
    with reading(board, "acme") as session:
        rows = list_dashboard(session, "ann", ["sales"], EVERYTHING).items
    assert rows[1] == DashboardRow(
        instance="run-1",
        record="lead-1",
        task=None,
        entity="lead",
        definition="sales",
        version="1.0.0",
        stage="new",
        subject_type="user",
        subject_id="7",
        assigned_as="user",
        role=None,
        pending=True,
        title=None,
        incidents=0,
        since=at(1),
        due_at=at(90),
    )
    assert (rows[2].record, rows[2].assigned_as, rows[2].role) == ("lead-2", "role", "sales")


def test_a_user_sees_what_is_theirs_and_their_roles(board: Engine) -> None:
    assert shown(board) == ["campaign-1", "lead-1", "lead-3"]
    assert shown(board, "boss") == ["campaign-1", "lead-1", "lead-2", "lead-3"]


def test_a_domain_has_what_names_it_or_none(board: Engine) -> None:
    """A definition without a domain is in each of them."""
    for name, domain in (("run-3", None), ("run-4", "sales_marketing")):
        row = {"id": name, "subject_id": name, "domain": domain}
        batch = Batch(1, 1, 9, [record(f"{name}-1", users=("ann",), since=at(7))], row=row)
        write_projection(board, batch.projection())
    crm, marketing = (
        DashboardFilter(pending_only=False, domain=domain) for domain in ("crm", "sales_marketing")
    )
    assert shown(board, wanted=crm) == ["campaign-1", "lead-1", "lead-3", "run-3-1"]
    assert shown(board, wanted=marketing) == ["run-3-1", "run-4-1"]
    assert shown(board, wanted=DashboardFilter(domain="crm")) == ["campaign-1", "lead-1", "run-3-1"]
    with reading(board, "acme") as session:
        pages = all_pages(
            lambda cursor: list_dashboard(session, "ann", (), crm, limit=1, cursor=cursor)
        )
    assert [row.record for row in pages] == shown(board, wanted=crm)


def test_a_record_assigned_in_several_ways_is_shown_once(board: Engine) -> None:
    assert shown(board, "sales", "boss", "sales") == ["campaign-1", "lead-1", "lead-2", "lead-3"]


def test_pending_leaves_out_what_waits_for_nobody(board: Engine) -> None:
    assert shown(board, wanted=DashboardFilter()) == ["campaign-1", "lead-1"]


def test_sorted_by_deadline_rows_without_one_come_last(board: Engine) -> None:
    assert shown(board, "sales", sort="due_at") == ["lead-2", "lead-1", "lead-3", "campaign-1"]
    assert shown(board, "sales", sort="due_at", descending=True)[-1] == "lead-2"


@pytest.mark.parametrize(
    ("wanted", "records"),
    [
        (DashboardFilter(definition="promo"), ["campaign-1"]),
        (DashboardFilter(stage="won"), ["lead-2"]),
        (DashboardFilter(subject_type="user", subject_id="8"), ["campaign-1"]),
        (DashboardFilter(definition="promo", stage="won"), []),
    ],
)
def test_a_filter_shows_what_it_says(
    board: Engine, wanted: DashboardFilter, records: list[str]
) -> None:
    assert shown(board, "sales", wanted=wanted) == records


def test_a_cursor_of_another_order_is_refused(board: Engine) -> None:
    with reading(board, "acme") as session:
        cursor = list_dashboard(session, "ann", [], EVERYTHING, limit=1).next
        with pytest.raises(InvalidCursor):
            list_dashboard(session, "ann", [], EVERYTHING, sort="due_at", cursor=cursor)


ASSIGNEES = st.tuples(
    st.integers(0, 3),
    st.none() | st.integers(0, 3),
    st.sets(st.sampled_from(["ann", "bob"])),
    st.sets(st.sampled_from(["sales", "boss"])),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ASSIGNEES, max_size=12),
    limit=st.integers(1, 4),
    roles=st.lists(st.sampled_from(["sales", "boss"]), max_size=3),
    sort=st.sampled_from(["since", "due_at"]),
    descending=st.booleans(),
)
def test_pages_add_up_to_the_dashboard(
    engine: Engine,
    rows: list[tuple[int, int | None, set[str], set[str]]],
    limit: int,
    roles: list[str],
    sort: SortBy,
    descending: bool,
) -> None:
    tenant = f"board-{next(_tenants)}"
    records = [
        record(
            f"{'lead' if n % 2 else 'Lead'}-{n + 1}",
            since=at(since),
            due_at=None if due is None else at(due),
            users=sorted(users),
            roles=sorted(held),
        )
        for n, (since, due, users, held) in enumerate(rows)
    ]
    row = {"id": tenant, "tenant": tenant}
    write_projection(engine, Batch(1, 1, 1, records, row=row).projection())
    with reading(engine, tenant) as session:
        paged = all_pages(
            lambda cursor: list_dashboard(
                session,
                "ann",
                roles,
                EVERYTHING,
                sort=sort,
                descending=descending,
                limit=limit,
                cursor=cursor,
            )
        )
    expected = [
        found.id for found in records if "ann" in found.users or set(found.roles) & set(roles)
    ]
    assert sorted(found.record for found in paged) == sorted(expected)
    far = at(10**9)
    keys = [
        (found.since if sort == "since" else found.due_at or far, found.record) for found in paged
    ]
    assert keys == sorted(keys, reverse=descending)
    named = {found.id for found in records if "ann" in found.users}
    assert {found.record for found in paged if found.assigned_as == "user"} == named

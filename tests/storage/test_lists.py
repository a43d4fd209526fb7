"""Lists of instances and clocks: filters, orders, and pages that add up to the whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from storage import instances, timers
from storage.errors import InvalidCursor
from storage.instances import InstanceFilter
from storage.keyset import Page
from storage.projection import write_projection
from storage.scope import reading
from tests.storage.making import Batch, at, record, timer

Fetch = Callable[[str | None], Page[Any]]
_tenants = count()


def all_pages(fetch: Fetch) -> list[Any]:
    items: list[Any] = []
    cursor: str | None = None
    for _ in range(1000):
        page = fetch(cursor)
        items.extend(page.items)
        cursor = page.next
        if cursor is None:
            return items
    raise AssertionError("The pages never end.")


def ids(engine: Engine, wanted: InstanceFilter, **options: Any) -> list[str]:
    with reading(engine, "acme") as session:
        page = instances.list_instances(session, wanted, **options)
    return [found.instance.id for found in page.items]


@pytest.fixture
def three(engine: Engine) -> Engine:
    write_projection(
        engine,
        Batch(
            1, 1, 3, [record(data={"score": 60, "vip": True})],
            row={"id": "a", "started_at": at(1), "data": {"region": "EU", "score": 40}},
        ).projection(),
    )  # fmt: skip
    write_projection(
        engine,
        Batch(
            1, 1, 2, [record(data={"score": "60", "vip": None, 'odd "key\\': 1.5})],
            row={
                "id": "b", "started_at": at(2), "definition": "promo", "version": "2.0.0",
                "stage": "won", "subject_id": "8",
            },
        ).projection(),
    )  # fmt: skip
    write_projection(
        engine,
        Batch(
            1, 1, 1, [record()],
            row={"id": "c", "started_at": at(3), "status": "completed", "subject_type": "product"},
        ).projection(),
    )  # fmt: skip
    return engine


FILTERS: list[tuple[InstanceFilter, list[str]]] = [
    (InstanceFilter(), ["a", "b", "c"]),
    (InstanceFilter(definition="promo"), ["b"]),
    (InstanceFilter(definition="sales", version="1.0.0"), ["a", "c"]),
    (InstanceFilter(stage="new"), ["a", "c"]),
    (InstanceFilter(status="completed"), ["c"]),
    (InstanceFilter(subject_type="user", subject_id="8"), ["b"]),
    (InstanceFilter(subject_type="user", status="active", stage="won"), ["b"]),
    (InstanceFilter(data={"region": "EU"}), ["a", "b", "c"]),
    (InstanceFilter(data={"score": "40"}), ["a"]),
    (InstanceFilter(data={"score": "60"}), ["a", "b"]),
    (InstanceFilter(data={"score": "60.0"}), ["a"]),
    (InstanceFilter(data={"vip": "true"}), ["a"]),
    (InstanceFilter(data={"vip": "null"}), ["b"]),
    (InstanceFilter(data={"vip": "1"}), []),
    (InstanceFilter(data={'odd "key\\': "1.5"}), ["b"]),
    (InstanceFilter(data={"score": "60", "vip": "true"}), ["a"]),
    (InstanceFilter(data={"score": "9" * 40}), []),
    (InstanceFilter(data={"score": "[60]"}), []),
    (InstanceFilter(data={"none": "x"}), []),
]


def test_a_filter_finds_what_it_says(three: Engine, subtests: pytest.Subtests) -> None:
    for wanted, found in FILTERS:
        with subtests.test(wanted=wanted):
            assert ids(three, wanted) == found


@pytest.mark.parametrize(
    ("sort", "order"),
    [("started_at", ["a", "b", "c"]), ("updated_at", ["c", "b", "a"]), ("id", ["a", "b", "c"])],
)
def test_a_list_is_sorted_both_ways(
    three: Engine, sort: instances.SortBy, order: list[str]
) -> None:
    assert ids(three, InstanceFilter(), sort=sort) == order
    assert ids(three, InstanceFilter(), sort=sort, descending=True) == order[::-1]


def test_a_cursor_of_another_order_is_refused(three: Engine) -> None:
    with reading(three, "acme") as session:
        page = instances.list_instances(session, InstanceFilter(), sort="started_at", limit=1)
        for sort, descending in (("updated_at", False), ("started_at", True)):
            with pytest.raises(InvalidCursor):
                instances.list_instances(
                    session,
                    InstanceFilter(),
                    sort=sort,  # type: ignore[arg-type]
                    descending=descending,
                    cursor=page.next,
                )


# Few distinct values, so that many rows are equal in the first key.
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["new", "won"])), max_size=12
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    limit=st.integers(1, 5),
    sort=st.sampled_from(["started_at", "updated_at", "id"]),
    descending=st.booleans(),
    stage=st.sampled_from([None, "new"]),
)
def test_pages_of_instances_add_up_to_the_list(
    engine: Engine,
    rows: list[tuple[int, int, str]],
    limit: int,
    sort: instances.SortBy,
    descending: bool,
    stage: str | None,
) -> None:
    tenant = f"tenant-{next(_tenants)}"
    for n, (started, updated, of_stage) in enumerate(rows):
        row = {
            "id": f"{tenant}-{n}",
            "tenant": tenant,
            "started_at": at(started),
            "stage": of_stage,
        }
        write_projection(engine, Batch(1, 1, updated, [record()], row=row).projection())
    wanted = InstanceFilter(stage=stage)
    with reading(engine, tenant) as session:
        paged = all_pages(
            lambda cursor: instances.list_instances(
                session, wanted, sort=sort, descending=descending, limit=limit, cursor=cursor
            )
        )
        whole = instances.list_instances(
            session, wanted, sort=sort, descending=descending, limit=200
        ).items
    assert paged == list(whole)
    matching = [found for found in rows if stage in (None, found[2])]
    assert len(whole) == len(matching)
    keys = [(getattr(found.instance, sort), found.instance.id) for found in whole]
    assert keys == sorted(keys, reverse=descending)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.integers(0, 3), max_size=12), limit=st.integers(1, 5))
def test_pages_of_clocks_add_up_to_those_due(
    engine: Engine, moments: list[int], limit: int
) -> None:
    tenant = f"tenant-{next(_tenants)}"
    for n, moment in enumerate(moments):
        row = {"id": f"{tenant}-{n}", "tenant": tenant}
        clocks = [timer("lead-1", at(moment), "a"), timer("lead-1", at(moment + 1), "b")]
        write_projection(engine, Batch(1, 1, 1, [record()], clocks, row=row).projection())
    with reading(engine, tenant) as session:
        paged = all_pages(
            lambda cursor: timers.list_timers(session, due_before=at(3), limit=limit, cursor=cursor)
        )
    due = [moment for start in moments for moment in (start, start + 1) if moment < 3]
    assert [found.trigger_at for found in paged] == sorted(at(moment) for moment in due)
    assert len({(found.instance, found.id) for found in paged}) == len(paged)

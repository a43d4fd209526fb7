"""Open tasks and incidents in the database, and on dashboards (R10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Engine

from nexus.core.projection import IncidentRow, Projection, TaskRow
from storage import instances
from storage.dashboard import DashboardFilter, DashboardRow, list_dashboard
from storage.incidents import (
    IncidentFilter,
    count_open,
    get_incident,
    list_incidents,
)
from storage.projection import write_projection
from storage.scope import reading
from tests.storage.making import START, Batch, at, record


def task(seq: int = 3, **changes: Any) -> TaskRow:
    values: dict[str, Any] = {
        "id": f"task-{seq}",
        "record": "lead-1",
        "step": "run/0",
        "title": "Call Ann",
        "users": ("bob",),
        "roles": ("sales",),
        "since": at(seq),
    }
    return TaskRow(**{**values, **changes})


def incident(seq: int = 4, **changes: Any) -> IncidentRow:
    values: dict[str, Any] = {
        "id": f"incident-{seq}",
        "seq": seq,
        "record": "lead-1",
        "code": "unreachable",
        "message": "The channel 'email' failed.",
        "stage": "new",
        "step": "run/1",
        "channel": "email",
        "retryable": True,
        "attempts": 3,
        "status": "open",
        "raised_at": at(seq),
    }
    return IncidentRow(**{**values, **changes})


def batch(
    first: int,
    last: int,
    *,
    tasks: tuple[TaskRow, ...] = (),
    incidents: tuple[IncidentRow, ...] = (),
    seconds: float | None = None,
    complete: bool = False,
    **row: Any,
) -> Projection:
    made = Batch(
        first,
        last,
        float(last) if seconds is None else seconds,
        [record(users=("ann",), pending=False, running=True)],
        complete=complete,
        row=row,
    ).projection()
    return replace(made, tasks=tasks, incidents=incidents)


def board(engine: Engine, user: str, *roles: str) -> list[DashboardRow]:
    with reading(engine, "acme") as session:
        return list(list_dashboard(session, user, roles, DashboardFilter()).items)


def listed(engine: Engine, **wanted: Any) -> list[str]:
    with reading(engine, "acme") as session:
        page = list_incidents(session, IncidentFilter(**wanted))
        return [one.incident.id for one in page.items]


def test_they_are_read_back_as_they_were_written(engine: Engine) -> None:
    write_projection(engine, batch(1, 4, tasks=(task(),), incidents=(incident(),)))
    with reading(engine, "acme") as session:
        found = instances.get(session, "run-1")
    assert found is not None
    assert found.tasks == (task(),)
    assert found.incidents == (incident(),)
    assert found.records[0].running


def test_tasks_that_were_opened_together_keep_their_order(engine: Engine) -> None:
    tasks = (task(9, since=at(1)), task(10, since=at(1)), task(100, since=at(1)))
    write_projection(engine, batch(1, 100, tasks=tasks))
    with reading(engine, "acme") as session:
        found = instances.get(session, "run-1")
    assert found is not None
    assert found.tasks == tasks


def test_a_task_is_on_the_dashboards_of_those_who_may_complete_it(engine: Engine) -> None:
    """R17: beside the record, which waits for nobody while its stage runs."""
    write_projection(engine, batch(1, 4, tasks=(task(),), incidents=(incident(),)))
    assert board(engine, "ann") == []
    (row,) = board(engine, "bob", "sales")
    assert (row.task, row.title, row.record, row.assigned_as) == (
        "task-3",
        "Call Ann",
        "lead-1",
        "user",
    )
    assert (row.incidents, row.since, row.stage) == (1, at(3), "new")
    (row,) = board(engine, "eve", "sales")
    assert (row.task, row.assigned_as, row.role) == ("task-3", "role", "sales")


def test_two_tasks_of_one_record_are_two_rows(engine: Engine) -> None:
    write_projection(engine, batch(1, 4, tasks=(task(3), task(4, title="Write"))))
    assert [row.title for row in board(engine, "bob")] == ["Call Ann", "Write"]


def test_a_completed_task_leaves_the_dashboard(engine: Engine) -> None:
    write_projection(engine, batch(1, 4, tasks=(task(),)))
    write_projection(engine, batch(5, 5))
    assert board(engine, "bob") == []


def test_an_ended_instance_has_no_tasks_and_keeps_its_incidents(engine: Engine) -> None:
    write_projection(engine, batch(1, 4, tasks=(task(),), incidents=(incident(),)))
    write_projection(
        engine,
        batch(5, 5, incidents=(incident(),), complete=True, status="completed", ended_at=at(5)),
    )
    assert board(engine, "bob") == []
    assert listed(engine) == ["incident-4"]


def test_incidents_are_listed_by_what_is_asked(engine: Engine) -> None:
    skipped = incident(4, status="skipped", closed_at=at(9), closed_by="ann")
    found = (skipped, incident(5, status="retrying"), incident(6, code="refused", channel="sms"))
    write_projection(engine, batch(1, 6, incidents=found))
    assert listed(engine) == ["incident-5", "incident-6"]
    assert listed(engine, statuses=("skipped",)) == ["incident-4"]
    assert listed(engine, statuses=()) == ["incident-4", "incident-5", "incident-6"]
    assert listed(engine, code="refused") == ["incident-6"]
    assert listed(engine, channel="email") == ["incident-5"]
    assert listed(engine, definition="other") == []
    assert listed(engine, instance="run-1", definition="sales") == ["incident-5", "incident-6"]
    with reading(engine, "acme") as session:
        one = get_incident(session, "run-1", "incident-4")
    assert one is not None
    assert one.incident == skipped
    assert (one.definition, one.subject_id) == ("sales", "7")


def test_open_ones_are_counted_over_all_tenants(engine: Engine) -> None:
    """A metric; the count leaves nothing open for later queries of the connection."""
    found = (incident(5, status="retrying"), incident(6, code="refused"))
    write_projection(engine, batch(1, 6, incidents=found))
    other = batch(1, 4, incidents=(incident(4),), id="run-2", tenant="other", subject_id="8")
    write_projection(engine, other)
    expected = {("retrying", "unreachable"): 1, ("open", "refused"): 1, ("open", "unreachable"): 1}
    assert count_open(engine) == expected
    with reading(engine, "nobody") as session:
        assert not list_incidents(session, IncidentFilter(statuses=())).items


def test_pages_of_incidents_neither_repeat_nor_skip(engine: Engine) -> None:
    found = tuple(incident(seq, raised_at=START) for seq in range(1, 8))
    write_projection(engine, batch(1, 8, incidents=found))
    for descending in (False, True):
        seen: list[str] = []
        cursor = None
        with reading(engine, "acme") as session:
            while True:
                page = list_incidents(
                    session, IncidentFilter(), descending=descending, limit=3, cursor=cursor
                )
                seen += [one.incident.id for one in page.items]
                cursor = page.next
                if cursor is None:
                    break
        ids = [f"incident-{seq}" for seq in range(1, 8)]
        assert seen == (ids[::-1] if descending else ids)


def test_another_tenant_sees_none(engine: Engine) -> None:
    """SR-003."""
    write_projection(engine, batch(1, 4, tasks=(task(),), incidents=(incident(),)))
    with reading(engine, "other") as session:
        assert not list_incidents(session, IncidentFilter(statuses=())).items
        assert get_incident(session, "run-1", "incident-4") is None
        assert not list_dashboard(session, "bob", ("sales",), DashboardFilter()).items


# --- ghosts ------------------------------------------------------------------------------------


def test_an_incident_that_only_a_ghost_raised_is_gone(engine: Engine) -> None:
    write_projection(engine, batch(1, 2))
    write_projection(engine, batch(3, 4, incidents=(incident(4),)))
    write_projection(engine, batch(3, 3, seconds=9))
    assert listed(engine) == []


def test_an_incident_that_only_a_ghost_settled_is_open_again(engine: Engine) -> None:
    write_projection(engine, batch(1, 4, incidents=(incident(4),)))
    settled = incident(4, status="skipped", closed_at=at(5), closed_by="ann")
    write_projection(engine, batch(5, 5, incidents=(settled,)))
    assert listed(engine) == []
    write_projection(engine, batch(5, 5, seconds=9, incidents=(incident(4),)))
    assert listed(engine) == ["incident-4"]


def test_a_complete_projection_says_which_are_open(engine: Engine) -> None:
    skipped = incident(3, status="skipped", closed_at=at(4), closed_by="ann")
    write_projection(engine, batch(1, 4, incidents=(skipped, incident(4))))
    write_projection(engine, batch(6, 6, complete=True))
    assert listed(engine) == []
    assert listed(engine, statuses=()) == ["incident-3"]


def test_a_repeated_projection_changes_nothing(engine: Engine) -> None:
    written = batch(1, 4, tasks=(task(),), incidents=(incident(),))
    for _ in range(2):
        assert write_projection(engine, written) == "applied"
    assert listed(engine) == ["incident-4"]
    assert len(board(engine, "bob")) == 1

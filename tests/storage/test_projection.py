"""What a projection leaves in the database; one scenario each."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from nexus.core.projection import Snapshot
from storage import history, instances
from storage.chain import verify_chain
from storage.projection import write_projection
from storage.scope import reading
from tests.storage.conftest import raw
from tests.storage.making import START, Batch, at, record, timer


def snapshot(engine: Engine, instance: str = "run-1") -> Snapshot:
    with reading(engine, "acme") as session:
        found = instances.get(session, instance)
        assert found is not None
        assert verify_chain(session, instance) is None
        return found


def comments(engine: Engine) -> list[tuple[int, str | None]]:
    with reading(engine, "acme") as session:
        page = history.list_history(session, "run-1", limit=200)
        return [(row.seq, row.comment) for row in page.items]


def rows(engine: Engine, table: str) -> list[dict[str, Any]]:
    with raw(engine, "acme") as connection:
        return [
            dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}")).mappings()
        ]


def test_what_is_written_is_read_back_as_the_same_values(engine: Engine) -> None:
    written = Batch(
        1,
        3,
        1,
        records=[
            record(data={"score": 60, "tags": ["a", {"b": None}]}, users=("ann",), due_at=at(60)),
            record("deal-2", parent="lead-1", stage=None, since=None),
        ],
        timers=[timer(when=at(60))],
        row={"data": {"größe": 1.5, "none": None}, "stage": "new"},
    ).projection()
    assert write_projection(engine, written) == "applied"
    found = snapshot(engine)
    assert found.instance == written.instance
    assert list(found.records) == list(written.records)
    assert list(found.timers) == list(written.timers)


def test_moments_come_back_aware_and_in_utc(engine: Engine) -> None:
    write_projection(engine, Batch(1, 1, 0.000001).projection())
    found = snapshot(engine).instance
    assert found.updated_at.tzinfo is UTC
    assert found.updated_at == at(0.000001)


def test_a_projection_written_twice_leaves_what_one_leaves(engine: Engine) -> None:
    """REL: a local activity that is tried again after its commit changes nothing."""
    projection = Batch(1, 3, 1, records=[record(users=("ann",))]).projection()
    write_projection(engine, projection)
    before = {name: rows(engine, name) for name in ("instances", "history", "assignments")}
    assert write_projection(engine, projection) == "applied"
    assert {name: rows(engine, name) for name in before} == before


def test_a_record_that_is_not_in_the_projection_stays(engine: Engine) -> None:
    write_projection(
        engine, Batch(1, 2, 1, records=[record(), record("deal-2", stage="won")]).projection()
    )
    write_projection(engine, Batch(3, 3, 2, records=[record(stage="qualified")]).projection())
    assert [(row.id, row.stage) for row in snapshot(engine).records] == [
        ("lead-1", "qualified"),
        ("deal-2", "won"),
    ]


def test_clocks_are_replaced_for_the_changed_records_alone(engine: Engine) -> None:
    both = [record(), record("deal-2")]
    clocks = [timer("lead-1", at(60)), timer("deal-2", at(70))]
    write_projection(engine, Batch(1, 2, 1, records=both, timers=clocks).projection())
    newer = timer("lead-1", at(90), "nag")
    write_projection(engine, Batch(3, 3, 2, timers=[newer]).projection())
    assert list(snapshot(engine).timers) == [clocks[1], newer]


def test_the_end_takes_clocks_and_assignments_of_all_records_away(engine: Engine) -> None:
    both = [record(users=("ann",)), record("deal-2", roles=("sales",))]
    write_projection(engine, Batch(1, 2, 1, both, [timer("deal-2", at(70))]).projection())
    ended = {"status": "cancelled", "ended_at": at(2)}
    write_projection(engine, Batch(3, 3, 2, records=[], row=ended).projection())
    assert rows(engine, "assignments") == []
    assert rows(engine, "timers") == []
    assert snapshot(engine).instance.status == "cancelled"


def test_a_closed_record_is_assigned_to_nobody_any_more(engine: Engine) -> None:
    write_projection(engine, Batch(1, 1, 1, records=[record(users=("ann", "ann"))]).projection())
    assert len(rows(engine, "assignments")) == 1
    closed = record(users=("ann",), status="closed", pending=False)
    write_projection(engine, Batch(2, 2, 2, records=[closed]).projection())
    assert rows(engine, "assignments") == []


# --- ghosts: decided, written, and then decided again --------------------------


def test_a_decision_repeated_after_a_crash_stands_once(engine: Engine) -> None:
    write_projection(engine, Batch(1, 2, 1).projection())
    write_projection(engine, Batch(3, 4, 2, comment="hello").projection())
    assert write_projection(engine, Batch(3, 4, 5, comment="hello").projection()) == "applied"
    assert comments(engine) == [(1, None), (2, None), (3, "hello"), (4, "hello")]
    assert len(rows(engine, "history")) == 4
    assert snapshot(engine).instance.updated_at == at(5)


def test_a_decision_taken_otherwise_after_a_crash_supersedes_the_ghost(engine: Engine) -> None:
    write_projection(engine, Batch(1, 2, 1).projection())
    write_projection(engine, Batch(3, 5, 2, [record(stage="ghost")], comment="ghost").projection())
    truth = Batch(3, 3, 5, [record(stage="true")], comment="true").projection()
    assert write_projection(engine, truth) == "applied"
    assert comments(engine) == [(1, None), (2, None), (3, "true")]
    assert snapshot(engine).records[0].stage == "true"
    assert snapshot(engine).instance.seq == 3
    # Nothing was taken out of the trail for it.
    assert [row["comment"] for row in rows(engine, "history")].count("ghost") == 3


def test_a_number_that_a_ghost_used_comes_again_with_its_own_moment(engine: Engine) -> None:
    write_projection(engine, Batch(1, 1, 1).projection())
    write_projection(engine, Batch(2, 3, 2, comment="same").projection())
    write_projection(engine, Batch(2, 2, 5, comment="other").projection())
    assert write_projection(engine, Batch(3, 3, 900, comment="same").projection()) == "applied"
    with reading(engine, "acme") as session:
        last = history.list_history(session, "run-1").items[-1]
    assert (last.seq, last.comment, last.at) == (3, "same", at(900))
    assert snapshot(engine).instance.seq == 3


def test_a_ghost_with_other_records_asks_for_all_of_them_and_writes_nothing(engine: Engine) -> None:
    write_projection(engine, Batch(1, 2, 1, [record(), record("deal-2")]).projection())
    ghosts = [record("deal-2", stage="ghost"), record("deal-3", users=("ann",), table="contacts")]
    write_projection(
        engine, Batch(3, 4, 2, ghosts, [timer("deal-3", at(9))], comment="ghost").projection()
    )
    before = {name: rows(engine, name) for name in ("instances", "records", "history")}
    truth = Batch(3, 3, 5, [record(stage="true")], comment="true").projection()
    assert write_projection(engine, truth) == "resync"
    assert {name: rows(engine, name) for name in before} == before

    everything = Batch(
        3, 3, 5, [record(stage="true"), record("deal-2")], comment="true", complete=True
    )
    assert write_projection(engine, everything.projection()) == "applied"
    assert [(row.id, row.stage) for row in snapshot(engine).records] == [
        ("lead-1", "true"),
        ("deal-2", "new"),
    ]
    assert comments(engine) == [(1, None), (2, None), (3, "true")]
    for table in ("assignments", "timers", "contacts"):
        assert rows(engine, table) == []


def test_a_worker_that_was_given_up_changes_nothing_when_it_wakes_up(engine: Engine) -> None:
    write_projection(engine, Batch(1, 2, 1).projection())
    write_projection(engine, Batch(3, 3, 5, [record(stage="true")], comment="true").projection())
    late = Batch(3, 6, 2, [record(stage="late")], comment="late").projection()
    assert write_projection(engine, late) == "applied"
    assert snapshot(engine).records[0].stage == "true"
    assert [row["comment"] for row in rows(engine, "history")] == [None, None, "true"]


def test_a_database_that_lost_its_last_rows_asks_for_all_records(engine: Engine) -> None:
    write_projection(engine, Batch(1, 2, 1, [record(), record("deal-2")]).projection())
    later = Batch(5, 5, 9, [record(stage="later")])
    assert write_projection(engine, later.projection()) == "resync"
    everything = Batch(5, 5, 9, [record(stage="later"), record("deal-2")], complete=True)
    assert write_projection(engine, everything.projection()) == "applied"
    assert [seq for seq, _ in comments(engine)] == [1, 2, 5]


def test_an_unknown_instance_in_the_middle_of_its_life_asks_for_all_records(engine: Engine) -> None:
    assert write_projection(engine, Batch(5, 5, 9).projection()) == "resync"
    assert write_projection(engine, Batch(5, 5, 9, complete=True).projection()) == "applied"
    assert snapshot(engine).instance.seq == 5


def test_first_projections_at_once_leave_one_instance(engine: Engine) -> None:
    projections = [Batch(1, 2, 1 + n, comment=f"writer {n}").projection() for n in range(4)]
    failures: list[BaseException] = []

    def write(n: int) -> None:
        try:
            write_projection(engine, projections[n])
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert comments(engine) == [(1, "writer 3"), (2, "writer 3")]
    assert snapshot(engine).instance.updated_at == at(4)


# --- typed tables (R31) -----------------------------------------------------


def test_a_contact_follows_its_record_with_the_instances_data_below_it(engine: Engine) -> None:
    row = {"data": {"name": "Old", "email": "j@example.com"}}
    lead = record(table="contacts", data={"name": "John", "score": 60})
    write_projection(engine, Batch(1, 1, 1, [lead], row=row).projection())
    [contact] = rows(engine, "contacts")
    assert (contact["instance"], contact["id"]) == ("run-1", "lead-1")
    assert (contact["name"], contact["email"]) == ("John", "j@example.com")
    assert (contact["status"], contact["score"]) == ("new", 60.0)


def test_an_opportunity_names_the_contact_that_it_grew_out_of(engine: Engine) -> None:
    deal = record(
        "deal-2",
        table="opportunities",
        parent="lead-1",
        stage="won",
        data={"value": 12.5, "close_date": "2026-12-24"},
    )
    write_projection(engine, Batch(1, 1, 1, [deal]).projection())
    [row] = rows(engine, "opportunities")
    assert (row["contact_id"], row["stage"], row["value"]) == ("lead-1", "won", 12.5)
    assert str(row["close_date"]) == str(date(2026, 12, 24))


def test_campaigns_and_pricings_have_their_key_fields(engine: Engine) -> None:
    data = {
        "name": "Promo",
        "type": "promo",
        "channel": "email",
        "budget": 1000,
        "start": "2026-11-21",
        "end": "2026-11-22T10:00:00+02:00",
        "metrics": {"opens": 3},
    }
    price = {"type": "tier", "value": 9, "discount": 0.1}
    records = [
        record("campaign-1", table="campaigns", stage="active", data=data),
        record("pricing-2", table="pricings", parent="campaign-1", data=price),
    ]
    write_projection(engine, Batch(1, 1, 1, records).projection())
    [campaign] = rows(engine, "campaigns")
    assert (campaign["name"], campaign["type"], campaign["channel"]) == ("Promo", "promo", "email")
    assert (campaign["status"], campaign["budget"]) == ("active", 1000.0)
    assert _moment(campaign["start"]) == datetime(2026, 11, 21, tzinfo=UTC)
    assert _moment(campaign["end"]) == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert "opens" in str(campaign["metrics"])
    [pricing] = rows(engine, "pricings")
    assert (pricing["campaign_id"], pricing["type"]) == ("campaign-1", "tier")
    assert (pricing["value"], pricing["discount"]) == (9.0, 0.1)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    assert isinstance(moment, datetime)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_a_value_of_another_type_is_absent_from_its_column(engine: Engine) -> None:
    odd = ["many", True, [], {}, None, float("inf"), 10**400, {"amount": 1}]
    leads = [
        record(f"lead-{n}", table="contacts", data={"score": value, "name": value, "email": 7})
        for n, value in enumerate(odd)
    ]
    write_projection(engine, Batch(1, 1, 1, leads).projection())
    contacts = {row["id"]: row for row in rows(engine, "contacts")}
    assert len(contacts) == len(odd)
    assert {row["score"] for row in contacts.values()} == {None}
    assert {row["email"] for row in contacts.values()} == {None}
    assert [key for key, row in contacts.items() if row["name"] is not None] == ["lead-0"]


def test_a_date_that_is_none_is_absent_from_its_column(engine: Engine) -> None:
    odd = ["tomorrow", "2026-13-01", 5, "0001-01-01T00:00:00+14:00"]
    deals = [
        record(f"deal-{n}", table="opportunities", data={"close_date": value})
        for n, value in enumerate(odd)
    ]
    write_projection(engine, Batch(1, 1, 1, deals).projection())
    assert [row["close_date"] for row in rows(engine, "opportunities")] == [None] * len(odd)


def test_new_data_of_the_instance_reaches_typed_rows_of_other_records(engine: Engine) -> None:
    leads = [record(table="contacts"), record("lead-2", table="contacts", data={"name": "Own"})]
    write_projection(engine, Batch(1, 2, 1, leads, row={"data": {"name": "Old"}}).projection())
    write_projection(engine, Batch(3, 3, 2, [], row={"data": {"name": "New"}}).projection())
    names = {row["id"]: row["name"] for row in rows(engine, "contacts")}
    assert names == {"lead-1": "New", "lead-2": "Own"}


# --- what no edge has refused -----------------------------------------------


def test_nul_and_overlong_text_hold_no_instance_up(engine: Engine) -> None:
    odd = record(
        data={"a\0b": "c\0d", "big": 10**30}, users=("u" * 900, "u" * 901, "n\0n"), stage="s" * 300
    )
    projection = Batch(1, 1, 1, [odd], comment="x\0y" * 1000, row={"subject_id": "7\0"})
    assert write_projection(engine, projection.projection()) == "applied"
    found = snapshot(engine)
    assert found.records[0].data["a\ufffdb"] == "c\ufffdd"
    assert found.records[0].stage == "s" * 199 + "…"
    assert found.instance.subject_id == "7\ufffd"
    assert comments(engine) == [(1, "x\ufffdy" * 1000)]


def test_a_moment_without_a_zone_is_refused_and_nothing_is_written(engine: Engine) -> None:
    naive = Batch(1, 1, 1, row={"updated_at": START.replace(tzinfo=None)}).projection()
    with pytest.raises(sa.exc.StatementError, match="no time zone"):
        write_projection(engine, naive)
    assert rows(engine, "history") == []

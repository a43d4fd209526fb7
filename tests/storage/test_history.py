"""The audit trail is append-only, chained, and read without ghosts (SR-005)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage import history
from storage.chain import GENESIS, hash_row, verify_chain
from storage.errors import InvalidCursor
from storage.projection import write_projection
from storage.scope import reading
from tests.storage.conftest import raw
from tests.storage.making import Batch, at, event, instance


@pytest.fixture
def trail(engine: Engine) -> Engine:
    write_projection(engine, Batch(1, 3, 1).projection())
    write_projection(engine, Batch(4, 5, 2, comment="ghost").projection())
    write_projection(engine, Batch(4, 5, 3, comment="true").projection())
    return engine


CHANGES = [
    "UPDATE history SET comment = 'nothing happened' WHERE seq = 2",
    "DELETE FROM history WHERE seq = 2",
]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO history SELECT * FROM history WHERE seq = 2",
    """REPLACE INTO history SELECT tenant, instance, 99, revision, position, at, event, actor,
    on_behalf_of, record, before, after, comment, payload, command, prev_hash, hash
    FROM history WHERE seq = 2""",
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_history(trail: Engine, change: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), raw(trail, "acme") as connection:
        connection.execute(sa.text(change))


def test_a_replacing_insert_is_refused_by_sqlite_even_to_other_programs(
    sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    from storage.engine import create_engine
    from storage.migrate import upgrade

    upgrade(sqlite_url)
    engine = create_engine(sqlite_url)
    write_projection(engine, Batch(1, 3, 1).projection())
    # Another program has not switched recursive triggers on, as our engines do.
    other = sa.create_engine(sqlite_url)
    for change in SQLITE_CHANGES:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), other.begin() as connection:
            connection.execute(sa.text(change))
    other.dispose()
    engine.dispose()


def test_postgresql_refuses_to_truncate_history(trail: Engine) -> None:
    if trail.dialect.name == "sqlite":
        return  # knows no TRUNCATE; its DELETE without WHERE is refused above
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), raw(trail, "acme") as connection:
        connection.execute(sa.text("TRUNCATE history"))


TAMPERING = [
    ("UPDATE history SET actor = 'eve' WHERE seq = 2", 2),
    ("UPDATE history SET at = '2020-01-01 00:00:00' WHERE seq = 3", 3),
    ("DELETE FROM history WHERE seq = 2", 3),
    ("UPDATE history SET position = position + 1000 WHERE seq = 1", 2),
    ("DELETE FROM history WHERE seq = 5 AND revision = 2", 6),
    ("UPDATE history SET comment = 'x' WHERE comment = 'ghost' AND seq = 4", 4),
    ("UPDATE history SET revision = 7 WHERE seq = 4 AND revision = 2", 4),
]


@pytest.mark.parametrize(("change", "first_bad"), TAMPERING)
def test_tampering_past_the_triggers_shows_in_the_chain(
    trail: Engine, change: str, first_bad: int
) -> None:
    with reading(trail, "acme") as session:
        assert verify_chain(session, "run-1") is None
    with raw(trail, "acme") as connection:
        if trail.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE history DISABLE TRIGGER history_no_change"))
        else:
            connection.execute(sa.text("DROP TRIGGER history_no_update"))
            connection.execute(sa.text("DROP TRIGGER history_no_delete"))
        assert connection.execute(sa.text(change)).rowcount == 1
    with reading(trail, "acme") as session:
        assert verify_chain(session, "run-1") == first_bad


def test_a_chain_whose_rows_are_all_gone_is_broken(trail: Engine) -> None:
    with raw(trail, "acme") as connection:
        if trail.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE history DISABLE TRIGGER history_no_change"))
        else:
            connection.execute(sa.text("DROP TRIGGER history_no_delete"))
        connection.execute(sa.text("DELETE FROM history"))
    with reading(trail, "acme") as session:
        assert verify_chain(session, "run-1") == 1
        assert verify_chain(session, "unknown") is None


def test_each_hash_covers_the_one_before(trail: Engine) -> None:
    with raw(trail, "acme") as connection:
        rows = connection.execute(
            sa.text("SELECT prev_hash, hash FROM history ORDER BY position")
        ).all()
        chain = connection.execute(
            sa.text("SELECT chain_position, chain_hash FROM instances")
        ).one()
    assert rows[0].prev_hash == GENESIS
    assert all(row.prev_hash == rows[n].hash for n, row in enumerate(rows[1:]))
    assert (chain.chain_position, chain.chain_hash) == (7, rows[-1].hash)


def test_the_hash_of_a_row_never_changes_its_meaning() -> None:
    """Chains written by this release have to verify with every later one."""
    row = {
        "instance": "run-1", "tenant": "acme", "position": 1, "seq": 1, "revision": 1,
        "at": at(0), "event": "instance_started", "actor": "ann", "on_behalf_of": None,
        "record": None, "before": "null", "after": '{"a":1}', "comment": "hä?",
        "payload": "{}", "command": "c-1",
    }  # fmt: skip
    assert (
        hash_row(GENESIS, row) == "adaed5f812e373ee9969a6f1c5f8e16a1aaad581fc6026fafb1406a226b774ce"
    )


def test_a_page_shows_each_number_once_and_no_ghost(trail: Engine) -> None:
    with reading(trail, "acme") as session:
        first = history.list_history(session, "run-1", limit=2)
        second = history.list_history(session, "run-1", limit=2, cursor=first.next)
        third = history.list_history(session, "run-1", limit=2, cursor=second.next)
        backwards = history.list_history(session, "run-1", descending=True)
    shown = [(row.seq, row.comment) for page in (first, second, third) for row in page.items]
    assert shown == [(1, None), (2, None), (3, None), (4, "true"), (5, "true")]
    assert third.next is None
    assert [row.seq for row in backwards.items] == [5, 4, 3, 2, 1]


def test_the_events_of_a_command_are_found_by_its_id(engine: Engine) -> None:
    projection = Batch(1, 1, 1).projection()
    ghost = event(2, at(2), command="update-1", comment="ghost")
    true = event(2, at(3), command="update-2", before={"stage": "new"}, after=[1, None])
    for when, row in ((2, ghost), (3, true)):
        write_projection(
            engine,
            type(projection)(
                instance=instance(2, at(when)),
                records=projection.records,
                timers=(),
                history=[*projection.history, row],
            ),
        )
    with reading(engine, "acme") as session:
        assert history.list_of_command(session, "run-1", "update-1") == ()
        assert history.list_of_command(session, "run-1", "update-2") == (true,)
        assert history.list_of_command(session, "run-2", "update-2") == ()


def _cursor(values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


CURSORS = [
    *("", "x", "é", "====", "a" * 5000, "bm90IGpzb24", "WyJoaXN0b3J5Iiwi"),
    *map(_cursor, ([], {}, [1, 2], ["history"], ["history", 1, 2], ["history", "1"])),
    *map(_cursor, (["history", 1 << 63], ["history", 1.5], ["history", None], ["timers", 1])),
]


def test_a_cursor_that_is_none_is_refused(trail: Engine, subtests: pytest.Subtests) -> None:
    for cursor in CURSORS:
        with (
            subtests.test(cursor=cursor[:40]),
            reading(trail, "acme") as session,
            pytest.raises(InvalidCursor),
        ):
            history.list_history(session, "run-1", cursor=cursor)


def test_a_cursor_of_another_order_is_refused(trail: Engine) -> None:
    with reading(trail, "acme") as session:
        cursor = history.list_history(session, "run-1", limit=1).next
        with pytest.raises(InvalidCursor, match="differently"):
            history.list_history(session, "run-1", descending=True, cursor=cursor)

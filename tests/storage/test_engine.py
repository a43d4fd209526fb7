"""Transactions that lose nothing, and a database that is away."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage.engine import create_engine, ping, reader
from storage.errors import is_unavailable
from tests.storage.conftest import raw
from tests.support.postgres import PostgresServer

INCREMENT = """
import sys
import sqlalchemy as sa
from storage.engine import create_engine
engine = create_engine(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with engine.begin() as connection:
        value = connection.scalar(sa.text("SELECT value FROM counter"))
        connection.execute(sa.text("UPDATE counter SET value = :value"), {"value": value + 1})
"""


def test_no_increment_of_two_processes_with_threads_is_lost(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(sa.text("INSERT INTO counter VALUES (0)"))

    def increment() -> None:
        for _ in range(20):
            with engine.begin() as connection:
                value = connection.scalar(sa.text("SELECT value FROM counter"))
                assert value is not None
                connection.execute(
                    sa.text("UPDATE counter SET value = :value"), {"value": value + 1}
                )

    other = subprocess.Popen([sys.executable, "-c", INCREMENT, sqlite_url, "40"])
    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait(timeout=60) == 0
    with reader(engine).connect() as connection:
        assert connection.scalar(sa.text("SELECT value FROM counter")) == 120
    engine.dispose()


def test_sqlite_is_set_up_to_keep_what_it_was_told(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        settings = {
            name: connection.scalar(sa.text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    engine.dispose()


def test_a_reader_sees_one_snapshot_and_waits_for_no_writer(engine: Engine) -> None:
    with raw(engine, None) as connection:
        connection.execute(sa.text("CREATE TABLE note (value INTEGER)"))
        connection.execute(sa.text("INSERT INTO note VALUES (1)"))
    count = sa.text("SELECT sum(value) FROM note")
    with reader(engine).connect() as reading:
        assert reading.scalar(count) == 1
        with engine.begin() as writing:
            writing.execute(sa.text("INSERT INTO note VALUES (10)"))
            assert reading.scalar(count) == 1
        assert reading.scalar(count) == 1
    with reader(engine).connect() as reading:
        assert reading.scalar(count) == 11


def test_a_reader_on_postgresql_cannot_write(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        return  # a reader there becomes a writer, which our sessions never ask of it
    with reader(engine).connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.execute(sa.text("CREATE TABLE note (value INTEGER)"))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite"):
        create_engine(url)


def test_a_plain_postgresql_url_gets_the_driver_that_we_bring() -> None:
    engine = create_engine("postgresql://nexus@localhost/nexus")
    assert engine.url.drivername == "postgresql+psycopg"
    engine.dispose()


def test_ping_answers(engine: Engine) -> None:
    ping(engine)


def test_a_locked_sqlite_counts_as_away(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.begin():
        other = sqlite3.connect(Path(str(engine.url.database)), timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError) as caught:
            other.execute("BEGIN IMMEDIATE")
        other.close()
    assert is_unavailable(caught.value)
    engine.dispose()


def test_a_sqlite_file_out_of_reach_counts_as_away(tmp_path: Path) -> None:
    (tmp_path / "nexus.db").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path}/nexus.db")
    with pytest.raises(sa.exc.OperationalError) as caught:
        ping(engine)
    assert is_unavailable(caught.value)


def test_a_postgresql_that_went_away_counts_as_away_and_comes_back() -> None:
    server = PostgresServer()
    try:
        server.start()
        engine = create_engine(server.make_database())
        ping(engine)
        server.stop()
        with pytest.raises(sa.exc.OperationalError) as caught:
            ping(engine)
        assert is_unavailable(caught.value)
        server.start()
        ping(engine)
        engine.dispose()
    finally:
        server.remove()


def test_a_connection_lost_in_the_middle_counts_as_away(
    engine: Engine, request: pytest.FixtureRequest
) -> None:
    if engine.dialect.name == "sqlite":
        return  # has no connection to lose
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.connect() as connection:
        own = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        connection.execute(sa.text("SELECT 1"))
    assert is_unavailable(caught.value)
    ping(engine)


def test_an_exhausted_pool_counts_as_away(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.POOL_TIMEOUT_S", 0.05)
    engine = create_engine(sqlite_url, pool_size=1)
    taken = [reader(engine).connect() for _ in range(2)]
    with pytest.raises(sa.exc.TimeoutError) as caught:
        ping(engine)
    for connection in taken:
        connection.close()
    assert is_unavailable(caught.value)
    engine.dispose()


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELEC 1", "SELECT 1 / 'x' FROM x"])
def test_a_wrong_statement_does_not_count_as_away(engine: Engine, statement: str) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(sa.text(statement))
    assert not is_unavailable(caught.value)


def test_a_violated_constraint_does_not_count_as_away(engine: Engine) -> None:
    insert = "INSERT INTO alembic_version SELECT version_num FROM alembic_version"
    with pytest.raises(sa.exc.IntegrityError) as caught, engine.begin() as connection:
        connection.execute(sa.text(insert))
    assert not is_unavailable(caught.value)

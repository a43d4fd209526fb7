"""Engines: how Nexus talks to SQLite and PostgreSQL.

SQLite loses read-modify-write updates silently when a transaction begins as a
reader and upgrades later. So a transaction of the plain engine is a writer
from its first statement (`BEGIN IMMEDIATE`), and `reader(engine)` is the same
engine, same pool, whose transactions only read one consistent snapshot.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.pool import QueuePool

from storage.types import decode_json, dump_json

__all__ = ["Engine", "create_engine", "is_postgresql", "ping", "reader"]

CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_MS = 10_000
BUSY_TIMEOUT_MS = 5_000
POOL_TIMEOUT_S = 5.0

_READ_ONLY = "nexus_read_only"


def create_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine with the settings that Nexus relies on.

    Args:
        url: `sqlite:///path` or `postgresql://…` (psycopg 3 is chosen here).
        pool_size: Connections kept; as many again may be opened at peaks.

    Raises:
        ValueError: Another kind of database, or SQLite in memory, which would
            be a different database for each connection.
    """
    target = _normalised(make_url(url))
    options: dict[str, Any] = {
        "json_serializer": dump_json,
        "json_deserializer": decode_json,
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_timeout": POOL_TIMEOUT_S,
    }
    if target.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            target,
            connect_args={
                "timeout": BUSY_TIMEOUT_MS / 1000,
                "isolation_level": None,
                "check_same_thread": False,
            },
            **options,
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return sa.create_engine(
        target,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args=_postgresql_arguments(target),
        **options,
    )


def reader(engine: Engine) -> Engine:
    """The same engine and pool, for transactions that only read.

    They see one snapshot from beginning to end, and wait for no writer.
    """
    if is_postgresql(engine):
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(**{_READ_ONLY: True})


def is_postgresql(bind: Engine | Connection) -> bool:
    """Whether this is PostgreSQL; else it is SQLite."""
    return bind.dialect.name == "postgresql"


def ping(engine: Engine) -> None:
    """One round trip; raises what the driver raises when the database is away."""
    with reader(engine).connect() as connection:
        connection.execute(sa.select(sa.literal(1)))


def _normalised(url: URL) -> URL:
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("SQLite needs a file: sqlite:///path/to/nexus.db")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        return url.set(drivername="sqlite+pysqlite")
    raise ValueError(f"{backend!r} is no database that Nexus knows: sqlite or postgresql.")


def _postgresql_arguments(url: URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        # A server that vanished without a goodbye is noticed while we wait for its answer, too.
        "tcp_user_timeout": STATEMENT_TIMEOUT_MS + 5_000,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        "application_name": "nexus",
    }
    return {name: value for name, value in arguments.items() if name not in url.query}


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _into_wal(connection)
    # Temporal counts as done what it was told is written, so it has to be on the disk.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Without it INSERT OR REPLACE deletes rows behind the back of the append-only triggers.
    connection.execute("PRAGMA recursive_triggers = ON")


def _into_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; the busy handler does not cover two doing so at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

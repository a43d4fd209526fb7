"""Bring a database to the newest schema.

`upgrade` may be called by several processes at once: one migrates, the others
wait for it and then find nothing to do.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.engine import create_engine, is_postgresql, reader
from storage.migrations import HEAD

__all__ = ["HEAD", "current", "upgrade"]

_SCRIPTS = Path(__file__).parent / "migrations"
# Any constant that nobody else locks; "nexus" in ASCII.
_LOCK = 0x6E65787573


def upgrade(url: str) -> None:
    """Migrate to the newest schema; costs two statements where nothing is to be done.

    Args:
        url: As for `storage.engine.create_engine`.

    Raises:
        alembic.util.CommandError: The database was migrated by a newer Nexus.
    """
    engine = create_engine(url, pool_size=1)
    try:
        with reader(engine).connect() as connection:
            if current(connection) == HEAD:
                return
        with engine.begin() as connection:
            _lock(connection)
            if current(connection) != HEAD:
                _migrate(connection, url)
    finally:
        engine.dispose()


def current(connection: Connection) -> str | None:
    """The schema's revision; None in an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return version


def _lock(connection: Connection) -> None:
    """Keep others out until the end of the transaction; SQLite's BEGIN IMMEDIATE already does."""
    if is_postgresql(connection):
        # Waiting for another's migration may take longer than a statement is usually allowed.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _migrate(connection: Connection, url: str) -> None:
    # Imported here because it takes longer than finding that nothing is to be done.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

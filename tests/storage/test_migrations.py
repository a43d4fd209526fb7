from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Engine

from storage import migrate
from storage.dashboard import DashboardFilter, list_dashboard
from storage.engine import create_engine
from storage.migrations import HEAD
from storage.scope import reading
from storage.tables import METADATA
from tests.storage.conftest import raw
from tests.storage.making import at


def test_an_empty_database_gets_the_newest_schema(app_url: str) -> None:
    migrate.upgrade(app_url)
    engine = create_engine(app_url)
    with engine.connect() as connection:
        assert migrate.current(connection) == HEAD
        assert sa.inspect(connection).has_table("history")
    engine.dispose()


def test_models_and_migrations_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_named_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", "storage/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrating_again_costs_next_to_nothing(engine: Engine, migrated_url: str) -> None:
    started = time.perf_counter()
    migrate.upgrade(migrated_url)
    assert time.perf_counter() - started < 0.3


def test_two_migrations_at_once_end_with_one_schema(app_url: str) -> None:
    code = "import sys; from storage.migrate import upgrade; upgrade(sys.argv[1])"
    both = [
        subprocess.Popen([sys.executable, "-c", code, app_url], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [child.communicate(timeout=60)[1].decode() for child in both]
    assert [child.returncode for child in both] == [0, 0], errors
    engine = create_engine(app_url)
    with engine.connect() as connection:
        assert migrate.current(connection) == HEAD
    engine.dispose()


def test_a_database_of_a_newer_nexus_is_refused(engine: Engine, migrated_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        migrate.upgrade(migrated_url)


def test_a_migration_can_be_taken_back(engine: Engine) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", "storage/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
        command.upgrade(config, "head")
        assert sa.inspect(connection).has_table("history")


def test_a_filled_database_is_brought_up_to_date(engine: Engine) -> None:
    """What dashboards showed before is shown after; nothing runs and no task is open."""
    from alembic import command

    config = Config()
    config.set_main_option("script_location", "storage/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    row = {
        "tenant": "acme",
        "instance": "run-1",
        "record": "lead-1",
        "kind": "user",
        "assignee": "ann",
        "entity": "lead",
        "definition": "sales",
        "version": "1.0.0",
        "stage": "new",
        "subject_type": "user",
        "subject_id": "7",
        "pending": True,
        "since": at(1),
        "due_at": None,
        "due_sort": at(90),
    }
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in row]
    with raw(engine, "acme") as connection:
        connection.execute(sa.insert(sa.table("assignments", *columns)), row)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with reading(engine, "acme") as session:
        (shown,) = list_dashboard(session, "ann", (), DashboardFilter()).items
    assert (shown.record, shown.task, shown.title, shown.incidents) == ("lead-1", None, None, 0)

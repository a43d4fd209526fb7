"""`nexus verify`: a history that was changed is found (SR-005)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nexus.settings import sqlite_url
from storage.engine import create_engine
from storage.migrate import upgrade
from storage.projection import write_projection
from tests.storage.making import Batch
from tests.support.commands import nexus


@pytest.fixture
def database(tmp_path: Path) -> Path:
    url = sqlite_url(tmp_path)
    upgrade(url)
    engine = create_engine(url)
    for number in (1, 2):
        row = {"id": f"run-{number}", "subject_id": str(number)}
        write_projection(engine, Batch(1, 3, 1, row=row).projection())
    engine.dispose()
    return tmp_path / "nexus.db"


@pytest.fixture
def environment(database: Path) -> dict[str, str]:
    return {"NEXUS_DATABASE_URL": f"sqlite:///{database}"}


def test_histories_as_they_were_written_are_whole(environment: dict[str, str]) -> None:
    done = nexus("verify", "--tenant", "acme", environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 histories of 'acme' are as they were written.\n"
    one = nexus("verify", "--tenant", "acme", "run-2", environment=environment)
    assert one.stdout == "1 histories of 'acme' are as they were written.\n"
    other = nexus("verify", "--tenant", "other", environment=environment)
    assert other.stdout == "0 histories of 'other' are as they were written.\n"


def test_a_changed_history_is_named(database: Path, environment: dict[str, str]) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER history_no_update")
        connection.execute("UPDATE history SET actor = 'eve' WHERE instance = 'run-2' AND seq = 2")
    done = nexus("verify", "--tenant", "acme", environment=environment)
    assert done.returncode == 1
    assert "run-2: event 2 is not as it was written" in done.stderr
    assert "1 of 2 histories of 'acme' are broken" in done.stderr
    assert nexus("verify", "--tenant", "acme", "run-1", environment=environment).returncode == 0


def test_an_instance_that_is_not_there_is_no_success(environment: dict[str, str]) -> None:
    done = nexus("verify", "--tenant", "acme", "run-9", environment=environment)
    assert done.returncode == 1
    assert "has no instance 'run-9'" in done.stderr

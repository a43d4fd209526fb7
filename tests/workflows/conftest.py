"""A database and a task queue for each test, on the Temporal that all share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from nexus.settings import sqlite_url
from storage.engine import Engine, create_engine
from storage.migrate import upgrade
from tests.support.temporal import TemporalServer
from tests.workflows.harness import Harness
from workflows.worker import register_search_attributes


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database, migrated once and copied for each test."""
    folder = tmp_path_factory.mktemp("migrated")
    upgrade(sqlite_url(folder))
    return folder


@pytest.fixture
def database_folder(migrated: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "database"
    shutil.copytree(migrated, folder)
    return folder


@pytest.fixture
def engine(database_folder: Path) -> Iterator[Engine]:
    engine = create_engine(sqlite_url(database_folder))
    yield engine
    engine.dispose()


@pytest.fixture
async def harness(
    temporal_server: TemporalServer, temporal_client: Client, engine: Engine
) -> Harness:
    await register_search_attributes(temporal_client)
    return Harness(temporal_client, engine)

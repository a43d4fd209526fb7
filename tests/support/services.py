"""Fixtures of the real services: Temporal, PostgreSQL, and the server that skips time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from nexus.cli.temporal_binary import cache_dir, find_temporal
from nexus.settings import sqlite_url as sqlite_url_in
from tests.support.postgres import PostgresServer
from tests.support.temporal import TemporalServer

TEST_SERVER = "temporal-test-server/1.32.0/temporal-test-server"


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    """The `temporal` command, found as `nexus dev` finds it."""
    return find_temporal()


@pytest.fixture(scope="session")
def temporal_server(
    temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TemporalServer]:
    """A Temporal that all tests of a run share; use task queues and tenants of your own."""
    server = TemporalServer(temporal_cli, tmp_path_factory.mktemp("temporal"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def temporal_client(temporal_server: TemporalServer) -> Client:
    """A client of the shared Temporal."""
    return await Client.connect(
        temporal_server.address,
        namespace=temporal_server.namespace,
        data_converter=pydantic_data_converter,
    )


@pytest.fixture(scope="session")
def time_skipping_server() -> Path | None:
    """What `scripts/test` has put into the cache; without it the SDK downloads its own."""
    script = Path(os.environ.get("NEXUS_TEST_SERVER") or cache_dir() / TEST_SERVER)
    return script if script.exists() else None


@pytest.fixture
async def time_skipping_env(
    time_skipping_server: Path | None,
) -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal whose clock jumps to the next timer. It can neither list nor count workflows."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(time_skipping_server) if time_skipping_server else None,
        data_converter=pydantic_data_converter,
    )
    async with environment:
        yield environment


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that all tests of a run share; do not stop this one."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    url = postgres_server.make_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An empty SQLite database of the test's own."""
    return sqlite_url_in(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of the test's own, once on each of the two that we support."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))

"""Both clients, a platform for them, and a server that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nexus.client import AsyncNexusClient, NexusClient
from nexus.settings import sqlite_url
from tests.api.serving import Platform
from tests.client.calling import MakeClient, waiting
from tests.client.flaky import Flaky
from tests.support.temporal import TemporalServer


@pytest.fixture(scope="package")
def platform(
    temporal_server: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A whole platform on SQLite; tests use subjects of their own."""
    folder = tmp_path_factory.mktemp("platform")
    running = Platform(folder, database_url=sqlite_url(folder), temporal=temporal_server.address)
    running.start()
    yield running
    running.stop()


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Makes clients: each test runs for the one that waits, and for the one with an event loop."""
    with ExitStack() as ended:

        def make(url: str, token: str, **more: Any) -> NexusClient:
            if request.param == "sync":
                return ended.enter_context(NexusClient(url, token, **more))
            return ended.enter_context(waiting(AsyncNexusClient(url, token, **more), runner))

        if request.param == "async":
            runner = ended.enter_context(asyncio.Runner())
        yield make


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    """A server that answers as it is told."""
    with Flaky() as server:
        yield server

"""A database that is away for ten seconds delays actions, and loses none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.crowd import STEPS, Crowd, everything_is_there_once
from tests.support.platform import Platform
from tests.support.postgres import PostgresServer

LEADS = 20
AWAY = 10.0  # seconds


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this test may take away."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def platform_on_postgres(
    temporal_cli: Path, tmp_path: Path, own_postgres: PostgresServer
) -> Iterator[Platform]:
    """The whole platform, projecting into that PostgreSQL."""
    platform = Platform(temporal_cli, tmp_path, database_url=own_postgres.make_database())
    platform.start()
    yield platform
    platform.stop()


def test_a_database_away_for_ten_seconds_delays_actions_and_loses_none(
    platform_on_postgres: Platform, own_postgres: PostgresServer
) -> None:
    """REL-001, REL-004: nobody has to send anything twice."""
    crowd = Crowd(platform_on_postgres)

    asyncio.run(crowd.walk(LEADS, own_postgres.stop, own_postgres.start, pause=AWAY))

    assert crowd.acknowledged == LEADS * (1 + len(STEPS))
    assert crowd.repeated == 0
    everything_is_there_once(crowd)

"""The commands of docker-compose.yml, run here without containers, against PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from tests.support.commands import nexus
from tests.support.platform import Platform, start_worker
from tests.support.postgres import PostgresServer
from workflows.contract import SEARCH_ATTRIBUTES


@pytest.fixture(scope="module")
def platform(
    temporal_cli: Path, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    url = postgres_server.make_database()
    running = Platform(temporal_cli, tmp_path_factory.mktemp("production"), database_url=url)
    running.start()
    yield running
    running.stop()
    postgres_server.drop_database(url)


def test_a_lead_is_qualified_on_postgresql(platform: Platform) -> None:
    with platform.client("ann") as ann:
        started = ann.post(
            "/v1/instances",
            json={
                "definition": "sales-pipeline",
                "subject": {"type": "lead", "id": "on-postgresql"},
                "data": {"score": 60},
            },
        )
        assert started.status_code == 201, started.text
        path = f"/v1/instances/{started.json()['id']}"
        taken = ann.post(f"{path}/actions/qualify", json={})
        assert (taken.status_code, taken.json()["state"]) == (200, "qualified")
        assert ann.get(path).json()["state"] == "qualified"


def test_migrating_twice_changes_nothing(platform: Platform) -> None:
    done = nexus("migrate", environment=platform.environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "The database and Temporal's search attributes are up to date.\n"


async def test_migrating_makes_temporal_know_what_instances_are_found_by(
    platform: Platform,
) -> None:
    client = await Client.connect(platform.temporal.address)
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    assert set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)


def test_a_second_worker_joins_and_the_first_may_go(platform: Platform, tmp_path: Path) -> None:
    second = platform.another_worker(tmp_path)
    start_worker(second)
    try:
        assert platform.worker.stop() == 0
        platform.wait_ready()
        with platform.client("ann") as ann:
            started = ann.post(
                "/v1/instances",
                json={
                    "definition": "sales-pipeline",
                    "subject": {"type": "lead", "id": "second-worker"},
                },
            )
        assert started.status_code == 201, started.text
    finally:
        platform.bring_back("worker")
        assert second.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_api_and_worker_end_cleanly_when_asked(platform: Platform, how: signal.Signals) -> None:
    for part in (platform.api, platform.worker):
        assert part.stop(how) == 0, part.output()[-2000:]
        assert "Traceback" not in part.output()
    start_worker(platform.worker)
    platform.bring_back("api")


def test_a_database_that_is_not_there_is_one_line_without_its_password() -> None:
    url = "postgresql://nexus:hunter2@127.0.0.1:1/nexus"
    done = nexus("migrate", environment={"NEXUS_DATABASE_URL": url, "NEXUS_JWT_SECRET": "x" * 32})
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("nexus: the database 127.0.0.1:1/nexus cannot be brought up to date")
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("part", ["api", "worker"])
def test_without_a_secret_a_part_says_so_and_ends(part: str, tmp_path: Path) -> None:
    done = nexus(part, environment={"NEXUS_DATA_DIR": str(tmp_path), "NEXUS_JWT_SECRET": ""})
    assert done.returncode == 1
    assert "NEXUS_JWT_SECRET is not set" in done.stderr


def test_the_demo_walks_on_postgresql_too(platform: Platform) -> None:
    done = nexus("demo", "--url", platform.url, environment=platform.environment)
    assert done.returncode == 0, done.stderr
    assert "ann takes qualify → qualified" in done.stdout
    assert "ann takes activate → active" in done.stdout
    assert "./scripts/dev --demo has both" in done.stdout
    assert httpx.get(f"{platform.url}/healthz").status_code == 200


def test_the_demo_without_a_platform_says_how_to_start_one(platform: Platform) -> None:
    done = nexus("demo", "--url", "http://127.0.0.1:1", environment=platform.environment)
    assert done.returncode == 1
    assert "./scripts/dev" in done.stderr

"""What the API says when Temporal, a worker or the database is away (design 6: 503, 429)."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.gateway import Places
from api.problems import Problem
from api.reading import Database
from nexus.core.projection import InstanceRow, Snapshot
from nexus.settings import sqlite_url
from storage.engine import create_engine
from storage.instances import INSTANCE as TABLE
from tests.api.serving import Platform
from tests.api.test_problems import check
from tests.support.postgres import PostgresServer
from tests.support.processes import wait_until
from tests.support.temporal import TemporalServer

DEFINITION: dict[str, object] = {
    "id": "fragile",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "done"]}},
}


@pytest.fixture
def fragile(temporal_server: TemporalServer, tmp_path: Path) -> Iterator[Platform]:
    """A platform of the test's own, whose parts it may kill."""
    running = Platform(
        tmp_path, database_url=sqlite_url(tmp_path), temporal=temporal_server.address
    )
    running.start()
    running.define(DEFINITION)
    yield running
    running.stop()


def start(client: httpx.Client, subject: str) -> str:
    """Start an instance and give its id."""
    body = {"definition": "fragile", "subject": {"type": "x", "id": subject}}
    answer = client.post("/v1/instances", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def comments(client: httpx.Client, instance: str) -> int:
    """How many comments an instance has."""
    entries = client.get(f"/v1/instances/{instance}/history").json()["items"]
    return sum(entry["event"] == "comment_added" for entry in entries)


def test_a_command_without_a_worker_is_applied_once_when_repeated_with_its_key(
    fragile: Platform,
) -> None:
    """An update whose client gave up applies once when repeated with its key."""
    with fragile.api.client() as ann:
        instance = start(ann, "no-worker")
        fragile.worker.kill()
        fragile.api.app.state.services.gateway._timeout = 1.0
        path, key = f"/v1/instances/{instance}/actions/comment", {"Idempotency-Key": "k"}
        answer = ann.post(path, json={"comment": "once"}, headers=key)
        problem = check(answer, 503, "unavailable")
        assert problem["accepted"] in (True, "unknown")
        assert int(answer.headers["retry-after"]) > 0
        fragile.worker.start()
        fragile.api.app.state.services.gateway._timeout = 30.0
        answer = ann.post(path, json={"comment": "once"}, headers=key)
        assert answer.status_code == 200, answer.text
        assert comments(ann, instance) == 1


def test_the_fifth_command_of_an_instance_waits_and_is_then_refused(fragile: Platform) -> None:
    with fragile.api.client() as ann:
        instance, other = start(ann, "busy"), start(ann, "other")
        fragile.worker.send(signal.SIGSTOP)
        gateway = fragile.api.app.state.services.gateway
        gateway._timeout = 8.0
        gateway._admission._patience = 0.3

        def comment(_: int) -> int:
            path = f"/v1/instances/{instance}/actions/comment"
            return ann.post(path, json={"comment": "x"}).status_code

        with ThreadPoolExecutor(7) as pool:
            waiting = pool.map(comment, range(6))
            time.sleep(1)
            fragile.worker.send(signal.SIGCONT)
            answers = sorted(waiting)
        assert answers[-2:] == [429, 429]
        assert answers[:4] == [200] * 4
        assert comments(ann, instance) == 4
        path = f"/v1/instances/{other}/actions/comment"
        assert ann.post(path, json={"comment": "x"}).status_code == 200
        assert len(gateway._admission) == 0


def test_a_question_without_a_worker_is_unavailable(fragile: Platform) -> None:
    with fragile.api.client() as ann:
        instance = start(ann, "asked")
        fragile.worker.send(signal.SIGSTOP)
        fragile.api.app.state.services.gateway._query_timeout = 0.5
        check(ann.get(f"/v1/instances/{instance}/can/comment"), 503, "unavailable")
        fragile.worker.send(signal.SIGCONT)


def test_a_command_that_temporal_has_accepted_says_so(fragile: Platform, tmp_path: Path) -> None:
    """The database is locked for longer than the client waits; then the command is applied."""
    with fragile.api.client() as ann, ThreadPoolExecutor(1) as pool:
        instance = start(ann, "accepted")
        fragile.api.app.state.services.gateway._timeout = 11.0
        locking = sqlite3.connect(tmp_path / "nexus.db", isolation_level=None)
        locking.execute("BEGIN IMMEDIATE")
        path = f"/v1/instances/{instance}/actions/comment"
        answer = pool.submit(ann.post, path, json={"comment": "x"}).result(30)
        locking.execute("ROLLBACK")
        locking.close()
        problem = check(answer, 503, "unavailable")
        assert problem["accepted"] is True
        wait_until(lambda: comments(ann, instance) == 1, what="the accepted comment")


def test_a_temporal_that_was_killed_comes_back_with_everything(
    temporal_cli: Path, tmp_path: Path
) -> None:
    temporal = TemporalServer(temporal_cli, tmp_path / "temporal")
    temporal.start()
    running = Platform(tmp_path, database_url=sqlite_url(tmp_path), temporal=temporal.address)
    running.start()
    try:
        running.define(DEFINITION)
        with running.api.client() as ann:
            instance = start(ann, "kept")
            temporal.stop()
            gateway = running.api.app.state.services.gateway
            gateway._timeout, gateway._query_timeout = 2.0, 2.0
            path, key = f"/v1/instances/{instance}/actions/comment", {"Idempotency-Key": "k"}
            answer = ann.post(path, json={"comment": "x"}, headers=key)
            problem = check(answer, 503, "unavailable")
            assert problem["accepted"] in (False, "unknown")
            check(ann.get(f"/v1/instances/{instance}/can/comment"), 503, "unavailable")
            check(httpx.get(f"{running.api.url}/readyz"), 503, "unavailable")
            assert ann.get(f"/v1/instances/{instance}").status_code == 200
            temporal.start()
            gateway._timeout = 30.0
            answer = ann.post(path, json={"comment": "x"}, headers=key)
            assert answer.status_code == 200, answer.text
            assert comments(ann, instance) == 1
    finally:
        running.stop()
        temporal.stop()


def test_an_instance_that_was_terminated_from_outside_is_a_conflict(
    fragile: Platform, temporal_server: TemporalServer
) -> None:
    async def terminate(instance: str) -> None:
        client = await Client.connect(
            temporal_server.address, data_converter=pydantic_data_converter
        )
        await client.get_workflow_handle("acme:fragile:x:killed", run_id=instance).terminate()

    with fragile.api.client() as ann:
        instance = start(ann, "killed")
        asyncio.run(terminate(instance))
        answer = ann.post(f"/v1/instances/{instance}/actions/comment", json={"comment": "x"})
        check(answer, 409, "conflict")


def test_reading_and_acting_wait_for_a_database_that_is_away_for_a_while(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    """A database away for some seconds delays actions and loses none."""
    postgres = PostgresServer()
    postgres.start()
    try:
        running = Platform(
            tmp_path, database_url=postgres.make_database(), temporal=temporal_server.address
        )
        running.start()
        try:
            running.define(DEFINITION)
            _outage(running, postgres)
        finally:
            running.stop()
    finally:
        postgres.remove()


def _outage(running: Platform, postgres: PostgresServer) -> None:
    with running.api.client() as ann, ThreadPoolExecutor(4) as pool:
        instance = start(ann, "patient")
        postgres.stop()
        path = f"/v1/instances/{instance}/actions/comment"
        acting = pool.submit(ann.post, path, json={"comment": "x"})
        keyed = pool.submit(ann.post, path, json={"comment": "y"}, headers={"Idempotency-Key": "y"})
        reading = pool.submit(ann.get, f"/v1/instances/{instance}")
        time.sleep(4)
        assert not acting.done()
        assert not reading.done()
        check(httpx.get(f"{running.api.url}/readyz"), 503, "unavailable")
        postgres.start()
        assert acting.result(30).status_code == 200
        assert keyed.result(30).status_code == 200
        assert reading.result(30).status_code == 200
        wait_until(lambda: comments(ann, instance) == 2, what="both comments")


async def test_a_database_that_stays_away_is_unavailable() -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    database = Database(engine, patience=0.2)
    with pytest.raises(Problem) as refusal:
        await database.read("acme", lambda session: session.execute(sa.select(TABLE.id)))
    assert refusal.value.code == "unavailable"
    assert refusal.value.headers == {"Retry-After": "2"}
    engine.dispose()


def test_places_are_remembered_up_to_a_bound() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    row = InstanceRow(
        id="a",
        tenant="acme",
        workflow_id="w",
        definition="d",
        version="1.0.0",
        domain=None,
        subject_type="x",
        subject_id="y",
        status="active",
        stage=None,
        data={},
        started_by="ann",
        started_at=at,
        ended_at=None,
        seq=1,
        updated_at=at,
    )

    def snapshot(**changed: object) -> Snapshot:
        changed_row = replace(row, **changed)  # type: ignore[arg-type]
        return Snapshot(instance=changed_row, records=(), timers=())

    places = Places(most=2)
    for name in ("a", "b", "a", "c"):
        places.remember(snapshot(id=name))
    assert places.find("b") is None
    assert places.find("a") is not None
    places.remember(snapshot(id="a", ended_at=at))
    assert places.find("a") is None

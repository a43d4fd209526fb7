"""The services themselves: if these fail, look here before looking at the code under test."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import psycopg
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from nexus.cli.ports import LOOPBACK
from tests.support.postgres import PostgresServer
from tests.support.processes import listens
from tests.support.temporal import TemporalServer


@workflow.defn(sandboxed=False)
class SleepsLong:
    """Waits for thirty days, as a clock of a stage may."""

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=30), summary="a month")
        return "awake"


async def test_temporal_keeps_what_it_acknowledged_through_a_kill(
    temporal_server: TemporalServer, temporal_client: Client
) -> None:
    handle = await temporal_client.start_workflow(
        SleepsLong.run, id="sleeps-through-a-kill", task_queue="nobody-polls-this"
    )
    temporal_server.stop()
    temporal_server.start()
    described = await handle.describe()
    assert described.run_id == handle.first_execution_run_id


async def test_a_month_passes_at_once_where_time_is_skipped(
    time_skipping_env: WorkflowEnvironment,
) -> None:
    async with Worker(time_skipping_env.client, task_queue="months", workflows=[SleepsLong]):
        outcome = await time_skipping_env.client.execute_workflow(
            SleepsLong.run, id="a-month", task_queue="months"
        )
    assert outcome == "awake"


def test_each_test_has_an_empty_database(database_url: str) -> None:
    if database_url.startswith("sqlite:///"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            found = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        assert found == (0,)
    else:
        with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
            tables = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone()
        assert tables == (0,)


def test_a_database_can_be_taken_away_and_comes_back_with_its_data() -> None:
    server = PostgresServer()
    server.start()
    try:
        url = server.make_database().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.stop()
        assert not listens(server.port), f"something still listens at {LOOPBACK}:{server.port}"
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    finally:
        server.remove()

"""What must not be lost: a database that is away, a worker that dies, a cancel at a bad moment."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy.exc
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.projection import ProjectionActivities
from nexus.settings import sqlite_url
from tests.support.processes import Service
from tests.support.temporal import TemporalServer
from tests.workflows.definitions import SALES, clocked
from tests.workflows.harness import ANN, BOB, Handle, Harness, events, eventually, same
from workflows.contract import PROJECT


class Database:
    """Stands between the workflow and the real database, and can be taken away.

    Attributes:
        away: Every projection fails as it does when the database cannot be reached.
        calls: How often a projection was tried.
    """

    def __init__(self, harness: Harness) -> None:
        self.away = False
        self.calls = 0
        self._real = ProjectionActivities(harness.engine)

    @property
    def project(self) -> Callable[[str], str]:
        @activity.defn(name=PROJECT)
        def project(encoded: str) -> str:
            self.calls += 1
            if self.away:
                raise sqlalchemy.exc.OperationalError(
                    "BEGIN IMMEDIATE", {}, sqlite3.OperationalError("unable to open database file")
                )
            return self._real.project(encoded)

        return project


async def test_a_database_away_for_ten_seconds_delays_an_action_and_loses_none(
    harness: Harness,
) -> None:
    database = Database(harness)
    async with harness.worker(database.project):
        started, handle = await harness.start(SALES, data={"score": 60})
        other, to_other = await harness.start(clocked(late="2s"), "43")
        assert started is not None
        assert other is not None
        database.away = True
        since = time.monotonic()
        acting = asyncio.create_task(harness.act(handle, "qualify", command_id="once"))
        await asyncio.sleep(1)
        repeated = asyncio.create_task(harness.act(handle, "qualify", command_id="once"))
        commented = asyncio.create_task(harness.act(handle, "comment", comment="meanwhile"))
        await asyncio.sleep(9)
        assert not acting.done()
        database.away = False
        answers = await asyncio.gather(acting, repeated, commented)
        assert time.monotonic() - since < 25
        assert {answer.instance.stage for answer in answers} == {"qualified"}
        history = harness.history(started.instance.id)
        assert [row.command for row in history].count("once") == 2
        assert events(history).count("comment_added") == 1
        assert harness.intact(started.instance.id)
        # A clock that came due meanwhile is not lost either.
        await eventually(
            lambda: (found := harness.stored(other.instance.id)) and found.instance.stage == "late"
        )
        assert same(await harness.snapshot(to_other), harness.stored(other.instance.id))


async def test_an_end_that_cannot_be_projected_yet_waits(harness: Harness) -> None:
    database = Database(harness)
    async with harness.worker(database.project):
        started, handle = await harness.start(SALES)
        assert started is not None
        database.away = True
        cancelling = asyncio.create_task(harness.act(handle, "cancel"))
        await asyncio.sleep(2)
        described = await harness.client.get_workflow_handle(handle.id).describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        database.away = False
        assert (await cancelling).instance.status == "cancelled"
        assert await handle.result() == "cancelled"
        assert harness.intact(started.instance.id)


async def test_an_operators_cancel_while_the_database_is_away_loses_nothing(
    harness: Harness,
) -> None:
    database = Database(harness)
    async with harness.worker(database.project):
        started, handle = await harness.start(SALES)
        assert started is not None
        database.away = True
        acting = asyncio.create_task(harness.act(handle, "update", data={"score": 9}))
        await asyncio.sleep(1)
        await handle.cancel()
        await asyncio.sleep(1)
        database.away = False
        assert (await acting).records[0].data == {"score": 9}
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert stored.instance.status == "cancelled"
        assert events(harness.history(started.instance.id))[3:] == [
            *("action_taken", "data_changed", "instance_ended"),
        ]
        assert harness.intact(started.instance.id)


async def test_an_operators_cancel_that_meets_an_end_leaves_one_of_the_two(
    harness: Harness,
) -> None:
    """The server may fail the workflow task in which both meet: then the end was never answered,
    what was projected of it is a ghost, and the cancel counts. SQL says the same as Temporal.
    """
    database = Database(harness)
    async with harness.worker(database.project):
        started, handle = await harness.start(SALES)
        assert started is not None
        database.away = True
        ending = asyncio.create_task(harness.act(handle, "close"))
        await asyncio.sleep(1)
        await handle.cancel()
        await asyncio.sleep(1)
        database.away = False
        try:
            answered = (await ending).instance.status
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            answered = "cancelled"
        else:
            assert await handle.result() == "completed"
        found = harness.stored(started.instance.id)
        assert found is not None
        assert found.instance.status == answered
        assert harness.intact(started.instance.id)


async def test_a_projection_that_is_given_up_fails_the_task_and_not_the_instance(
    harness: Harness,
) -> None:
    database = Database(harness)
    broken = True

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        if broken:
            raise ApplicationError("never again", non_retryable=True)
        return database.project(encoded)

    async with harness.worker(project):
        starting = asyncio.create_task(harness.start(SALES))
        name = f"{harness.tenant}:sales-pipeline:lead:42"
        handle: Handle = harness.client.get_workflow_handle(name)

        async def failed() -> bool:
            return "WORKFLOW_TASK_FAILED" in await harness.event_types(handle)

        await asyncio.sleep(0.5)
        await eventually(failed, what="the failed workflow task")
        broken = False
        started, _ = await starting
        assert started is not None
        assert harness.intact(started.instance.id)


@asynccontextmanager
async def _dying_worker(
    harness: Harness, server: TemporalServer, folder: Path, number: int
) -> AsyncIterator[Service]:
    program = str(Path(__file__).with_name("dying_worker.py"))
    arguments = [server.address, harness.task_queue, sqlite_url(folder), str(number)]
    worker = Service(
        [sys.executable, program, *arguments],
        folder / "worker.log",
        environment={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    worker.start()
    try:
        yield worker
    finally:
        worker.kill()


async def test_a_worker_killed_between_projecting_and_telling_temporal_loses_nothing(
    harness: Harness, temporal_server: TemporalServer, database_folder: Path
) -> None:
    """What it had written is decided again, perhaps otherwise: SQL follows what Temporal knows."""
    async with _dying_worker(harness, temporal_server, database_folder, 6) as worker:
        started, handle = await harness.start(SALES, data={"score": 60})
        assert started is not None
        instance = started.instance.id
        acting = [
            asyncio.create_task(harness.act(handle, "comment", actor=actor, comment=actor.id))
            for actor in (ANN, BOB)
        ]
        acting.append(asyncio.create_task(harness.act(handle, "qualify", command_id="once")))
        await eventually(lambda: not worker.alive, what="the worker's end")
        ghosts = harness.history(instance)
        assert len(ghosts) > 3
    async with harness.worker():
        answers = await asyncio.gather(*acting)
        assert max(answer.instance.seq for answer in answers) == 9
        assert same(await harness.snapshot(handle), harness.stored(instance))
        history = harness.history(instance)
        assert events(history).count("comment_added") == 2
        assert events(history).count("stage_entered") == 2
        assert harness.intact(instance)
        await harness.act(handle, "convert")
        assert await handle.result() == "completed"
        assert harness.intact(instance)


async def test_a_start_whose_worker_is_killed_is_answered_once_by_the_next_one(
    harness: Harness, temporal_server: TemporalServer, database_folder: Path
) -> None:
    async with _dying_worker(harness, temporal_server, database_folder, 1) as worker:
        starting = asyncio.create_task(harness.start(SALES, command_id="begin"))
        await eventually(lambda: not worker.alive, what="the worker's end")
    async with harness.worker():
        started, handle = await starting
        assert started is not None
        assert same(await harness.snapshot(handle), harness.stored(started.instance.id))
        assert events(harness.history(started.instance.id)) == [
            *("instance_started", "record_created", "stage_entered"),
        ]
        assert harness.intact(started.instance.id)

"""The shapes that an instance's history in Temporal can have, one scenario each.

`record_histories.py` plays them; what it recorded is replayed by `test_replays.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities.projection import ProjectionActivities
from nexus.core.commands import AddRecord, ReceiveEvent
from tests.workflows.definitions import CAMPAIGN, DEALS, SALES, clocked
from tests.workflows.harness import ADMIN, ANN, BOB, Handle, Harness, eventually, token
from tests.workflows.run_scenarios import RUN_SCENARIOS, long_waits
from workflows.contract import PROJECT, WORKFLOW, InstanceInput

Scenario = Callable[[Harness], Awaitable[Handle]]


async def plain(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(SALES, data={"score": 40})
        await harness.refused(harness.act(handle, "qualify"))
        await harness.act(handle, "update", data={"score": 60})
        await harness.act(handle, "qualify", comment="a good one")
        await harness.act(handle, "convert")
        await handle.result()
        return handle


async def refused_start(harness: Harness) -> Handle:
    async with harness.worker():
        await harness.refused(harness.start(SALES, data={"lead_score": "high"}))
        name = f"{harness.tenant}:sales-pipeline:lead:42"
        handle: Handle = harness.client.get_workflow_handle(name)
        await handle.result()
        return handle


async def still_open(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(clocked(late="30 days"))
        await harness.act(handle, "assign", data={"users": ["ann"], "roles": ["sales"]})
        return handle


async def events_and_conditions(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(CAMPAIGN)
        await harness.act(handle, "launch")
        await harness.act(handle, "update", data={"clicks": 3})
        await harness.send(handle, ReceiveEvent(actor=ANN, event="email.bounced"))
        await harness.send(handle, ReceiveEvent(actor=ANN, event="email.opened"))
        await harness.act(handle, "finish", actor=ADMIN)
        await handle.result()
        return handle


async def clocks_fired_and_cancelled(harness: Harness) -> Handle:
    async with harness.worker():
        started, handle = await harness.start(clocked(late="4s", later="1h"))
        assert started is not None
        await harness.act(handle, "work")
        await harness.act(handle, "rest")
        await eventually(
            lambda: (
                (found := harness.stored(started.instance.id)) and found.instance.stage == "late"
            )
        )
        await harness.act(handle, "end")
        await handle.result()
        return handle


async def signals_good_and_bad(harness: Harness) -> Handle:
    comment = {"type": "act", "action": "comment", "comment": "hello"}
    async with harness.worker():
        started, handle = await harness.start(CAMPAIGN)
        assert started is not None
        for arguments in (
            [comment],
            [],
            [1, 2],
            [{"type": "dance"}],
            [{**comment, "actor": {"id": "root"}}],
            [{**comment, "token": token("joe", harness.tenant)}],
            [{**comment, "token": token("joe", "another")}],
            [{**comment, "token": "no token"}],
            [{"type": "act", "action": "launch"}],
            [{"type": "event", "event": "email.opened"}],
        ):
            seq = len(harness.history(started.instance.id))
            await handle.signal("command", args=arguments)
            await eventually(lambda seq=seq: len(harness.history(started.instance.id)) > seq)
        await asyncio.gather(*(handle.signal("command", comment) for _ in range(5)))
        await harness.act(handle, "cancel")
        await handle.result()
        return handle


async def several_records(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(DEALS, data={"score": 7})
        await harness.send(handle, AddRecord(actor=BOB, entity="lead", data={"score": 9}))
        await harness.send(handle, AddRecord(actor=BOB, entity="contact", data={"name": "Joe"}))
        await harness.act(handle, "qualify", record="lead-2")
        await harness.act(handle, "close", record="contact-1")
        await harness.act(handle, "lose", record="lead-1")
        await harness.act(handle, "lose", record="lead-2")
        await harness.act(handle, "win")
        await handle.result()
        return handle


async def continued_as_new(harness: Harness) -> Handle:
    harness.roll_over_after = 20
    async with harness.worker():
        _, handle = await harness.start(clocked(late="30 days", later="60 days"))
        for number in range(12):
            command_id = f"command-{number // 2}"  # each comes twice, some of them in a later run
            await harness.act(handle, "comment", comment="more", command_id=command_id)
        await harness.act(handle, "work")
        await harness.act(handle, "end")
        await handle.result()
        return handle


async def cancelled_by_an_operator(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(clocked(late="1h"))
        await handle.cancel()
        await asyncio.gather(handle.result(), return_exceptions=True)
        return handle


async def many_at_once(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(SALES, data={"score": 60})
        await asyncio.gather(
            *(harness.act(handle, "update", data={f"key{n}": n}) for n in range(8)),
            harness.act(handle, "qualify", actor=ANN),
            harness.act(handle, "qualify", actor=BOB),
            return_exceptions=True,
        )
        await harness.act(handle, "close")
        await handle.result()
        return handle


async def database_away(harness: Harness) -> Handle:
    """Long enough for the workflow task to be kept alive by heartbeats."""
    away = asyncio.Event()
    real = ProjectionActivities(harness.engine)

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        if away.is_set():
            raise OSError("The database is away.")
        return real.project(encoded)

    async with harness.worker(project):
        _, handle = await harness.start(SALES)
        away.set()
        acting = asyncio.create_task(harness.act(handle, "update", data={"score": 60}))
        await asyncio.sleep(6)
        await handle.signal("command", {"type": "act", "action": "comment", "comment": "now?"})
        await asyncio.sleep(8)
        away.clear()
        await acting
        await harness.act(handle, "close")
        await handle.result()
        return handle


async def database_away_for_longer(harness: Harness) -> Handle:
    """So long that the tries are apart by durable timers."""
    away = asyncio.Event()
    real = ProjectionActivities(harness.engine)

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        if away.is_set():
            raise OSError("The database is away.")
        return real.project(encoded)

    async with harness.worker(project):
        _, handle = await harness.start(clocked(late="15s"))
        away.set()
        acting = asyncio.create_task(harness.act(handle, "comment", comment="before"))
        await asyncio.sleep(20)
        waiting = asyncio.create_task(harness.act(handle, "comment", comment="meanwhile"))
        await asyncio.sleep(5)
        away.clear()
        await asyncio.gather(acting, waiting)
        await harness.act(handle, "end")
        await handle.result()
        return handle


async def cancelled_while_the_database_was_away(harness: Harness) -> Handle:
    away = asyncio.Event()
    real = ProjectionActivities(harness.engine)

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        if away.is_set():
            raise OSError("The database is away.")
        return real.project(encoded)

    async with harness.worker(project):
        _, handle = await harness.start(SALES)
        away.set()
        acting = asyncio.create_task(harness.act(handle, "update", data={"score": 60}))
        await asyncio.sleep(1)
        await handle.cancel()
        await asyncio.sleep(1)
        away.clear()
        await acting
        try:
            await handle.result()
        except WorkflowFailureError:
            return handle
        raise AssertionError("the workflow was not cancelled")


async def all_records_asked_for(harness: Harness) -> Handle:
    """The writer wants everything, as after a worker's death."""
    real = ProjectionActivities(harness.engine)

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        return real.project(encoded) if '"complete":true' in encoded else "resync"

    async with harness.worker(project):
        _, handle = await harness.start(DEALS, data={"score": 7})
        await harness.send(handle, AddRecord(actor=BOB, entity="lead", data={"score": 9}))
        await harness.act(handle, "qualify", record="lead-1")
        await harness.act(handle, "cancel")
        await handle.result()
        return handle


SCENARIOS: Mapping[str, Scenario] = {
    **{
        scenario.__name__: scenario
        for scenario in (
            plain,
            refused_start,
            still_open,
            events_and_conditions,
            clocks_fired_and_cancelled,
            signals_good_and_bad,
            several_records,
            continued_as_new,
            cancelled_by_an_operator,
            many_at_once,
            database_away,
            database_away_for_longer,
            cancelled_while_the_database_was_away,
            all_records_asked_for,
        )
    },
    **RUN_SCENARIOS,
}


async def never_started(harness: Harness, environment: WorkflowEnvironment) -> Handle:
    async with harness.worker():
        handle: Handle = await harness.client.start_workflow(
            WORKFLOW,
            InstanceInput(harness.tenant, SALES),
            id=f"{harness.tenant}:sales-pipeline:lead:42",
            task_queue=harness.task_queue,
        )
        await environment.sleep(timedelta(minutes=11))
        await handle.result()
        return handle


async def long_clocks(harness: Harness, environment: WorkflowEnvironment) -> Handle:
    harness.roll_over_after = 9
    async with harness.worker():
        _, handle = await harness.start(clocked(late="3 days", later="90 days"))
        for _ in range(3):
            await harness.act(handle, "comment", comment="more")
        await environment.sleep(timedelta(days=4))
        await harness.act(handle, "end")
        await handle.result()
        return handle


SKIPPING_SCENARIOS: Mapping[str, Callable[[Harness, WorkflowEnvironment], Awaitable[Handle]]] = {
    scenario.__name__: scenario for scenario in (never_started, long_clocks, long_waits)
}

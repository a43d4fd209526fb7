"""Stages that call channels: against a bare workflow, two hundred at once, mails through a worker.

python -m benchmarks.channels [--rounds 5] [--quick]

Ten calls of the channel `log` are measured from the action to the end of the workflow, which
follows from the join. The bare workflow gathers ten activities; they are on a queue of their own,
as ours have to be, and once more on the workflow's own queue, where the server hands some of them
out together with the workflow task.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from benchmarks.measuring import ratio
from nexus.cli.temporal_binary import find_temporal
from nexus.core.commands import Act, Actor, Start, dump_command
from nexus.core.state import Subject
from nexus.settings import sqlite_url
from storage.migrate import upgrade
from tests.support.processes import Service
from tests.support.smtp import SmtpServer
from tests.support.temporal import TemporalServer
from workflows.contract import COMMAND, WORKFLOW, InstanceInput, workflow_id
from workflows.worker import register_search_attributes

ROOT = Path(__file__).parents[1]
ANN = Actor("ann")
TEN = 10
MANY = 200
IN_FLIGHT = 32

Handle = WorkflowHandle[Any, Any]


# --- the bare one --------------------------------------------------------------------------


@activity.defn
async def nothing(given: dict[str, Any]) -> dict[str, Any]:
    return {"response": given, "attempts": 1}


@workflow.defn
class Gather:
    """Runs ten activities at once when it is told to, and ends."""

    def __init__(self) -> None:
        self._begun = False

    @workflow.run
    async def run(self, queue: str) -> None:
        await workflow.wait_condition(lambda: self._begun)
        calls = [
            workflow.execute_activity(
                nothing,
                {"message": "x" * 300},
                task_queue=queue,
                start_to_close_timeout=timedelta(seconds=15),
            )
            for _ in range(TEN)
        ]
        await asyncio.gather(*calls)

    @workflow.update
    async def begin(self) -> None:
        self._begun = True


async def serve_bare(address: str) -> None:
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    polling = PollerBehaviorAutoscaling(minimum=1, maximum=100, initial=5)
    runner = UnsandboxedWorkflowRunner()
    one = Worker(
        client,
        task_queue="bare",
        workflows=[Gather],
        activities=[nothing],
        workflow_runner=runner,
        workflow_task_poller_behavior=polling,
    )
    other = Worker(client, task_queue="bare-channels", activities=[nothing])
    await asyncio.gather(one.run(), other.run())


async def bare_life(client: Client, queue: str) -> float:
    handle = await client.start_workflow(Gather.run, queue, id=uuid4().hex, task_queue="bare")
    await asyncio.sleep(0.02)  # its first task is done, as ours is once it has started
    since = time.perf_counter()
    await handle.execute_update(Gather.begin)
    await handle.result()
    return (time.perf_counter() - since) * 1_000


# --- ours ----------------------------------------------------------------------------------


def definition(channels: int, step: Mapping[str, object]) -> str:
    """A stage that calls a channel so often at once, and is left when all have ended."""
    stages = ["new", {"id": "busy", "run": [step] * channels}, "done"]
    return json.dumps(
        {
            "id": f"calls-{channels}",
            "entities": {"lead": {"stages": stages}},
            "transitions": {
                "begin": {"from": "new", "to": "busy"},
                "finish": {"from": "busy", "to": "done", "on": "auto"},
            },
        }
    )


async def started(client: Client, text: str) -> Handle:
    subject = Subject("lead", uuid4().hex)
    operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        WORKFLOW,
        args=[InstanceInput("bench", text)],
        id=workflow_id("bench", "calls", subject.type, subject.id),
        task_queue="ours",
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await client.execute_update_with_start_workflow(
        COMMAND,
        dump_command(Start(actor=ANN, subject=subject, data={"email": "lea@example.com"})),
        start_workflow_operation=operation,
    )
    return await operation.workflow_handle()


async def begun(handle: Handle) -> float:
    """Milliseconds from the action to the end."""
    since = time.perf_counter()
    await handle.execute_update(COMMAND, dump_command(Act(actor=ANN, action="begin")))
    await handle.result()
    return (time.perf_counter() - since) * 1_000


# --- measuring -----------------------------------------------------------------------------


async def ten(client: Client, rounds: int, count: int) -> None:
    text = definition(TEN, {"channel": "log", "with": {"message": "x" * 300}})

    async def ours() -> float:
        return await begun(await started(client, text))

    sides: dict[str, Callable[[], Awaitable[float]]] = {
        "ours": ours,
        "bare, queue of its own": lambda: bare_life(client, "bare-channels"),
        "bare, same queue": lambda: bare_life(client, "bare"),
    }
    for side in sides.values():
        for _ in range(5):
            await side()
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(count):
            for name, side in sides.items():
                taken[name].append(await side())
        for name, each in taken.items():
            medians[name].append(statistics.median(each))
    print(f"Ten calls at once, from the action to the join and the end ({count} a round)")
    for name, each in medians.items():
        line = f"  {name:<24} p50 {statistics.median(each):6.1f} ms"
        if name != "ours":
            line += f"   ours ÷ this: {ratio(medians['ours'], each)}"
        print(line, flush=True)


async def many(client: Client) -> None:
    handle = await started(client, definition(MANY, {"channel": "log", "with": {"message": "x"}}))
    taken = await begun(handle)
    history = await handle.fetch_history()
    size = sum(event.ByteSize() for event in history.events)
    print(f"{MANY} calls at once: joined after {taken:.0f} ms")
    print(
        f"  {len(history.events):,} events of 51,200, {size / 1024:,.0f} KiB of 51,200", flush=True
    )


async def mails(client: Client, server: SmtpServer, rounds: int, count: int) -> None:
    mail = {"to": "{{ data.email }}", "subject": "Hello", "text": "Hello {{ data.email }}"}
    text = definition(1, {"channel": "email", "with": mail})
    rates = []
    for _ in range(rounds):
        handles = [await started(client, text) for _ in range(count)]
        turn = iter(handles)

        async def sending(turn: Any = turn) -> None:
            for handle in turn:
                await begun(handle)

        since = time.perf_counter()
        await asyncio.gather(*(sending() for _ in range(IN_FLIGHT)))
        rates.append(count / (time.perf_counter() - since))
    print(f"Mails through one worker, each from its action to the end, {IN_FLIGHT} in flight")
    print(f"  {statistics.median(rates):.0f} a second ({min(rates):.0f} to {max(rates):.0f})")
    stage = {"channel": "email", "with": mail}
    since = time.perf_counter()
    before = len(server.mails)
    stages = [await started(client, definition(50, stage)) for _ in range(4)]
    await asyncio.gather(*(begun(handle) for handle in stages))
    sent = len(server.mails) - before
    taken = time.perf_counter() - since
    print(f"  {sent / taken:.0f} a second where stages send fifty each", flush=True)


async def main(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary, SmtpServer() as smtp:
        folder = Path(temporary)
        url = sqlite_url(folder)
        upgrade(url)
        channels = folder / "channels.json"
        email = {"host": "127.0.0.1", "port": smtp.port, "security": "none", "from": "a@b.example"}
        channels.write_text(json.dumps({"*": {"email": email}}))
        server = TemporalServer(find_temporal(), folder / "temporal")
        server.start()
        workers = [
            Service(
                [sys.executable, "-m", "nexus", "worker"],
                folder / "ours.log",
                environment={
                    "NEXUS_DATABASE_URL": url,
                    "NEXUS_TEMPORAL_ADDRESS": server.address,
                    "NEXUS_TASK_QUEUE": "ours",
                    "NEXUS_JWT_SECRET": "x" * 32,
                    "NEXUS_DATA_DIR": str(folder),
                    "NEXUS_CHANNELS": str(channels),
                },
            ),
            Service(
                [sys.executable, "-m", "benchmarks.channels", "--bare", server.address],
                folder / "bare.log",
                environment={"PYTHONPATH": str(ROOT)},
            ),
        ]
        try:
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            await register_search_attributes(client)
            for worker in workers:
                worker.start()
            await ten(client, rounds, count)
            await many(client)
            await mails(client, smtp, rounds, count * 10)
        finally:
            for worker in workers:
                worker.kill()
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer calls in each round")
    parser.add_argument("--bare", metavar="ADDRESS", help="run the bare worker, and nothing else")
    options = parser.parse_args()
    if options.bare:
        asyncio.run(serve_bare(options.bare))
    asyncio.run(main(options.rounds, 10 if options.quick else 25))
    sys.stdout.flush()
    os._exit(0)

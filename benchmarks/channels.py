"""Stages that call channels: against a bare workflow, two hundred at once, mails through a worker.

python -m benchmarks.channels [--rounds 5] [--quick]

Ten calls of the channel `log` are measured from the action to the end of the workflow, which
follows from the join. The bare workflow gathers ten activities; they are on a queue of their own,
as ours have to be, once with the pollers that the SDK has by default and once with as many as ours,
and then on the workflow's own queue, where the server hands some of them out together with the
workflow task.

Mails go to a mail server in a process of its own. Everything shares the processors, so the
processor time of each is told as well.
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
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowHistory,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from benchmarks.measuring import cpu_seconds, ratio
from nexus.cli.temporal_binary import find_temporal
from nexus.core.commands import Act, Actor, Start, dump_command
from nexus.core.state import Subject
from nexus.settings import sqlite_url
from storage.migrate import upgrade
from tests.support.processes import Service, wait_until
from tests.support.temporal import TemporalServer
from workflows.contract import COMMAND, WORKFLOW, InstanceInput, workflow_id
from workflows.worker import register_search_attributes

ROOT = Path(__file__).parents[1]
ANN = Actor("ann")
TEN = 10
MANY = 200
IN_FLIGHT = 32
STAGE = 50
# As `workflows.worker.build_channel_worker` polls.
CHANNEL_POLLING = PollerBehaviorAutoscaling(minimum=10, maximum=50, initial=10)

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
    alike = Worker(
        client,
        task_queue="bare-alike",
        activities=[nothing],
        activity_task_poller_behavior=CHANNEL_POLLING,
    )
    await asyncio.gather(one.run(), other.run(), alike.run())


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
        "bare, polled as ours": lambda: bare_life(client, "bare-alike"),
        "bare, same queue": lambda: bare_life(client, "bare"),
    }
    for side in sides.values():
        for _ in range(5):
            await side()
    medians: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides.items())
    for _ in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(count):
            turn = number % len(order)  # nobody always follows the same one
            for name, side in order[turn:] + order[:turn]:
                taken[name].append(await side())
        for name, each in taken.items():
            medians[name].append(statistics.median(each))
    print(f"Ten calls at once, from the action to the join and the end ({count} a round)")
    for name, each in medians.items():
        line = f"  {name:<24} p50 {statistics.median(each):6.1f} ms"
        if name != "ours":
            line += f"   ours ÷ this: {ratio(medians['ours'], each)}"
        print(line, flush=True)


async def many(client: Client, rounds: int) -> None:
    text = definition(MANY, {"channel": "log", "with": {"message": "x"}})
    taken = []
    for _ in range(rounds):
        handle = await started(client, text)
        taken.append(await begun(handle))
    history = await called(handle, MANY)
    size = sum(event.ByteSize() for event in history.events)
    print(f"{MANY} calls at once: joined after {statistics.median(taken):.0f} ms", end="")
    print(f" ({min(taken):.0f} to {max(taken):.0f})")
    print(
        f"  {len(history.events):,} events of 51,200, {size / 1024:,.0f} KiB of 51,200", flush=True
    )


async def called(handle: Handle, count: int) -> WorkflowHistory:
    """The history, if so many calls have succeeded; a run joins without that as well."""
    history = await handle.fetch_history()
    kinds = Counter(event.event_type for event in history.events)
    done = kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]
    if done != count:
        raise RuntimeError(f"{done} of {count} calls have succeeded.")
    return history


async def mails(client: Client, processes: Mapping[str, int], rounds: int, count: int) -> None:
    mail = {"to": "{{ data.email }}", "subject": "Hello", "text": "Hello {{ data.email }}"}
    step = {"channel": "email", "with": mail}
    print("Mails through one worker, from their actions to the ends of their stages")
    for each, handles, at_once in ((1, count, IN_FLIGHT), (STAGE, 4, 4)):
        rates, spent = [], []
        for _ in range(rounds):
            stages = [await started(client, definition(each, step)) for _ in range(handles)]
            turn = iter(stages)

            async def sending(turn: Iterator[Handle] = turn) -> None:
                for handle in turn:
                    await begun(handle)

            before = {name: cpu_seconds(pid) for name, pid in processes.items()}
            since = time.perf_counter()
            await asyncio.gather(*(sending() for _ in range(at_once)))
            sent = each * handles
            rates.append(sent / (time.perf_counter() - since))
            spent.append(
                {
                    name: (cpu_seconds(pid) - before[name]) / sent * 1_000
                    for name, pid in processes.items()
                }
            )
            for handle in stages:
                await called(handle, each)
        what = f"{each} a stage, {at_once} stages in flight"
        print(f"  {what:<34}{statistics.median(rates):4.0f} a second", end="")
        print(f" ({min(rates):.0f} to {max(rates):.0f}); processor time of one: ", end="")
        shares = {name: statistics.median(one[name] for one in spent) for name in processes}
        print(", ".join(f"{name} {share:.1f} ms" for name, share in shares.items()), flush=True)


async def main(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = sqlite_url(folder)
        upgrade(url)
        server = TemporalServer(find_temporal(), folder / "temporal")
        here = {"PYTHONPATH": str(ROOT)}
        mail_server = Service(
            [sys.executable, "-m", "tests.support.smtp"], folder / "mail.log", environment=here
        )
        channels = folder / "channels.json"
        ours = Service(
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
        )
        bare = Service(
            [sys.executable, "-m", "benchmarks.channels", "--bare", server.address],
            folder / "bare.log",
            environment=here,
        )
        try:
            server.start()
            mail_server.start()
            wait_until(mail_server.output, what="the port of the mail server")
            email = {
                "host": "127.0.0.1",
                "port": int(mail_server.output()),
                "security": "none",
                "from": "a@b.example",
            }
            channels.write_text(json.dumps({"*": {"email": email}}))
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            await register_search_attributes(client)
            ours.start()
            bare.start()
            await ten(client, rounds, count)
            await many(client, rounds)
            processes = {
                "worker": ours.pid,
                "Temporal": server.service.pid,
                "mail server": mail_server.pid,
                "client": os.getpid(),
            }
            await mails(client, processes, rounds, count * 10)
        finally:
            for one in (ours, bare, mail_server):
                one.kill()
            server.stop()
        print(f"Load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


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

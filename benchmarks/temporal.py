"""Our workflow against a bare one, through Temporal's own client, on one development server.

python -m benchmarks.temporal [--rounds 5] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks import bare
from benchmarks.measuring import (
    Latency,
    cpu_seconds,
    in_flight,
    one_at_a_time,
    rate,
    ratio,
    report,
    report_rates,
)
from nexus.cli.temporal_binary import find_temporal
from nexus.core.commands import Act, Actor, Start, dump_command
from nexus.core.state import Subject
from nexus.settings import sqlite_url
from storage.migrate import upgrade
from tests.support.processes import Service
from tests.support.temporal import TemporalServer
from workflows.contract import COMMAND, WORKFLOW, InstanceInput, workflow_id
from workflows.worker import register_search_attributes

ROOT = Path(__file__).parents[1]
DEFINITION = (ROOT / "definitions" / "sales-pipeline.json").read_text()
ANN = Actor("ann")

Handle = WorkflowHandle[Any, Any]


class Side(ABC):
    """One of those that are compared: how an instance of it is started, acted on and ended."""

    def __init__(self) -> None:
        self.numbers = iter(range(10_000_000))

    @abstractmethod
    async def start(self) -> Any:
        """What the other two take."""

    @abstractmethod
    async def update(self, handle: Any) -> object: ...

    @abstractmethod
    async def end(self, handle: Any) -> object: ...

    async def whole_life(self) -> None:
        """Start, one action, end."""
        handle = await self.start()
        await self.update(handle)
        await self.end(handle)


class TemporalSide(Side):
    """Through Temporal's own client."""

    def __init__(self, client: Client, task_queue: str) -> None:
        super().__init__()
        self.client = client
        self.task_queue = task_queue


class BareSide(TemporalSide):
    async def start(self) -> Handle:
        return await bare.start(self.client, self.task_queue, f"bare-{uuid4().hex}")

    async def update(self, handle: Handle) -> object:
        return await handle.execute_update(bare.UPDATE, {"type": "act", "data": {"score": 60}})

    async def end(self, handle: Handle) -> object:
        return await handle.execute_update(bare.UPDATE, {"type": "act", "end": True})


class OurSide(TemporalSide):
    async def start(self) -> Handle:
        subject = Subject("lead", uuid4().hex)
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            WORKFLOW,
            args=[InstanceInput("bench", DEFINITION)],
            id=workflow_id("bench", "sales-pipeline", subject.type, subject.id),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await self.client.execute_update_with_start_workflow(
            COMMAND,
            dump_command(Start(actor=ANN, subject=subject, data={"score": 60})),
            start_workflow_operation=operation,
        )
        return await operation.workflow_handle()

    async def update(self, handle: Handle) -> object:
        score = next(self.numbers) % 100
        return await self._act(handle, "update", {"score": score})

    async def end(self, handle: Handle) -> object:
        return await self._act(handle, "close", {})

    async def _act(self, handle: Handle, action: str, data: dict[str, object]) -> object:
        command = Act(actor=ANN, action=action, data=data)
        return await handle.execute_update(COMMAND, dump_command(command))


async def measure(
    sides: Mapping[str, Side], processes: Mapping[str, Sequence[int]], rounds: int, count: int
) -> None:
    pair = {name: side for name, side in sides.items() if name != "sandboxed"}
    single: dict[str, list[Latency]] = {name: [] for name in pair}
    five: dict[str, list[Latency]] = {name: [] for name in pair}
    starts: dict[str, list[Latency]] = {name: [] for name in pair}
    lives: dict[str, list[float]] = {name: [] for name in sides}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():  # both are warm before anything counts
        await rate(side.whole_life, 32, 8)
    for number in range(rounds):
        for name, side in _turned(pair, number):
            handles = [await side.start() for _ in range(5)]

            def updating(handle: Handle, side: Side = side) -> Callable[[], Awaitable[object]]:
                return lambda: side.update(handle)

            single[name].append(await one_at_a_time(updating(handles[0]), count))
            five[name].append(await in_flight([updating(handle) for handle in handles], count // 2))
            starts[name].append(await one_at_a_time(side.start, count // 2))
        for name, side in _turned(sides, number):
            before = sum(map(cpu_seconds, processes[name]))
            lives[name].append(await rate(side.whole_life, count * 2, 32))
            after = sum(map(cpu_seconds, processes[name]))
            spent[name].append((after - before) / (count * 2) * 1000)
    report("An update, one at a time", single, "bare")
    report("An update, five in flight on five instances", five, "bare")
    report("A start, against update-with-start", starts, "bare")
    report_rates("Instances (start, one action, end), 32 in flight", lives, "bare")
    # Steadier than rates where others use the machine too; the inverse of what to expect of them.
    print("Processor time of one, worker and server and client together")
    for name, each in spent.items():
        print(f"  {name:<10} {statistics.median(each):5.1f} ms   ÷ bare: ", end="")
        print(ratio(each, spent["bare"]), flush=True)


def _turned(sides: Mapping[str, Side], number: int) -> list[tuple[str, Side]]:
    """Who goes first changes from round to round."""
    items = list(sides.items())
    turn = number % len(items)
    return items[turn:] + items[:turn]


async def main(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = sqlite_url(folder)
        upgrade(url)
        server = TemporalServer(find_temporal(), folder / "temporal")
        server.start()
        workers: dict[str, Service] = {}
        try:
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            await register_search_attributes(client)
            ours = ["benchmarks.platform_worker", server.address]
            for name, arguments in (
                ("bare", ["benchmarks.bare", server.address, "bare"]),
                ("ours", [*ours, "ours", url, "production"]),
                ("sandboxed", [*ours, "sandboxed", url, "sandboxed"]),
            ):
                workers[name] = Service(
                    [sys.executable, "-m", *arguments],
                    folder / f"{name}.log",
                    environment={"PYTHONPATH": str(ROOT)},
                )
                workers[name].start()
            sides = {
                "bare": BareSide(client, "bare"),
                "ours": OurSide(client, "ours"),
                "sandboxed": OurSide(client, "sandboxed"),
            }
            together = (server.service.pid, os.getpid())
            processes = {name: (worker.pid, *together) for name, worker in workers.items()}
            await measure(sides, processes, rounds, count)
        finally:
            for worker in workers.values():
                worker.kill()
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer calls in each round")
    options = parser.parse_args()
    asyncio.run(main(options.rounds, 40 if options.quick else 100))
    sys.stdout.flush()
    os._exit(0)

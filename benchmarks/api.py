"""The API against a bare Temporal workflow on the same server, turn by turn in one run.

python -m benchmarks.api [--rounds 5] [--quick] [--postgresql URL]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.lean_http import LeanClient
from benchmarks.temporal import ROOT, BareSide, Side, measure
from nexus.cli.temporal_binary import find_temporal
from tests.support.platform import Platform
from tests.support.processes import Service


class ApiSide(Side):
    """The life of a bare workflow through HTTP: with decisions, authority, history and SQL."""

    def __init__(self, client: LeanClient) -> None:
        super().__init__()
        self._client = client

    async def start(self) -> str:
        body = {
            "definition": "sales-pipeline",
            "subject": {"type": "lead", "id": uuid4().hex},
            "data": {"score": 60},
        }
        return str((await self._client.post("/v1/instances", body))["id"])

    async def update(self, instance: str) -> object:
        score = next(self.numbers) % 100
        return await self._act(instance, "update", {"data": {"score": score}})

    async def end(self, instance: str) -> object:
        return await self._act(instance, "close", {})

    async def _act(self, instance: str, action: str, body: object) -> object:
        return await self._client.post(f"/v1/instances/{instance}/actions/{action}", body)


async def main(rounds: int, count: int, database_url: str | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        platform = Platform(find_temporal(), folder, database_url=database_url)
        bare_worker = Service(
            [sys.executable, "-m", "benchmarks.bare", platform.temporal.address, "bare"],
            folder / "bare.log",
            environment={"PYTHONPATH": str(ROOT)},
        )
        try:
            platform.start()
            bare_worker.start()
            address = platform.temporal.address
            client = await Client.connect(address, data_converter=pydantic_data_converter)
            token = platform.headers("ann")["Authorization"].removeprefix("Bearer ")
            port = int(platform.url.rpartition(":")[2])
            api = ApiSide(LeanClient(port, token))
            together = (platform.temporal.service.pid, os.getpid())
            processes = {
                "bare": (bare_worker.pid, *together),
                "API": (platform.worker.pid, platform.api.pid, *together),
            }
            sides = {"bare": BareSide(client, "bare"), "API": api}
            await measure(sides, processes, rounds, count)
        finally:
            bare_worker.kill()
            platform.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer calls in each round")
    parser.add_argument("--postgresql", metavar="URL", help="project into this database")
    options = parser.parse_args()
    asyncio.run(main(options.rounds, 40 if options.quick else 100, options.postgresql))
    sys.stdout.flush()
    os._exit(0)

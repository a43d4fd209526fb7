"""Our worker, in a process of its own, as in production or in the sandbox.

python -m benchmarks.platform_worker ADDRESS TASK_QUEUE DATABASE_URL production|sandboxed
"""

from __future__ import annotations

import asyncio
import sys

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.projection import ProjectionActivities
from storage.engine import create_engine
from workflows.worker import build_worker


async def main(address: str, task_queue: str, database_url: str, how: str) -> None:
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    projection = ProjectionActivities(create_engine(database_url))
    await build_worker(client, task_queue, [projection.project], sandboxed=how == "sandboxed").run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))

"""A worker that dies at the worst moment: the rows are written, and Temporal does not know it yet.

Run as a program: `dying_worker.py ADDRESS TASK_QUEUE DATABASE_URL NUMBER`. It kills itself once
it has written the projection of that event or a later one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import msgspec
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from nexus.core.projection import Projection
from storage.engine import create_engine
from storage.projection import write_projection
from workflows.contract import PROJECT
from workflows.worker import build_worker


async def main(address: str, task_queue: str, database_url: str, number: int) -> None:
    engine = create_engine(database_url)

    @activity.defn(name=PROJECT)
    def project(encoded: str) -> str:
        projection = msgspec.json.decode(encoded, type=Projection)
        outcome = write_projection(engine, projection)
        if projection.instance.seq >= number:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    client = await Client.connect(address, data_converter=pydantic_data_converter)
    await build_worker(client, task_queue, [project]).run()


if __name__ == "__main__":
    _, address, task_queue, database_url, number = sys.argv
    asyncio.run(main(address, task_queue, database_url, int(number)))

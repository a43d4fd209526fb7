"""What everything is compared with: a workflow that does nothing but answer its updates.

python -m benchmarks.bare ADDRESS TASK_QUEUE    runs its worker

It has our update's shape and our worker's settings, and neither core nor projection.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorAutoscaling, Worker

WORKFLOW = "Bare"
UPDATE = "command"


@workflow.defn(name=WORKFLOW)
class Bare:
    """Counts its updates, and ends with the one that says so."""

    def __init__(self) -> None:
        self._count = 0
        self._ended = False

    @workflow.run
    async def run(self, _given: dict[str, Any]) -> int:
        await workflow.wait_condition(lambda: self._ended)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._count

    @workflow.update(name=UPDATE)
    async def command(self, wire: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        self._ended = bool(wire.get("end"))
        return {"count": self._count}

    @command.validator
    def _admissible(self, wire: dict[str, Any]) -> None:
        if not isinstance(wire, dict):
            raise TypeError("not an object")


async def start(client: Client, task_queue: str, workflow_id: str) -> WorkflowHandle[Any, Any]:
    """Update-with-start, one round trip."""
    operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        WORKFLOW,
        args=[{"tenant": "bench"}],
        id=workflow_id,
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await client.execute_update_with_start_workflow(
        UPDATE, {"type": "start"}, start_workflow_operation=operation
    )
    return await operation.workflow_handle()


async def main(address: str, task_queue: str) -> None:
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[Bare],
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=100, initial=5),
        max_cached_workflows=1_000,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))

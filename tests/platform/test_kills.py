"""The platform survives the death of any of its parts: nothing acknowledged is lost, nothing twice.

`NEXUS_KILL_ROUNDS` repeats each of these; once is enough for every day.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from nexus.core.projection import Snapshot
from tests.platform.crowd import ROUNDS, STEPS, TENANT, Crowd, everything_is_there_once
from tests.support.platform import Part, Platform
from workflows.contract import SNAPSHOT, workflow_id

LEADS = 50


@pytest.mark.parametrize("round_", ROUNDS)
@pytest.mark.parametrize("part", ["worker", "temporal", "api"])
def test_nothing_acknowledged_is_lost_when_a_part_is_killed_amid_fifty_instances(
    platform: Platform, part: Part, round_: int
) -> None:
    """REL-001, REL-003, REL-004."""
    crowd = Crowd(platform)

    start = {
        "worker": platform.worker.start,
        "temporal": platform.temporal.start,
        "api": platform.api.start,
    }
    asyncio.run(crowd.walk(LEADS, lambda: platform.kill(part), start[part]))

    platform.wait_ready()
    assert crowd.acknowledged == LEADS * (1 + len(STEPS))
    assert len(crowd.instances) == LEADS
    everything_is_there_once(crowd)
    asyncio.run(sql_says_what_temporal_says(platform, crowd))


async def asked_patiently(handle: WorkflowHandle[Any, Any]) -> Snapshot:
    """A query finds no worker for a moment after the server or the worker was killed."""
    until = time.monotonic() + 30
    while True:
        try:
            found: Snapshot = await handle.query(SNAPSHOT, result_type=Snapshot)
        except RPCError:
            assert time.monotonic() < until, "no worker answers"
            await asyncio.sleep(0.5)
        else:
            return found


async def sql_says_what_temporal_says(platform: Platform, crowd: Crowd) -> None:
    """What was projected is what the workflow holds."""
    client = await Client.connect(platform.temporal.address, data_converter=pydantic_data_converter)
    async with httpx.AsyncClient(
        base_url=platform.url, headers=platform.headers("ann"), timeout=30
    ) as http:
        for subject, instance in crowd.instances.items():
            workflow = workflow_id(TENANT, "sales-pipeline", "lead", subject)
            handle = client.get_workflow_handle(workflow)
            held = await asked_patiently(handle)
            shown = (await http.get(f"/v1/instances/{instance}")).json()
            assert shown["id"] == held.instance.id
            assert shown["data"] == held.instance.data
            assert shown["state"] == held.instance.stage
            assert [record["id"] for record in shown["records"]] == [r.id for r in held.records]

"""Fifty leads that walk through their pipeline while something is killed."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from storage.chain import verify_chain
from storage.engine import create_engine
from storage.scope import reading
from tests.support.platform import Platform

ROUNDS = range(int(os.environ.get("NEXUS_KILL_ROUNDS", "1")))  # of each kill
TENANT = "acme"
AT_ONCE = 10
PATIENCE = 90.0  # seconds that a client repeats a command for

# What each lead is told to do, in order; each exactly once, whatever happens meanwhile.
STEPS: tuple[tuple[str, dict[str, object]], ...] = (
    ("update", {"data": {"score": 60}}),
    ("comment", {"comment": "called, and she is interested"}),
    ("qualify", {}),
)


@dataclass
class Crowd:
    """Drives many instances as impatient clients do: what fails is repeated with its key.

    Attributes:
        platform: What is driven.
        acknowledged: How many commands were answered with success.
        repeated: How many had to be sent again.
        instances: Ids of the instances, by subject.
    """

    platform: Platform
    acknowledged: int = 0
    repeated: int = 0
    instances: dict[str, str] = field(default_factory=dict)

    async def walk(
        self, leads: int, harm: Callable[[], None], heal: Callable[[], None], pause: float = 1.0
    ) -> None:
        """Lets all leads walk; once a third of the commands is done, harms the platform.

        Both are called in this thread, since what a thread has started dies with it.

        Args:
            leads: How many.
            harm: Takes something away.
            heal: Brings it back.
            pause: Seconds between the two, while clients go on asking.
        """
        limits = httpx.Limits(max_connections=AT_ONCE)
        places = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(
            base_url=self.platform.url,
            headers=self.platform.headers("ann"),
            timeout=60,
            limits=limits,
        ) as client:
            third = leads * (1 + len(STEPS)) // 3
            walking = [asyncio.create_task(self._lead(client, places)) for _ in range(leads)]
            while self.acknowledged < third:
                await asyncio.sleep(0.005)
                for task in walking:
                    if task.done():
                        task.result()
            harm()
            await asyncio.sleep(pause)
            heal()
            await asyncio.gather(*walking)

    async def _lead(self, client: httpx.AsyncClient, places: asyncio.Semaphore) -> None:
        subject = uuid.uuid4().hex
        body = {
            "definition": "sales-pipeline",
            "subject": {"type": "lead", "id": subject},
            "data": {"score": 40},
        }
        async with places:
            started = await self._once(client, "/v1/instances", body)
        self.instances[subject] = instance = started["id"]
        for action, said in STEPS:
            async with places:
                await self._once(client, f"/v1/instances/{instance}/actions/{action}", said)

    async def _once(
        self, client: httpx.AsyncClient, path: str, body: Mapping[str, object]
    ) -> dict[str, str]:
        found, repeats = await insist(client, path, body)
        self.acknowledged += 1
        self.repeated += repeats
        return found


async def insist(
    client: httpx.AsyncClient, path: str, body: Mapping[str, object]
) -> tuple[dict[str, str], int]:
    """Sends a command until it is acknowledged, each time with the same key.

    Returns:
        The answer, and how often the command had to be sent again.
    """
    key = {"Idempotency-Key": uuid.uuid4().hex}
    until = asyncio.get_running_loop().time() + PATIENCE
    repeats = 0
    while True:
        try:
            answer = await client.post(path, json=body, headers=key)
        except httpx.TransportError as error:
            said = repr(error)
        else:
            if answer.is_success:
                found: dict[str, str] = answer.json()
                return found, repeats
            said = answer.text
            assert answer.status_code in (429, 503), f"{path}: {said}"
        assert asyncio.get_running_loop().time() < until, f"{path}: never answered: {said}"
        repeats += 1
        await asyncio.sleep(0.2)


def everything_is_there_once(crowd: Crowd) -> None:
    """Each lead is qualified, and its history has each step once, without a gap."""
    platform = crowd.platform
    with platform.client("ann") as client:
        for instance in crowd.instances.values():
            found = client.get(f"/v1/instances/{instance}").json()
            assert (found["state"], found["records"][0]["data"]) == ("qualified", {"score": 60})
            history = client.get(f"/v1/instances/{instance}/history", params={"limit": 200}).json()
            rows = sorted(history["items"], key=lambda row: row["seq"])
            assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
            actions = Counter(
                row["payload"]["action"] for row in rows if row["event"] == "action_taken"
            )
            assert actions == Counter(action for action, _ in STEPS)
    engine = create_engine(platform.environment["NEXUS_DATABASE_URL"])
    for instance in crowd.instances.values():
        with reading(engine, TENANT) as session:
            assert verify_chain(session, instance) is None
    engine.dispose()

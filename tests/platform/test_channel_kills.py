"""Channels are called through kills: every call happens, none is done twice, every stage joins.

`NEXUS_KILL_ROUNDS` repeats each of these; once is enough for every day.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest

from nexus.channels.mail_catcher import list_mails
from nexus.core.calls import idempotency_key
from storage.chain import verify_chain
from storage.engine import create_engine
from storage.scope import reading
from tests.platform.company import DEFINITION, Company
from tests.platform.crowd import AT_ONCE, ROUNDS, insist
from tests.support.platform import Platform, start_worker
from tests.support.processes import Service, free_port, listens, wait_until
from tests.support.receiver import Behaviour, Received, Receiver, answer

LEADS = 50
WEBHOOKS = 5  # of each lead
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBraWxsIHRlc3Rz"
PATIENCE = 90.0  # seconds until everything has joined

# A call whose caller died is noticed by its missing heartbeats, long before its own time is up.
_PATIENT = {"retry": {"attempts": 10, "initial": "0.2s"}, "timeout": "70s"}


def _webhook(name: str, body: object = None) -> dict[str, object]:
    given: dict[str, object] = {"url": f"{{{{ data.receiver }}}}/{name}"}
    if body is not None:
        given["body"] = body
    return {"name": name, "channel": "webhook", "with": given, **_PATIENT}


RUN = [
    _webhook("first"),  # its body is the envelope
    _webhook("second", {"lead": "{{ subject.id }}"}),
    {
        "sequence": [
            _webhook("third", {"lead": "{{ subject.id }}"}),
            _webhook("fourth", {"after": "{{ steps.third.response.body.path }}"}),
            _webhook("fifth", {"after": "{{ steps.fourth.response.body.path }}"}),
        ]
    },
    {
        "channel": "email",
        "with": {"to": "{{ subject.id }}@example.com", "subject": "Hello", "text": "You there"},
        **_PATIENT,
    },
]

Killed = Literal["worker", "channels", "temporal"]

# Seconds for which every tenth answer is held back until somebody was killed. Where it is the
# caller, nobody waits for these; else they are waited for.
HELD = {"worker": 60.0, "channels": 60.0, "temporal": 4.0}


class Pace:
    """How slowly the receiver answers: before the kill so slowly that calls are in flight."""

    def __init__(self, drawn: random.Random, held: float) -> None:
        self.calm = False
        self._drawn = drawn
        self._held = held
        self._count = 0

    def __call__(self, request: Received) -> Behaviour:
        self._count += 1
        after = self._held if self._count % 10 == 0 else self._drawn.uniform(0.1, 0.8)
        return answer(200, {"path": request.path}, after=0 if self.calm else after)


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of a mail catcher, and the folder in which it keeps mails."""
    port, folder = free_port(), tmp_path / "mails"
    command = [sys.executable, "-m", "nexus", "mail-catcher"]
    catcher = Service(
        [*command, "--folder", str(folder), "--port", str(port)], tmp_path / "mails.log"
    )
    catcher.start()
    wait_until(lambda: listens(port), what="the mail catcher")
    yield port, folder
    catcher.stop()


@contextmanager
def who_calls(platform: Platform, killed: Killed, folder: Path) -> Iterator[Service]:
    """The service that is killed; `nexus channels` calls channels meanwhile if that is it."""
    if killed != "channels":
        yield platform.worker if killed == "worker" else platform.temporal.service
        return
    told = ("NEXUS_TEMPORAL_ADDRESS", "NEXUS_CHANNELS", "NEXUS_WEBHOOK_ALLOW_PRIVATE")
    channels = Service(
        [sys.executable, "-m", "nexus", "channels"],
        folder / "channels.log",
        environment={name: platform.environment[name] for name in told},
    )
    platform.worker.stop()
    platform.environment["NEXUS_CHANNELS_IN_WORKER"] = "0"
    start_worker(platform.worker)
    channels.start()
    wait_until(lambda: "calling channels" in channels.output(), what="a process that calls")
    try:
        yield channels
    finally:
        channels.stop()
        platform.worker.stop()
        del platform.environment["NEXUS_CHANNELS_IN_WORKER"]
        start_worker(platform.worker)


async def reach_all(
    company: Company, receiver: Receiver, moment: int, kill: Callable[[], None]
) -> list[str]:
    """Takes all leads to the stage that runs.

    Args:
        company: Whose leads.
        receiver: What the stages call.
        moment: After how many requests there to kill, at the earliest: all stages run by then.
        kill: Does it, and starts again what was killed.

    Returns:
        The ids of the instances.
    """
    headers = company.platform.headers("ann", ("admin",), company.tenant)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(
        base_url=company.platform.url, headers=headers, timeout=60, limits=limits
    ) as client:

        async def start() -> str:
            body = {
                "definition": DEFINITION,
                "subject": {"type": "lead", "id": uuid.uuid4().hex},
                "data": {"receiver": receiver.url("").rstrip("/")},
            }
            started, _ = await insist(client, "/v1/instances", body)
            return started["id"]

        async def reach(instance: str) -> None:
            await insist(client, f"/v1/instances/{instance}/actions/reach", {})

        instances = await asyncio.gather(*(start() for _ in range(LEADS)))
        reaching = asyncio.gather(*(reach(instance) for instance in instances))
        await asyncio.to_thread(
            receiver.wait_until,
            lambda seen: len(seen.requests) >= moment and len(begun(seen)) == LEADS,
            PATIENCE,
        )
        kill()
        await reaching
    return instances


def begun(receiver: Receiver) -> set[str]:
    """The instances of which the receiver has heard."""
    return {request.key.partition("/")[0] for request in receiver.requests}


@pytest.mark.parametrize("round_", ROUNDS)
@pytest.mark.parametrize("killed", ["worker", "channels", "temporal"])
def test_every_call_is_done_once_when_somebody_is_killed_amid_fifty_running_stages(
    platform: Platform,
    killed: Killed,
    round_: int,
    mails: tuple[int, Path],
    tmp_path: Path,
) -> None:
    """FR-L2-004, REL-005, BR-008, R9."""
    drawn = random.Random(f"{killed} {round_}")
    pace = Pace(drawn, HELD[killed])
    moment, pause = drawn.randint(LEADS, 4 * LEADS), drawn.uniform(0, 1)
    port, folder = mails
    with (
        Receiver(secrets=[SECRET], default=pace) as receiver,
        Company(platform) as company,
        who_calls(platform, killed, tmp_path) as victim,
    ):
        server = {"host": "127.0.0.1", "port": port, "security": "none"}
        company.configure(
            {"webhook": {"secrets": [SECRET]}, "email": {**server, "from": "crm@example.com"}}
        )
        company.define(RUN)

        def kill() -> None:
            victim.kill()
            pace.calm = True
            time.sleep(pause)
            victim.start()

        instances = asyncio.run(reach_all(company, receiver, moment, kill))

        wait_until(lambda: all_joined(company), seconds=PATIENCE, what="every stage's join")
        assert company.incidents("all") == []
        every_webhook_was_done_once(company, receiver, instances)
        every_mail_is_there_once(company, folder)
        if killed != "temporal":
            assert receiver.duplicates, "no call was in flight when its caller was killed"
    platform.wait_ready()


def all_joined(company: Company) -> bool:
    """Whether every lead is done, which its stage's join makes it."""
    query: dict[str, str | int] = {"status": "active", "limit": 1}
    answer = company.client.get("/v1/instances", params=query)
    return answer.is_success and answer.json()["items"] == []


def every_webhook_was_done_once(company: Company, receiver: Receiver, instances: list[str]) -> None:
    """Each webhook that a stage wanted, and no other, and always with the same words."""
    wanted: set[str] = set()
    for instance in instances:
        rows = company.history(instance, "channel_requested", "channel_succeeded", "channel_failed")
        calls = Counter(row["event"] for row in rows)
        assert calls == {"channel_requested": WEBHOOKS + 1, "channel_succeeded": WEBHOOKS + 1}
        called = [row["payload"] for row in rows if row["event"] == "channel_succeeded"]
        wanted |= {
            idempotency_key(instance, one["call"]) for one in called if one["channel"] == "webhook"
        }
    assert receiver.succeeded == dict.fromkeys(wanted, 1)
    said: dict[str, set[tuple[str, bytes, str]]] = defaultdict(set)
    for request in receiver.requests:
        said[request.key].add((request.path, request.body, request.signature))
    assert {key: len(words) for key, words in said.items()} == dict.fromkeys(wanted, 1)
    assert {signature for words in said.values() for _, _, signature in words} == {"verified"}
    for instance in instances:
        own = [one for one in receiver.requests if one.key.startswith(f"{instance}/")]
        first = {path: at for at, path in reversed(list(enumerate(one.path for one in own)))}
        assert first["/third"] < first["/fourth"] < first["/fifth"]
    engine = create_engine(company.platform.environment["NEXUS_DATABASE_URL"])
    for instance in instances:
        with reading(engine, company.tenant) as session:
            assert verify_chain(session, instance) is None
    engine.dispose()


def every_mail_is_there_once(company: Company, folder: Path) -> None:
    """One mail for each lead; a mail that came again had the Message-ID of the first."""
    query: dict[str, str | int] = {"definition": DEFINITION, "limit": LEADS}
    leads = company.client.get("/v1/instances", params=query).json()["items"]
    assert {(lead["state"], lead["status"]) for lead in leads} == {("done", "completed")}
    caught = list_mails(folder, limit=2 * LEADS)
    assert Counter(one for mail in caught for one in mail.recipients) == {
        f"{lead['subject']['id']}@example.com": 1 for lead in leads
    }
    assert len({mail.message_id for mail in caught}) == LEADS

"""What is kept of calls holds no secret, whoever gives it away."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

from temporalio.client import Client

from tests.platform.company import (
    ATTEMPTS,
    DEFINITION,
    SECRET,
    Company,
    mail,
    mailing,
    webhook,
)
from tests.support import receiver as web
from tests.support.receiver import Receiver
from tests.support.smtp import SmtpServer
from workflows.contract import workflow_id


def test_no_secret_is_told_when_its_owner_gives_it_away(
    company: Company, receiver: Receiver, tmp_path: Path
) -> None:
    """A server that repeats the password it was given, a receiver that repeats the token."""
    password, token = "p4ssw0rd-of-the-mail-server", "Bearer t0ken-of-the-receiver"
    files = {"password": password, "token": token}
    for name, secret in files.items():
        (tmp_path / name).write_text(f"{secret}\n")
    told = {name: {"file": str(tmp_path / name)} for name in files}
    with SmtpServer(users={"crm": "another"}) as server:
        company.configure(
            {
                "post": mailing(server.port, username="crm", password=told["password"]),
                "webhook": {
                    "secrets": [SECRET],
                    "hosts": ["127.0.0.1"],
                    "headers": {"Authorization": told["token"]},
                },
            }
        )
        for path, status in {"/objects": 400, "/fails": 500, "/takes": 200}.items():
            receiver.on(path, repeating(status))
        names = ("objects", "fails", "takes")
        company.define([mail("post"), *(webhook(receiver, name) for name in names)])

        instance = company.reach()

        shown = company.joined(instance)
    incidents = company.incidents()
    assert {one["step"]: (one["code"], one["attempts"]) for one in incidents} == {
        "run/0": ("login_refused", 1),
        "run/1": ("refused_by_receiver", 1),
        "run/2": ("receiver_failed", ATTEMPTS),
    }
    assert {request.headers["authorization"] for request in receiver.requests} == {token}
    (taken,) = company.history(instance, "channel_succeeded")
    assert taken["payload"]["response"]["body"]["authorization"] == "***"
    platform = company.platform
    told_of_it = {
        "the instance": json.dumps(shown),
        "the incidents": json.dumps(incidents),
        "the history": json.dumps(company.history(instance)),
        "Temporal's history": asyncio.run(temporal_history(company, shown["subject"]["id"])),
        "the worker's log": platform.worker.output(),
        "the API's log": platform.api.output(),
        "Temporal's log": platform.temporal.service.output(),
        **stored(Path(platform.environment["NEXUS_DATA_DIR"])),
    }
    for where in ("the instance", "the history", "Temporal's history", "nexus.db", "temporal.db"):
        assert instance in told_of_it[where], f"{where} was not looked at"
    for where, text in told_of_it.items():
        for secret in (password, token, SECRET, token.removeprefix("Bearer ")):
            assert secret not in text, f"{where} tells {secret}"


def repeating(status: int) -> web.Script:
    """Answers with all headers that came."""
    return lambda got: web.answer(status, dict(got.headers))


async def temporal_history(company: Company, subject: str) -> str:
    """Whatever Temporal keeps of an instance, decoded."""
    client = await Client.connect(company.platform.temporal.address)
    workflow = workflow_id(company.tenant, DEFINITION, "lead", subject)
    history = await client.get_workflow_handle(workflow).fetch_history()
    events = json.loads(history.to_json())
    return json.dumps(events) + "".join(payloads(events))


def payloads(found: object) -> Iterator[str]:
    """The contents of all payloads, which are base64."""
    if isinstance(found, dict):
        if isinstance(found.get("data"), str):
            yield base64.b64decode(found["data"]).decode(errors="replace")
        for value in found.values():
            yield from payloads(value)
    elif isinstance(found, list):
        for value in found:
            yield from payloads(value)


def stored(folder: Path) -> dict[str, str]:
    """The databases, with what has not been moved from their logs into them yet."""
    return {
        name: "".join(
            path.read_bytes().decode("latin-1") for path in sorted(folder.glob(f"{name}*"))
        )
        for name in ("nexus.db", "temporal.db")
    }

"""A tenant of its own, whose stages call what a test lets listen."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.platform import Platform
from tests.support.processes import wait_until
from tests.support.receiver import Receiver

DEFINITION = "outreach"
PATIENCE = 60.0  # seconds for what happens by itself

SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgZmF1bHRz"
ATTEMPTS = 3
_TRIES = {"retry": {"attempts": ATTEMPTS, "initial": "0.05s"}, "timeout": "1s"}


def definition(run: object, **more: object) -> dict[str, object]:
    """A lead which is reached by what its stage runs, and is done by itself once that joined."""
    return {
        "id": DEFINITION,
        "version": "1.0.0",
        "entities": {"lead": {"stages": ["new", {"id": "reached", "run": run}, "done"]}},
        "transitions": {
            "reach": {"from": "new", "to": "reached"},
            "finish": {"from": "reached", "to": "done", "on": "auto"},
        },
        **more,
    }


def webhook(receiver: Receiver, name: str, body: object = None) -> dict[str, object]:
    """A step that calls the path of its own name."""
    given: dict[str, object] = {"url": receiver.url(f"/{name}")}
    if body is not None:
        given["body"] = body
    return {"name": name, "channel": "webhook", "with": given, **_TRIES}


def mail(channel: str) -> dict[str, object]:
    """A step that mails over the server of that name."""
    given = {"to": "lea@example.org", "subject": "Hello", "text": f"This is {channel}."}
    return {"name": channel, "channel": channel, "with": given, **_TRIES}


def mailing(port: int, **more: object) -> dict[str, object]:
    """The settings of a mail server of the tests."""
    server = {"host": "127.0.0.1", "port": port, "security": "none", "from": "crm@example.com"}
    return {"channel": "email", **server, **more}


class Company:
    """Acts for a tenant that no other test knows.

    Attributes:
        platform: Where the tenant is.
        tenant: Its name.
        client: Acts as an admin of it.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.tenant = f"company-{uuid.uuid4().hex[:12]}"
        self.client = platform.client("ann", "admin", tenant=self.tenant)

    def __enter__(self) -> Company:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    def configure(self, channels: Mapping[str, Mapping[str, object]]) -> None:
        """Writes what the operator sets for this tenant; processes read it at their next call."""
        file = Path(self.platform.environment["NEXUS_CHANNELS"])
        document = {**json.loads(file.read_text()), self.tenant: channels}
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(document))
        partial.replace(file)

    def define(self, run: object, **more: object) -> None:
        """Stores the tenant's definition."""
        answer = self.client.post("/v1/definitions", json=definition(run, **more))
        assert answer.status_code == 201, answer.text

    def reach(self, **data: object) -> str:
        """Starts an instance and takes it to the stage that runs. Returns its id."""
        body = {
            "definition": DEFINITION,
            "subject": {"type": "lead", "id": uuid.uuid4().hex},
            "data": data,
        }
        started = self.client.post("/v1/instances", json=body)
        assert started.status_code == 201, started.text
        instance = str(started.json()["id"])
        acted = self.client.post(f"/v1/instances/{instance}/actions/reach", json={})
        assert acted.status_code == 200, acted.text
        return instance

    def joined(self, instance: str) -> dict[str, Any]:
        """The instance, once its stage has joined and it was taken out of it."""
        wait_until(
            lambda: self._shown(instance)["state"] == "done", seconds=PATIENCE, what="the join"
        )
        return self._shown(instance)

    def history(self, instance: str, *events: str) -> list[dict[str, Any]]:
        """The rows of these events, in order; all rows if none are named."""
        path = f"/v1/instances/{instance}/history"
        found = self.client.get(path, params={"limit": 200}).json()["items"]
        rows = sorted(found, key=lambda row: row["seq"])
        return [row for row in rows if not events or row["event"] in events]

    def incidents(self, status: str = "open") -> list[dict[str, Any]]:
        """All incidents of the tenant."""
        answer = self.client.get("/v1/incidents", params={"status": status})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def settle(self, incident: str, how: str, **body: object) -> dict[str, Any]:
        """Retries or skips an incident. Returns it as it stands then."""
        answer = self.client.post(f"/v1/incidents/{incident}/{how}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until_incident(self, incident: str, statuses: Sequence[str]) -> dict[str, Any]:
        """An incident, once it has one of these statuses."""

        def shown() -> dict[str, Any]:
            found: dict[str, Any] = self.client.get(f"/v1/incidents/{incident}").json()
            return found

        wait_until(lambda: shown()["status"] in statuses, seconds=PATIENCE, what=f"{statuses}")
        return shown()

    def _shown(self, instance: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/instances/{instance}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

"""The demo's third walk: a mail and two signed webhooks at once, one of which fails and is retried.

The webhooks go to a receiver in this process, which checks their signatures with
the reference library of Standard Webhooks.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from nexus.cli.failures import CommandFailed
from nexus.cli.ports import LOOPBACK

DEFINITION = "lead-outreach"
MANAGER = "mara"
NEEDS_DEV = (
    "This walk needs a mail catcher, and webhooks that may come to this machine: "
    "./scripts/dev --demo has both."
)
PATIENCE = 60.0  # seconds for something that happens by itself
POLL_EVERY = 0.1


class Walker(Protocol):
    """What a walk needs of the demo."""

    def call(
        self,
        user: str,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        expect: int = 200,
    ) -> dict[str, Any]:
        """One request, and its answer."""
        ...

    def tell(self, who: str, does: str, outcome: str) -> None:
        """One line of what happened."""
        ...


class Receiver:
    """Takes webhooks at `/crm`, and at `/newsletter` once it is repaired.

    Attributes:
        url: Where it listens.
        verified: Path → the `webhook-id` of each request whose signature is right.
        forged: How many requests had none, or another.
        repaired: Whether `/newsletter` takes what it gets.
    """

    def __init__(self, secret: str) -> None:
        from standardwebhooks import Webhook

        self.repaired = False
        self.verified: dict[str, list[str]] = {}
        self.forged = 0
        verifier = Webhook(secret)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                status = receiver.take(verifier, self.path, dict(self.headers), body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keeps the demo's output to itself."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def take(self, verifier: Any, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status that a request is answered with."""
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            verifier.verify(body, lower)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not from here
            self.forged += 1
            return 401
        self.verified.setdefault(path, []).append(lower["webhook-id"])
        return 204 if path == "/crm" or self.repaired else 410

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listens until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()


def walk_outreach(walker: Walker, data_dir: Path) -> None:
    """Walks a lead through `lead-outreach`.

    Args:
        walker: Makes the requests, and tells.
        data_dir: Where the secret is that webhooks are signed with.

    Raises:
        CommandFailed: Something went otherwise than it should.
    """
    receiver = Receiver(signing_secret(data_dir) or "")
    with receiver.listening():
        instance = _reach_out(walker, receiver)
        _retry(walker, receiver, instance)
    _hand_over(walker, instance)


def _reach_out(walker: Walker, receiver: Receiver) -> str:
    subject = f"lead-{secrets.token_hex(3)}"
    email = f"{subject}@example.com"
    started = walker.call(
        MANAGER,
        "POST",
        "/v1/instances",
        {
            "definition": DEFINITION,
            "subject": {"type": "lead", "id": subject},
            "data": {
                "name": "Lea",
                "email": email,
                "crm_url": f"{receiver.url}/crm",
                "newsletter_url": f"{receiver.url}/newsletter",
            },
        },
        expect=201,
    )
    instance = str(started["id"])
    walker.tell(MANAGER, f"starts {subject}", "new")
    walker.call(MANAGER, "POST", f"/v1/instances/{instance}/actions/reach_out", {})
    walker.tell(MANAGER, "takes reach_out", "contacted: a mail and two webhooks at once")

    joined = _until(
        "all three to have ended",
        lambda: walker.call(MANAGER, "GET", f"/v1/instances/{instance}"),
        lambda shown: not shown["records"][0]["running"],
    )
    mails = walker.call(MANAGER, "GET", f"/v1/mails?to={email}")["items"]
    _expect(len(mails), 1, f"mails for {email}")
    walker.tell("mail", mails[0]["subject"], f"caught, {mails[0]['message_id'][:20]}…")
    _expect((len(receiver.verified.get("/crm", ())), receiver.forged), (1, 0), "signed webhooks")
    walker.tell("crm", "gets a webhook", "its signature is right")
    (incident,) = joined["incidents"]
    walker.tell("newsletter", "answers 410", f"incident: {incident['message']}")
    return instance


def _retry(walker: Walker, receiver: Receiver, instance: str) -> None:
    receiver.repaired = True
    walker.tell("newsletter", "is repaired", "")
    shown = walker.call(MANAGER, "GET", f"/v1/incidents?instance={instance}")
    (incident,) = shown["items"]
    path = f"/v1/incidents/{incident['id']}"
    walker.call(MANAGER, "POST", f"{path}/retry", {"comment": "The newsletter is back."})
    _until(
        "the retry to succeed",
        lambda: walker.call(MANAGER, "GET", path),
        lambda found: found["status"] == "resolved",
    )
    ids = receiver.verified["/newsletter"]
    _expect(len(set(ids)), 1, "webhook-ids of all tries of one call")
    walker.tell(MANAGER, "retries the incident", f"resolved: {len(ids)} tries under one webhook-id")


def _hand_over(walker: Walker, instance: str) -> None:
    actions = f"/v1/instances/{instance}/actions"
    handed = walker.call(MANAGER, "POST", f"{actions}/hand_over", {})
    (task,) = handed["tasks"]
    walker.tell(MANAGER, "takes hand_over", f"task: {task['title']}")
    done = {"comment": "Lea is interested.", "data": {"reached": True}}
    walker.call(MANAGER, "POST", f"/v1/instances/{instance}/tasks/{task['id']}/complete", done)
    won = walker.call(MANAGER, "POST", f"{actions}/win", {})
    _expect(won["status"], "completed", "the status after win")
    walker.tell(MANAGER, "completes the task and takes win", "won, completed")


def signing_secret(data_dir: Path) -> str | None:
    """What `nexus dev` signs webhooks with; None in a folder where it never ran."""
    try:
        return (data_dir / "webhook.secret").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _until(
    what: str, look: Callable[[], dict[str, Any]], good: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if good(found):
            return found
        time.sleep(POLL_EVERY)
    raise CommandFailed(
        f"the demo waits for {what}, and after {PATIENCE:.0f} s it has not happened"
    )


def _expect(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise CommandFailed(f"{what}: {found!r} where the demo expects {expected!r}")

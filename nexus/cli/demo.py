"""Walks leads and a campaign through their pipelines, as people would over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nexus.cli.demo_outreach import DEFINITION, NEEDS_DEV, signing_secret, walk_outreach
from nexus.cli.failures import CommandFailed
from nexus.cli.tokens import issue_token

TENANT = "demo"
MANAGER = "mara"
REP = "ann"


@dataclass(frozen=True, slots=True)
class Walk:
    """One pipeline, and how the demo goes through it.

    Attributes:
        title: What it is called on the screen.
        definition: Which definition runs.
        subject_type: What the instance is about.
        field: The key that the transition's condition reads.
        too_little: A value with which the transition is refused.
        enough: A value with which it is taken.
        action: The transition.
        first: The stage it starts in.
        then: The stage it leads to.
    """

    title: str
    definition: str
    subject_type: str
    field: str
    too_little: int
    enough: int
    action: str
    first: str
    then: str


WALKS = (
    Walk("A lead", "sales-pipeline", "lead", "score", 40, 60, "qualify", "new", "qualified"),
    Walk(
        "A campaign", "promo-funnel", "campaign", "segment", 80, 120, "activate", "plan", "active"
    ),
)


def run_demo(url: str, secret: str, data_dir: Path, console: Console | None = None) -> None:
    """Walks all pipelines, and prints what is done and what is answered.

    Args:
        url: Base URL of a running API.
        secret: What that API's tokens are signed with.
        data_dir: The data folder of that `nexus dev`.
        console: Where to print; stdout by default.

    Raises:
        CommandFailed: The platform is not there, or answers otherwise than it should.
    """
    screen = console or Console(highlight=False, soft_wrap=True)
    with httpx.Client(base_url=url, timeout=30) as client:
        demo = _Demo(client, secret, screen)
        try:
            for walk in WALKS:
                demo.run(walk)
            screen.rule(f"Channels: {DEFINITION}", align="left")
            if signing_secret(data_dir) is None:
                screen.print(NEEDS_DEV)
            else:
                walk_outreach(demo, data_dir)
            screen.print()
        except httpx.TransportError as error:
            raise CommandFailed(
                f"the API at {url} does not answer ({error}): start it with ./scripts/dev --demo, "
                "or name another one with --url"
            ) from error


class _Demo:
    """Walks through pipelines."""

    def __init__(self, client: httpx.Client, secret: str, screen: Console) -> None:
        self._client = client
        self._screen = screen
        self._tokens = {
            MANAGER: issue_token(secret, tenant=TENANT, user=MANAGER, roles=["admin"]),
            REP: issue_token(secret, tenant=TENANT, user=REP),
        }

    def run(self, walk: Walk) -> None:
        subject = f"{walk.subject_type}-{secrets.token_hex(3)}"
        self._screen.rule(f"{walk.title}: {walk.definition}", align="left")

        instance = self.call(
            MANAGER,
            "POST",
            "/v1/instances",
            {
                "definition": walk.definition,
                "subject": {"type": walk.subject_type, "id": subject},
                "data": {walk.field: walk.too_little},
            },
            expect=201,
        )
        self._expect(instance["state"], walk.first, "the stage after the start")
        self.tell(MANAGER, f"starts {subject} with {walk.field} {walk.too_little}", walk.first)
        actions = f"/v1/instances/{instance['id']}/actions"

        self.call(MANAGER, "POST", f"{actions}/assign", {"data": {"users": [REP]}})
        self.tell(MANAGER, f"assigns it to {REP}", walk.first)

        refusal = self.call(REP, "POST", f"{actions}/{walk.action}", {}, expect=409)
        self._expect(refusal["code"], "condition_not_met", "the code of the refusal")
        self.tell(REP, f"tries {walk.action}", f"refused: {refusal.get('detail')}")

        self.call(REP, "POST", f"{actions}/update", {"data": {walk.field: walk.enough}})
        self.tell(REP, f"updates {walk.field} to {walk.enough}", walk.first)

        instance = self.call(REP, "POST", f"{actions}/{walk.action}", {})
        self._expect(instance["state"], walk.then, f"the stage after {walk.action}")
        self.tell(REP, f"takes {walk.action}", walk.then)

        self._dashboard(instance)
        self._timeline(instance)
        self._screen.print(f"In Temporal's Web UI: {instance['web_ui']}\n")

    def _dashboard(self, instance: Mapping[str, object]) -> None:
        active = self.call(MANAGER, "GET", f"/v1/dashboard/{REP}/active")
        rows = [row for row in _items(active) if row["instance"] == instance["id"]]
        self._expect(len(rows), 1, f"rows of this instance on {REP}'s dashboard")
        row = rows[0]
        self.tell(REP, "looks at the dashboard", f"stage {row['stage']}, as {row['assigned_as']}")

    def _timeline(self, instance: Mapping[str, object]) -> None:
        history = self.call(MANAGER, "GET", f"/v1/instances/{instance['id']}/history")
        table = Table("at", "event", "actor", "before → after", box=None, pad_edge=False)
        events = _items(history)
        for row in events:
            change = [said for key in ("before", "after") if (said := _said(row.get(key)))]
            table.add_row(str(row["at"])[11:19], _event(row), str(row["actor"]), " → ".join(change))
        self._screen.print()
        self._screen.print(table)
        self._screen.print()
        self._expect(events[0]["event"], "instance_started", "the first event of the history")

    def call(
        self,
        user: str,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        expect: int = 200,
    ) -> dict[str, Any]:
        """One request as one of the people, and its answer."""
        response = self._client.request(
            method, path, json=body, headers={"Authorization": f"Bearer {self._tokens[user]}"}
        )
        if response.status_code != expect:
            raise CommandFailed(
                f"{method} {path} answered {response.status_code} where the demo expects {expect}: "
                f"{response.text.strip()[:500]}"
            )
        answer = response.json()
        if not isinstance(answer, dict):
            raise CommandFailed(f"{method} {path} answered no JSON object: {response.text[:200]}")
        return answer

    def _expect(self, found: object, expected: object, what: str) -> None:
        if found != expected:
            raise CommandFailed(f"{what} is {found!r} where the demo expects {expected!r}")

    def tell(self, who: str, does: str, outcome: str) -> None:
        """One line of what somebody does and what comes of it."""
        self._screen.print(
            Text.assemble((f"{who:>6} ", "bold"), f"{does} ", (f"→ {outcome}", "cyan"))
        )


def _items(answer: Mapping[str, object]) -> list[dict[str, object]]:
    items = answer.get("items")
    if not isinstance(items, list) or not items:
        raise CommandFailed(f"a list is empty where the demo expects rows: {answer}")
    return items


def _event(row: Mapping[str, object]) -> str:
    payload = row.get("payload")
    action = payload.get("action") if isinstance(payload, dict) else None
    return f"{row['event']} ({action})" if action else str(row["event"])


def _said(value: object) -> str:
    """A value of the history in few words: `ann`, `score 60`; "" where it says nothing."""
    if isinstance(value, dict):
        assignees = set(value) <= {"users", "roles"}
        parts = (
            _said(part) if assignees else f"{key} {_said(part)}" for key, part in value.items()
        )
        return ", ".join(part for part in parts if part)
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value)
    return "" if value is None else str(value)

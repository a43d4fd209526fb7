"""`docs/api.md` names every event of the history, and its commands do what it says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import pytest

from nexus.core.events import AnyEvent
from tests.api.serving import Platform, token

TENANT = "readers"  # of its own, as the page stores a definition of a name that others use
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()


def section(title: str) -> str:
    """The text below a heading."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_table_of_events_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("History"), re.MULTILINE)
    assert rows == [event.name for event in get_args(AnyEvent)]


@pytest.fixture
def admin(platform: Platform) -> Iterator[httpx.Client]:
    with platform.api.client("root", TENANT, ("admin",)) as client:
        yield client


def test_the_commands_do_what_the_page_says(
    platform: Platform, admin: httpx.Client, samples: Path
) -> None:
    commands = section("What there is").partition("```sh\n")[2].partition("```")[0]
    done = subprocess.run(
        ["sh", "-euc", commands + '\necho; echo "$ID"'],
        capture_output=True,
        text=True,
        check=True,
        cwd=samples,
        timeout=60,
        env={
            **os.environ,
            "URL": platform.api.url,
            "TOKEN": token("root", TENANT, ("admin",)),
        },
    )
    instance = done.stdout.split()[-1]
    shown = admin.get(f"/v1/instances/{instance}").json()
    assert [record["data"] for record in shown["records"]] == [{}, {"score": 70}]
    events = admin.get(f"/v1/instances/{instance}/history").json()["items"]
    (received,) = [row["payload"] for row in events if row["event"] == "event_received"]
    assert (received["event"], received["takes"], received["why"]) == ("email.opened", [], [])
    stored = admin.get("/v1/definitions/sales-pipeline").json()
    assert (stored["shared"], stored["source"]) == (False, "api")

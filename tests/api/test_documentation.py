"""`docs/api.md` names every event of the history; its commands and README's do what they say."""

from __future__ import annotations

import json
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
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()


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


@pytest.fixture
def platform_with_samples(platform: Platform, admin: httpx.Client, samples: Path) -> None:
    """The pipeline that the pages tell of, live for their reader."""
    document = (samples / "sales-pipeline.json").read_bytes()
    assert admin.post("/v1/definitions", content=document).status_code in (200, 201)


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


@pytest.mark.usefixtures("platform_with_samples")
def test_the_commands_of_the_readme_are_answered_as_it_says(platform: Platform) -> None:
    commands = (ROOT / "README.md").read_text().partition("\nID=$(")[2].partition("```")[0]
    told = re.findall(r"^# (\d+) (\{(?:.|\n# )*?)$", commands, re.MULTILINE)
    assert [status for status, _ in told] == ["409", "200", "200"]
    script = ("ID=$(" + commands).replace("localhost:8000", platform.api.url)
    done = subprocess.run(
        [
            "sh",
            "-euc",
            script.replace("act() { curl -s", "act() { curl -s -w '\\n%{http_code}\\n'"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "TOKEN": token("ann", TENANT)},
    )
    lines = done.stdout.splitlines()
    assert lines[1::2] == ["409", "200", "200"]
    refused, updated, qualified = map(json.loads, lines[::2])
    assert refused["code"] == "condition_not_met"
    assert refused["detail"] == (
        "The condition of 'qualify' does not hold: data.score > 50 (data.score is 40)."
    )
    (why,) = refused["why"]
    assert (why["expression"], why["values"]) == ("data.score > 50", {"data.score": 40})
    for answer, (_, text) in zip((updated, qualified), told[1:], strict=True):
        shown = re.findall(r'"(\w+)": "(\w+)"', text)
        assert shown == [("status", answer["status"]), ("state", answer["state"])]
    assert (updated["state"], qualified["state"]) == ("new", "qualified")

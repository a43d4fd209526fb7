"""The programs of `docs/client.md` run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nexus.client import AsyncNexusClient, NexusClient
from nexus.client.exchange import ATTEMPTS, PATIENCE, TIMEOUT
from tests.api.serving import Platform, token

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text()


def test_the_programs_of_the_page_run_as_written(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(programs) == 6
    # One after the other, as somebody would type them; a tenant of their own.
    names: dict[str, Any] = {
        "url": platform.api.url,
        "token": token("service", "readers", ("admin",)),
    }
    for number, program in enumerate(programs, 1):
        exec(compile(program, f"docs/client.md, program {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "The condition of 'win' does not hold: data.score > 50 (data.score is 40)." in said
    assert "Only the role admin stores definitions." in said
    assert "not_found No action 'sell'." in said


def test_the_page_tells_the_defaults() -> None:
    assert (ATTEMPTS, TIMEOUT, PATIENCE) == (6, 30.0, 30.0)
    assert "six attempts and 30 seconds each" in PAGE
    for kind in (NexusClient, AsyncNexusClient):
        assert f"`{kind.__name__}`" in PAGE or f"{kind.__name__}(" in PAGE

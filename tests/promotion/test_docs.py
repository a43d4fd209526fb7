"""`docs/promotion.md` as its reader does it, against a running platform."""

from __future__ import annotations

from pathlib import Path

from tests.api.serving import SECRET
from tests.local.test_docs import environment
from tests.promotion.conftest import Promotion
from tests.support.pages import Command, Step, blocks, done, steps

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promotion.md").read_text()
ADDRESS = "http://localhost:8000"


def at(url: str, step: Step) -> Step:
    """The step, where the platform listens elsewhere than at its usual address."""
    if isinstance(step, Command):
        return Command(step.script.replace(ADDRESS, url), step.shown)
    return step


def test_what_the_page_shows_is_what_its_reader_sees(promotion: Promotion, tmp_path: Path) -> None:
    shell = {**environment(), "NEXUS_JWT_SECRET": SECRET}
    url = promotion.platform.api.url
    for step in steps(PAGE):
        for seen in done(at(url, step), tmp_path, shell):
            assert seen.printed.replace(url, ADDRESS) == seen.shown, seen.of


def test_nothing_but_the_start_is_left_out() -> None:
    """What stands under `sh` is not run: tests start a platform in their own way."""
    assert [block.content for block in blocks(PAGE) if block.kind == "sh"] == ["./scripts/dev\n"]
    told = [step.script for step in steps(PAGE) if isinstance(step, Command)]
    assert [script for script in told if ADDRESS in script] == [f"export NEXUS_URL={ADDRESS}"]

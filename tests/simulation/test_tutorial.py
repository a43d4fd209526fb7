"""`docs/tutorial.md` as its reader does it: files written, commands run, outputs compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_dev import Dev
from tests.support.processes import unmeasured

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
REAL = "\n## 6. Let it run for real\n"
STARTED = "```sh\n./scripts/dev\n```\n"  # in its last part: from here on the platform runs
FENCED = re.compile(r"^```(console|json (\S+))\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "\x1e"  # printed after each command


@dataclass(frozen=True)
class Step:
    """A command of the page, and what the page shows of its output; or a file to be written."""

    script: str
    shown: str


def steps(text: str) -> list[Step]:
    """What a part of the page has its reader do."""
    found: list[Step] = []
    for _, file, content in FENCED.findall(text):
        if file:
            found.append(Step(f"printf %s {shlex.quote(content)} > {shlex.quote(file)}", ""))
            continue
        for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            more = next(
                (at for at, line in enumerate(lines) if at and not line.startswith("> ")),
                len(lines),
            )
            command = [lines[0], *(line.removeprefix("> ") for line in lines[1:more])]
            found.append(Step("\n".join(command), "\n".join(lines[more:])))
    return found


def outputs(text: str, folder: Path, url: str = "") -> list[tuple[Step, str]]:
    """Do what a part of the page says, in one shell, and tell what came of each step."""
    todo = steps(text)
    nexus = f'nexus() {{ {shlex.quote(sys.executable)} -m nexus "$@"; }}'
    # The mark leaves the command's exit code to the next one, which may ask for it.
    mark = "code=$?; printf '\\x1e'; (exit $code)"
    script = [nexus, *(f"{step.script}\n{mark}" for step in todo)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script).replace("localhost:8000", url.removeprefix("http://"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
        cwd=folder,
        env={
            **unmeasured(),
            "PYTHONPATH": str(ROOT),
            "NEXUS_DATA_DIR": str(folder.parent / "data"),
        },
    )
    told = done.stdout.split(END)
    assert len(told) == len(todo) + 1, done.stdout
    return list(zip(todo, map(_trimmed, told), strict=False))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that the reader made, beside the one of the definitions."""
    (tmp_path / "definitions").mkdir()
    made = tmp_path / "trials"
    made.mkdir()
    return made


@pytest.fixture
def started() -> Iterator[list[Dev]]:
    """For platforms that a test starts; they end with it."""
    running: list[Dev] = []
    yield running
    for dev in running:
        dev.clean_up()


def test_every_block_of_the_page_is_run_or_is_known() -> None:
    kinds = re.findall(r"^```(\S.*)$", PAGE, re.MULTILINE)
    assert {kind.split()[0] for kind in kinds} == {"console", "json", "sh"}
    assert all(kind.startswith("json trial.") for kind in kinds if kind.startswith("json"))
    assert PAGE.count(REAL) == 1
    assert PAGE.partition(REAL)[2].count(STARTED) == 1


def test_what_the_page_shows_is_what_a_reader_sees(folder: Path, started: list[Dev]) -> None:
    before, _, real = PAGE.partition(REAL)
    copying, _, running = real.partition(STARTED)
    for step, output in outputs(before + copying, folder):
        assert output == step.shown, step.script
    assert (folder.parent / "definitions" / "trial.json").exists()

    dev = Dev(folder.parent / "data", "--definitions", str(folder.parent / "definitions"))
    started.append(dev)
    for step, output in outputs(running, folder, dev.url):
        assert output == step.shown, step.script

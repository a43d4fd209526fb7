"""The example applications, each in a copy that a test may write into, and their READMEs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.promotion.conftest import platform, promotion
from tests.support.processes import Service, free_port, unmeasured, wait_until

__all__ = ["platform", "promotion"]

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = "…"
"""What stands in a README for what is different each time."""

_BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Example:
    """One example application, copied.

    Attributes:
        folder: The copy.
        port: On which its server listens.
    """

    def __init__(self, name: str, into: Path) -> None:
        self.folder = into / name
        leftovers = shutil.ignore_patterns("__pycache__", "*.db", "*.sqlite3", ".*")
        shutil.copytree(ROOT / "examples" / name, self.folder, ignore=leftovers)
        self.readme = (self.folder / "README.md").read_text(encoding="utf-8")
        self.port = free_port()
        self._environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "NEXUS_URL": "",
            "NEXUS_API_KEY": "",
        }

    @property
    def url(self) -> str:
        """Where its server is."""
        return f"http://localhost:{self.port}"

    def blocks(self, kind: str, name: str | None = None) -> list[str]:
        """What the README shows, of a kind and a name."""
        found = _BLOCK.findall(self.readme)
        return [text for its, called, text in found if (its, called) == (kind, name or "")]

    def command(self, name: str, replace: Mapping[str, str] | None = None) -> str:
        """What the README has one type, but for ports that are taken here."""
        (text,) = self.blocks("sh", name)
        for old, new in {**(replace or {}), "8001": str(self.port)}.items():
            assert old in text, f"{old} is not in: {text}"
            text = text.replace(old, new)
        return text

    def ran(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Have a shell do what is written."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**unmeasured(), **self._environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def succeeded(self, script: str, **environment: str) -> str:
        """What it prints; it has to succeed."""
        done = self.ran(script, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def server(self, script: str, **environment: str) -> Service:
        """Start a server by what is written; its last line is the server."""
        *before, last = script.strip().splitlines()
        lines = [f"cd '{self.folder}'", *before, f"exec {last}"]
        service = Service(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            self.folder.parent / f"{self.folder.name}.log",
            environment={**self._environment, **environment},
        )
        service.start()

        def answers() -> bool:
            assert service.alive, service.output()
            try:
                httpx.get(self.url)
            except httpx.TransportError:
                return False
            return True

        try:
            wait_until(answers, what=f"the server of {self.folder.name}")
        except BaseException:
            service.kill()
            raise
        return service

    def conversation(self) -> list[tuple[str, object]]:
        """What the README has one type in another terminal, and the last answer that it shows."""
        told: list[tuple[str, object]] = []
        typed = ""
        for kind, name, text in _BLOCK.findall(self.readme):
            if (kind, name) == ("sh", ""):
                typed += text.replace("localhost:8001", f"localhost:{self.port}")
            elif (kind, name) == ("json", ""):
                told.append((typed, json.loads(text)))
                typed = ""
        assert not typed, f"no answer is shown to: {typed}"
        assert told
        return told


def same(shown: Any, is_: Any) -> bool:
    """What is shown is what is, wherever it says something."""
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict) and isinstance(is_, dict):
        return shown.keys() == is_.keys() and all(same(shown[key], is_[key]) for key in shown)
    if isinstance(shown, list) and isinstance(is_, list):
        return len(shown) == len(is_) and all(map(same, shown, is_))
    return bool(shown == is_)


def last_of(output: str) -> Any:
    """The last of several JSON answers, one right behind the other."""
    decoder, rest, value = json.JSONDecoder(), output.strip(), None
    while rest:
        value, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
    return value


def converse(example: Example) -> None:
    """Type what the README has one type, and compare what it shows."""
    for typed, shown in example.conversation():
        answer = last_of(example.succeeded(typed))
        assert same(shown, answer), f"{typed}\nis answered by {json.dumps(answer, indent=2)}"


@pytest.fixture
def fastapi_example(tmp_path: Path) -> Example:
    """`examples/fastapi-sqlmodel`, copied."""
    return Example("fastapi-sqlmodel", tmp_path)


@pytest.fixture
def django_example(tmp_path: Path) -> Example:
    """`examples/django-shop`, copied."""
    return Example("django-shop", tmp_path)

"""The example of a plugin, as its own package: built, installed, found, checked, called."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "nexus-channel-matrix"
GUIDE = ROOT / "docs" / "plugins.md"

CALL = """
import asyncio, json, sys
from datetime import timedelta
from nexus.channels import load_channels
from nexus.contracts import ChannelError
from tests.channels.calling import request

async def call():
    channels = load_channels()
    step = json.loads(sys.argv[1])
    made = request(step["channel"], step["with"])
    try:
        return await channels.call(made, attempt=1, timeout=timedelta(seconds=5))
    except ChannelError as error:
        return {"code": error.code, "retryable": error.retryable, "message": error.message}
    finally:
        await channels.close()

print(json.dumps(asyncio.run(call())))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed: what an installer does with a wheel, which is a zip."""
    folder = tmp_path_factory.mktemp("plugin")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def ran(installed: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def blocks(kind: str) -> list[str]:
    """What the guide shows, of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def settings_file(folder: Path, server: str) -> Path:
    """The file that the guide shows, for a server that is here."""
    (shown,) = blocks("json settings")
    settings = json.loads(shown)
    settings["*"]["matrix"]["server"] = server
    path = folder / "channels.json"
    path.write_text(json.dumps(settings))
    return path


def test_its_own_tests_pass_against_what_is_installed(installed: Path, tmp_path: Path) -> None:
    done = ran(
        installed,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *("-c", os.devnull, "--rootdir", str(tmp_path), str(EXAMPLE / "tests")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_an_installed_channel_is_called_with_the_operators_settings(
    installed: Path, tmp_path: Path
) -> None:
    """FR-EXT-001. Nobody listens there: it is the channel itself that says so."""
    step = json.loads(blocks("json step")[0])
    path = settings_file(tmp_path, "http://127.0.0.1:9")
    done = ran(
        installed, "-c", CALL, json.dumps(step), NEXUS_CHANNELS=str(path), MATRIX_TOKEN="s3cret"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["code"], answer["retryable"]) == ("unreachable", True)
    assert "s3cret" not in done.stdout + done.stderr


def test_a_secret_that_is_missing_is_named(installed: Path, tmp_path: Path) -> None:
    step = json.loads(blocks("json step")[0])
    path = settings_file(tmp_path, "http://127.0.0.1:9")
    environ = {"NEXUS_CHANNELS": str(path), "MATRIX_TOKEN": ""}
    done = ran(installed, "-c", CALL, json.dumps(step), **environ)
    answer = json.loads(done.stdout)
    assert (answer["code"], answer["retryable"]) == ("not_configured", False)
    assert "MATRIX_TOKEN is not set" in answer["message"]


def definition(step: object, settings: object = None) -> str:
    stages = [{"id": "new"}, {"id": "told", "run": [step]}, {"id": "done", "final": True}]
    return json.dumps(
        {
            "id": "outreach",
            "version": "1.0.0",
            "dataSchema": {"name": {"type": "string"}},
            "entities": {"lead": {"stages": stages}},
            "transitions": {
                "tell": {"from": "new", "to": "told"},
                "finish": {"from": "told", "to": "done"},
            },
            "channels": {"matrix": settings} if settings else {},
        }
    )


@pytest.mark.parametrize(
    ("step", "settings", "says"),
    [
        ({"channel": "matrix", "with": {"text": "Hello"}}, None, "nothing odd"),
        ({"channel": "matrix", "with": {}}, None, "error[missing_key]: It needs 'text'"),
        ({"channel": "matrix", "with": {"txt": "Hello"}}, None, "did you mean 'text'?"),
        (
            {"channel": "matrix", "with": {"text": "Hello", "room": "sales"}},
            None,
            "error[wrong_type]",
        ),
        ({"channel": "matrix", "with": {"text": "Hello"}}, {"room": "!a:b.example"}, "nothing odd"),
        (
            {"channel": "matrix", "with": {"text": "Hello"}},
            {"token": "x"},
            "error[not_for_definitions]: In a definition, 'token'",
        ),
        (
            {"channel": "matrix", "with": {"text": "Hello"}},
            {"server": "https://elsewhere.example"},
            "error[not_for_definitions]: In a definition, 'server'",
        ),
        ({"channel": "matirx", "with": {"text": "Hello"}}, None, "did you mean 'matrix'?"),
    ],
)
def test_definitions_are_checked_against_its_models(
    installed: Path, tmp_path: Path, step: object, settings: object, says: str
) -> None:
    path = tmp_path / "outreach.json"
    path.write_text(definition(step, settings))
    done = ran(installed, "-m", "nexus", "validate", str(path), NEXUS_CHANNELS="")
    told = done.stdout + done.stderr
    assert says in told
    assert done.returncode == (1 if says.startswith("error") else 0), told


@pytest.mark.parametrize("kind", ["python", "toml"])
def test_the_guide_shows_what_is_there(kind: str) -> None:
    suffix = {"python": "*.py", "toml": "*.toml"}[kind]
    sources = [path.read_text() for path in EXAMPLE.rglob(suffix)]
    shown = blocks(kind)
    assert shown
    for block in shown:
        for part in block.strip("\n").split("\n\n[") if kind == "toml" else [block]:
            assert any(part.strip("\n") in source for source in sources), part


def test_the_settings_that_the_guide_shows_are_taken(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "outreach.json"
    step = json.loads(blocks("json step")[0])
    path.write_text(definition(step, {"channel": "matrix", "room": "!board:example.com"}))
    settings = settings_file(tmp_path, "https://matrix.example.com")
    done = ran(installed, "-m", "nexus", "validate", str(path), NEXUS_CHANNELS=str(settings))
    assert done.returncode == 0, done.stdout + done.stderr

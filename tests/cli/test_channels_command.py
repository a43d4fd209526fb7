"""`nexus channels`: a process that calls channels, and knows no database and no secret of ours."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.commands import assert_one_clear_line, nexus
from tests.support.platform import Platform
from tests.support.processes import Service, free_port, wait_until

WELCOME = {
    "id": "welcome",
    "version": "1.0.0",
    "entities": {
        "lead": {
            "stages": [
                {
                    "id": "new",
                    "run": [{"channel": "log", "with": {"message": "hello {{ subject.id }}"}}],
                },
                "greeted",
            ]
        }
    },
    "transitions": {"greet": {"from": "new", "to": "greeted", "on": "auto"}},
}

BROKEN = """
raise RuntimeError("no wings")
"""


@pytest.fixture(scope="module")
def platform(temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("channels")
    definitions = folder / "definitions"
    definitions.mkdir()
    (definitions / "welcome.json").write_text(json.dumps(WELCOME))
    running = Platform(temporal_cli, folder, definitions=definitions)
    running.environment["NEXUS_CHANNELS_IN_WORKER"] = "0"
    running.start()
    yield running
    running.stop()


def calling_channels(platform: Platform, log: Path) -> Service:
    environment = {
        "NEXUS_TEMPORAL_ADDRESS": platform.temporal.address,
        # Had it read them, it would have refused to start.
        "NEXUS_DATABASE_URL": "nowhere",
        "NEXUS_JWT_SECRET": "short",
        "NEXUS_DATA_DIR": "/dev/null/nothing",
    }
    command = [sys.executable, "-m", "nexus", "channels"]
    return Service(command, log, environment=environment)


def checks(platform: Platform) -> dict[str, str]:
    ready = httpx.get(f"{platform.url}/readyz", timeout=5)
    assert ready.status_code == 200
    found: dict[str, str] = ready.json()["checks"]
    return found


def test_calls_wait_for_the_process_that_makes_them(platform: Platform, tmp_path: Path) -> None:
    """Design 4: channels run elsewhere, by configuration. Readiness tells, and does not fail."""
    assert checks(platform)["channels"] == (
        "Nobody polls the task queue 'nexus-channels': calls wait."
    )
    with platform.client("ann") as ann:
        subject = {"type": "lead", "id": "42"}
        started = ann.post("/v1/instances", json={"definition": "welcome", "subject": subject})
        assert started.status_code == 201, started.text
        path = f"/v1/instances/{started.json()['id']}"
        assert ann.get(path).json()["records"][0]["running"] is True

        channels = calling_channels(platform, tmp_path / "channels.log")
        channels.start()
        try:
            wait_until(lambda: ann.get(path).json()["state"] == "greeted", what="the call")
            assert ann.get(path).json()["status"] == "completed"
            wait_until(lambda: checks(platform)["channels"] == "ok", what="readiness")
        finally:
            assert channels.stop() == 0, channels.output()
    assert "acme hello 42" in channels.output()
    assert "acme hello 42" not in platform.worker.output()
    assert "calling channels" in channels.output()
    assert "Traceback" not in channels.output()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_while_it_waits_for_temporal(
    platform: Platform, how: signal.Signals, tmp_path: Path
) -> None:
    alone = Service(
        [sys.executable, "-m", "nexus", "channels"],
        tmp_path / "alone.log",
        environment={"NEXUS_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"},
    )
    alone.start()
    wait_until(lambda: "waiting for Temporal" in alone.output(), what="a process that waits")
    assert alone.stop(how) == 0, alone.output()


@pytest.mark.parametrize("command", ["channels", "worker"])
def test_a_channel_that_cannot_be_loaded_stops_the_start_in_one_line(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "pigeon_post.py").write_text(BROKEN)
    info = tmp_path / "pigeons-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nexus.channels]\npigeon = pigeon_post:Pigeon\n")
    environment = {"PYTHONPATH": str(tmp_path), "NEXUS_JWT_SECRET": "x" * 32}
    done = nexus(command, environment=environment)
    assert_one_clear_line(done, "'pigeon'", "'pigeons'", "RuntimeError: no wings")


@pytest.mark.parametrize("command", ["channels", "worker"])
def test_a_faulty_settings_file_stops_the_start_in_one_line(command: str, tmp_path: Path) -> None:
    file = tmp_path / "channels.json"
    file.write_text('{"*": {"email": ]}')
    done = nexus(command, environment={"NEXUS_CHANNELS": str(file), "NEXUS_JWT_SECRET": "x" * 32})
    assert_one_clear_line(done, str(file))

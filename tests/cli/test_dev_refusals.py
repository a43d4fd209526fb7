"""What `nexus dev` says in one line when something is in its way, before it starts anything."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from tests.support.commands import assert_one_clear_line, nexus
from tests.support.processes import free_port


@pytest.fixture
def ports() -> list[str]:
    """Flags for three free ports."""
    flags = ("--api-port", "--temporal-port", "--ui-port")
    return [word for flag in flags for word in (flag, str(free_port()))]


@pytest.mark.parametrize("flag", ["--api-port", "--temporal-port", "--ui-port"])
def test_a_port_in_use(flag: str, ports: list[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports[ports.index(flag) + 1] = port
        done = nexus("dev", "--data-dir", str(tmp_path), *ports)
    assert_one_clear_line(done, f"port {port} is in use", flag)


def test_a_data_folder_that_is_a_file(ports: list[str], tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    done = nexus("dev", "--data-dir", str(file), *ports)
    assert_one_clear_line(done, f"the data folder {file} is a file", "--data-dir")


def test_a_database_that_is_broken(ports: list[str], tmp_path: Path) -> None:
    (tmp_path / "nexus.db").write_bytes(b"broken" * 1000)
    done = nexus("dev", "--data-dir", str(tmp_path), *ports)
    assert_one_clear_line(done, "nexus.db", "file is not a database", "--data-dir")


def test_a_data_folder_in_use(ports: list[str], tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = nexus("dev", "--data-dir", str(tmp_path), *ports)
    assert_one_clear_line(done, "another `nexus dev`", "--data-dir")


def test_definitions_that_are_not_there(ports: list[str], tmp_path: Path) -> None:
    missing = tmp_path / "definitions"
    done = nexus("dev", "--data-dir", str(tmp_path), "--definitions", str(missing), *ports)
    assert_one_clear_line(done, str(missing), "--definitions")


def test_a_secret_that_is_too_short(ports: list[str], tmp_path: Path) -> None:
    done = nexus(
        *("dev", "--data-dir", str(tmp_path), *ports), environment={"NEXUS_JWT_SECRET": "hunter2"}
    )
    assert_one_clear_line(done, "NEXUS_JWT_SECRET", "at least 32")


def test_no_temporal_and_no_compiler(ports: list[str], tmp_path: Path) -> None:
    missing = tmp_path / "temporal"
    done = nexus(
        *("dev", "--data-dir", str(tmp_path), *ports),
        environment={"NEXUS_TEMPORAL_CLI": str(missing)},
    )
    assert_one_clear_line(done, "NEXUS_TEMPORAL_CLI", str(missing))


def test_a_temporal_that_does_not_stay_up_is_said_with_its_last_words(
    ports: list[str], tmp_path: Path
) -> None:
    broken = tmp_path / "temporal"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "temporal version 1.5.1 (Server 1.29.1)" && exit\n'
        "echo 'the disk is full'\nexit 1\n"
    )
    broken.chmod(0o755)
    done = nexus(
        *("dev", "--data-dir", str(tmp_path / "data"), *ports),
        environment={"NEXUS_TEMPORAL_CLI": str(broken)},
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("nexus: temporal does not stay up (the disk is full): its log is ")


def test_printing_the_temporal_prints_its_path_alone(tmp_path: Path, temporal_cli: Path) -> None:
    done = nexus("dev", "--print-temporal", "--data-dir", str(tmp_path / "none"))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{temporal_cli}\n", "")
    assert not (tmp_path / "none").exists()

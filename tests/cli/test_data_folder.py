"""The data folder: its secret, its lock, and what is said of a broken one."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.cli.data_folder import open_data_folder
from nexus.cli.failures import CommandFailed

HOLDER = """
import pathlib, sys
from nexus.cli.data_folder import open_data_folder
folder = open_data_folder(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path / "a" / "b")
    assert folder.path == tmp_path / "a" / "b"
    assert folder.logs.is_dir()


def test_the_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path)
    made = folder.secret()
    assert len(made) == 64
    assert folder.secret() == made
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_half_a_secret_of_a_killed_run_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("abc")
    assert len(open_data_folder(tmp_path).secret()) == 64


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    with pytest.raises(CommandFailed, match="too short to be a key") as refused:
        open_data_folder(tmp_path).secret()
    assert "hunter2" not in str(refused.value)


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(CommandFailed, match=r"is a file: give another folder with --data-dir"):
        open_data_folder(file)
    with pytest.raises(CommandFailed, match=rf"below cannot be made, since {file} is a file: give"):
        open_data_folder(file / "far" / "below")
    (tmp_path / "logs").write_text("")
    with pytest.raises(CommandFailed, match=r"cannot be used, since .*/logs is a file"):
        open_data_folder(tmp_path)


def test_a_folder_that_cannot_be_written_is_said() -> None:
    # /proc refuses everybody, root too.
    with pytest.raises(CommandFailed, match=r"/proc/nexus cannot be made .*--data-dir"):
        open_data_folder(Path("/proc/nexus"))
    with pytest.raises(CommandFailed, match=r"/proc cannot be written .*--data-dir"):
        open_data_folder(Path("/proc"))


@pytest.mark.parametrize("name", ["nexus.db", "temporal.db"])
def test_a_database_that_is_none_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"this was a database once, and long enough to look like one" * 9)
    with pytest.raises(CommandFailed, match=rf"{name} cannot be used .*restore it from a backup"):
        open_data_folder(tmp_path)


def test_a_database_that_is_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "nexus.db").mkdir()
    with pytest.raises(CommandFailed, match=r"nexus\.db cannot be used"):
        open_data_folder(tmp_path)


def test_two_processes_cannot_have_one_folder_and_the_holder_is_named(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CommandFailed, match=rf"another `nexus dev` \(process {holder.pid}\)"):
            open_data_folder(tmp_path)
        holder.kill()
        holder.wait()
        # However the holder ended, the folder is free.
        assert open_data_folder(tmp_path).path == tmp_path
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()

"""Where the `temporal` command comes from: named, PATH, cache, download, Go; in this order."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nexus.cli.failures import CommandFailed
from nexus.cli.temporal_binary import VERSION, find_temporal, is_usable

NEW = "#!/bin/sh\necho 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)'\n"
OLD = "#!/bin/sh\necho 'temporal version 0.13.0 (Server 1.24.2, UI 2.28.0)'\n"

# Answers every request with what its path names.
ARCHIVE, NOTHING, GARBAGE = "/archive", "/nothing", "/garbage"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def downloads() -> Iterator[str]:
    """A place that downloads come from, on the loopback address."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("temporal")
        member.size = len(NEW)
        member.mode = 0o755
        archive.addfile(member, io.BytesIO(NEW.encode()))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = {ARCHIVE: packed.getvalue(), GARBAGE: b"<html>log in first</html>"}.get(path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has a shell, and nothing else."""
    (tmp_path / "bin").mkdir()
    return {
        "PATH": str(tmp_path / "bin"),
        "NEXUS_CACHE_DIR": str(tmp_path / "cache"),
        "GOPATH": str(tmp_path / "go"),
    }


def test_the_one_on_path_is_used(machine: dict[str, str], tmp_path: Path) -> None:
    there = program(tmp_path / "bin" / "temporal", NEW)
    assert find_temporal(machine) == there


def test_one_that_is_too_old_is_passed_over(machine: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin" / "temporal", OLD)
    cached = program(tmp_path / "cache" / "temporal" / VERSION / "temporal", NEW)
    assert find_temporal(machine) == cached


def test_the_one_that_go_has_installed_is_found_off_path(
    machine: dict[str, str], tmp_path: Path
) -> None:
    there = program(tmp_path / "go" / "bin" / "temporal", NEW)
    assert find_temporal(machine) == there


def test_the_one_that_is_named_is_used_or_refused(machine: dict[str, str], tmp_path: Path) -> None:
    mine = program(tmp_path / "mine", NEW)
    assert find_temporal({**machine, "NEXUS_TEMPORAL_CLI": str(mine)}) == mine
    with pytest.raises(CommandFailed, match=r"NEXUS_TEMPORAL_CLI names .*nowhere"):
        find_temporal({**machine, "NEXUS_TEMPORAL_CLI": str(tmp_path / "nowhere")})


def test_it_is_downloaded_once(machine: dict[str, str], downloads: str, tmp_path: Path) -> None:
    got = find_temporal(machine, download=downloads + ARCHIVE)
    assert got == tmp_path / "cache" / "temporal" / VERSION / "temporal"
    assert is_usable(got)
    assert find_temporal(machine, download=downloads + NOTHING) == got
    assert [file.name for file in got.parent.iterdir()] == ["temporal"], "something was left"


@pytest.mark.parametrize("answer", [NOTHING, GARBAGE])
def test_where_it_cannot_be_downloaded_it_is_built(
    answer: str, machine: dict[str, str], downloads: str, tmp_path: Path
) -> None:
    program(tmp_path / "temporal-of-go", NEW)
    program(
        tmp_path / "bin" / "go",
        f'#!/bin/sh\nPATH=/usr/bin:/bin\n[ "$1" = install ] && cp {tmp_path}/temporal-of-go '
        '"$GOBIN/temporal"\n',
    )
    assert is_usable(find_temporal(machine, download=downloads + answer))


def test_without_a_compiler_it_says_what_to_install(
    machine: dict[str, str], downloads: str
) -> None:
    with pytest.raises(CommandFailed, match=r"no Go to build it with: install it \(https://"):
        find_temporal(machine, download=downloads + NOTHING)


def test_without_a_network_the_answer_comes_soon(machine: dict[str, str]) -> None:
    with pytest.raises(CommandFailed, match="no Go to build it with"):
        find_temporal(machine, download="http://127.0.0.1:1/refused")


def test_a_build_that_fails_is_said_with_its_last_words(
    machine: dict[str, str], downloads: str, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "go", "#!/bin/sh\necho 'go: no space left on device' >&2\nexit 1\n")
    with pytest.raises(CommandFailed, match=r"go install .*no space left on device.*PATH"):
        find_temporal(machine, download=downloads + NOTHING)

"""Finds the `temporal` command, or gets it: PATH, cache, download, or built with Go."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from nexus.cli.failures import CommandFailed
from nexus.cli.orphans import dies_with_parent
from nexus.cli.progress import progress

VERSION = "v1.5.1"
MODULE = "github.com/temporalio/cli/cmd/temporal"
DOWNLOAD = f"https://temporal.download/cli/archive/{VERSION}"

# The first server that knows all that the workflows use (updates together with a start).
OLDEST_SERVER = (1, 28)

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SERVER = re.compile(r"Server (\d+)\.(\d+)")


def cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where programs are kept that several checkouts share; `NEXUS_CACHE_DIR` chooses."""
    env = os.environ if environ is None else environ
    if chosen := env.get("NEXUS_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nexus"


def find_temporal(environ: Mapping[str, str] | None = None, *, download: str = DOWNLOAD) -> Path:
    """The `temporal` command of this machine, fetched or built where there is none.

    Args:
        environ: Instead of the environment of this process.
        download: Where to ask for an archive with the command.

    Raises:
        CommandFailed: There is none, and none can be had; says what to do.
    """
    env = dict(os.environ if environ is None else environ)
    if named := env.get("NEXUS_TEMPORAL_CLI"):
        if not is_usable(Path(named)):
            raise CommandFailed(
                f"NEXUS_TEMPORAL_CLI names {named}, which is no `temporal` command with a server "
                f"of {_dotted(OLDEST_SERVER)} or later"
            )
        return Path(named)
    for candidate in _installed(env):
        if is_usable(candidate):
            return candidate
    target = _cached(env)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _download(target, download):
        _build(target, env)
    return target


def is_usable(candidate: Path) -> bool:
    """Whether a file is a `temporal` command whose server is new enough."""
    if not os.access(candidate, os.X_OK) or not candidate.is_file():
        return False
    try:
        answer = subprocess.run(
            [candidate, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = _SERVER.search(answer)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_SERVER


def _installed(env: Mapping[str, str]) -> Iterator[Path]:
    if on_path := shutil.which("temporal", path=env.get("PATH")):
        yield Path(on_path)
    yield _cached(env)
    # Where `go install` puts it; often not on PATH.
    yield (
        Path(env.get("GOBIN") or Path(env.get("GOPATH") or "~/go").expanduser() / "bin")
        / "temporal"
    )


def _cached(env: Mapping[str, str]) -> Path:
    return cache_dir(env) / "temporal" / VERSION / "temporal"


def _download(target: Path, url: str) -> bool:
    """Downloads the command, if that is possible."""
    import httpx

    system, machine = platform.system().lower(), _ARCHITECTURES.get(platform.machine().lower())
    if system not in {"linux", "darwin"} or machine is None:
        return False
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = Path(folder) / "archive.tar.gz"
        try:
            # Without a network the answer comes at once, or after the few seconds of `connect`.
            with (
                progress(f"Downloading the Temporal CLI {VERSION}"),
                httpx.stream(
                    "GET",
                    url,
                    params={"platform": system, "arch": machine},
                    timeout=httpx.Timeout(30, connect=4),
                    follow_redirects=True,
                ) as answer,
                archive.open("wb") as file,
            ):
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    file.write(piece)
            with tarfile.open(archive) as packed:
                packed.extract("temporal", folder, filter="data")
        except (httpx.HTTPError, OSError, tarfile.TarError, KeyError):
            return False
        fresh = Path(folder) / "temporal"
        fresh.chmod(0o755)
        if not is_usable(fresh):
            return False
        fresh.replace(target)
    return True


def _build(target: Path, env: Mapping[str, str]) -> None:
    go = shutil.which("go", path=env.get("PATH"))
    if go is None:
        raise CommandFailed(
            "the Temporal CLI is not on PATH, cannot be downloaded, and there is no Go to build "
            "it with: install it (https://docs.temporal.io/cli), or install Go 1.24 or later, "
            "or name a `temporal` command in NEXUS_TEMPORAL_CLI"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        with progress(
            f"Building the Temporal CLI {VERSION} with Go; once, about three minutes",
        ):
            built = subprocess.run(
                [go, "install", f"{MODULE}@{VERSION}"],
                env={**env, "GOBIN": folder},
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=dies_with_parent(os.getpid()),
            )
        fresh = Path(folder) / "temporal"
        if built.returncode != 0 or not is_usable(fresh):
            lines = built.stderr.strip().splitlines() or ["no output"]
            raise CommandFailed(
                f"`go install {MODULE}@{VERSION}` failed ({lines[-1]}): install the Temporal CLI "
                "(https://docs.temporal.io/cli) and put it on PATH, or name it in "
                "NEXUS_TEMPORAL_CLI"
            )
        fresh.replace(target)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

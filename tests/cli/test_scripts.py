"""The parts of `scripts/`: what they find, what they skip, and what they say in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a machine has that has nothing else.
PLAIN = ("bash", "cat", "cmp", "dirname", "head", "mkdir", "mktemp", "rm", "sleep", "tail", "touch")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder for PATH, with the plain tools only."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PLAIN:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


def bash(
    script: str, *, path: str | None = None, root: Path = ROOT, cache: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a script with the parts of `scripts/lib` loaded."""
    libraries = "\n".join(f'. "{part}"' for part in sorted((ROOT / "scripts/lib").glob("*.sh")))
    prelude = f'set -euo pipefail\nROOT="{root}"\nCACHE="{cache}"\n{libraries}\n'
    bash_itself = shutil.which("bash")
    assert bash_itself is not None
    return subprocess.run(
        [bash_itself, "-c", prelude + script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, "HOME": str(cache)} if path else None,
        timeout=60,
    )


def assert_one_error(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def checkout(folder: Path, lock: str = "nothing==1\n") -> Path:
    """A folder that has what an environment is made from."""
    folder.mkdir()
    (folder / "requirements.lock").write_text(lock)
    (folder / "requirements-dev.lock").write_text(lock + "more==1\n")
    return folder


def made_from(root: Path, lock: str) -> None:
    """An environment as the scripts leave it, with the tests' own interpreter."""
    (root / ".venv/bin").mkdir(parents=True, exist_ok=True)
    if not (root / ".venv/bin/python").exists():
        (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / ".venv/made-from").write_text(f"{root}\n" + (root / lock).read_text())


def test_without_python_it_says_how_to_get_one(plain: Path, tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    done = bash("ensure_venv requirements.lock", path=str(plain), root=root, cache=tmp_path)
    assert_one_error(done, "no Python 3.11 or later", "apt install python3", "NEXUS_PYTHON")


def test_a_python_that_is_too_old_is_none(plain: Path, tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    (plain / "python3").write_text("#!/bin/bash\nexit 1\n")
    (plain / "python3").chmod(0o755)
    done = bash("ensure_venv requirements.lock", path=str(plain), root=root, cache=tmp_path)
    assert_one_error(done, "no Python 3.11 or later")


@pytest.mark.parametrize("made", ["requirements.lock", "requirements-dev.lock"])
def test_an_environment_that_is_up_to_date_costs_nothing(made: str, tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    made_from(root, made)
    script = "_find_python() { fail 'it looked for a Python'; }\nensure_venv requirements.lock"
    begun = time.monotonic()
    done = bash(script, root=root, cache=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("change", ["lock", "place"])
def test_another_lock_or_another_place_is_noticed(change: str, tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    made_from(root, "requirements.lock")
    if change == "lock":
        (root / "requirements.lock").write_text("other==2\n")
    else:
        root = root.rename(tmp_path / "moved")
    script = (
        '_install_with_uv() { say "installs $3 with $1"; }\n'
        "_find_uv() { echo some-uv; }\nensure_venv requirements.lock"
    )
    done = bash(script, root=root, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    stored = (root / ".venv/made-from").read_text()
    assert stored == f"{root}\n" + (root / "requirements.lock").read_text()


def test_an_environment_for_the_tests_stays_one(tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    made_from(root, "requirements-dev.lock")
    (root / ".venv/for-tests").touch()
    (root / "requirements-dev.lock").write_text("changed==3\n")
    (root / "requirements.lock").write_text("changed==2\n")
    script = (
        "_install_with_uv() { echo $3 >> $CACHE/installed; }\n"
        "_find_uv() { echo some-uv; }\nensure_venv requirements.lock"
    )
    assert bash(script, root=root, cache=tmp_path).returncode == 0
    assert (tmp_path / "installed").read_text() == "requirements-dev.lock\n"


def test_an_installation_that_fails_shows_why_and_is_tried_again(tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    script = (
        "_install_with_uv() { echo 'the network is down'; return 1; }\n"
        "_find_uv() { echo some-uv; }\nensure_venv requirements.lock"
    )
    done = bash(script, root=root, cache=tmp_path)
    assert done.returncode == 1
    assert "the network is down\nerror: the packages of requirements.lock" in done.stderr
    assert not (root / ".venv/made-from").exists()


def test_without_java_it_says_what_to_install(plain: Path, tmp_path: Path) -> None:
    done = bash("ensure_time_skipping_server", path=str(plain), cache=tmp_path)
    assert_one_error(done, "Java 17", "apt install")


def test_without_maven_it_says_what_to_install(plain: Path, tmp_path: Path) -> None:
    (plain / "java").symlink_to("/bin/true")
    done = bash("ensure_time_skipping_server", path=str(plain), cache=tmp_path)
    assert_one_error(done, "Maven", "apt install")


def test_what_takes_longer_than_two_seconds_is_said(tmp_path: Path) -> None:
    slow = bash("with_progress 'Fetching it' sleep 2.5", cache=tmp_path)
    quick = bash("with_progress 'Fetching it' sleep 0", cache=tmp_path)
    assert (slow.returncode, slow.stderr) == (0, "… Fetching it\n")
    assert (quick.returncode, quick.stderr) == (0, "")


def test_the_exit_code_of_what_is_waited_for_is_kept(tmp_path: Path) -> None:
    done = bash("with_progress 'Trying' bash -c 'echo why; exit 7' || exit $?", cache=tmp_path)
    assert (done.returncode, done.stderr) == (7, "why\n")


def test_every_script_parses() -> None:
    scripts = [ROOT / "scripts/dev", ROOT / "scripts/test", ROOT / ".ci/run"]
    for script in (*scripts, *(ROOT / "scripts/lib").glob("*.sh")):
        subprocess.run(["bash", "-n", str(script)], check=True)
    for script in scripts:
        assert script.stat().st_mode & 0o111, f"{script} cannot be run"

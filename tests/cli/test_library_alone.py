"""What `pip install` brings: `nexus` alone, whose command says what it would need, and Level 1."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nexus.cli.failures import CommandFailed, platform_module
from tests.support.processes import unmeasured

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "level-1.md"
PLATFORM = ("temporalio", "fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "psycopg", "jwt")
FRAMEWORKS = ("temporalio", "fastapi", "sqlmodel", "sqlalchemy", "django")
LATER = ("pydantic", "jsonschema_rs", "liquid", "httpx")  # loaded by those who need them
LINES = 15  # of the file that the requirements promise


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("nexus-*.whl")
    return built


def run(command: Sequence[str | Path], folder: Path) -> str:
    """What a command prints that knows nothing of the checkout."""
    inherited = unmeasured()
    environment = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("PYTHON", "NEXUS_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def empty_environment(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    """A Python without any package, and what installs a wheel into it."""
    made = folder / "environment"
    python = made / "bin" / "python"
    uv = shutil.which("uv")
    if uv is not None:
        run([uv, "venv", "--quiet", "--python", sys.executable, made], folder)
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        run([sys.executable, "-m", "venv", made], folder)
        install = [python, "-m", "pip", "install", "--quiet"]
    return python, lambda wheel: run([*install, wheel], folder)


def first_example() -> tuple[str, str]:
    """The first program of the page, and what the page says that it prints."""
    found = re.search(
        r"^```python .*?\n(?P<program>.*?)^```\n.*?^```text\n(?P<shown>.*?)^```$",
        PAGE.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None
    return found["program"], found["shown"]


def test_the_wheel_brings_nexus_and_nothing_of_the_platform(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nexus"}
    assert "nexus/py.typed" in names
    assert "nexus/core/decide.py" in names
    assert "nexus/schema/definition.schema.json" in names
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    always = [line for line in needed if "extra ==" not in line]
    assert not [line for line in always for package in PLATFORM if package in line]


def test_fr_l1_001_fifteen_lines_run_from_the_wheel_in_an_empty_environment(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, shown = first_example()
    assert len(program.splitlines()) <= LINES
    (tmp_path / "contacts.py").write_text(program)

    began = time.monotonic()
    python, install = empty_environment(tmp_path)
    install(wheel)
    printed = run([python, "contacts.py"], tmp_path)
    took = time.monotonic() - began

    assert printed == shown
    found = f"import importlib.util as u; print([n for n in {FRAMEWORKS!r} if u.find_spec(n)])"
    assert run([python, "-c", found], tmp_path) == "[]\n"
    with capsys.disabled():
        print(f"\n  from an empty environment to {len(printed.splitlines())} lines: {took:.1f} s")


def test_level_1_loads_no_framework_and_nothing_that_it_does_not_need_yet() -> None:
    program = (
        "import sys, nexus.crm, nexus.sales_marketing\n"
        f"print([name for name in {(*FRAMEWORKS, *LATER)!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "[]\n"


def test_the_command_line_loads_nothing_of_the_platform() -> None:
    program = (
        "import sys, nexus.cli.app, nexus.cli.dev, nexus.cli.serve, nexus.cli.migrate\n"
        f"print([name for name in {PLATFORM!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_client_needs_httpx_and_msgspec_alone() -> None:
    """What these two bring along themselves is theirs."""
    program = (
        "import sys, httpx, msgspec\n"
        "before = {name.partition('.')[0] for name in sys.modules}\n"
        "import nexus.client.asynchronous, nexus.client.sync\n"
        "after = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(after - before - sys.stdlib_module_names))\n"
        "print(sorted({'.'.join(name.split('.')[:2]) for name in sys.modules\n"
        "              if name.startswith('nexus.')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['nexus']\n['nexus.client', 'nexus.core']\n"


def test_a_command_that_needs_the_platform_says_so() -> None:
    with pytest.raises(CommandFailed, match=r"absent_package is not installed: run it from a chec"):
        platform_module("absent_package.of_the_platform")

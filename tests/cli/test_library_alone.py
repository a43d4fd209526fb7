"""What `pip install` brings: `nexus` alone, whose command says what it would need."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nexus.cli.failures import CommandFailed, platform_module

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ("temporalio", "fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "psycopg", "jwt")


def test_the_wheel_brings_nexus_and_nothing_of_the_platform(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("nexus-*.whl")
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

"""`docs/level-1.md` as its reader does it: programs run, files written, outputs compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from nexus.core.errors import RefusalCode
from tests.support.pages import blocks, done, steps
from tests.support.processes import unmeasured

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "level-1.md").read_text()
README = (ROOT / "README.md").read_text()


def environment() -> dict[str, str]:
    """That of somebody who has installed the library, and configured nothing."""
    inherited = {name: value for name, value in unmeasured().items() if name[:6] != "NEXUS_"}
    folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([folder, inherited.get("PATH", os.defpath)])
    return {**inherited, "PYTHONPATH": str(ROOT), "PATH": path, "NO_COLOR": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the Django project that the page's reader has, and its model as it was before."""

    def run(*command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "django", *command],
            cwd=tmp_path,
            check=True,
            env={**environment(), "DJANGO_SETTINGS_MODULE": "project.settings"},
        )

    run("startproject", "project", ".")
    run("startapp", "shop")
    with (tmp_path / "project" / "settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS += ['shop']\n")
    (tmp_path / "shop" / "models.py").write_text(
        "from django.db import models\n\n\n"
        "class Customer(models.Model):\n"
        "    name = models.CharField(max_length=100)\n"
    )
    run("makemigrations", "shop", "--verbosity", "0")
    run("migrate", "--verbosity", "0")
    return tmp_path


def test_what_the_page_shows_is_what_its_reader_sees(folder: Path) -> None:
    shell = environment()
    for step in steps(PAGE):
        for seen in done(step, folder, shell):
            assert seen.printed == seen.shown, seen.of


def test_nothing_but_the_installation_is_left_out() -> None:
    """What stands under `sh` is not run."""
    assert [block.content for block in blocks(PAGE) if block.kind == "sh"] == [
        "pip install nexus\n"
    ]


def test_the_page_names_every_code_of_a_refusal() -> None:
    table = PAGE.partition("The codes of `Rejected`")[2].partition("Mistakes in definitions")[0]
    told = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {code for cell in told for code in re.findall(r"`(\w+)`", cell)} == set(
        get_args(RefusalCode)
    )


def test_the_example_of_the_readme_runs() -> None:
    (example,) = (block.content for block in blocks(README) if block.kind == "python")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(example, "README.md", "exec"), names)
    crm = names["user"].crm()
    assert 'crm().can("edit")  # True' in example
    assert crm.can("edit") is True
    assert [entry.event for entry in crm.history()] == ["instance_started", "record_created"]

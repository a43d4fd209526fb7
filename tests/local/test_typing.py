"""What type checkers say of models that give their definition as a class attribute."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MODELS = """\
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel
from sqlmodel import Field, SQLModel

from nexus.crm import Definition, HasCrm
from nexus.sales_marketing import HasSalesMarketing


class Plain(HasCrm, HasSalesMarketing):
    crm_definition = {"entities": {"contact": {"fields": ["name", "email"]}}}
    sm_definition = {"entities": {"campaign": {"fields": ["name", "budget"]}}}


@dataclass
class Data(HasCrm):
    id: int

    crm_definition = Plain.crm_definition


class Model(HasCrm, BaseModel):
    id: int

    crm_definition = {
        "entities": {"contact": {"fields": ["name", "email"]}},
        "guards": {"edit": lambda contact: contact.name != "Nobody"},
    }


class Annotated(BaseModel, HasCrm):
    id: int

    crm_definition: ClassVar[Definition] = {
        "entities": {"contact": {"fields": ["name", "email"]}}
    }


class Table(HasCrm, SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)

    crm_definition = {"entities": {"contact": {"fields": ["name", "email"]}}}


class FromFile(HasCrm):
    crm_definition = Path(__file__).with_name("contacts.json")


"""
SHOWN = """\
reveal_type(Plain().crm())
reveal_type(Plain().crm().add_contact({"name": "John"}))
reveal_type(Data(1).crm())
reveal_type(Data(1).crm().add_contact({"name": "John"}))
reveal_type(Model(id=1).crm())
reveal_type(Model(id=1).crm().add_contact({"name": "John"}))
reveal_type(Annotated(id=1).crm(actor="ann"))
reveal_type(Annotated(id=1).crm(actor="ann").add_contact({"name": "John"}))
reveal_type(Table(id=1).crm())
reveal_type(Table(id=1).crm().add_contact({"name": "John"}))
reveal_type(FromFile().crm())
reveal_type(FromFile().crm().record("contact-1"))
reveal_type(Plain().sm())
reveal_type(Plain().sm().launch_campaign({"name": "Summer Sale", "budget": 1000}))
"""
RUN = """\
contacts = '{"entities": {"contact": {"fields": ["name", "email"]}}}'
Path(__file__).with_name("contacts.json").write_text(contacts)
models = [Plain(), Data(1), Model(id=1), Annotated(id=1), Table(id=1), FromFile()]
for model in models:
    print(type(model).__name__, model.crm().add_contact({"name": "John"}).id)
print(sorted(Model.model_fields), sorted(Table.model_fields))
"""
WRONG = """\
Plain().crm().add_contact("John")
Plain().crm().add_contcat({"name": "John"})
"""
EXPECTED = ["CrmHandle", "Record"] * 6 + ["SmHandle", "Record"]


def environment() -> dict[str, str]:
    """Where checkers find `nexus`, and nothing of what configures its users."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}


def mypy(program: Path) -> subprocess.CompletedProcess[str]:
    # Without the project's settings: as somebody has it who uses the library.
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file="]
    return subprocess.run(
        [*command, str(program)],
        cwd=program.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def pyright(program: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "include": [program.name],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
    }
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    return subprocess.run(
        command,
        cwd=program.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


CHECKERS = {"mypy": mypy, "pyright": pyright}
REVEALED = {
    "mypy": re.compile(r'Revealed type is "(?:[\w.]+\.)?(\w+)"'),
    "pyright": re.compile(r'Type of ".*" is "(\w+)"'),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_have_no_complaint_and_know_handles_and_records(
    checker: str, tmp_path: Path
) -> None:
    program = tmp_path / "models.py"
    program.write_text(MODELS + SHOWN)
    done = CHECKERS[checker](program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert REVEALED[checker].findall(done.stdout) == EXPECTED, done.stdout


@pytest.mark.parametrize("checker", CHECKERS)
def test_type_checkers_find_what_is_wrong(checker: str, tmp_path: Path) -> None:
    program = tmp_path / "models.py"
    program.write_text(MODELS + WRONG)
    done = CHECKERS[checker](program)
    assert done.returncode == 1, done.stdout + done.stderr
    first = MODELS.count("\n") + 1
    complaints = re.findall(r"^.*models\.py:(\d+).*error", done.stdout, re.MULTILINE)
    assert [int(line) for line in complaints] == [first, first + 1], done.stdout


def test_the_same_models_run(tmp_path: Path) -> None:
    """A definition is no field of a model of pydantic, annotated or not."""
    program = tmp_path / "models.py"
    program.write_text(MODELS + RUN)
    done = subprocess.run(
        [sys.executable, program], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        *(
            f"{name} contact-1"
            for name in ("Plain", "Data", "Model", "Annotated", "Table", "FromFile")
        ),
        "['crm_data', 'id'] ['crm_data', 'id']",
    ], done.stderr

"""New definitions run as they are, and explain themselves."""

from __future__ import annotations

import json

import pytest

from nexus.authoring.fmt import formatted
from nexus.authoring.template import KINDS, Kind, guide, new_definition
from nexus.core import load_definition
from nexus.core.commands import Actor
from tests.core.playing import Play


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_has_nothing_odd(kind: Kind) -> None:
    text = new_definition("my-first_one", kind)
    compiled = load_definition(text)
    assert compiled.warnings == ()
    assert compiled.program.id == "my-first_one"
    assert compiled.program.label == "My first one"
    assert formatted(text) == text
    assert next(iter(json.loads(text))) == "$schema"
    assert json.loads(text)["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_its_guide_names_parts_that_it_has(kind: Kind) -> None:
    text, told = new_definition("x", kind), guide("x", kind, "x.json")
    parts = told.split("Its parts:\n\n")[1].split("\n\nNext:")[0]
    for line in parts.splitlines():
        assert f'"{line.split()[0]}"' in text
    assert "nexus validate x.json" in told


def test_a_lead_is_won() -> None:
    play = Play(load_definition(new_definition("x", "lead")).program)
    play.start({"score": 60})
    play.act("qualify")
    play.act("win", data={"value": 5})
    assert (play.lead.data["value"], play.status()) == (5, "completed")


def test_a_campaign_ends_by_its_clock() -> None:
    play = Play(load_definition(new_definition("x", "campaign")).program)
    play.start({"segment": "gold", "budget": 10})
    play.act("launch", actor=Actor("mia", ("marketing",)))
    play.wait(14)
    assert play.status() == "completed"


def test_a_request_is_approved_by_a_manager_or_by_itself() -> None:
    program = load_definition(new_definition("x", "approval")).program
    play = Play(program)
    play.start({"amount": 500})
    manager, employee = Actor("max", ("manager",)), Actor("emma", ("employee",))
    play.act("send_back", actor=manager)
    play.act("resubmit", actor=employee)
    play.act("approve", actor=manager)
    assert play.state.records["request-1"].data["decided_by"] == "max"
    small = Play(program)
    small.start({"amount": 50})
    assert small.stages() == {"request-1": "approved"}

"""The definitions that ship: their scenarios pass, show all of them, and catch what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.channels import load_channels
from nexus.cli.definition_files import definition_files
from nexus.core import load_definition
from nexus.simulation.coverage import coverage_of
from nexus.simulation.playing import Played, play
from nexus.simulation.reading import read_scenarios
from tests.core.playing import DEFINITIONS

SHIPPED = [path.stem for path in definition_files([DEFINITIONS])]


def runs(name: str, definition: str) -> list[Played]:
    program = load_definition(definition).program
    text = (DEFINITIONS / f"{name}.scenarios.json").read_bytes()
    channels = load_channels()
    return [play(program, one, channels=channels) for one in read_scenarios(text, name).scenarios]


def text_of(name: str) -> str:
    return (DEFINITIONS / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_scenarios_of_what_ships_pass_and_show_all_of_it(name: str) -> None:
    text = text_of(name)
    played = runs(name, text)
    assert [one.scenario.name for one in played if not one.passed] == []
    assert coverage_of(load_definition(text).program, played).missing == ()


OTHERWISE = {">=": ">", "<=": "<", ">": ">=", "<": "<=", "==": "!=", "AND": "OR"}
_CONDITION = re.compile(r'"(?:condition|when)": "([^"]+)"')
_OPERATOR = re.compile(r">=|<=|==|>|<|\bAND\b")
_BARE = re.compile(r"^(has\([a-z_.]+\)|data\.[a-z_]+)$")


def mutants() -> Iterator[tuple[str, str, str]]:
    """Each definition with one operator of one condition changed, or a bare one turned round."""
    for name in SHIPPED:
        text = text_of(name)
        for condition in _CONDITION.finditer(text):
            written, start = condition[1], condition.start(1)
            for found in _OPERATOR.finditer(written):
                wrong = written[: found.start()] + OTHERWISE[found[0]] + written[found.end() :]
                yield name, wrong, text[:start] + wrong + text[condition.end(1) :]
            if _BARE.match(written):
                wrong = f"NOT ({written})"
                yield name, wrong, text[:start] + wrong + text[condition.end(1) :]


# `send` has its turn before `ask`, and takes a discount of exactly 15.
SAME = {("opportunity", "data.discount >= 15")}
MUTANTS = [one for one in mutants() if one[:2] not in SAME]


def test_every_condition_of_what_ships_is_made_wrong() -> None:
    conditions = sum(len(_CONDITION.findall(text_of(name))) for name in SHIPPED)
    assert len(MUTANTS) >= conditions >= 10


@pytest.mark.parametrize(
    ("name", "wrong", "text"), MUTANTS, ids=[f"{name}: {wrong}" for name, wrong, _ in MUTANTS]
)
def test_an_error_in_a_condition_is_caught(name: str, wrong: str, text: str) -> None:
    assert wrong in text
    assert not all(one.passed for one in runs(name, text))


def test_there_are_scenarios_of_nothing_else() -> None:
    found = {path.name.split(".")[0] for path in Path(DEFINITIONS).glob("*.scenarios.json")}
    assert found == set(SHIPPED)

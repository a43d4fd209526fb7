"""Fifty-five definitions, each broken in one way that a person would break it.

Beside each stands what its author is told: one line for each problem, with its place, its code
and the name that was probably meant. Nothing else is told.
"""

from pathlib import Path

import pytest

from nexus.core import DefinitionError, load_definition

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.json"))


def told(path: Path) -> list[str]:
    try:
        found = load_definition(path.read_bytes(), path.name).warnings
    except DefinitionError as error:
        found = error.problems
    return [
        f"{problem.line}:{problem.column} {problem.severity} {problem.code}"
        + (f" -> {problem.suggestion}" if problem.suggestion else "")
        for problem in found
    ]


def test_there_are_fifty_five() -> None:
    assert len(BROKEN) == 55
    assert len({path.read_bytes() for path in BROKEN}) == 55


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_author_of_a_broken_definition_is_told_just_what_is_wrong(path: Path) -> None:
    """Design 3: located, with the nearest valid name."""
    expected = path.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    assert told(path) == expected
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in expected:
        number, column = map(int, line.split(" ")[0].split(":"))
        # No problem of a definition that was laid out by hand points at its indentation.
        assert lines[number - 1][column - 1 :].strip()

"""What is wrong with an expression is shown in the file, at the very character (issue: located)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import present_finding
from api.schemas import Finding
from nexus.core import DefinitionError, Problem, load_definition
from nexus.core.json_text import Positions


def text_with(transition: str) -> str:
    return (
        '{\n  "id": "d",\n  "entities": {"lead": {"stages": ["new", "won"]}},\n'
        '  "transitions": {\n    "win": {"from": "new", "to": "won",\n'
        f"      {transition}}}\n  }}\n}}"
    )


def only_problem(text: str | bytes) -> Problem:
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, "d.json")
    (problem,) = caught.value.problems
    return problem


def pointed_at(text: str, problem: Problem) -> str:
    """The text from the place that a problem names."""
    return text.split("\n")[problem.line - 1][problem.column - 1 :]


@pytest.mark.parametrize(
    ("transition", "at"),
    [
        ('"condition": "data.score > 50 and dta.x == 1"', "dta.x == 1"),
        ('"condition": {"all": ["data.a", {"not": "data.b == True"}]}', "True"),
        ('"condition": {"any": [{"expression": "1 +"}]}', '"}]}'),
        ('"set": {"a/b": "data.a ** 2"}', "** 2"),
        ('"creates": {"entity": "lead", "data": {"name": "record.data.name ;"}}', ';"'),
        # Escapes of JSON are several characters in the file, and one in the expression.
        (r'"condition": "data[\"x\"] == \"\u00e9\ud83d\ude00\" && dta"', "dta"),
        (r'"condition": "data.a ==\n\t\u0027\\\\\u0027 and dta"', "dta"),
        (r'"condition": "data.a == \u0027\u0000\u0027"', None),
        ('"condition": "data.größe == \'😀\' and dta"', "dta"),
        ('"condition": ""', '"'),
        ('"condition": "data.a == \\u200bdata.b"', "\\u200bdata.b"),
    ],
)
def test_line_and_column_name_the_character(transition: str, at: str | None) -> None:
    text = text_with(transition)
    problem = only_problem(text)
    if at is None:
        assert problem.code == "invalid_text"
        return
    assert problem.code == "invalid_expression"
    assert pointed_at(text, problem).startswith(at)
    # As bytes, and behind a byte order mark, the places are the same.
    again = only_problem(b"\xef\xbb\xbf" + text.encode())
    assert (again.line, again.column) == (problem.line, problem.column)


def test_the_excerpt_has_carets_below_the_wrong_part() -> None:
    problem = only_problem(text_with('"condition": "data.score > 50 and dta.x == 1"'))
    assert problem.excerpt == "data.score > 50 and dta.x == 1\n                    ^^^"
    assert str(problem).startswith("d.json:6:41: error: There is no name 'dta' here. Did you")
    assert "\n" not in str(problem)


def test_what_would_turn_or_hide_text_is_not_in_the_excerpt() -> None:
    """A caret below text that runs backwards would point at something else."""
    problem = only_problem(text_with('"condition": "data.a == \'\u202e\u2066x\' and\\tdta"'))
    assert problem.excerpt is not None
    line, carets = problem.excerpt.split("\n")
    assert line == "data.a == '��x' and dta"
    assert carets == " " * 20 + "^^^"


def test_text_without_quotes_is_shown_how_to_quote() -> None:
    problem = only_problem(text_with('"set": {"status": "won"}'))
    assert problem.expected is not None
    assert problem.expected.endswith(", or text in quotes: \"'won'\"")
    assert (problem.found, problem.suggestion) == ("'won'", "'won'")
    empty = only_problem(text_with('"set": {"status": "1 + + 2"}'))
    assert empty.expected == "a value"


def test_the_api_tells_the_same() -> None:
    problem = only_problem(text_with('"condition": "dta.x"'))
    told = present_finding(problem)
    assert Finding.model_validate(told).excerpt == problem.excerpt == "dta.x\n^^^"
    assert (told["line"], told["column"]) == (6, 21)


def test_a_place_in_what_is_no_string_is_the_values_own() -> None:
    positions = Positions('{"a": 5, "b": "x"}')
    assert positions.inside("/a", 3) == positions.value("/a") == (1, 7)
    assert positions.inside("/none", 3) == positions.value("")
    assert positions.inside("/b", 1) == positions.inside("/b", 9) == (1, 17)


VALID = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(VALID, VALID, st.booleans())
def test_every_character_of_every_string_is_found(
    before: str, after: str, only_ascii: bool
) -> None:
    document: Any = {"k": before + "~" + after}
    text = json.dumps(document, ensure_ascii=only_ascii)
    line, column = Positions(text).inside("/k", len(before))
    rest = text.split("\n")[line - 1][column - 1 :]
    assert rest == "~" + json.dumps(after, ensure_ascii=only_ascii)[1:] + "}"

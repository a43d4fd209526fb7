"""Every problem code has one line in the table, one page, and one place that gives it."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.core import DefinitionError, Problem, load_definition
from nexus.core.compiler.reader import MOST_WARNINGS
from nexus.core.json_text import MAX_BYTES, MAX_DEPTH
from nexus.core.language import MOST_STAGES, MOST_STEPS
from nexus.core.problem_codes import PROBLEM_CODES
from tests.core.kinds import Kinds

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "problems"
CORE = ROOT / "nexus" / "core"

# Too large to stand in a page.
LARGE = {
    "too_large": " " * (MAX_BYTES + 1),
    "too_deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "too_many_stages": json.dumps(
        {
            "id": "example",
            "entities": {"lead": {"stages": [f"s{i}" for i in range(MOST_STAGES + 1)]}},
        }
    ),
    "too_many_steps": json.dumps(
        {
            "id": "example",
            "entities": {"lead": {"stages": [{"id": "new", "run": [{"wait": "1h"}] * MOST_STEPS}]}},
        }
    ),
    "too_many_warnings": json.dumps(
        {"id": "example", **{f"key-{i}": i for i in range(MOST_WARNINGS + 1)}}
    ),
}

# Given by the command that looks at several files, and shown by no single one.
OF_FILES = {"defined_twice"}


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        return load_definition(text, "example.json", Kinds()).warnings
    except DefinitionError as error:
        return error.problems


def page(code: str) -> str:
    return (PAGES / f"{code}.md").read_text(encoding="utf-8")


def block(text: str, language: str) -> str | None:
    found = re.search(rf"^```{language}\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else None


def test_each_code_has_a_page_and_each_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(PROBLEM_CODES)


def test_the_index_is_the_table_of_codes() -> None:
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    rows = [
        f"| [{code}]({code}.md) | {known.severity} | {known.meaning} |"
        for code, known in PROBLEM_CODES.items()
    ]
    assert [line for line in text.splitlines() if line.startswith("| [")] == rows


@pytest.mark.parametrize("code", PROBLEM_CODES)
def test_a_page_says_what_the_table_says_and_how_to_mend_it(code: str) -> None:
    known = PROBLEM_CODES[code]
    text = page(code)
    assert text.startswith(f"# {code}\n\n**{known.severity.capitalize()}.** {known.meaning}\n\n")
    mending = text.partition("## How to mend it\n\n")[2]
    assert len(mending.strip()) > 20


@pytest.mark.parametrize("code", [code for code in PROBLEM_CODES if code not in OF_FILES])
def test_the_example_of_a_page_gives_just_what_the_page_shows(code: str) -> None:
    example = LARGE.get(code) or block(page(code), "json")
    assert example is not None
    found = problems_of(example)
    assert code in {problem.code for problem in found}
    assert all(PROBLEM_CODES[problem.code].severity == problem.severity for problem in found)
    if code not in LARGE:
        assert block(page(code), "text") == "\n".join(map(str, found))


# --- the table and the code --------------------------------------------------------------------

_TELLERS = {"report", "_report", "problems", "_problems", "_tell", "tell", "Problem", "Finding"}


def codes_in(path: Path) -> Iterator[tuple[str, int]]:
    """The codes that a file gives: strings handed to whatever reports a problem."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in _TELLERS or name == "unknown_name":
            for argument in node.args[:2]:
                code = argument.value if isinstance(argument, ast.Constant) else None
                if isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", code):
                    yield code, node.lineno


def test_what_is_reported_anywhere_is_in_the_table() -> None:
    for path in sorted(CORE.rglob("*.py")):
        for code, line in codes_in(path):
            assert code in PROBLEM_CODES, f"{path.name}:{line} reports {code!r}"


def test_what_is_in_the_table_is_given_somewhere() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for path in (*CORE.rglob("*.py"), ROOT / "nexus" / "cli" / "authoring.py")
        if path.name != "problem_codes.py"
    ]
    for code in PROBLEM_CODES:
        assert any(f'"{code}"' in text for text in texts), code


def test_a_code_that_is_not_in_the_table_cannot_be_reported() -> None:
    from nexus.core.compiler.reader import Problems

    with pytest.raises(KeyError):
        Problems()("no_such_code", "", "This cannot be.")

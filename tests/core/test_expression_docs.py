"""`docs/expressions.md` is true: every example is run, and the grammar is held to the parser."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.core import conditions
from nexus.core.expressions import (
    DEFAULT_NAMES,
    FUNCTIONS,
    ExpressionError,
    Unknown,
    functions,
    lexer,
    parse,
    parse_moment,
    parser,
    to_json,
    values,
)
from nexus.core.expressions.explanation import MAX_EXPLAINED
from nexus.core.expressions.lexer import Token, tokenize
from tests.core.test_expressions_properties import EXPRESSIONS, WORDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "expressions.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def scope() -> dict[str, object]:
    (text,) = blocks("json scope")
    given: dict[str, Any] = json.loads(text)
    return {**given, "now": parse_moment(given["now"])}


def examples() -> Iterator[tuple[str, str]]:
    """Each example with the line that follows it."""
    for block in blocks("nexus"):
        lines = block.splitlines()
        assert len(lines) % 2 == 0, f"an example without an answer in\n{block}"
        for question, below in zip(lines[::2], lines[1::2], strict=True):
            assert question.startswith(">>> "), question
            yield question.removeprefix(">>> "), below


def answer(text: str) -> str:
    """What the page should say below an example."""
    try:
        value = parse(text).evaluate(scope())
    except ExpressionError as error:
        carets = error.caret(text).split("\n")[1]
        hint = f"; {error.suggestion}?" if error.suggestion else ""
        return f"    {carets} {error.message}{hint}"
    if isinstance(value, Unknown):
        return f"unknown: {value.reason}"
    return json.dumps(to_json(value), ensure_ascii=False)


EXAMPLES = list(examples())


@pytest.mark.parametrize(("text", "written"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_every_example_gives_what_stands_below_it(text: str, written: str) -> None:
    assert answer(text) == written


def test_there_are_examples_of_everything() -> None:
    assert len(EXAMPLES) > 60
    used = [parse(text) for text, written in EXAMPLES if "^" not in written]
    assert {name for expression in used for name in expression.functions} == set(FUNCTIONS)
    texts = " ".join(expression.text for expression in used)
    signs = ["==", "=", "!=", "<", ">=", ">", "in", "not in", "+", "-", "*", "/", "%"]
    signs += ["and", "or", "&&", "||"]
    assert [sign for sign in signs if f" {sign} " not in texts] == []


def test_every_function_stands_in_the_table() -> None:
    section = PAGE.split("## Functions")[1].split("```")[0]
    assert [f.usage for f in FUNCTIONS.values() if f"`{f.usage}`" not in section] == []


def test_every_name_stands_in_the_table() -> None:
    section = PAGE.split("## What they see")[1].split("```")[0]
    assert set(re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", section, re.MULTILINE)) == set(
        DEFAULT_NAMES
    )


@pytest.mark.parametrize(
    "row",
    re.findall(
        r"^\| (true|false|unknown) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE
    ),
)
def test_the_table_of_logic_is_true(row: tuple[str, ...]) -> None:
    """R2."""
    a, b = ("data.u" if operand == "unknown" else operand for operand in row[:2])
    given: dict[str, object] = {"data": {}}
    for text, expected in zip((f"{a} and {b}", f"{a} or {b}", f"not {a}"), row[2:], strict=True):
        result = parse(text).evaluate(given)
        assert ("unknown" if isinstance(result, Unknown) else json.dumps(result)) == expected


def test_the_table_of_logic_is_complete() -> None:
    rows = re.findall(r"^\| (true|false|unknown) \| (true|false|unknown) \|", PAGE, re.MULTILINE)
    assert len(set(rows)) == 9


def test_the_limits_are_those_of_the_code() -> None:
    table = PAGE.split("## Limits")[1]
    written = [int(n.replace(",", "")) for n in re.findall(r"\| ([\d,]+) \|$", table, re.MULTILINE)]
    assert written == [
        lexer.MAX_LENGTH,
        parser.MAX_DEPTH,
        parser.MAX_NODES,
        functions.MAX_ARGUMENTS,
        conditions.MAX_DEPTH,
        values.MAX_STRING,
        values.MAX_ELEMENTS,
        values.MAX_COMPARED,
    ]
    assert conditions.MAX_PARTS == parser.MAX_NODES
    assert f"about {MAX_EXPLAINED:,} characters" in PAGE


def test_the_explanation_is_what_is_told() -> None:
    (text,) = blocks("json why")
    shown = json.loads(text)
    assert parse(shown["expression"]).explain(scope()) == shown


# --- the grammar ---------------------------------------------------------------------------

_EBNF = re.compile(r'\s*("[^"]*"|\w+|[=;,|{}\[\]()])')
# ("word", text), ("rule", name), ("one", alternatives), ("all", parts), ("many", x), ("may", x)
Rule = tuple[str, Any]


def grammar() -> dict[str, Rule]:
    (text,) = blocks("ebnf")
    tokens = _EBNF.findall(text)
    assert "".join(tokens) == "".join(text.split()), "not all of the grammar was read"
    rules: dict[str, Rule] = {}
    while tokens:
        name, equals = tokens.pop(0), tokens.pop(0)
        assert equals == "="
        rules[name] = _alternatives(tokens)
        assert tokens.pop(0) == ";"
    return rules


def _alternatives(tokens: list[str]) -> Rule:
    found = [_sequence(tokens)]
    while tokens[0] == "|":
        tokens.pop(0)
        found.append(_sequence(tokens))
    return ("one", found)


def _sequence(tokens: list[str]) -> Rule:
    parts = [_term(tokens)]
    while tokens[0] == ",":
        tokens.pop(0)
        parts.append(_term(tokens))
    return ("all", parts)


def _term(tokens: list[str]) -> Rule:
    token = tokens.pop(0)
    for opening, closing, kind in (("{", "}", "many"), ("[", "]", "may"), ("(", ")", "one")):
        if token == opening:
            inner = _alternatives(tokens)
            assert tokens.pop(0) == closing
            return (kind, [inner] if kind == "one" else inner)
    return ("word", token[1:-1]) if token.startswith('"') else ("rule", token)


GRAMMAR = grammar()


class Recogniser:
    """Says whether a text is of the grammar, trying everything that it allows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)[:-1]
        self.rule = lru_cache(maxsize=None)(self._rule)

    def accepts(self) -> bool:
        return len(self.tokens) in self.rule("expression", 0)

    def _rule(self, name: str, at: int) -> frozenset[int]:
        if name in GRAMMAR:
            return frozenset(self.ends(GRAMMAR[name], at))
        return frozenset({at + 1} if at < len(self.tokens) and self.is_a(name, at) else ())

    def is_a(self, kind: str, at: int) -> bool:
        """The kinds of token that the page tells in words."""
        token: Token = self.tokens[at]
        match kind:
            case "number" | "string" | "word":
                return token.kind == kind
            case "index":
                return isinstance(token.value, int) and token.kind == "number"
            case "name":
                return token.kind == "word" and token.text in DEFAULT_NAMES
            case "function":
                return token.kind == "word" and token.text in FUNCTIONS
            case _:
                raise AssertionError(f"the grammar does not say what {kind!r} is")

    def ends(self, rule: Rule, at: int) -> set[int]:
        """Where a rule that begins at a token may end."""
        kind, inner = rule
        match kind:
            case "word":
                there = self.tokens[at] if at < len(self.tokens) else None
                fits = there is not None and self.text[there.start : there.end] == inner
                return {at + 1} if fits else set()
            case "rule":
                return set(self.rule(inner, at))
            case "one":
                return {end for alternative in inner for end in self.ends(alternative, at)}
            case "may":
                return {at} | self.ends(inner, at)
            case "all":
                reached = {at}
                for part in inner:
                    reached = {end for start in reached for end in self.ends(part, start)}
                return reached
        reached, new = {at}, {at}
        while new := {end for start in new for end in self.ends(inner, start)} - reached:
            reached |= new
        return reached


# What the page says beside the grammar: how many values a function takes, and the limits.
_BEYOND = re.compile(r"was given|asks whether a name is there|deeper than|more than|characters")
SPELLINGS = ["AND", "OR", "NOT", "IN", "!", "||", "now", "data", "(data)", "- ", "not", "(", ")"]


@given(EXPRESSIONS | st.lists(st.sampled_from([*WORDS, *SPELLINGS]), max_size=9).map(" ".join))
def test_the_parser_takes_what_the_grammar_allows_and_nothing_else(text: str) -> None:
    try:
        parse(text)
        taken = True
    except ExpressionError as error:
        if _BEYOND.search(error.message):
            return
        taken = False
    assert Recogniser(text).accepts() is taken


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("not not data.a == 1", True),
        ("1 == not true", False),
        ("- not true", False),
        ("- - 1", True),
        ("1 < 2 < 3", False),
        ("((data).a)[0].in", True),
        ("(data.a + 1).b", False),
        ("[1, 2,]", False),
        ("[]", True),
        ("data[1.5]", False),
        ("data not in []", True),
        ("data !in []", True),
        ("min()", False),
        ("data.a()", False),
        ("has", False),
        ("true.a", False),
    ],
)
def test_the_grammar_and_the_parser_agree_on_corners(text: str, allowed: bool) -> None:
    recognised = Recogniser(text).accepts()
    if allowed:
        assert parse(text).text == text
        assert recognised
        return
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert recognised is bool(_BEYOND.search(caught.value.message))

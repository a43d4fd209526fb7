"""What holds for every text and all data."""

import json
import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from nexus.core.expressions import FUNCTIONS, ExpressionError, Unknown, parse
from nexus.core.expressions.operators import ORDERS, equal, ordered

WORDS = [
    *("data.a", "data.b.c", "data.l[0]", 'data["x y"]', "actor.roles", "event", "now", "metrics.m"),
    *("1", "0", "-2.5", "1e300", "'a'", "'2026-01-01'", "''", "true", "false", "null", "[1, 'a']"),
    *("and", "or", "not", "in", "not in", "==", "!=", ">", "<=", "+", "-", "*", "/", "%"),
    *("(", ")", "[", "]", ",", "=", "!", "&&", "."),
    *(f"{name}(" for name in FUNCTIONS),
]
ODD = st.sampled_from([2**63, -(2**64), 10**400, math.nan, math.inf, -0.0, "\0", "\ud800", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | ODD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "x y", "l", "m", "roles"]), inner)
    ),
    max_leaves=12,
)
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("data", "actor", "event", "metrics"), JSON),
        "now": st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    },
)


def operand(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(
        ["and", "or", "==", "!=", ">", ">=", "<", "<=", "in", "not in", "+", "-", "*", "/", "%"]
    )
    calls = [
        st.tuples(st.just(name), st.lists(inner, min_size=f.least, max_size=min(3, f.most)))
        for name, f in FUNCTIONS.items()
        if name != "has"
    ]
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"(-{text})"),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.one_of(calls).map(lambda call: f"{call[0]}({', '.join(call[1])})"),
    )


LEAVES = st.sampled_from([*WORDS[:19], "has(data.a)", "has(data.b.c)"])
EXPRESSIONS = st.recursive(LEAVES, operand, max_leaves=8)


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_reading_raises_nothing_but_an_expression_error(text: str) -> None:
    error = error_in(text)
    if error is not None:
        assert 0 <= error.offset <= len(text)
        line, carets = error.caret(text).split("\n")
        assert carets.strip("^ ") == ""
        assert len(line) <= 100


def error_in(text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


@given(EXPRESSIONS, SCOPES)
def test_evaluating_never_raises_and_explanations_are_json(
    text: str, scope: dict[str, object]
) -> None:
    expression = parse(text)
    value = expression.evaluate(scope)
    assert isinstance(value, Unknown | bool | int | float | str | list | dict | datetime | None)
    held = expression.holds(scope)
    assert isinstance(held, bool | Unknown)
    if isinstance(value, bool):
        assert held is value
    elif isinstance(value, Unknown):
        assert held == value
    explained = expression.explain(scope)
    json.dumps(explained, allow_nan=False)
    assert (explained["result"] == "unknown") >= isinstance(value, Unknown)
    values, missing = explained["values"], explained["missing"]
    assert isinstance(values, dict)
    assert isinstance(missing, list)
    assert {*values, *missing} == set(expression.paths)


@given(EXPRESSIONS, SCOPES)
def test_the_same_text_and_scope_always_give_the_same(text: str, scope: dict[str, object]) -> None:
    first, second = parse(text).evaluate(scope), parse(text).evaluate(scope)
    assert repr(first) == repr(second)


@given(JSON, JSON | st.integers(-5, 5), st.sampled_from([">", ">=", "<", "<=", "==", "!="]))
def test_short_ways_mean_what_the_long_way_means(a: object, b: object, sign: str) -> None:
    """The compiler's special cases for literals must not change an answer."""
    scope = {"data": {"a": a, "b": b}}
    long = ordered(ORDERS[sign], a, b, "x", "y") if sign in ORDERS else equal(a, b, "x", "y")
    if sign == "!=" and not isinstance(long, Unknown):
        long = not long
    short = [parse(f"data.a {sign} data.b").evaluate(scope)]
    if type(b) is int and abs(b) < 2**63 and b >= 0:
        short.append(parse(f"data.a {sign} {b}").evaluate(scope))
    for result in short:
        assert isinstance(result, Unknown) == isinstance(long, Unknown)
        assert isinstance(result, Unknown) or result is long

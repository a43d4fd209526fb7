"""What operators mean between two values that are known.

Each takes the values and the texts they were written as, and gives a value or
Unknown with a sentence that names both. None of them raises, and none looks at
more than `MAX_ELEMENTS` elements.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from nexus.core.expressions.values import (
    MAX_COMPARED,
    MAX_ELEMENTS,
    MAX_STRING,
    Kind,
    Unknown,
    a_kind,
    because,
    bounded_number,
    is_usable,
    kind_of,
    utc,
)

_MAX_DEPTH = 64

# Not `datetime.fromisoformat`: what that reads has changed between versions of
# Python, and an expression must mean the same for as long as its instance lives.
_MOMENT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
    r"(?:([Zz])|([+-])(\d{2}):?(\d{2}))?)?",
    re.ASCII,
)


def parse_moment(text: str) -> datetime | None:
    """An ISO 8601 date, or date and time, in UTC; without a zone it is taken as UTC.

    Returns:
        None where the text is neither, or no such day or time exists.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_hour, off_minute = (
        match.groups()
    )
    try:
        zone = timedelta(hours=int(off_hour or 0), minutes=int(off_minute or 0))
        return datetime(
            *(int(year), int(month), int(day)),
            *(int(hour or 0), int(minute or 0), int(second or 0)),
            int((fraction or "0").ljust(6, "0")[:6]),
            tzinfo=timezone(-zone if sign == "-" else zone),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment_of(value: object, text: str) -> datetime | Unknown:
    """The moment that a datetime or an ISO 8601 string stands for."""
    if isinstance(value, datetime):
        return utc(value)
    if not isinstance(value, str):
        return because(f"{text} is {a_kind(value)}, not a date")
    moment = parse_moment(value)
    return because(f"{text} is no ISO 8601 date") if moment is None else moment


def unlike(a: object, b: object, a_text: str, b_text: str) -> Unknown:
    """Unknown, since two values of these kinds do not compare."""
    return because(f"{a_text} is {a_kind(a)}, {b_text} is {a_kind(b)}")


def _moments(a: object, b: object, a_text: str, b_text: str) -> tuple[datetime, datetime] | Unknown:
    first, second = moment_of(a, a_text), moment_of(b, b_text)
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return second
    return first, second


def _are_moments(a: Kind, b: Kind) -> bool:
    kinds = (a, b)
    return "datetime" in kinds and all(kind in ("datetime", "string") for kind in kinds)


def equal(a: object, b: object, a_text: str, b_text: str) -> bool | Unknown:
    """`a == b`: null equals null alone, unlike kinds are unknown."""
    first, second = kind_of(a), kind_of(b)
    if first == "null" or second == "null":
        return first == second
    if _are_moments(first, second):
        moments = _moments(a, b, a_text, b_text)
        return moments if isinstance(moments, Unknown) else moments[0] == moments[1]
    if first != second or first == "value":
        return unlike(a, b, a_text, b_text)
    if first == "number":
        wrong = _unusable(a, b, a_text, b_text)
        if wrong is not None:
            return wrong
    same = _same(a, b, _Budget(), 0)
    return because(f"{a_text} and {b_text} are too large to compare") if same is None else same


def _unusable(a: object, b: object, a_text: str, b_text: str) -> Unknown | None:
    """Unknown where one of two numbers is not finite, None where both will do."""
    # Not written with `or`, since Unknown counts as false.
    for number, text in ((a, a_text), (b, b_text)):
        assert isinstance(number, int | float)
        if not is_usable(number):
            return because(f"{text} is not a usable number")
    return None


class _Budget:
    """How many more elements one operator may look at."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_COMPARED

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _same(a: object, b: object, budget: _Budget, depth: int) -> bool | None:
    """Whether two values are the same, unlike kinds never; None: too much work to say."""
    kind = kind_of(a)
    if kind != kind_of(b):
        return False
    if kind == "value":
        return False
    if kind not in ("list", "map"):
        return bool(a == b)
    assert isinstance(a, list | tuple | Mapping)
    assert isinstance(b, list | tuple | Mapping)
    if len(a) != len(b):
        return False
    if depth >= _MAX_DEPTH:
        return None
    pairs: Iterable[tuple[object, object]]
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        pairs = ((value, b[key]) if key in b else (0, "") for key, value in a.items())
    else:
        pairs = zip(a, b, strict=True)
    for x, y in pairs:
        same = _same(x, y, budget, depth + 1) if budget.spend() else None
        if same is not True:
            return same
    return True


Order = Callable[[Any, Any], bool]
ORDERS: dict[str, Order] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def ordered(order: Order, a: object, b: object, a_text: str, b_text: str) -> bool | Unknown:
    """`a > b` and its kin: numbers, strings (by code point) and moments have an order."""
    first, second = kind_of(a), kind_of(b)
    if first == second == "number":
        wrong = _unusable(a, b, a_text, b_text)
        return order(a, b) if wrong is None else wrong
    if first == second == "string":
        return order(a, b)
    if _are_moments(first, second):
        moments = _moments(a, b, a_text, b_text)
        return moments if isinstance(moments, Unknown) else order(*moments)
    return unlike(a, b, a_text, b_text)


def contained(needle: object, hay: object, needle_text: str, hay_text: str) -> bool | Unknown:
    """`needle in hay`: element of a list, part of a string, key of a map."""
    if isinstance(hay, list | tuple):
        return _element(needle, hay, hay_text)
    if not isinstance(hay, str | Mapping):
        return because(f"{hay_text} is {a_kind(hay)}, not a list, a string or a map")
    if not isinstance(needle, str):
        kind = a_kind(hay)
        return because(f"{needle_text} is {a_kind(needle)}, and {hay_text} is {kind}")
    return needle in hay


def _element(
    needle: object, hay: list[object] | tuple[object, ...], hay_text: str
) -> bool | Unknown:
    if len(hay) > MAX_ELEMENTS:
        return because(f"{hay_text} has more than {MAX_ELEMENTS:,} elements")
    if kind_of(needle) not in ("list", "map"):
        return _scalar_element(needle, hay)
    budget = _Budget()
    for item in hay:
        same = _same(needle, item, budget, 0)
        if same:
            return True
        if same is None or not budget.spend():
            return because(f"{hay_text} is too large to search")
    return False


def _scalar_element(needle: object, hay: list[object] | tuple[object, ...]) -> bool:
    kind, at = kind_of(needle), 0
    # Python's own search is fast, and what it does not find is not there; what it
    # finds for 1 may be `true`, which is another kind.
    try:
        while True:
            at = hay.index(needle, at)
            if kind_of(hay[at]) == kind != "value":
                return True
            at += 1
    except ValueError:
        return False


def arithmetic(sign: str, a: object, b: object, a_text: str, b_text: str) -> object:
    """`a + b` and its kin: numbers, and `+` for two strings."""
    text = f"{a_text} {sign} {b_text}"
    if sign == "+" and isinstance(a, str) and isinstance(b, str):
        # Lengths first, so that nothing long is ever made.
        if len(a) + len(b) <= MAX_STRING:
            return a + b
        return because(f"{text} is longer than {MAX_STRING:,} characters")
    if kind_of(a) != "number" or kind_of(b) != "number":
        return because(f"{a_text} is {a_kind(a)}, {b_text} is {a_kind(b)}: no {sign!r} for these")
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    for number, written in ((a, a_text), (b, b_text)):
        if isinstance(bounded_number(number, written), Unknown):
            return because(f"{written} is not a usable number")
    if sign in ("/", "%") and b == 0:
        return because(f"{text} divides by zero")
    result: float
    match sign:
        case "+":
            result = a + b
        case "-":
            result = a - b
        case "*":
            result = a * b
        case "/":
            result = a / b
        case _:
            result = a % b
    return bounded_number(result, text)

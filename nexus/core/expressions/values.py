"""The values that expressions know, and the one that stands for not knowing.

Logic is Kleene's: a missing key, or a comparison of things that do not compare,
is `Unknown`. It is never an exception, so an expression always has an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

Scope = Mapping[str, object]
Evaluate = Callable[[Scope], object]
Kind = Literal["null", "boolean", "number", "string", "list", "map", "datetime", "value"]

MAX_STRING = 10_000
"""Longest string, in characters, that an expression may make or change the case of."""

MAX_ELEMENTS = 10_000
"""Most elements of lists and maps that one operator or function looks at."""

MAX_COMPARED = 2_000
"""Most elements of lists and maps that one operator compares with those of another."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""Whole numbers are those of 64 bits, as they are in databases and in JSON codecs."""

_FLOAT_MAX = 1.7976931348623157e308


class Unknown(Struct, frozen=True):
    """Neither true nor false, with the reason.

    It counts as false where Python asks for a truth value, as unknown counts as
    false at the top of a condition.

    Attributes:
        missing: Dotted names that were looked for and are not there.
        reasons: Sentences about values that are there and do not fit.
    """

    missing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        """All of it as one line for a person."""
        return "; ".join((*(f"{name} is missing" for name in self.missing), *self.reasons))


def because(reason: str) -> Unknown:
    """Unknown for one reason that is not a missing name."""
    return Unknown(reasons=(reason,))


def not_a_truth(text: str, value: object) -> Unknown:
    """Unknown, since a value stands where true or false is wanted."""
    return because(f"{text} is {a_kind(value)}, not true or false")


def merge(first: Unknown | None, second: Unknown) -> Unknown:
    """Both reasons for not knowing, in order and once each."""
    if first is None or first is second:
        return second
    return Unknown(
        tuple(dict.fromkeys(first.missing + second.missing)),
        tuple(dict.fromkeys(first.reasons + second.reasons)),
    )


_KINDS: dict[type, Kind] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    tuple: "list",
    dict: "map",
    datetime: "datetime",
}

_BY_BASE: tuple[tuple[type, Kind], ...] = (
    (str, "string"),
    (int, "number"),
    (float, "number"),
    (Mapping, "map"),
    (list, "list"),
    (tuple, "list"),
    (datetime, "datetime"),
)


def kind_of(value: object) -> Kind:
    """Which kind of value this is; numbers are one kind, booleans are not numbers."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return next((k for base, k in _BY_BASE if isinstance(value, base)), "value")


def a_kind(value: object) -> str:
    """The kind as it stands in a sentence: "a string", "null"."""
    kind = kind_of(value)
    return {"null": "null", "boolean": "true or false", "value": f"a {type(value).__name__}"}.get(
        kind, f"a {kind}"
    )


def is_usable(number: float) -> bool:
    """Whether a number can be reckoned with: finite, and not beyond all floats."""
    # False for NaN and for both infinities as well, in one comparison.
    return -_FLOAT_MAX <= number <= _FLOAT_MAX


def bounded_number(number: float, text: str) -> object:
    """A result of arithmetic, or Unknown where it leaves the range of numbers."""
    whole = isinstance(number, int)
    fits = INT_MIN <= number <= INT_MAX if whole else math.isfinite(number)
    return number if fits else because(f"{text} is too large a number")


def bounded_string(value: str, text: str) -> object:
    """A string that an expression made, or Unknown where it is too long."""
    if len(value) <= MAX_STRING:
        return value
    return because(f"{text} is longer than {MAX_STRING:,} characters")


def utc(moment: datetime) -> datetime:
    """The moment with a time zone; one without is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def to_json(value: object) -> object:
    """A result of an expression as JSON holds it: moments become ISO 8601 text in UTC's `Z` form.

    Args:
        value: A result of `Expression.evaluate`; Unknown becomes null.
    """
    if isinstance(value, datetime):
        return utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, Unknown):
        return None
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return value

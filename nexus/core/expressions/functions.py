"""The functions that expressions may call: pure, few, and bounded.

Of `has` only a part is here: it alone asks about a name and not about a value,
so the compiler answers for names that lead to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from msgspec import Struct

from nexus.core.expressions.operators import ORDERS, contained, moment_of, ordered
from nexus.core.expressions.values import (
    MAX_ELEMENTS,
    MAX_STRING,
    Unknown,
    a_kind,
    because,
    bounded_number,
    bounded_string,
    is_usable,
    kind_of,
)

Implementation = Callable[[Sequence[object], Sequence[str]], object]

MAX_ARGUMENTS = 64
_MAX_DIGITS = 15
# Wide enough for every float written out, so that rounding never fails.
_EXACT = Context(prec=700, rounding=ROUND_HALF_UP)


class Function(Struct, frozen=True):
    """One function.

    Attributes:
        usage: How it is written, for messages and for the documentation.
        least: Fewest values it takes.
        most: Most values it takes.
        call: What it does with known values and the texts they were written as.
        is_truth: Whether it answers with true or false.
    """

    usage: str
    least: int
    most: int
    call: Implementation
    is_truth: bool = False


def _has(values: Sequence[object], _texts: Sequence[str]) -> object:
    return values[0] is not None


def _size(values: Sequence[object], texts: Sequence[str]) -> object:
    value = values[0]
    if kind_of(value) in ("string", "list", "map"):
        return len(value)  # type: ignore[arg-type]  # of these kinds
    return because(f"{texts[0]} is {a_kind(value)}, which has no size")


def _lower(values: Sequence[object], texts: Sequence[str]) -> object:
    return _recased(values[0], texts[0], str.lower)


def _upper(values: Sequence[object], texts: Sequence[str]) -> object:
    return _recased(values[0], texts[0], str.upper)


def _recased(value: object, text: str, change: Callable[[str], str]) -> object:
    if not isinstance(value, str):
        return because(f"{text} is {a_kind(value)}, not a string")
    if len(value) > MAX_STRING:
        return bounded_string(value, text)
    return bounded_string(change(value), text)


def _contains(values: Sequence[object], texts: Sequence[str]) -> object:
    return contained(values[1], values[0], texts[1], texts[0])


def _starts_with(values: Sequence[object], texts: Sequence[str]) -> object:
    for value, text in zip(values, texts, strict=True):
        if not isinstance(value, str):
            return because(f"{text} is {a_kind(value)}, not a string")
    return str(values[0]).startswith(str(values[1]))


def _min(values: Sequence[object], texts: Sequence[str]) -> object:
    return _extreme("<", values, texts)


def _max(values: Sequence[object], texts: Sequence[str]) -> object:
    return _extreme(">", values, texts)


def _extreme(sign: str, values: Sequence[object], texts: Sequence[str]) -> object:
    if len(values) == 1:
        whole = values[0]
        if not isinstance(whole, list | tuple):
            return because(f"{texts[0]} is {a_kind(whole)}, not a list")
        if len(whole) > MAX_ELEMENTS:
            return because(f"{texts[0]} has more than {MAX_ELEMENTS:,} elements")
        if not whole:
            return because(f"{texts[0]} is empty")
        if _is_uniform(whole):
            return min(whole) if sign == "<" else max(whole)
        other = next((v for v in whole if kind_of(v) != kind_of(whole[0])), None)
        if other is not None and "datetime" not in (kind_of(other), kind_of(whole[0])):
            return because(f"{texts[0]} holds {a_kind(whole[0])} and {a_kind(other)}")
        values, texts = whole, [texts[0]] * len(whole)
    best, best_text = values[0], texts[0]
    # The first is compared with itself, which refuses what has no order at all.
    for value, text in zip(values, texts, strict=True):
        better = ordered(ORDERS[sign], value, best, text, best_text)
        if isinstance(better, Unknown):
            return better
        if better:
            best, best_text = value, text
    return best


def _is_uniform(values: Sequence[Any]) -> bool:
    """Whether Python's own order is ours: strings alone, or usable numbers alone."""
    types = set(map(type, values))
    return types == {str} or (types <= {int, float} and all(map(is_usable, values)))


def _round(values: Sequence[object], texts: Sequence[str]) -> object:
    """Half away from zero, on the digits a person sees: 2.5 → 3, round(2.675, 2) → 2.68."""
    number, digits = values[0], values[1] if len(values) > 1 else 0
    if kind_of(number) != "number":
        return because(f"{texts[0]} is {a_kind(number)}, not a number")
    if not isinstance(digits, int) or isinstance(digits, bool) or not 0 <= digits <= _MAX_DIGITS:
        return because(f"{texts[1]} is not a whole number from 0 to {_MAX_DIGITS}")
    assert isinstance(number, int | float)
    text = f"round({texts[0]})"
    usable = bounded_number(number, texts[0])
    if isinstance(number, int) or isinstance(usable, Unknown):
        return usable
    rounded = Decimal(repr(float(number))).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    return bounded_number(float(rounded) if digits else int(rounded), text)


def _days_between(values: Sequence[object], texts: Sequence[str]) -> object:
    first, second = moment_of(values[0], texts[0]), moment_of(values[1], texts[1])
    if isinstance(first, Unknown):
        return first
    if isinstance(second, Unknown):
        return second
    return (second - first).total_seconds() / 86_400


FUNCTIONS: dict[str, Function] = {
    "has": Function("has(data.name)", 1, 1, _has, is_truth=True),
    "size": Function("size(text, list or map)", 1, 1, _size),
    "lower": Function("lower(text)", 1, 1, _lower),
    "upper": Function("upper(text)", 1, 1, _upper),
    "contains": Function("contains(whole, part)", 2, 2, _contains, is_truth=True),
    "starts_with": Function("starts_with(text, start)", 2, 2, _starts_with, is_truth=True),
    "min": Function("min(list), or min(a, b, …)", 1, MAX_ARGUMENTS, _min),
    "max": Function("max(list), or max(a, b, …)", 1, MAX_ARGUMENTS, _max),
    "round": Function("round(number), or round(number, digits)", 1, 2, _round),
    "days_between": Function("days_between(from, to)", 2, 2, _days_between),
}
"""Every function, by name."""

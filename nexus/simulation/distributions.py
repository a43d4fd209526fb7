"""Values by chance: what a population file says of data and delays, read once and drawn often.

5                                   always that
{"uniform": [0, 5000]}              any number between them
{"integer": [1, 10]}                a whole one, both ends included
{"normal": [100, 15]}               mean and deviation
{"exponential": "4h"}               mean; of numbers as well
{"lognormal": ["2 days", 0.5]}      median, and the deviation of its logarithm
{"choice": {"website": 3, "fair": 1}}   with weights, or ["website", "fair"] without
{"maybe": 0.7, "value": …}          that, or nothing at all
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from nexus.core.durations import DurationError, parse_duration

KINDS = ("uniform", "integer", "normal", "exponential", "lognormal", "choice", "maybe")

Draw = Callable[[random.Random], object]


@dataclass(frozen=True, slots=True)
class _Nothing:
    """What `maybe` gives where there is nothing."""


NOTHING = _Nothing()


class DistributionError(ValueError):
    """A distribution makes no sense; the message says why, `key` where in it."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.key = key


def value_of(written: Any) -> Draw:
    """How to draw a value; `NOTHING` means that there is none.

    Args:
        written: As the population file has it.

    Raises:
        DistributionError: It makes no sense.
    """
    kind = _kind(written)
    if kind is None:
        return lambda _rng: written
    return _DRAWS[kind](written, _number)


def delay_of(written: Any) -> Callable[[random.Random], timedelta]:
    """How to draw a delay: a duration, or a distribution of durations; never negative.

    Raises:
        DistributionError: It makes no sense.
    """
    kind = _kind(written)
    if kind is None:
        fixed = timedelta(seconds=_seconds(written))
        return lambda _rng: fixed
    draw = _DRAWS[kind](written, _seconds)

    def drawn(rng: random.Random) -> timedelta:
        seconds = draw(rng)
        if not isinstance(seconds, int | float):
            seconds = 0.0
        return timedelta(seconds=round(min(max(seconds, 0.0), _MOST_SECONDS)))

    return drawn


_MOST_SECONDS = 3_653 * 86_400.0  # ten years, as durations have it


def _kind(written: Any) -> str | None:
    if not isinstance(written, Mapping):
        return None
    kinds = [key for key in written if key in KINDS]
    if len(kinds) > 1:
        raise DistributionError(f"{kinds[0]!r} and {kinds[1]!r}: one of them", kinds[1])
    return kinds[0] if kinds else None


def _number(written: Any) -> float:
    if isinstance(written, bool) or not isinstance(written, int | float):
        raise DistributionError(f"{written!r} is no number")
    return float(written)


def _seconds(written: Any) -> float:
    if written in ("0s", "0", 0):
        return 0.0
    try:
        return parse_duration(written).total_seconds()
    except DurationError as error:
        raise DistributionError(error.message) from None


Unit = Callable[[Any], float]


def _pair(written: Mapping[str, Any], kind: str) -> tuple[Any, Any]:
    given = written[kind]
    if not isinstance(given, list) or len(given) != 2:
        raise DistributionError(f"{kind!r} takes a list of two", kind)
    return given[0], given[1]


def _uniform(written: Mapping[str, Any], unit: Unit) -> Draw:
    one, other = _pair(written, "uniform")
    low, high = unit(one), unit(other)
    _in_order(low, high, "uniform")
    return lambda rng: rng.uniform(low, high)


def _integer(written: Mapping[str, Any], unit: Unit) -> Draw:
    one, other = _pair(written, "integer")
    low, high = unit(one), unit(other)
    _in_order(low, high, "integer")
    if not (low.is_integer() and high.is_integer()):
        raise DistributionError("'integer' takes whole numbers", "integer")
    return lambda rng: rng.randint(int(low), int(high))


def _in_order(low: float, high: float, kind: str) -> None:
    if low > high:
        raise DistributionError(f"{kind!r} takes the smaller one first", kind)


def _normal(written: Mapping[str, Any], unit: Unit) -> Draw:
    one, other = _pair(written, "normal")
    mean, deviation = unit(one), unit(other)
    if deviation < 0:
        raise DistributionError("a deviation is not negative", "normal")
    return lambda rng: rng.gauss(mean, deviation)


def _exponential(written: Mapping[str, Any], unit: Unit) -> Draw:
    mean = unit(written["exponential"])
    if mean <= 0:
        raise DistributionError("a mean is above 0", "exponential")
    return lambda rng: rng.expovariate(1 / mean)


def _lognormal(written: Mapping[str, Any], unit: Unit) -> Draw:
    one, other = _pair(written, "lognormal")
    median, deviation = unit(one), _number(other)
    if median <= 0 or deviation < 0:
        raise DistributionError("a median is above 0, and a deviation not negative", "lognormal")
    middle = math.log(median)
    # What is larger than any float is as good as the largest power.
    return lambda rng: math.exp(min(rng.normalvariate(middle, deviation), 700.0))


def _choice(written: Mapping[str, Any], unit: Unit) -> Draw:
    given = written["choice"]
    if isinstance(given, list) and given:
        listed = [_option(one, unit) for one in given]
        return lambda rng: rng.choice(listed)
    if not isinstance(given, Mapping) or not given:
        raise DistributionError(
            "'choice' takes a list, or an object of options and their weights", "choice"
        )
    weights = [_number(weight) for weight in given.values()]
    if min(weights) < 0 or sum(weights) <= 0:
        raise DistributionError("weights are not negative, and not all 0", "choice")
    options = [_option(one, unit) for one in given]
    return lambda rng: rng.choices(options, weights)[0]


def _option(written: Any, unit: Unit) -> object:
    """Any value at all, unless it has to be a duration."""
    if unit is _number:
        return written
    try:
        return unit(written)
    except DistributionError as error:
        raise DistributionError(error.message, "choice") from None


def _maybe(written: Mapping[str, Any], unit: Unit) -> Draw:
    share = _number(written["maybe"])
    if not 0 <= share <= 1:
        raise DistributionError("a probability lies between 0 and 1", "maybe")
    if "value" not in written:
        raise DistributionError("'maybe' needs a 'value'", "maybe")
    inner: Draw
    if unit is _number:
        inner = value_of(written["value"])
    else:
        delayed = delay_of(written["value"])
        inner = lambda rng: delayed(rng).total_seconds()  # noqa: E731
    return lambda rng: inner(rng) if rng.random() < share else NOTHING


_DRAWS: Mapping[str, Callable[[Mapping[str, Any], Unit], Draw]] = {
    "uniform": _uniform,
    "integer": _integer,
    "normal": _normal,
    "exponential": _exponential,
    "lognormal": _lognormal,
    "choice": _choice,
    "maybe": _maybe,
}

"""Durations and ratios as people write them, read exactly.

"2 days"   "24h"   "90m"   "1h 30m"   "1.5 hours"   "P2D"   "PT36H"
"2x"       "150%"  2
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

from nexus.core.errors import NexusError
from nexus.core.expressions.errors import closest

MAX_DURATION = timedelta(days=3653)
"""Ten years, leap days and all."""

MAX_RATIO = 1_000_000.0

_MAX_TEXT = 100
_EXAMPLES = '"2 days", "24h", "1h 30m" or "P2D"'
_SECOND, _MINUTE, _HOUR, _DAY, _WEEK = 1, 60, 3_600, 86_400, 604_800
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), _SECOND),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), _MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
    **dict.fromkeys(("d", "day", "days"), _DAY),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), _WEEK),
}
_UNFIXED = frozenset(("month", "months", "mo", "year", "years", "yr", "yrs", "y"))
_PART = re.compile(r"\s*,?\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([^\W\d_]*)")
_ISO_PART = re.compile(r"([0-9]{1,12}(?:[.,][0-9]{1,9})?)([A-Z])")
_ISO_DATE = {"W": _WEEK, "D": _DAY}
_ISO_TIME = {"H": _HOUR, "M": _MINUTE, "S": _SECOND}
_RATIO = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([xX%]?)")


class DurationError(NexusError):
    """A duration cannot be read, or makes no sense.

    Attributes:
        message: One sentence for a person.
        suggestion: The nearest valid unit.
    """

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


class RatioError(NexusError):
    """A ratio cannot be read, or makes no sense.

    Attributes:
        message: One sentence for a person.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def parse_duration(value: object) -> timedelta:
    """Read a duration, in words, in short units or as ISO 8601.

    Args:
        value: The text; anything else is refused with a message.

    Raises:
        DurationError: It is no duration, has no fixed length (months, years),
            is not positive, or is longer than ten years.
    """
    if not isinstance(value, str):
        raise DurationError(f"a duration is text with a unit, such as {_EXAMPLES}")
    text = value.strip()
    if not text or len(text) > _MAX_TEXT:
        raise DurationError(f"write a duration such as {_EXAMPLES}")
    if text.startswith("-"):
        raise DurationError(f"{text!r} is negative: a duration is longer than nothing")
    iso = text[0] in "Pp" and not text[1:2].isspace()
    seconds = _iso_seconds(text.upper()) if iso else _seconds(text)
    # Checked before a timedelta is made, which cannot hold everything.
    if seconds > int(MAX_DURATION.total_seconds()):
        raise DurationError(f"{text!r} is longer than ten years")
    duration = timedelta(microseconds=round(seconds * 1_000_000))
    if not duration:
        raise DurationError(f"{text!r} is zero: a duration is longer than nothing")
    return duration


def _seconds(text: str) -> Fraction:
    total = Fraction(0)
    seen: set[int] = set()
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise DurationError(f"{text!r} is no duration; write for example {_EXAMPLES}")
        number, unit = part.groups()
        length = _unit(text, number, unit)
        if length in seen:
            raise DurationError(f"{text!r} names the same unit twice")
        seen.add(length)
        total += Fraction(number) * length
        at = part.end()
    return total


def _unit(text: str, number: str, unit: str) -> int:
    if not unit:
        raise DurationError(f"{text!r} needs a unit after {number}, as in {_EXAMPLES}")
    lowered = unit.lower()
    if lowered in _UNFIXED:
        raise DurationError(f"{unit!r} has no fixed length; write days or weeks instead")
    if unit == "M":
        raise DurationError("'M' may mean months or minutes; write m for minutes, or days", "m")
    if lowered not in _UNITS:
        raise DurationError(
            f"there is no unit {unit!r}; there are seconds, minutes, hours, days and weeks",
            closest(lowered, _UNITS),
        )
    return _UNITS[lowered]


def _iso_seconds(text: str) -> Fraction:
    date, separator, time = text[1:].partition("T")
    if not (date or time) or (separator and not time):
        raise DurationError(f"{text!r} is no ISO 8601 duration; write for example P2D or PT36H")
    unfixed = re.search(r"[0-9]([YM])", date)
    if unfixed is not None:
        unit = {"Y": "years", "M": "months"}[unfixed.group(1)]
        raise DurationError(f"{text!r} has {unit}, which have no fixed length; write days")
    return _iso_part(text, date, _ISO_DATE) + _iso_part(text, time, _ISO_TIME)


def _iso_part(text: str, part: str, units: dict[str, int]) -> Fraction:
    total = Fraction(0)
    at = 0
    left = "".join(units)
    while at < len(part):
        match = _ISO_PART.match(part, at)
        # Each unit once, and larger ones first, as the standard wants it.
        if match is None or match.group(2) not in left:
            raise DurationError(f"{text!r} is no ISO 8601 duration; write for example P2D or PT36H")
        number, unit = match.groups()
        total += Fraction(number.replace(",", ".")) * units[unit]
        left = left[left.index(unit) + 1 :]
        at = match.end()
    return total


def format_duration(duration: timedelta) -> str:
    """A duration as a person reads it: "2 days", "1 hour 30 minutes".

    What it gives for a positive duration, `parse_duration` reads back unchanged.
    """
    if not duration:
        return "0 seconds"
    if duration < timedelta(0):
        return "-" + format_duration(-duration)
    minutes, seconds = divmod(duration.seconds, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    parts = [
        _counted(str(count), unit)
        for count, unit in ((duration.days, "day"), (hours, "hour"), (minutes, "minute"))
        if count
    ]
    if seconds or duration.microseconds:
        fraction = f".{duration.microseconds:06}".rstrip("0").rstrip(".")
        parts.append(_counted(f"{seconds}{fraction}", "second"))
    return " ".join(parts)


def _counted(count: str, unit: str) -> str:
    return f"{count} {unit}" if count == "1" else f"{count} {unit}s"


def parse_ratio(value: object) -> float:
    """Read a ratio: "2x" and 2 are twice, "150%" is one and a half.

    Raises:
        RatioError: It is no ratio, is not positive, or is beyond a million.
    """
    ratio: float
    if isinstance(value, int | float) and not isinstance(value, bool):
        ratio = value
    elif isinstance(value, str) and (match := _RATIO.fullmatch(value.strip())):
        number, unit = match.groups()
        ratio = float(Fraction(number) / (100 if unit == "%" else 1))
    else:
        written = f"{value[:40]!r} is" if isinstance(value, str) else "this is"
        raise RatioError(f'{written} no ratio; write for example "2x", "150%" or 2')
    # Also false for NaN.
    if not 0 < ratio <= MAX_RATIO:
        raise RatioError(f"a ratio lies above 0 and is at most {MAX_RATIO:,.0f}")
    return float(ratio)

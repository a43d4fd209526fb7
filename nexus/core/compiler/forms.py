"""Forms that several keys share: durations, ratios, words to choose from, strategies, takers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TypeGuard

from nexus.core.compiler.reader import (
    a,
    as_names,
    as_object,
    below,
    known_keys,
)
from nexus.core.durations import DurationError, RatioError, parse_duration, parse_ratio
from nexus.core.errors import Report, nearest
from nexus.core.language import PICKS, STRATEGIES
from nexus.core.state import Assignees

_SHARE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,9})?%")


def compile_assign(
    report: Report,
    value: object,
    pointer: str,
    otherwise: str = "the record keeps the assignees that it has",
) -> Assignees | None:
    """Who is named by an `assign`; None where nobody is, and `otherwise` holds."""
    body = as_object(report, value, pointer, "'assign'")
    if body is None:
        return None
    known_keys(report, "assign", body, pointer)
    named = {
        key: as_names(report, body[key], below(pointer, key), f"'{key}'")
        for key in ("users", "roles")
        if key in body
    }
    assignees = Assignees(named.get("users", ()), named.get("roles", ()))
    if not assignees:
        report(
            "assigns_nobody",
            pointer,
            f"This names nobody: {otherwise}.",
            expected="'users' or 'roles'",
        )
        return None
    return assignees


def check_assign(report: Report, body: Mapping[str, object], pointer: str) -> None:
    """`teams`, `pick` and `strategy` of an `assign`."""
    if "teams" in body:
        as_names(report, body["teams"], below(pointer, "teams"), "'teams'")
    if "pick" in body:
        choice(report, body["pick"], below(pointer, "pick"), "pick", PICKS)
    if "strategy" in body:
        check_strategy(report, body["strategy"], below(pointer, "strategy"))


def check_strategy(report: Report, value: object, pointer: str) -> None:
    """How the voters decide: a word, or a quorum."""
    if isinstance(value, str):
        choice(report, value, pointer, "strategy", STRATEGIES, '{"quorum": 2}')
        return
    body = as_object(report, value, pointer, "A strategy that is not a word")
    if body is None:
        return
    known_keys(report, "quorum", body, pointer)
    if "quorum" not in body:
        report(
            "missing_key",
            pointer,
            "A strategy that is not a word is a quorum.",
            expected='{"quorum": 2} or {"quorum": "60%"}',
        )
    elif quorum_of(body["quorum"]) is None:
        report(
            "invalid_quorum",
            below(pointer, "quorum"),
            "A quorum is a number of voters from 1, or a share of them up to 100%.",
            expected='2 or "60%"',
            found=body["quorum"],
        )


def is_whole(value: object) -> TypeGuard[int | float]:
    """Whether a value is a whole number; 2.0 is the same number as 2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return float(value).is_integer()


def quorum_of(value: object) -> int | float | None:
    """A count of voters, or a share of them as a float up to 1; None where it is neither."""
    if is_whole(value) and value >= 1:
        return int(value)
    if isinstance(value, str) and _SHARE.fullmatch(value) and 0 < float(value[:-1]) <= 100:
        return float(value[:-1]) / 100
    return None


def duration(report: Report, value: object, pointer: str) -> timedelta | None:
    """A length of time, or None with a problem reported."""
    try:
        return parse_duration(value)
    except DurationError as error:
        report(
            "invalid_duration",
            pointer,
            error.message,
            expected='a duration such as "2 days", "24h" or "PT36H"',
            found=value,
            suggestion=error.suggestion,
        )
        return None


def choice(
    report: Report,
    value: object,
    pointer: str,
    what: str,
    choices: Collection[str],
    otherwise: str = "",
) -> None:
    """One of a few words."""
    if isinstance(value, str) and value in choices:
        return
    listed = [*(f"'{word}'" for word in choices), *filter(None, [otherwise])]
    told = f"{', '.join(listed[:-1])} or {listed[-1]}"
    report(
        "unknown_choice",
        pointer,
        f"{what!r} takes {told}.",
        expected=told,
        found=value,
        suggestion=nearest(value, choices) if isinstance(value, str) else None,
    )


def takers(report: Report, value: object, pointer: str, what: str) -> None:
    """Users and roles, where either may be absent."""
    body = as_object(report, value, pointer, what)
    if body is not None:
        known_keys(report, "by", body, pointer)
        for key in ("users", "roles"):
            if key in body:
                as_names(report, body[key], below(pointer, key), f"'{key}'")


def wrong(report: Report, pointer: str, what: str, expected: str, found: object) -> None:
    """A value of another type."""
    report("wrong_type", pointer, f"{what} must be {expected}.", expected=expected, found=found)


def ratio(report: Report, value: object, pointer: str) -> None:
    """A ratio."""
    try:
        parse_ratio(value)
    except RatioError as error:
        report(
            "invalid_ratio",
            pointer,
            error.message,
            expected='"2x", "150%" or 2',
            found=value,
        )


def needed(
    report: Report, kind: str, body: Mapping[str, object], key: str, pointer: str, what: str
) -> bool:
    """Whether a key is there that an object of this kind needs; its absence is reported."""
    if key in body:
        return True
    said = a(kind)
    report(
        "missing_key",
        pointer,
        f"{said[:1].upper()}{said[1:]} needs {a(key)}: {what}.",
        expected=f"'{key}'",
    )
    return False

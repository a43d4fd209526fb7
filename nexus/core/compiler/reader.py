"""Reading a document's values with their places. Every fault is reported, none stops it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nexus.core.errors import Problem, Report, escape_pointer, nearest
from nexus.core.expressions import DEFAULT_NAMES
from nexus.core.expressions.functions import FUNCTIONS
from nexus.core.json_text import MAX_PROBLEMS
from nexus.core.language import KEYS, LATER_KEYS, MOST_NAME, NO_EFFECT_YET
from nexus.core.problem_codes import PROBLEM_CODES
from nexus.core.reasons import several

# Names that stand in addresses, in ids and in rows: no control characters, no slash, and no mark
# of a byte order, which nobody sees.
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f/\ufeff]+")


_NAMES = frozenset((*DEFAULT_NAMES, *FUNCTIONS))  # stay as they are written

MOST_ERRORS = MAX_PROBLEMS
"""Most errors told at once, as of JSON text; who has more is told the rest the next time."""

MOST_WARNINGS = 500
"""Most warnings that a definition may come with."""


class TooManyProblems(Exception):  # an interruption; never leaves the compiler
    """More was found than anybody reads; looking for the rest would cost without end."""


class Problems:
    """Collects what is found in a document, in the order in which it is found. Is a `Report`."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._errors = 0

    def __call__(
        self,
        code: str,
        pointer: str,
        message: str,
        *,
        expected: str | None = None,
        found: object = None,
        suggestion: str | None = None,
        offset: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        """Report one problem.

        Raises:
            TooManyProblems: Enough is enough.
        """
        severity = PROBLEM_CODES[code].severity
        self.found.append(
            Problem(
                code=code,
                message=_sentence(message),
                pointer=pointer,
                severity=severity,
                expected=expected,
                found=None if found is None else shown(found),
                suggestion=suggestion,
                offset=offset,
                excerpt=excerpt,
            )
        )
        self._errors += severity == "error"
        if self._errors >= MOST_ERRORS:
            raise TooManyProblems
        if len(self.found) - self._errors > MOST_WARNINGS:
            message = f"There are more than {MOST_WARNINGS} warnings; only these are told."
            self.found.append(Problem("too_many_warnings", message))
            self._errors += 1
            raise TooManyProblems

    @property
    def any_error(self) -> bool:
        """Something keeps the document from running."""
        return self._errors > 0

    def any_error_below(self, *pointers: str) -> bool:
        """Something at or below one of these places keeps the document from running."""
        return self._errors > 0 and any(
            problem.severity == "error" and (problem.pointer + "/").startswith(pointer + "/")
            for problem in self.found
            for pointer in pointers
        )


def _sentence(message: str) -> str:
    """A message as a sentence; parts of the core that know no sentences begin in small letters."""
    word = message.partition(" ")[0]
    if word.isalpha() and word not in _NAMES:
        message = message[0].upper() + message[1:]
    return message if message.endswith((".", "?", "!")) else message + "."


def shown(value: object) -> str:
    """A value of a document, short enough for a message."""
    if isinstance(value, str):
        text = repr(value)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "null"
    elif isinstance(value, Mapping):
        text = "an object" if value else "an empty object"
    elif isinstance(value, list):
        text = f"a list of {len(value)}" if value else "an empty list"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def below(pointer: str, key: str | int) -> str:
    """The pointer of a member or an element."""
    return f"{pointer}/{key if isinstance(key, int) else escape_pointer(key)}"


def known_keys(
    report: Report,
    kind: str,
    value: Mapping[str, object],
    pointer: str,
    *,
    told: bool = False,
) -> None:
    """Warn of keys that nobody knows, and of those that have no effect yet.

    Args:
        report: Takes the warnings.
        kind: Of object, as in `language.KEYS`.
        value: The object.
        pointer: Its place.
        told: It stands below a key without effect, so that has been said.
    """
    keys = KEYS.get(kind) or LATER_KEYS[kind]
    for key in value:
        if key not in keys:
            report(
                "unknown_key",
                below(pointer, key),
                f"No key {key!r} in {a(kind)}; it is ignored.",
                expected=", ".join(keys),
                found=key,
                suggestion=nearest(key, keys),
            )
        elif (kind, key) in NO_EFFECT_YET and not told and value[key] is not False:
            report(
                "no_effect_yet",
                below(pointer, key),
                f"{key!r} has no effect yet in this version: {NO_EFFECT_YET[kind, key]}.",
            )


_SPOKEN = {"sla": "an SLA", "roi": "an ROI", "by": "'by'", "creates": "'creates'"}


def a(noun: str) -> str:
    """A kind of object with its article, as it stands in a sentence."""
    article = "an" if noun[0] in "aeiou" else "a"
    return _SPOKEN.get(noun, f"{article} {noun}")


def as_object(report: Report, value: object, pointer: str, what: str) -> dict[str, object] | None:
    """The value as an object, or None with a problem reported."""
    if isinstance(value, dict):
        return value
    report("wrong_type", pointer, f"{what} must be an object.", expected="an object", found=value)
    return None


def as_text(
    report: Report, value: object, pointer: str, what: str, most: int = 1_000
) -> str | None:
    """The value as a non-empty string, or None with a problem reported."""
    if isinstance(value, str) and 0 < len(value) <= most:
        return value
    report(
        "wrong_type",
        pointer,
        f"{what} must be a string of 1 to {most} characters.",
        expected="a string",
        found=value,
    )
    return None


def as_flag(report: Report, value: object, pointer: str, what: str) -> bool | None:
    """The value as a boolean, or None with a problem reported."""
    if isinstance(value, bool):
        return value
    report(
        "wrong_type",
        pointer,
        f"{what} must be true or false.",
        expected="true or false",
        found=value,
    )
    return None


def as_name(report: Report, value: object, pointer: str, what: str) -> str | None:
    """The value as a name that can stand in addresses and ids, or None with a problem reported."""
    is_name = isinstance(value, str) and len(value) <= MOST_NAME and _NAME.fullmatch(value)
    if isinstance(value, str) and is_name and value == value.strip():
        return value
    report(
        "invalid_name",
        pointer,
        f"{what} must be a string of 1 to {MOST_NAME} characters, without '/', control "
        "characters or spaces around it.",
        expected="a name",
        found=value,
    )
    return None


def as_names(report: Report, value: object, pointer: str, what: str) -> tuple[str, ...]:
    """The value as a list of names (one name alone will do); what is wrong in it is reported."""
    if isinstance(value, str):
        name = as_name(report, value, pointer, what)
        return (name,) if name else ()
    if not isinstance(value, list):
        report(
            "wrong_type",
            pointer,
            f"{what} must be a list of names.",
            expected="a list of names",
            found=value,
        )
        return ()
    names = [as_name(report, item, below(pointer, i), what) for i, item in enumerate(value)]
    return tuple(dict.fromkeys(name for name in names if name))


def unknown_name(
    report: Report, code: str, pointer: str, what: str, name: str, names: Iterable[str]
) -> None:
    """Report a name that stands for nothing, with the names that would."""
    known = list(names)
    is_or_are = "are" if len(known) > 1 else "is"
    report(
        code,
        pointer,
        f"No {what} {name!r}; there {is_or_are} {several(known) or 'none'}.",
        expected=f"one of {several(known)}" if known else None,
        found=name,
        suggestion=nearest(name, known),
    )

"""Data that a transition computes: `set` and `creates.data`."""

from __future__ import annotations

import re

from nexus.core.compiler.reader import as_object, below
from nexus.core.errors import Report
from nexus.core.expressions import ExpressionError, parse
from nexus.core.steps import Computed

_BARE = re.compile(r"[^\W\d][\w ,.:!-]{0,60}")


def read_computed(report: Report, value: object, place: str) -> tuple[Computed, ...]:
    """Key → expression or literal, of an object; the faulty ones are reported and left out."""
    body = as_object(report, value, place, "What is computed")
    computed = []
    for key, source in (body or {}).items():
        here = below(place, key)
        if isinstance(source, str):
            try:
                computed.append(Computed(key, parse(source)))
            except ExpressionError as error:
                report(
                    "invalid_expression",
                    here,
                    error.message,
                    expected=_expected(source, error),
                    found=error.found,
                    suggestion=f"'{source}'" if _is_bare(source) else error.suggestion,
                    offset=error.offset,
                    excerpt=error.caret(source),
                )
        elif source is None or isinstance(source, bool | int | float):
            computed.append(Computed(key, None, source))
        else:
            report(
                "wrong_type",
                here,
                f"{key!r} must be an expression, a number, true, false or null.",
                expected="an expression",
                found=source,
            )
    return tuple(computed)


def _expected(source: str, error: ExpressionError) -> str | None:
    """Who writes `"status": "won"` mostly means the text."""
    quoted = f"text in quotes: \"'{source}'\"" if _is_bare(source) else None
    return ", or ".join(filter(None, (error.expected, quoted))) or None


def _is_bare(source: str) -> bool:
    """Whether an expression that cannot be read looks like text without its quotes."""
    return _BARE.fullmatch(source) is not None

"""Everything the core can complain about, in one tree.

    NexusError
    ├── Rejected           a command was refused; nothing changed
    └── DefinitionError    a definition cannot run; carries every problem found

A `Problem` is one located finding in a definition; `severity` says whether it
keeps the definition from running (`error`) or only deserves a remark
(`warning`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Severity = Literal["error", "warning"]

# The stable codes of a refusal (design 6). The API alone knows their HTTP status.
RefusalCode = Literal[
    "forbidden",
    "not_found",
    "condition_not_met",
    "wrong_stage",
    "run_in_progress",
    "already_voted",
    "self_assign",
    "instance_exists",
    "conflict",
    "too_large",
    "invalid_data",
    "ambiguous",
]


class NexusError(Exception):
    """Base of every error that Nexus raises on purpose."""


class Rejected(NexusError):
    """A command was refused, and nothing has changed.

    Attributes:
        code: One of the stable refusal codes of the HTTP contract.
        message: What a person should read.
        details: JSON-serialisable facts behind the refusal, such as the
            conditions with the values they saw, or the names that would do.
    """

    def __init__(
        self, code: RefusalCode, message: str, details: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code: RefusalCode = code
        self.message = message
        self.details: dict[str, object] = details or {}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a definition, with its place.

    Attributes:
        code: Stable code, such as `unknown_stage`.
        message: One sentence for a person.
        pointer: JSON pointer (RFC 6901) into the document; "" is the whole.
        severity: `error` or `warning`.
        expected: What would have been right, if it can be said.
        found: What stands there, shortened.
        suggestion: The nearest valid name.
        line: 1-based line in the text; 0 where there is no text.
        column: 1-based column in the text; 0 where there is no text.
        source: File name, or "" where the document came without one.
        offset: Where in the string at `pointer` the trouble starts, in characters from
            0; line and column then name that character. None: the value as a whole.
        excerpt: The line of that string that is meant, and carets below the wrong part.
    """

    code: str
    message: str
    pointer: str = ""
    severity: Severity = "error"
    expected: str | None = None
    found: str | None = None
    suggestion: str | None = None
    line: int = 0
    column: int = 0
    source: str = ""
    offset: int | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        place = self.source or "definition"
        if self.line:
            place += f":{self.line}:{self.column}"
        hint = ""
        if self.suggestion:
            hint = f" Did you mean {self.suggestion!r}?"
        elif self.expected and self.expected not in self.message:
            hint = f" Expected: {self.expected}."
        if hint and not self.message.endswith((".", "!", "?", "…")):
            hint = "." + hint
        where = f" (at {self.pointer})" if self.pointer else ""
        return f"{place}: {self.severity}: {self.message}{hint} [{self.code}]{where}"


class Report(Protocol):
    """How the parts of the compiler hand in what they find; nothing stops at the first."""

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
        """Report one problem; see `Problem` for the parts. Its severity follows from its code."""
        ...


class DefinitionError(NexusError):
    """A definition cannot run.

    Attributes:
        problems: All that was found, errors and warnings, in document order.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name closest to a wrong one, or None where nothing is close.

    A difference in case alone always counts as close.
    """
    import difflib  # only once something is wrong

    known = list(names)
    same = next((one for one in known if one.lower() == name.lower()), None)
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return same or (found[0] if found else None)


def escape_pointer(token: str) -> str:
    """One token of a JSON pointer, escaped as RFC 6901 wants it."""
    if "~" in token or "/" in token:
        return token.replace("~", "~0").replace("/", "~1")
    return token

"""What was found in definition files: for a person, for a program, and for GitHub's annotations."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from nexus.cli.definition_files import lines_of
from nexus.core.errors import Problem

Format = Literal["text", "json", "github"]

_WIDTH = 120  # columns of a shown line
_RED, _YELLOW, _BLUE, _BOLD, _PLAIN = "\x1b[31;1m", "\x1b[33;1m", "\x1b[34m", "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and what was found in it.

    Attributes:
        file: Its name.
        text: As it was read.
        id, version: What it defines; None where it cannot run.
    """

    file: str
    text: bytes
    problems: tuple[Problem, ...]
    id: str | None = None
    version: str | None = None

    @property
    def valid(self) -> bool:
        """Nothing keeps it from running."""
        return not any(problem.severity == "error" for problem in self.problems)


def told(checked: Sequence[Checked], format_: Format) -> Iterator[str]:
    """The lines of the report on files."""
    match format_:
        case "json":
            yield json.dumps([_as_json(file) for file in checked], ensure_ascii=False, indent=2)
        case "github":
            for file in checked:
                yield from map(_annotation, file.problems)
        case _:
            for file in checked:
                yield from as_text(file.problems, file.text)
            yield _summary(checked)


def as_text(problems: Sequence[Problem], text: bytes) -> Iterator[str]:
    """Problems as a compiler tells them: the place, the line with a caret, what would be right."""
    lines = list(lines_of(text)) if problems else []
    for problem in problems:
        colour = _RED if problem.severity == "error" else _YELLOW
        message, *rest = problem.message.split("\n")
        place = f"{problem.source}:{problem.line}:{problem.column}"
        severity = _painted(f"{problem.severity}[{problem.code}]", colour)
        yield f"{_painted(place, _BOLD)}: {severity}: {message}"
        number = str(problem.line)
        if 1 <= problem.line <= len(lines) and lines[problem.line - 1].strip():
            line, caret = _excerpt(lines[problem.line - 1], problem.column)
            margin = " " * len(number)
            yield f"  {_painted(f'{number} |', _BLUE)} {line}"
            yield f"  {_painted(f'{margin} |', _BLUE)} {caret}"
        yield from (f"    {line}" for line in rest)
        if problem.expected:
            yield f"    expected: {problem.expected}"
        if problem.suggestion:
            yield f"    did you mean {problem.suggestion!r}?"
        yield ""


def _excerpt(line: str, column: int) -> tuple[str, str]:
    """The part of a line that is worth showing, and a caret below the column."""
    line, at = line.replace("\t", " "), column - 1
    start = max(0, at - _WIDTH // 2) if len(line) > _WIDTH else 0
    before = "…" if start else ""
    after = "…" if len(line) > start + _WIDTH else ""
    part = line[start : start + _WIDTH]
    return f"{before}{part}{after}", " " * (len(before) + at - start) + "^"


def _summary(checked: Sequence[Checked]) -> str:
    every = [problem for file in checked for problem in file.problems]
    errors = sum(problem.severity == "error" for problem in every)
    if not every:
        return f"{_counted(len(checked), 'file')}: nothing wrong, nothing odd."
    told = [_counted(errors, "error")] * bool(errors)
    told += [_counted(len(every) - errors, "warning")] * bool(len(every) - errors)
    return f"{_counted(len(checked), 'file')}: {', '.join(told)}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _as_json(file: Checked) -> dict[str, object]:
    return {
        "file": file.file,
        "valid": file.valid,
        "id": file.id,
        "version": file.version,
        "problems": [asdict(problem) for problem in file.problems],
    }


def _annotation(problem: Problem) -> str:
    """GitHub's workflow command; what separates its parts is escaped as it wants it."""
    hint = f" Did you mean {problem.suggestion!r}?" if problem.suggestion else ""
    parts = {
        "file": problem.source,
        "line": str(problem.line),
        "col": str(problem.column),
        "title": problem.code,
    }
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in parts.items())
    return f"::{problem.severity} {properties}::{_escaped(problem.message + hint)}"


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _painted(text: str, colour: str) -> str:
    plain = "NO_COLOR" in os.environ or not sys.stdout.isatty()
    return text if plain else f"{colour}{text}{_PLAIN}"

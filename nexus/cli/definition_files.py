"""Definition files as the commands for authors take them: files, folders, and `-` for stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nexus.cli.failures import CommandFailed
from nexus.core.json_text import MAX_BYTES

STDIN = "-"


def definition_files(given: Sequence[Path]) -> tuple[Path, ...]:
    """The files meant by what was given, in that order, each once.

    Of a folder these are the files that the platform would load: `*.json` at any depth, but
    no `*.scenarios.json`, and nothing hidden.

    Raises:
        CommandFailed: There is no such file, or a folder has no definitions.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*.json")) if _is_definition(file, path)]
            if not inside:
                raise CommandFailed(f"{path}: no definitions (*.json) in this folder")
            found.update(dict.fromkeys(inside))
        elif str(path) == STDIN or path.exists():
            found[path] = None
        else:
            raise CommandFailed(f"{path}: no such file or folder")
    return tuple(found)


def _is_definition(file: Path, folder: Path) -> bool:
    inner = file.relative_to(folder)
    hidden = any(part.startswith((".", "~", "#")) for part in inner.parts)
    return file.is_file() and not hidden and not file.name.endswith(".scenarios.json")


def read(path: Path) -> bytes:
    """A file's bytes; a little more than a definition may have, so that more is noticed.

    Raises:
        CommandFailed: It cannot be read.
    """
    if str(path) == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{path}: cannot be read: {error.strerror or error}") from error


def shown(path: Path) -> str:
    """A file's name for messages."""
    return "<stdin>" if str(path) == STDIN else str(path)


def lines_of(text: bytes) -> Iterator[str]:
    """A file's lines as positions count them: by line feeds alone."""
    for line in text.decode("utf-8-sig", "replace").split("\n"):
        yield line.removesuffix("\r")

"""JSON text of definitions and bodies: read strictly, with the place of everything.

The standard library's parser takes the text when nothing is wrong with it.
When something is, or when somebody asks where a value stands, the text is read
a second time by `json_scan`, which is slower and keeps positions.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import NoReturn

from nexus.core.errors import DefinitionError, Problem, escape_pointer
from nexus.core.json_scan import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    Finding,
    Scan,
    after_characters,
    scan,
)

MAX_BYTES = 1024 * 1024
"""Largest text, in bytes of UTF-8."""

MAX_DATA_DEPTH = 32
"""Deepest nesting of data that is kept."""

MAX_PROBLEMS = 50
"""Most problems told at once; who has more is told the rest the next time."""

__all__ = [
    "MAX_BYTES",
    "MAX_DATA_DEPTH",
    "MAX_DEPTH",
    "MAX_PROBLEMS",
    "JsonTextError",
    "Positions",
    "check_data",
    "load",
]


_LINE_END = re.compile("\n")


class JsonTextError(DefinitionError):
    """Text that is not the JSON we take; its problems have lines and columns."""


class _Suspicious(Exception):  # never leaves this file
    """Something that the second reading must look at."""


def load(text: str | bytes, source: str) -> object:
    """The value that JSON text stands for.

    Args:
        text: At most 1 MiB; bytes are UTF-8, and a byte order mark is ignored.
        source: File name for the problems, "" where there is none.

    Raises:
        JsonTextError: With every problem: `invalid_json`, `duplicate_key`,
            `invalid_number`, `invalid_text`, `too_deep`, `too_large`.
    """
    size = len(text)
    if size <= MAX_BYTES and isinstance(text, str) and not text.isascii():
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the text has {size:,} bytes, at most {MAX_BYTES:,} are allowed"
        raise JsonTextError([Problem("too_large", message, line=1, column=1, source=source)])
    if isinstance(text, bytes):
        text = _decoded(text, source)
    text = text.removeprefix("\ufeff")
    try:
        return _fast(text)
    except (_Suspicious, ValueError, RecursionError):
        findings = scan(text).findings
    if not findings:  # pragma: no cover  # a property test looks for such a text
        # The two readers disagree; the strict one wins, if with a poorer message.
        findings = [Finding("invalid_json", "", 0, "this is not JSON")]
    lines = _Lines(text)
    problems = []
    for finding in findings[:MAX_PROBLEMS]:
        line, column = lines.place(finding.offset)
        problems.append(
            Problem(
                finding.code,
                finding.message,
                finding.pointer,
                expected=finding.expected,
                found=finding.found,
                line=line,
                column=column,
                source=source,
            )
        )
    raise JsonTextError(problems)


def _fast(text: str) -> object:
    # Escapes may spell what cannot be kept; the second reading knows.
    doubtful = "\0" in text or "\\u" in text or not _is_encodable(text)
    if doubtful and scan(text).findings:
        raise _Suspicious
    value = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_decimal,
        parse_constant=_suspect,
    )
    if _depth_exceeds(value, MAX_DEPTH):
        raise _Suspicious
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Suspicious
    return made


def _integer(written: str) -> int:
    if len(written) > 20 or not INT_MIN <= (value := int(written)) <= INT_MAX:
        raise _Suspicious
    return value


def _decimal(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise _Suspicious
    return value


def _suspect(_written: str) -> NoReturn:
    raise _Suspicious


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
    return bool(level)


def _decoded(data: bytes, source: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        message = "the text is UTF-16; save it as UTF-8"
        raise JsonTextError([Problem("invalid_text", message, line=1, column=1, source=source)])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig")) + 1
        message = f"the byte {data[error.start]:#04x} is not UTF-8; save the text as UTF-8"
        problem = Problem("invalid_text", message, line=line, column=column, source=source)
        raise JsonTextError([problem]) from None


class _Lines:
    """Offsets into a text as lines and columns, both from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class Positions:
    """Where the values of a JSON text stand; the text is scanned when first asked.

    Lines and columns count from 1, columns in characters.
    """

    def __init__(self, text: str | bytes) -> None:
        """Args:
        text: The same that was given to `load`.
        """
        self._text = text
        self._scanned: tuple[Scan, _Lines] | None = None

    def _scan(self) -> tuple[Scan, _Lines]:
        if self._scanned is None:
            text = self._text
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            text = text.removeprefix("\ufeff")
            self._scanned = (scan(text), _Lines(text))
        return self._scanned

    def value(self, pointer: str) -> tuple[int, int]:
        """Line and column of the value at a JSON pointer.

        Where the text has no such value, the place of the nearest one that
        would have contained it: that is where something is lacking.
        """
        return self._place(pointer, 0)

    def key(self, pointer: str) -> tuple[int, int]:
        """Line and column of the key of the value at a JSON pointer.

        An element of a list has no key, and answers with its own place.
        """
        return self._place(pointer, 1)

    def inside(self, pointer: str, offset: int) -> tuple[int, int]:
        """Line and column of a character of the string at a JSON pointer.

        Args:
            pointer: Of a string; any other value answers with its own place.
            offset: 0-based, in the string as it is read: an escape is one
                character. Its length stands for the closing quote.
        """
        scanned, lines = self._scan()
        place = scanned.places.get(pointer)
        if place is None or not scanned.text.startswith('"', place[0]):
            return self.value(pointer)
        return lines.place(after_characters(scanned.text, place[0] + 1, offset))

    def _place(self, pointer: str, which: int) -> tuple[int, int]:
        scanned, lines = self._scan()
        place = scanned.places.get(pointer)
        if place is not None:
            return lines.place(place[which])
        while pointer and pointer not in scanned.places:
            pointer = pointer.rpartition("/")[0]
        return lines.place(scanned.places.get(pointer, (0, 0))[0])


def check_data(value: object, pointer: str = "") -> list[tuple[str, str]]:
    """What in a value cannot be kept as JSON data in every database we support.

    Args:
        value: Data of a start, an action or an event.
        pointer: JSON pointer of the value itself.

    Returns:
        (pointer, message) for each finding, at most 50; empty when all is well.
    """
    findings: list[tuple[str, str]] = []
    _check(value, pointer, 0, findings)
    return findings


def _check(value: object, pointer: str, depth: int, findings: list[tuple[str, str]]) -> None:
    if value is None or isinstance(value, bool) or len(findings) >= MAX_PROBLEMS:
        return
    if isinstance(value, str):
        wrong = _wrong_text(value)
        if wrong:
            findings.append((pointer, f"the text {wrong}"))
    elif isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            findings.append((pointer, "the number does not fit into 64 bits"))
    elif isinstance(value, float):
        if not math.isfinite(value):
            findings.append((pointer, "the number is not finite"))
    elif not isinstance(value, Mapping | list | tuple):
        findings.append((pointer, f"a {type(value).__name__} cannot be kept as JSON"))
    elif depth >= MAX_DATA_DEPTH:
        findings.append((pointer, f"the data is nested deeper than {MAX_DATA_DEPTH}"))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                findings.append((pointer, f"a key is a {type(key).__name__}, not text"))
                continue
            wrong = _wrong_text(key)
            if wrong:
                findings.append((pointer, f"a key {wrong}"))
                continue
            # Pointers are made only on the way into something, since data is mostly flat.
            _check(item, f"{pointer}/{escape_pointer(key)}", depth + 1, findings)
    else:
        for index, item in enumerate(value):
            _check(item, f"{pointer}/{index}", depth + 1, findings)


def _wrong_text(text: str) -> str:
    if "\0" in text:
        return "holds the character NUL"
    return "" if _is_encodable(text) else "holds half of a surrogate pair"

"""A second reader of JSON: slower than the standard library's, and it knows places.

It goes on after what is merely unacceptable (a duplicate key, a number too
large) and stops at what is no JSON, since after that places mean nothing.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import NoReturn

from msgspec import Struct, field

from nexus.core.errors import escape_pointer

MAX_DEPTH = 64
"""Deepest nesting of lists and objects."""

FOUND_MAX = 20
"""Longest piece of the text that a finding shows, in characters."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"-?\w+")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
# One character of a string as it is read: a pair of escaped surrogates is one as well.
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\"\n]"
)
# What a reader sees as one thing. Where a string is not closed, it is what is left of its line;
# an escape that stands alone is one, as findings within a string begin there.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|\\u[0-9a-fA-F]{0,4}|\\.|//|/\*|-?\w[\w.+-]*')
_ESCAPES = dict(zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True))
_WORDS = ("true", "false", "null")
_ELSEWHERE = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_NO_COMMA = "a comma is missing between two values"
_NOT_FINITE = ("NaN", "Infinity", "-Infinity", "nan", "inf", "-inf")


class Finding(Struct, frozen=True):
    """Something wrong at an offset of the text."""

    code: str
    pointer: str
    offset: int
    message: str
    expected: str | None = None
    found: str | None = None


class Scan(Struct):
    """What a reading found.

    Attributes:
        text: What was read.
        places: JSON pointer → offsets of the value and of its key.
        findings: What is wrong, in the order of the text.
    """

    text: str
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class _Stop(Exception):  # never leaves this file
    """After this, nothing in the text can be placed."""


def scan(text: str) -> Scan:
    """Read a text for places and for everything that is wrong with it."""
    reader = _Scanner(text)
    with contextlib.suppress(_Stop):
        reader.document()
    return reader.result


def after_characters(text: str, start: int, count: int) -> int:
    """The offset that lies some characters further in a string of JSON text.

    Args:
        text: JSON text that was read without a finding.
        start: Offset after the string's opening quote.
        count: Characters of the string as it is read, where an escape is one.

    Returns:
        At most the offset of the closing quote.
    """
    for _ in range(count):
        match = _CHARACTER.match(text, start)
        if match is None:
            break
        start = match.end()
    return start


def _token(text: str, start: int) -> str:
    """What stands at an offset: a string, a word or a number, or else one character."""
    match = _TOKEN.match(text, start)
    found = match.group() if match else text[start : start + 1]
    return found if len(found) <= FOUND_MAX else found[:FOUND_MAX] + "…"


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.result = Scan(text)

    def document(self) -> None:
        self._space()
        self._value("", self._at, 0)
        self._space()
        if self._at < len(self._text):
            self._stop("", "after the end of the value there is more", "the end of the text")

    # -- telling --------------------------------------------------------------

    def _tell(
        self, code: str, pointer: str, offset: int, message: str, expected: str | None = None
    ) -> None:
        found = _token(self._text, offset) or "the end of the text"
        self.result.findings.append(Finding(code, pointer, offset, message, expected, found))

    def _stop(
        self, pointer: str, message: str, expected: str, offset: int | None = None
    ) -> NoReturn:
        at = self._at if offset is None else offset
        if self._text.startswith(("//", "/*", "#"), at):
            message = "JSON has no comments"
        elif self._text.startswith(("'", "\u201c", "\u2018"), at):
            message = 'text must stand in double quotes: "…"'
        elif at >= len(self._text):
            message = f"the text ends where {expected} should stand"
        self._tell("invalid_json", pointer, at, message, expected)
        raise _Stop

    # -- reading --------------------------------------------------------------

    def _space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None, "matches nothing as well"
        self._at = match.end()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _value(self, pointer: str, key: int, depth: int) -> None:
        # The last of several values of one key is the one that counts.
        self.result.places[pointer] = (self._at, key)
        char = self._peek()
        if char and char in "{[":
            if depth >= MAX_DEPTH:
                message = f"the value is nested deeper than {MAX_DEPTH}"
                self._tell("too_deep", pointer, self._at, message)
                raise _Stop
            (self._object if char == "{" else self._array)(pointer, depth)
        elif char == '"':
            self._string(pointer)
        else:
            self._word_or_number(pointer)

    def _object(self, pointer: str, depth: int) -> None:
        seen: set[str] = set()
        self._at += 1
        self._space()
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            start = self._at
            if self._peek() != '"':
                self._stop(pointer, "a key must stand in double quotes", 'a key such as "id"')
            name = self._string(pointer)
            place = f"{pointer}/{escape_pointer(name)}"
            if name in seen:
                message = f"the key {name!r} stands here a second time"
                self._tell("duplicate_key", place, start, message, "each key once")
            seen.add(name)
            self._space()
            if self._peek() != ":":
                self._stop(place, "the colon after a key is missing", "':'")
            self._at += 1
            self._space()
            self._value(place, start, depth + 1)
            if not self._goes_on(pointer, "}"):
                return

    def _array(self, pointer: str, depth: int) -> None:
        index = 0
        self._at += 1
        self._space()
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._value(f"{pointer}/{index}", self._at, depth + 1)
            index += 1
            if not self._goes_on(pointer, "]"):
                return

    def _goes_on(self, pointer: str, closing: str) -> bool:
        """Past a comma (true) or the closing bracket (false)."""
        self._space()
        if self._peek() == closing:
            self._at += 1
            return False
        comma = self._at
        if self._peek() != ",":
            other = self._peek() in ("}", "]")
            message = "this closes what was not opened" if other else _NO_COMMA
            self._stop(pointer, message, f"',' or {closing!r}")
        self._at += 1
        self._space()
        if self._peek() == closing:
            self._stop(
                pointer, "there is a comma too many after the last value", repr(closing), comma
            )
        return True

    def _string(self, pointer: str) -> str:
        opening = self._at
        parts: list[str] = []
        self._at += 1
        while True:
            plain = _PLAIN.match(self._text, self._at)
            assert plain is not None, "matches nothing as well"
            parts.append(plain.group())
            self._at = plain.end()
            char = self._peek()
            if char == '"':
                self._at += 1
                return "".join(parts)
            if char == "\\":
                parts.append(self._escape(pointer))
            elif char in ("", "\n"):
                self._stop(pointer, 'the text that starts here has no closing "', '"', opening)
            elif char < " ":
                self._stop(pointer, "a control character must be escaped", f"\\u{ord(char):04x}")
            else:
                message = "the text holds half of a surrogate pair"
                self._tell("invalid_text", pointer, self._at, message)
                parts.append(char)
                self._at += 1

    def _escape(self, pointer: str) -> str:
        start = self._at
        char = self._text[start + 1 : start + 2]
        if char != "u":
            if char not in _ESCAPES:
                self._stop(
                    pointer, f"there is no escape \\{char}", 'one of \\" \\\\ \\/ \\n \\uXXXX'
                )
            self._at = start + 2
            return _ESCAPES[char]
        code = self._hex(pointer, start + 2)
        if 0xD800 <= code <= 0xDBFF and self._text.startswith("\\u", self._at):
            low = self._hex(pointer, self._at + 2)
            if 0xDC00 <= low <= 0xDFFF:
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))
            self._at -= 6  # Its own escape, and looked at as such.
        if code == 0:
            self._tell("invalid_text", pointer, start, "the text holds the character NUL")
        if 0xD800 <= code <= 0xDFFF:
            message = "the text holds half of a surrogate pair"
            self._tell("invalid_text", pointer, start, message)
        return chr(code)

    def _hex(self, pointer: str, at: int) -> int:
        match = _HEX.match(self._text, at)
        if match is None:
            self._stop(pointer, "four hexadecimal digits must follow \\u", "\\uXXXX", at - 2)
        self._at = match.end()
        return int(match.group(), 16)

    def _word_or_number(self, pointer: str) -> None:
        start = self._at
        match = _NUMBER.match(self._text, start)
        word = _WORD.match(self._text, start)
        written = word.group() if word else ""
        if written in _WORDS:
            self._at = start + len(written)
            return
        if written in _NOT_FINITE:
            self._at = start + len(written)
            message = f"{written} is no number that JSON has"
            self._tell("invalid_number", pointer, start, message, "a finite number, or null")
            return
        if match is None:
            right = _ELSEWHERE.get(written) or next(
                (right for right in _WORDS if right == written.lower()), None
            )
            message = f"write {right}" if right else "a value should stand here"
            self._stop(pointer, message, right or "a value")
        self._at = match.end()
        if self._text[self._at : self._at + 1].isalnum():
            self._stop(pointer, "this is no number that JSON has", "a number", start)
        number = match.group()
        whole = match.group(1) is None and match.group(2) is None
        fits = (
            len(number) <= 20 and INT_MIN <= int(number) <= INT_MAX
            if whole
            else math.isfinite(float(number))
        )
        if not fits:
            message = "the number does not fit into 64 bits"
            self._tell("invalid_number", pointer, start, message, "a number of 64 bits")

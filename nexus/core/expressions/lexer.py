"""Text → tokens. Every token knows where it stood, so every error can point."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from nexus.core.expressions.errors import ExpressionError
from nexus.core.expressions.values import INT_MAX, is_usable

MAX_LENGTH = 2_000
"""Longest text of an expression, in characters."""

TokenKind = Literal["number", "string", "word", "symbol", "end"]

_WORDS = {"and": "and", "or": "or", "not": "not", "in": "in"}
OPERATOR_WORDS = {**_WORDS, **{word.upper(): op for word, op in _WORDS.items()}}
CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}

_SPELLING = {"&&": "and", "||": "or", "!": "not", "=": "=="}
_FOREIGN = dict(
    [
        *[("===", "=="), ("!==", "!="), ("<>", "!="), ("=>", ">="), ("=<", "<=")],
        *[("**", "*"), ("//", "/"), ("&", "and"), ("|", "or"), ("?.", ".")],
    ]
)
# One pattern for nearly all tokens: a definition has thousands. Of the symbols the longest stand
# first, since the first that matches is taken.
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<word>[^\W\d]\w*)
    | (?P<number>[0-9])
    | (?P<string>['"])
    | (?P<foreign>===|!==|<>|=>|=<|\*\*|//|&(?!&)|\|(?!\|)|\?\.)
    | (?P<symbol>==|!=|>=|<=|&&|\|\||[=><!+\-*/%()\[\],.])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[^\W\d]\w*")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")


class Token(Struct, frozen=True):
    """One token.

    Attributes:
        kind: What sort it is.
        text: Operators in their one spelling (`&&` and `AND` are `and`), names as written.
        start: 0-based offset of its first character.
        end: Offset after its last.
        value: Of a number or a string.
    """

    kind: TokenKind
    text: str
    start: int
    end: int
    value: object = None


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, ending with one of kind `end`.

    Raises:
        ExpressionError: The text is too long, or something in it is no token.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text):,} characters, at most {MAX_LENGTH:,} are allowed",
            MAX_LENGTH,
            len(text) - MAX_LENGTH,
            expected=f"at most {MAX_LENGTH:,} characters",
            found=f"{len(text):,}",
        )
    tokens: list[Token] = []
    at = 0
    while True:
        token = _token(text, at)
        tokens.append(token)
        if token.kind == "end":
            return tokens
        at = token.end


def _token(text: str, at: int) -> Token:
    match = _TOKEN.match(text, at)
    if match is None:
        at = _after_space(text, at)
        char = text[at]
        raise ExpressionError(f"the character {char!r} means nothing here", at, 1, found=char)
    kind = match.lastgroup
    assert kind is not None, "one of the groups has matched"
    start, end = match.span(kind)
    if kind == "word":
        return Token("word", match[kind], start, end)
    if kind == "symbol":
        return Token("symbol", _SPELLING.get(match[kind], match[kind]), start, end)
    if kind == "number":
        return _number(text, start)
    if kind == "string":
        return _string(text, start)
    if kind == "end":
        return Token("end", "", start, end)
    wrong = match[kind]
    raise ExpressionError(
        f"there is no operator {wrong!r}",
        start,
        end - start,
        found=wrong,
        suggestion=_FOREIGN[wrong],
    )


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None, "matches nothing as well"
    return match.end()


def _number(text: str, at: int) -> Token:
    match = _NUMBER.match(text, at)
    assert match is not None, "called on a digit"
    end = match.end()
    tail = _WORD.match(text, end)
    if tail:
        raise ExpressionError(
            f"{text[at : tail.end()]!r} is neither a number nor a name",
            at,
            tail.end() - at,
            expected="a number, or a name that starts with a letter",
            found=text[at : tail.end()],
        )
    written = match.group()
    whole = match.group(1) is None and match.group(2) is None
    value: int | float
    # A length bound first: int() on thousands of digits raises an error of its own.
    if whole and len(written.lstrip("0")) <= 19 and int(written[-19:]) <= INT_MAX:
        value = int(written[-19:])
    elif not whole and is_usable(float(written)):
        value = float(written)
    else:
        raise ExpressionError(
            "the number is too large", at, end - at, expected="a number of 64 bits", found=written
        )
    return Token("number", written, at, end, value)


def _string(text: str, at: int) -> Token:
    quote = text[at]
    parts: list[str] = []
    here = at + 1
    while here < len(text):
        char = text[here]
        if char == quote:
            return Token("string", text[at : here + 1], at, here + 1, "".join(parts))
        if char == "\\":
            piece, here = _escape(text, here)
            parts.append(piece)
        elif "\ud800" <= char <= "\udfff" or char == "\0":
            raise ExpressionError("the string holds a character that cannot be kept", here, 1)
        else:
            parts.append(char)
            here += 1
    raise ExpressionError(
        f"the string that starts here has no closing {quote}", at, len(text) - at, expected=quote
    )


def _escape(text: str, at: int) -> tuple[str, int]:
    char = text[at + 1 : at + 2]
    if char in _ESCAPES and char:
        return _ESCAPES[char], at + 2
    if char == "u" and _HEX.match(text, at + 2):
        code = int(text[at + 2 : at + 6], 16)
        end = at + 6
        if 0xD800 <= code <= 0xDBFF and text.startswith("\\u", end) and _HEX.match(text, end + 2):
            low = int(text[end + 2 : end + 6], 16)
            if 0xDC00 <= low <= 0xDFFF:
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), end + 6
        if code != 0 and not 0xD800 <= code <= 0xDFFF:
            return chr(code), end
        raise ExpressionError(
            f"{text[at:end]} is not a character that can be kept", at, end - at, found=text[at:end]
        )
    raise ExpressionError(
        f"there is no escape \\{char}",
        at,
        2,
        expected="one of \\\\ \\' \\\" \\n \\t \\uXXXX",
        found="\\" + char,
    )

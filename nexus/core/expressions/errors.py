"""What is wrong with an expression's text, and where."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from nexus.core.errors import NexusError

_CARET_WIDTH = 100
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class ExpressionError(NexusError):
    """The text of an expression cannot be read.

    Attributes:
        message: One sentence for a person.
        offset: 0-based character in the text where the trouble starts.
        length: How many characters it covers; at least 1, also at the text's end.
        expected: What would have been right, if it can be said.
        found: What stands there.
        suggestion: The nearest valid name or spelling.
    """

    def __init__(
        self,
        message: str,
        offset: int = 0,
        length: int = 1,
        *,
        expected: str | None = None,
        found: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = max(1, length)
        self.expected = expected
        self.found = found
        self.suggestion = suggestion

    def caret(self, text: str) -> str:
        """The line of `text` that is meant, and carets below the wrong part.

        Args:
            text: The expression that was parsed.

        Returns:
            Two lines, cut to about 100 columns around the place.
        """
        offset = min(self.offset, len(text))
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        line = text[start : end if end >= 0 else len(text)]
        # What turns or hides text on a screen would put the carets under something else.
        line = "".join(c if c.isprintable() else " " if c == "\t" else _UNPRINTABLE for c in line)
        column = offset - start
        cut = max(0, column - _CARET_WIDTH // 2)
        line = line[cut : cut + _CARET_WIDTH]
        column -= cut
        return line + "\n" + " " * column + "^" * max(1, min(self.length, len(line) - column))


def foreign_letter(name: str) -> str | None:
    """What a name that looks right is made of: the first letter beyond ASCII, in words."""
    for char in name:
        if not char.isascii():
            return f"{char!r} is {unicodedata.name(char, 'no letter')}"
    return None


def closest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The valid name meant by a wrong one; a difference in case alone always counts.

    Args:
        name: What was written.
        names: What would be right.
        cutoff: How alike they must be, from 0 (not at all) to 1 (the same).
    """
    known = list(names)
    same = next((k for k in known if k.lower() == name.lower()), None)
    return same or next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)

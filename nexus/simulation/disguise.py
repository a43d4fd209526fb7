"""Other people and other words in the place of real ones, the same for the same.

What the definition itself names stays as it is, so that its conditions see what
they saw: options, stages, roles, and the texts in its expressions. So do
numbers, truth values, dates and durations. What takes the place of a text is
drawn by the order in which texts come, and says nothing of them but their shape.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping

from nexus.core.commands import SYSTEM
from nexus.core.durations import DurationError, parse_duration

_EMAIL = re.compile(r"[^@\s]+@([^@\s]+\.[^@\s]+)")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://\S+", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_TIME = r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?"
_MOMENT = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}([T ]{_TIME})?|{_TIME}", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")

_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
_LEAST_PIECE = 3  # characters of an expression's text that stays inside another text
_TRIES = 50


class Disguise:
    """Replaces what is personal in one history.

    Args:
        document: The definition, as JSON.
    """

    def __init__(self, document: object) -> None:
        texts = list(_texts(document))
        quoted = {one or other for text in texts for one, other in _QUOTED.findall(text)}
        self._named = {text.casefold() for text in (*texts, *quoted)}
        pieces = sorted((one for one in quoted if len(one) >= _LEAST_PIECE), key=len, reverse=True)
        self._pieces = (
            re.compile("|".join(map(re.escape, pieces)), re.IGNORECASE) if pieces else None
        )
        self._domains = " ".join(texts).casefold()
        self._replaced: dict[str, str] = {}
        self._taken: set[str] = set()
        self._people = 0
        self._random = random.Random(0)  # noqa: S311 - it draws shapes, and hides nothing

    def person(self, name: str) -> str:
        """Somebody else's name, `person-1` …; the system's own stay."""
        if name == SYSTEM or name.startswith(f"{SYSTEM}:") or self._stays(name):
            return name
        if name not in self._replaced:
            self._people += 1
            other = f"person-{self._people}"
            self._replaced[name] = f"{other}@example.com" if _EMAIL.fullmatch(name) else other
            self._taken.add(self._replaced[name])
        return self._replaced[name]

    def text(self, text: str) -> str:
        """Another text of like shape."""
        if self._stays(text) or _MOMENT.fullmatch(text) or _is_duration(text):
            return text
        if text not in self._replaced:
            self._replaced[text] = self._another(text)
            self._taken.add(self._replaced[text])
        return self._replaced[text]

    def value(self, value: object) -> object:
        """JSON with every text in it replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.data(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def data(self, data: Mapping[str, object]) -> dict[str, object]:
        """An object with every text in it replaced; of its keys, those that name somebody."""
        return {self._key(key): self.value(value) for key, value in data.items()}

    # --- parts ------------------------------------------------------------------------------

    def _stays(self, text: str) -> bool:
        return text.casefold() in self._named or not any(map(str.isalnum, text))

    def _key(self, key: str) -> str:
        personal = key in self._replaced or _EMAIL.fullmatch(key) or _UUID.fullmatch(key)
        return self.text(key) if personal and not self._stays(key) else key

    def _another(self, text: str) -> str:
        number = len(self._replaced) + 1
        if found := _EMAIL.fullmatch(text):
            domain = found.group(1)
            known = domain.casefold() in self._domains
            return f"mail-{number}@{domain if known else 'example.com'}"
        if found := _URL.fullmatch(text):
            return f"{found.group(1)}://example.com/{number}"
        if _UUID.fullmatch(text):
            return f"{number:08x}-0000-4000-8000-000000000000"
        if _ADDRESS.fullmatch(text):
            return f"192.0.2.{number % 255}"
        for _ in range(_TRIES):
            other = self._like(text)
            if other not in self._taken and other != text:
                return other
        return f"{other}{number}"

    def _like(self, text: str) -> str:
        """The same shape, with those pieces left that the definition's expressions name."""
        if self._pieces is None:
            return "".join(map(self._character, text))
        written, at = [], 0
        for found in self._pieces.finditer(text):
            written += [*map(self._character, text[at : found.start()]), found.group()]
            at = found.end()
        return "".join([*written, *map(self._character, text[at:])])

    def _character(self, character: str) -> str:
        if character.isdigit():
            return character if character == "0" else self._random.choice("123456789")
        if not character.isalpha():
            return character
        letter = self._random.choice(_VOWELS if character.casefold() in _VOWELS else _CONSONANTS)
        return letter.upper() if character.isupper() else letter


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except DurationError:
        return False
    return True

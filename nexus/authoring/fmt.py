"""One layout for all definitions: the same keys in the same order, and nothing else changed.

What an author orders (entities, stages, transitions, roles, properties, the
parts of a condition) stays as it is, since order means something there. So do
numbers, to the digit. A file needs to be JSON for this; it need not be able to run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from nexus.core.json_text import load
from nexus.core.language import KEYS

WIDTH = 100
"""Columns; what fits stands on one line."""

# These have each of their members on a line of its own, however short.
_OPEN = frozenset({"", "/dataSchema", "/roles", "/entities", "/transitions"})

# Which members of an object of some kind are of a kind themselves; "*" stands for all.
_MEMBERS: Mapping[str, Mapping[str, str]] = {
    "definition": {
        "roles": "roles",
        "policy": "policy",
        "entities": "entities",
        "transitions": "transitions",
    },
    "roles": {"*": "role"},
    "entities": {"*": "entity"},
    "transitions": {"*": "transition"},
    "entity": {"stages": "stages"},
    "stages": {"*": "stage"},
    "stage": {"assign": "assign"},
    "transition": {"by": "by", "creates": "creates"},
}


class _Number(str):
    """A number as it was written: 1.0 is not 1, nor 1e3, to those who read it."""

    __slots__ = ()


def formatted(text: str | bytes, source: str = "") -> str:
    """A definition's text in the layout of all.

    Args:
        text: JSON, at most 1 MiB.
        source: File name for messages.

    Raises:
        JsonTextError: It is no JSON; with every problem, located.
    """
    load(text, source)  # reads strictly, and says where it is not JSON
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    value = json.loads(text.removeprefix("\ufeff"), parse_int=_Number, parse_float=_Number)
    return _written(_ordered(value, "definition"), "", "", 0) + "\n"


def _ordered(value: object, kind: str | None) -> object:
    """A value with the keys of known objects in the order of the language."""
    members = _MEMBERS.get(kind or "", {})
    if isinstance(value, list):
        return [_ordered(item, members.get("*")) for item in value]
    if not isinstance(value, dict):
        return value
    rank = {key: at for at, key in enumerate(KEYS.get(kind or "", ()))}
    keys = sorted(value, key=lambda key: rank.get(key, len(rank))) if rank else list(value)
    return {key: _ordered(value[key], members.get(key, members.get("*"))) for key in keys}


def _written(value: object, pointer: str, indent: str, taken: int) -> str:
    """A value as text.

    Args:
        value: What to write.
        pointer: Where it stands, as far as `_OPEN` asks.
        indent: Spaces before a line of its container.
        taken: Columns of its own line that are taken before and after it.
    """
    is_open = pointer in _OPEN and isinstance(value, dict) and bool(value)
    if not is_open:
        line = _line(value, WIDTH - len(indent) - taken)
        if line is not None:
            return line
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = []
        for key, item in value.items():
            name = f"{_scalar(key)}: "
            below = f"{pointer}/{key}" if not pointer else f"{pointer}/{key}/"
            parts.append(f"{deeper}{name}{_written(item, below, deeper, len(name) + 1)}")
        return _between("{", parts, "}", indent)
    assert isinstance(value, list)
    parts = [f"{deeper}{_written(item, f'{pointer}/-/', deeper, 1)}" for item in value]
    return _between("[", _filled(value, parts, deeper), "]", indent)


def _between(opening: str, parts: list[str], closing: str, indent: str) -> str:
    return f"{opening}\n" + ",\n".join(parts) + f"\n{indent}{closing}"


def _filled(value: list[object], parts: list[str], indent: str) -> list[str]:
    """Names in as few lines as they need; anything else one a line."""
    if not all(isinstance(item, str) for item in value):
        return parts
    lines: list[str] = []
    for part in parts:
        item = part.strip()
        if lines and len(lines[-1]) + len(item) + 3 <= WIDTH:
            lines[-1] += f", {item}"
        else:
            lines.append(f"{indent}{item}")
    return lines


def _line(value: object, most: int) -> str | None:
    """A value on one line, or None where it does not fit."""
    if not isinstance(value, dict | list):
        return _scalar(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    pieces: list[str] = []
    length = 4
    entries = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, item in entries:
        name = "" if key is None else f"{_scalar(key)}: "
        written = _line(item, most - length - len(name))
        if written is None:
            return None
        pieces.append(name + written)
        length += len(pieces[-1]) + 2
        if length - 2 > most:
            return None
    inside = ", ".join(pieces)
    return f"{{ {inside} }}" if isinstance(value, dict) else f"[{inside}]"


def _scalar(value: object) -> str:
    return str(value) if isinstance(value, _Number) else _dump(value)


_dump: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False).encode

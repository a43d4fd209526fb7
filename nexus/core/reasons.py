"""Telling a person, in one sentence, why a condition does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

MOST_LISTED = 10  # names listed in one message
MOST_SHOWN = 5  # values named in one message; `why` has all of them


def unmet(name: str, why: Mapping[str, object]) -> str:
    """The sentence of a refusal.

    Args:
        name: The transition that is not taken.
        why: The explanation of its condition, as `Condition.explain` gives it.
    """
    seen: dict[str, str] = {}
    for part in _parts(why):
        values = part.get("values")
        if isinstance(values, Mapping):
            seen.update((str(path), f"{path} is {_shown(value)}") for path, value in values.items())
        missing = part.get("missing")
        if isinstance(missing, list | tuple):
            seen.update((str(path), f"{path} is missing") for path in missing)
    facts = list(seen.values())
    more = f" and {len(facts) - MOST_SHOWN} more" if len(facts) > MOST_SHOWN else ""
    condition = why.get("expression") or why.get("condition")
    stated = f": {condition}" if isinstance(condition, str) else ""
    told = f" ({', '.join(facts[:MOST_SHOWN])}{more})" if facts else ""
    return f"The condition of {name!r} does not hold{stated}{told}."


def several(names: Iterable[str], joint: str = ", ") -> str:
    """Names in a sentence: the first ten, and how many more there are."""
    listed = list(names)
    more = len(listed) - MOST_LISTED
    return joint.join(listed[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _parts(why: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    yield why
    parts = why.get("parts")
    if isinstance(parts, list | tuple):
        for part in parts:
            if isinstance(part, Mapping):
                yield from _parts(part)


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

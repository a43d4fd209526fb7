"""A difference of two definitions, and those of their schemas and of what nobody reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from nexus.authoring.wording import joined
from nexus.core.errors import escape_pointer
from nexus.core.language import KEYS, NO_EFFECT_YET, NO_EFFECT_YET_VALUES, STEPS
from nexus.core.schemas import DataSchema

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        what: What is different, such as `stage lead/qualified`.
        text: How, in a sentence.
        running: What it would mean for instances of the old version that are moved to the new
            one; "" where it means nothing.
    """

    kind: Kind
    what: str
    text: str
    running: str = ""


def schema_changes(
    what: str, before: DataSchema | None, after: DataSchema | None
) -> Iterator[Change]:
    """Differences of two schemas, property by property."""
    checked = "Data that is there already is checked when it is changed next."
    if before is None or after is None:
        if before is not after:
            kind: Kind = "added" if before is None else "removed"
            text = "data is checked now" if before is None else "data is not checked any more"
            yield Change(kind, what, text, checked if before is None else "")
        return
    one, other = _properties(before), _properties(after)
    for name in other.keys() - one.keys():
        yield Change("added", f"{what}/{name}", f"{name} is new: {_rule(other[name])}")
    for name in one.keys() - other.keys():
        meaning = (
            f"Records that have {name} are refused at their next change, unless it is taken out."
            if after.closed
            else ""
        )
        yield Change("removed", f"{what}/{name}", f"{name} is gone", meaning)
    for name in (name for name in one if name in other and one[name] != other[name]):
        text = f"{name} was {_rule(one[name])}, and is {_rule(other[name])}"
        yield Change("changed", f"{what}/{name}", text, checked)
    rest = [
        {key: value for key, value in schema.schema.items() if key != "properties"}
        for schema in (before, after)
    ]
    if rest[0].get("required") != rest[1].get("required"):
        needed = joined(map(str, _listed(rest[1].get("required")))) or "nothing"
        yield Change("changed", f"{what}/required", f"{needed} is needed now", checked)
    if {**rest[0], "required": 0} != {**rest[1], "required": 0} or before.closed != after.closed:
        yield Change("changed", what, "the schema as a whole has other rules", checked)


def _properties(schema: DataSchema) -> Mapping[str, object]:
    properties = schema.schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _rule(value: object) -> str:
    return "anything" if value is True else json.dumps(value, ensure_ascii=False)


def changes_without_effect(before: object, after: object) -> Iterator[Change]:
    """Differences in keys that the program knows nothing of, by pointer."""
    one, other = dict(_unread(before)), dict(_unread(after))
    for pointer in (pointer for pointer in one if pointer not in other):
        yield Change("removed", pointer, "it is gone; it had no effect")
    for pointer, value in other.items():
        if pointer not in one:
            yield Change("added", pointer, "it is new, and has no effect")
        elif one[pointer] != value:
            yield Change("changed", pointer, "it has changed, and has no effect")


def _unread(document: object) -> Iterator[tuple[str, object]]:
    """Each key that the program knows nothing of, with its value, by pointer."""
    if isinstance(document, dict):
        yield from _unread_keys(document, "definition", "", {"$schema", "description"})
        for section, kind in (
            ("roles", "role"),
            ("entities", "entity"),
            ("transitions", "transition"),
        ):
            members = document.get(section)
            for name, value in members.items() if isinstance(members, dict) else ():
                place = f"/{section}/{escape_pointer(name)}"
                quiet = {"label"} if kind == "role" else set[str]()
                yield from _unread_keys(value, kind, place, quiet)
                stages = value.get("stages", ()) if kind == "entity" else ()
                for at, stage in enumerate(stages):
                    if isinstance(stage, dict):
                        here = f"{place}/stages/{at}"
                        yield from _unread_keys(stage, "stage", here, set())
                        yield from _unread_steps(stage.get("run"), f"{here}/run")


def _unread_steps(value: object, place: str) -> Iterator[tuple[str, object]]:
    """The same of the steps of a run."""
    if isinstance(value, list):
        for at, step in enumerate(value):
            yield from _unread_steps(step, f"{place}/{at}")
    if not isinstance(value, dict):
        return
    for kind in (kind for kind in STEPS if kind in value):
        yield from _unread_keys(value, f"step '{kind}'", place, set())
        for _, key, said in NO_EFFECT_YET_VALUES:
            if value.get(key) == said:
                yield f"{place}/{key}", said
    for key in ("parallel", "sequence", "inclusive", "exclusive", "default", "do"):
        yield from _unread_steps(value.get(key), f"{place}/{key}")
    waiting = value.get("waitFor")
    for key in ("then", "else"):
        if isinstance(waiting, dict):
            yield from _unread_steps(waiting.get(key), f"{place}/waitFor/{key}")


def _unread_keys(
    value: Mapping[str, object], kind: str, place: str, quiet: set[str]
) -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if key in quiet or key not in KEYS[kind] or (kind, key) in NO_EFFECT_YET:
            yield f"{place}/{escape_pointer(key)}", item

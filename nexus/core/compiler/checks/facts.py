"""What is known of the names that the expressions of one transition see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nexus.core.expressions.nodes import Path
from nexus.core.expressions.values import Kind, kind_of
from nexus.core.program import Entity, Program, Transition
from nexus.core.schemas import DataSchema

Kinds = frozenset[Kind]
Scalar = str | int | float | bool | None

_KINDS: Mapping[str, Kind] = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "object": "map",
    "array": "list",
    "null": "null",
}
_OF_SCOPE: Mapping[str, tuple[Kind, ...]] = {
    "data": ("map",),
    "record": ("map",),
    "record.id": ("string",),
    "record.entity": ("string",),
    "record.stage": ("string",),
    "record.status": ("string",),
    "record.data": ("map",),
    "record.users": ("list",),
    "record.roles": ("list",),
    "record.created_at": ("datetime",),
    "record.entered_at": ("datetime",),
    "record.parent": ("string", "null"),
    "instance": ("map",),
    "instance.status": ("string",),
    "instance.data": ("map",),
    "instance.started_by": ("string", "null"),
    "instance.started_at": ("datetime", "null"),
    "subject": ("map",),
    "subject.type": ("string",),
    "subject.id": ("string",),
    "actor": ("map",),
    "actor.id": ("string",),
    "actor.roles": ("list",),
    "event": ("map",),
    "event.type": ("string",),
    "event.data": ("map",),
    "input": ("map",),
    "steps": ("map",),
    "metrics": ("map",),
    "now": ("datetime",),
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True, slots=True)
class About:
    """What is known of the values at a path.

    Attributes:
        kinds: The kinds that they can be of; None where nothing says so.
        values: The few values that there are; None where it may be many.
        bounds: (operator, limit) that a number there keeps.
        always_there: Whether something stands there in every instance.
    """

    kinds: Kinds | None
    values: tuple[Scalar, ...] | None = None
    bounds: tuple[tuple[str, float], ...] = ()
    always_there: bool = False


class EntityFacts:
    """What the expressions of all transitions of an entity can rely on.

    Attributes:
        program: The definition.
        entity: Whose records they look at.
        known: Keys of data that something names; None where nothing names any.
        fine: Paths of data and of the scope that lead somewhere, as text.
    """

    def __init__(self, program: Program, entity: Entity, known: set[str] | None) -> None:
        self.program = program
        self.entity = entity
        self.known = known
        self.fine: set[str] = set()
        self._of_data: dict[Path, About] = {}

    def judges(self) -> list[DataSchema]:
        """The schemas that the record's data has to fit."""
        both = (self.program.data_schema, self.entity.fields)
        return [schema for schema in both if schema is not None]

    def about(self, path: Path, keys: tuple[str | int, ...]) -> About:
        """What is known of data at these keys."""
        found = self._of_data.get(path)
        if found is None:
            found = self._of_data[path] = _about(schemas_at(self.judges(), keys), None)
        return found


class Facts:
    """What one transition's expressions can rely on.

    Attributes:
        shared: What it has in common with the other transitions of its entity.
        transition: Whose expressions they are.
    """

    def __init__(self, shared: EntityFacts, transition: Transition) -> None:
        self.shared = shared
        self.program = shared.program
        self.entity = shared.entity
        self.known = shared.known
        self.transition = transition
        self._others: dict[Path, About] = {}

    def judges_input(self) -> list[DataSchema]:
        """The schemas that an action's data has to fit."""
        if self.transition.input is not None:
            return [self.transition.input]
        return [] if self.program.data_schema is None else [self.program.data_schema]

    def about(self, path: Path) -> About:
        """What is known of the values at a path."""
        keys = data_keys(path)
        if keys:
            return self.shared.about(path, keys)
        found = self._others.get(path)
        if found is None:
            found = self._others[path] = self._about_other(path)
        return found

    def _about_other(self, path: Path) -> About:
        transition = self.transition
        if path.root == "input" and path.keys:
            by_hand = transition.trigger.kind == "action"
            return _about(schemas_at(self.judges_input() if by_hand else (), path.keys), None)
        name = str(path)
        own = _OF_SCOPE.get(name)
        kinds: Kinds | None = None if own is None else frozenset(own)
        match name:
            case "record.stage":
                return About(kinds, transition.sources, always_there=True)
            case "record.entity":
                return About(kinds, (self.entity.name,), always_there=True)
            case "record.status":
                return About(kinds, ("open",), always_there=True)
            case "event.type" if transition.trigger.kind == "event":
                return About(kinds, (transition.trigger.event,), always_there=True)
        return About(kinds)


def schemas_at(
    judges: Iterable[DataSchema], keys: tuple[str | int, ...]
) -> list[Mapping[str, object]]:
    """Every schema that describes what stands at these keys."""
    found: list[Mapping[str, object]] = []
    for judge in judges:
        described: object = judge.schema
        for key in keys:
            properties = described.get("properties") if isinstance(described, dict) else None
            described = properties.get(key) if isinstance(properties, dict) else None
        if isinstance(described, dict):
            found.append(described)
    return found


def _about(schemas: Iterable[Mapping[str, object]], kinds: Kinds | None) -> About:
    values: tuple[Scalar, ...] | None = None
    bounds: list[tuple[str, float]] = []
    for schema in schemas:
        said = _kinds_of_schema(schema)
        if said is not None:
            kinds = said if kinds is None else kinds & said
        listed = _listed(schema)
        if values is None and listed is not None and all(map(is_scalar, listed)):
            values = tuple(listed)
        for key, operator in _BOUNDS.items():
            limit = schema.get(key)
            if isinstance(limit, int | float) and not isinstance(limit, bool):
                bounds.append((operator, limit))
    return About(kinds, values, tuple(bounds))


def data_keys(path: Path) -> tuple[str | int, ...]:
    """The keys below the data that a path reads; empty where it reads none."""
    if path.root == "data":
        return path.keys
    if path.root in ("record", "instance") and path.keys[:1] == ("data",):
        return path.keys[1:]
    return ()


def is_scalar(value: object) -> bool:
    """Whether a value is text, a number, true, false or null."""
    return value is None or isinstance(value, str | int | float)


def _kinds_of_schema(schema: Mapping[str, object]) -> Kinds | None:
    kinds: Kinds | None = None
    said = schema.get("type")
    if isinstance(said, str):
        kinds = frozenset((_KINDS[said],))
    elif isinstance(said, list):
        kinds = frozenset(_KINDS[kind] for kind in said)
    listed = _listed(schema)
    if listed is not None:
        of_values: Kinds = frozenset(kind_of(value) for value in listed)
        kinds = of_values if kinds is None else kinds & of_values
    return kinds


def _listed(schema: Mapping[str, object]) -> list[Any] | None:
    """The values that a schema lists, where it does."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return listed if isinstance(listed, list) else None


def known_data(program: Program, entity: str) -> set[str] | None:
    """The data that the definition names for an entity; None where it names none."""
    fields = program.entities[entity].fields
    schemas = [schema for schema in (program.data_schema, fields) if schema is not None]
    named = [schema.properties for schema in schemas if schema.properties is not None]
    if not named:
        return None
    known = {key for properties in named for key in properties}
    for transition in program.transitions.values():
        if transition.entity == entity:
            known.update(computed.key for computed in transition.set)
        creates = transition.creates
        if creates is not None and creates.entity == entity:
            known.update(computed.key for computed in creates.data)
    return known

"""What is known of the names that the expressions of one transition or step see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from nexus.core.expressions.nodes import Path
from nexus.core.expressions.values import Kind, kind_of
from nexus.core.program import Entity, Program, Transition, TriggerKind
from nexus.core.schemas import DataSchema
from nexus.core.steps import SetStep, Step, WaitForStep

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
    "metrics": ("map",),
    "now": ("datetime",),
}
# How a step can stand, by its kind; `running` is seen beside it, and by what interrupts.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "channel": ("done", "failed", "timed_out", "skipped", "cancelled", "running"),
    "task": ("done", "skipped", "cancelled", "running"),
    "waitFor": ("done", "timed_out", "skipped", "cancelled", "running"),
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


class About(Struct, frozen=True):
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
    """What all expressions about the records of an entity can rely on.

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


class Site(Struct, frozen=True):
    """Where expressions stand: a transition, or a step of a stage's run.

    Attributes:
        kind: What takes the transition; `step` for a step, which nobody takes.
        taken: How that is told, such as "'qualify' is taken by a clock".
        name: How the whole is told, such as "'qualify'".
        stages: Those that the record can be in.
        input: Schema of the action's data.
        event: The event that it sees; None where it sees none.
        converted: `convert` takes it as well.
        open: The record has not ended.
        steps: The steps that `steps` shows, by name; those that cannot have begun are None.
    """

    kind: TriggerKind | Literal["step"]
    taken: str
    name: str
    stages: tuple[str, ...]
    input: DataSchema | None = None
    event: str | None = None
    converted: bool = False
    open: bool = True
    steps: Mapping[str, Step | None] = field(default_factory=dict)


def site_of(entity: Entity, transition: Transition) -> Site:
    """Where a transition's expressions stand."""
    trigger = transition.trigger
    by = {
        "action": "by an action",
        "auto": "by itself",
        "event": f"by the event {trigger.event!r}",
        "after": "by a clock",
    }[trigger.kind]
    steps: dict[str, Step | None] = {}
    for stage in transition.sources:
        run = entity.stages[stage].run
        if run is not None:
            for name, path in run.paths.items():
                steps.setdefault(name, run.by_path[path])
    return Site(
        kind=trigger.kind,
        taken=f"{transition.name!r} is taken {by}",
        name=repr(transition.name),
        stages=transition.sources,
        input=transition.input,
        event=trigger.event if trigger.kind == "event" else None,
        converted=entity.is_taken_by_convert(transition),
        steps=steps,
    )


class Facts:
    """What the expressions at one place can rely on.

    Attributes:
        shared: What it has in common with other places of its entity.
        site: The place.
    """

    def __init__(self, shared: EntityFacts, site: Site) -> None:
        self.shared = shared
        self.program = shared.program
        self.entity = shared.entity
        self.known = shared.known
        self.site = site
        self._others: dict[Path, About] = {}

    def judges_input(self) -> list[DataSchema]:
        """The schemas that an action's data has to fit."""
        if self.site.input is not None:
            return [self.site.input]
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
        site = self.site
        if path.root == "steps":
            return self._about_steps(path)
        if path.root == "input" and path.keys:
            by_hand = site.kind == "action"
            return _about(schemas_at(self.judges_input() if by_hand else (), path.keys), None)
        name = str(path)
        own = _OF_SCOPE.get(name)
        kinds: Kinds | None = None if own is None else frozenset(own)
        match name:
            case "record.stage":
                return About(kinds, site.stages, always_there=True)
            case "record.entity":
                return About(kinds, (self.entity.name,), always_there=True)
            case "record.status" if site.open:
                return About(kinds, ("open",), always_there=True)
            case "event.type" if site.event is not None:
                return About(kinds, (site.event,), always_there=True)
        return About(kinds)

    def _about_steps(self, path: Path) -> About:
        """What is known of `steps`, of a step in it, and of what it shows."""
        if len(path.keys) < 2:
            return About(frozenset(("map",)))
        step = self.site.steps.get(str(path.keys[0]))
        if step is None:
            return About(None)
        match path.keys[1:]:
            case ("outcome",):
                return About(frozenset(("string",)), OUTCOMES[step.kind])
            case ("event", "type") if isinstance(step, WaitForStep):
                return About(frozenset(("string",)), (step.event,))
            case ("by",):
                return About(frozenset(("string",)))
            case ("event",) | ("data",) | ("event", "data"):
                return About(frozenset(("map",)))
        return About(None)


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
    for stage in program.entities[entity].stages.values():
        for step in stage.run.by_path.values() if stage.run is not None else ():
            if isinstance(step, SetStep):
                known.update(computed.key for computed in step.set)
    for transition in program.transitions.values():
        if transition.entity == entity:
            known.update(computed.key for computed in transition.set)
        creates = transition.creates
        if creates is not None and creates.entity == entity:
            known.update(computed.key for computed in creates.data)
    return known

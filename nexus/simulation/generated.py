"""People and data made up, where nobody has scripted them. Reproducible by the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from nexus.core.program import Program, Stage
from nexus.core.schemas import DataSchema
from nexus.core.steps import TaskStep
from nexus.simulation.simulator import START

People = Mapping[str, tuple[str, ...]]

# A schema may ask for more than anybody wants to make up; then what is made up is refused.
MOST_ITEMS, MOST_TEXT = 100, 10_000

# What a text of that name holds, where its schema does not say.
_FORMATS = {"email": "email", "mail": "email", "url": "uri"}

_NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ida", "Jon")


def people_of(program: Program) -> dict[str, tuple[str, ...]]:
    """Somebody for each user that a definition names, and for each role.

    Where it names neither, one person without a role, who may do everything then.
    """
    users: dict[str, None] = {}
    roles: dict[str, None] = dict.fromkeys(program.can or ())
    for transition in program.transitions.values():
        users |= dict.fromkeys(sorted(transition.users or ()))
        roles |= dict.fromkeys(sorted(transition.roles or ()))
    for entity in program.entities.values():
        for stage in entity.stages.values():
            for assignees in _assignees(stage):
                users |= dict.fromkeys(assignees.users)
                roles |= dict.fromkeys(assignees.roles)
    people: dict[str, tuple[str, ...]] = dict.fromkeys(users, ())
    people |= {f"a-{role}" if role in users else role: (role,) for role in roles}
    return people or {"someone": ()}


def _assignees(stage: Stage) -> Iterator[Any]:
    if stage.assign is not None:
        yield stage.assign
    if stage.run is not None:
        for step in stage.run.by_path.values():
            if isinstance(step, TaskStep):
                yield step.assign


def generated_data(schema: DataSchema | None, rng: random.Random) -> dict[str, object]:
    """Data that a schema takes, as far as its types, formats, options and bounds go.

    Args:
        schema: What it has to look like; None for nothing in particular.
        rng: Where chance comes from.
    """
    if schema is None:
        return {}
    value = _value("", schema.schema, rng)
    return value if isinstance(value, dict) else {}


def _value(name: str, schema: Any, rng: random.Random) -> object:
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "integer" | "number":
            return _number(schema, rng, whole=kind == "integer")
        case "boolean":
            return rng.random() < 0.5
        case "array":
            items = schema.get("items", {})
            count = min(max(1, schema.get("minItems", 1)), MOST_ITEMS)
            return [_value(name, items, rng) for _ in range(count)]
        case "null":
            return None
        case "object":
            return _object(schema, rng)
        case _ if "properties" in schema:
            return _object(schema, rng)
        case _:
            return _text(name, schema, rng)


def _object(schema: Mapping[str, Any], rng: random.Random) -> dict[str, object]:
    required = schema.get("required", ())
    return {
        key: _value(key, inner, rng)
        for key, inner in schema.get("properties", {}).items()
        # What need not be there is there more often than not.
        if key in required or rng.random() < 0.8
    }


def _number(schema: Mapping[str, Any], rng: random.Random, *, whole: bool) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    # Nobody said how large: now and then tens, now and then thousands.
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    most = max(least, 0) + 10 ** rng.randint(1, 4) if most is None else most
    number = rng.randint(int(least), max(int(least), int(most)))
    if "exclusiveMinimum" in schema:
        number = max(number, int(least) + 1)
    return number if whole else round(min(number + rng.random(), most), 2)


def _text(name: str, schema: Mapping[str, Any], rng: random.Random) -> str:
    person = rng.choice(_NAMES)
    at = START + timedelta(minutes=rng.randrange(365 * 24 * 60))
    match schema.get("format") or _FORMATS.get(name.rpartition("_")[2]):
        case "email" | "idn-email":
            return f"{person.lower()}{rng.randrange(1000)}@example.com"
        case "date-time":
            return at.isoformat()
        case "date":
            return at.date().isoformat()
        case "time":
            return at.timetz().isoformat()
        case "duration":
            return "P2D"
        case "uri" | "url":
            return f"https://example.com/{person.lower()}"
        case "uuid":
            return f"{rng.getrandbits(128):032x}"
    # Words that say what they stand for, so that a person sees it in a mail.
    text = person if name.endswith("name") else f"some {name}" if name else person
    text = text.ljust(min(schema.get("minLength", 0), MOST_TEXT), ".")
    return text[: schema["maxLength"]] if "maxLength" in schema else text

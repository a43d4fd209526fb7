"""People, data and choices made up, where nobody has scripted them. Reproducible by the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from nexus.core.commands import (
    Act,
    Actor,
    CompleteTask,
    ReceiveEvent,
    Start,
    WireCommand,
)
from nexus.core.decide import can
from nexus.core.errors import Rejected
from nexus.core.program import Program, Stage
from nexus.core.schemas import DataSchema
from nexus.core.state import Record
from nexus.core.steps import TaskStep, WaitForStep
from nexus.simulation.scenarios import SUBJECT
from nexus.simulation.simulator import START, Simulation

People = Mapping[str, tuple[str, ...]]

MEAN_DELAY = timedelta(days=1)  # until somebody does something
SYSTEM_EVENTS = "outside"

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
    if "enum" in schema:
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
            return [_value(name, items, rng) for _ in range(max(1, schema.get("minItems", 1)))]
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
    most = schema.get("maximum", schema.get("exclusiveMaximum", max(100, least * 2 + 100)))
    number = rng.randint(int(least), max(int(least), int(most)))
    if "exclusiveMinimum" in schema:
        number = max(number, int(least) + 1)
    return number if whole else round(min(number + rng.random(), most), 2)


def _text(name: str, schema: Mapping[str, Any], rng: random.Random) -> str:
    person = rng.choice(_NAMES)
    at = START + timedelta(minutes=rng.randrange(365 * 24 * 60))
    match schema.get("format"):
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
    text = text.ljust(schema.get("minLength", 0), ".")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def begin(
    simulation: Simulation, people: People, rng: random.Random, data: Mapping[str, object]
) -> tuple[str, Rejected] | None:
    """Start an instance by whoever may. Returns who was refused last, if nobody may."""
    refused = None
    for name in _shuffled(people, rng):
        try:
            actor = Actor(name, people[name])
            simulation.give(Start(actor=actor, subject=SUBJECT, data=data))
        except Rejected as rejected:
            refused = (name, rejected)
            if rejected.code != "forbidden":
                return refused
        else:
            return None
    return refused


def live(simulation: Simulation, people: People, rng: random.Random, until: datetime) -> None:
    """Let people and the world do, now and then, one of the things that they can.

    Whatever can be done is as likely as anything else, on average within a day.

    Args:
        simulation: An instance that was started.
        people: Who there is, with their roles.
        rng: Where chance comes from.
        until: When it ends, if it has not before.
    """
    while simulation.now < until and not simulation.state.ended:
        options = list(_options(simulation, people, rng))
        due = simulation.next_due()
        if not options:
            if due is None or due > until:
                break
            simulation.advance(due)
            continue
        wait = timedelta(seconds=round(rng.expovariate(len(options) / MEAN_DELAY.total_seconds())))
        at = simulation.now + wait
        if due is not None and due <= at:
            simulation.advance(min(due, until))
            continue
        if at > until:
            break
        simulation.advance(at)
        try:
            simulation.give(rng.choice(options))
        except Rejected:
            # What it computes, or its made-up data, does not do: something else comes later.
            continue
    simulation.advance(until)


def _options(simulation: Simulation, people: People, rng: random.Random) -> Iterator[WireCommand]:
    """What somebody could do now, each by one who may."""
    program, state = simulation.program, simulation.state
    for record in state.records.values():
        if record.stage is None or record.status != "open":
            continue
        exits = program.entities[record.entity].exits.get(record.stage)
        for transition in exits.action if exits else ():
            act = _by_someone(simulation, people, rng, transition.name, record)
            if act is not None:
                yield Act(
                    actor=act.actor,
                    action=transition.name,
                    record=record.id,
                    data=generated_data(transition.input, rng),
                )
        heard = dict.fromkeys(t.trigger.event for t in exits.event) if exits else {}
        heard |= dict.fromkeys(_awaited(program, record))
        for event in heard:
            yield ReceiveEvent(
                actor=Actor(SYSTEM_EVENTS, ("admin",)), event=event, record=record.id
            )
    for task in state.tasks.values():
        record = state.records[task.record]
        who = task.assignees or record.assignees
        for name in _shuffled(people, rng):
            if not who or name in who.users or set(people[name]) & set(who.roles):
                yield CompleteTask(actor=Actor(name, people[name]), task=task.id)
                break


def _awaited(program: Program, record: Record) -> Iterator[str]:
    assert record.stage is not None
    run = program.entities[record.entity].stages[record.stage].run
    if run is None or not record.running:
        return
    for step in run.by_path.values():
        waits = isinstance(step, WaitForStep) and step.waiting not in record.run
        if waits and record.run.get(step.path) == "running":
            assert isinstance(step, WaitForStep)
            yield step.event


def _by_someone(
    simulation: Simulation, people: People, rng: random.Random, action: str, record: Record
) -> Act | None:
    for name in _shuffled(people, rng):
        act = Act(actor=Actor(name, people[name]), action=action, record=record.id)
        if can(simulation.program, simulation.state, act, simulation.now)["allowed"]:
            return act
    return None


def _shuffled(people: People, rng: random.Random) -> list[str]:
    names = list(people)
    rng.shuffle(names)
    return names

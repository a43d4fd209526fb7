"""A definition told in plain sentences: who, when, and what comes next."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator

from nexus.authoring.runs import run_sentence
from nexus.authoring.wording import (
    computed_text,
    condition_text,
    joined,
    named,
    people,
    quoted,
    with_article,
)
from nexus.core.compiler import Compiled
from nexus.core.durations import format_duration
from nexus.core.program import BUILT_IN_ACTIONS, Entity, Program, Stage, Transition
from nexus.core.schemas import DataSchema

WIDTH = 100


def explained(compiled: Compiled) -> str:
    """What a definition does, as text for a person.

    Args:
        compiled: With its text, of which the description is taken, and its warnings.
    """
    program = compiled.program
    lines = [f"{program.label} ({program.id}, version {program.version})", ""]
    description = _description(compiled.text)
    if description:
        lines += [description, ""]
    lines += [*_beginning(program), ""]
    for entity in program.entities.values():
        lines += [*_entity(program, entity), ""]
    lines += [*_roles(program), ""]
    if compiled.warnings:
        lines += ["What is odd:"]
        for warning in compiled.warnings:
            hint = f" Did you mean {warning.suggestion!r}?" if warning.suggestion else ""
            lines.append(f"  - {warning.message}{hint} (line {warning.line})")
    else:
        lines.append("Nothing is odd about it.")
    return "\n".join(wrapped for line in lines for wrapped in _wrapped(line)) + "\n"


def _wrapped(line: str) -> Iterable[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    if line.lstrip().startswith("- "):
        indent += "  "
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _description(text: str) -> str:
    document = json.loads(text.removeprefix("\ufeff"))
    description = document.get("description")
    return description if isinstance(description, str) else ""


def _beginning(program: Program) -> Iterator[str]:
    if program.default_entity is not None:
        entity = program.entities[program.default_entity]
        yield (
            f"Starting it makes {with_article(entity.name)} in "
            f"{_stage(entity, entity.first_stage or '')}, unless the start asks for other records. "
            "It ends when every record that has stages has ended."
        )
    else:
        yield "No kind of record has stages: an instance holds data, and is open until `close`."
    if program.data_schema is not None:
        yield f"Its data: {_properties(program.data_schema)}."
    openers = _roles_that_can(program, "start")
    if openers:
        yield f"Only {people((), openers, 'or')} may start it."


def _properties(schema: DataSchema) -> str:
    known = schema.schema.get("properties")
    required = schema.schema.get("required")
    needed = required if isinstance(required, list) else []
    names = []
    for name in schema.properties or ():
        rule = known.get(name) if isinstance(known, dict) else None
        facts = [_kind(rule)] if isinstance(rule, dict) and _kind(rule) else []
        facts += ["needed"] if name in needed else []
        names.append(f"{name} ({', '.join(facts)})" if facts else name)
    return joined(names) or "anything"


def _kind(rule: dict[str, object]) -> str:
    values = rule.get("enum")
    if isinstance(values, list):
        return "one of " + ", ".join(map(str, values))
    kind = rule.get("format") or rule.get("type")
    text = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "")
    bounds = [
        f"{words} {rule[key]}"
        for key, words in (("minimum", "at least"), ("maximum", "at most"))
        if key in rule
    ]
    return ", ".join([text, *bounds] if text else bounds)


def _entity(program: Program, entity: Entity) -> Iterator[str]:
    if not entity.stages:
        fields = f" with {_properties(entity.fields)}" if entity.fields else ""
        yield f"{_title(entity)}: plain data{fields}. It has no stages."
        return
    stages = joined(_stage(entity, stage) for stage in entity.stages)
    count = len(entity.stages)
    yield f"{_title(entity)}: {count} stage{'s' if count != 1 else ''}, {stages}."
    if entity.fields is not None:
        yield f"Its own data: {_properties(entity.fields)}."
    for stage in entity.stages.values():
        yield f"  In {_stage(entity, stage.id)}{_owed(stage)}:"
        for sentence in _stage_sentences(program, entity, stage):
            yield f"    - {sentence}"
    anywhere = [t for t in program.transitions.values() if _leaves_everything(entity, t)]
    if anywhere:
        yield "  From every stage before the end:"
        for transition in anywhere:
            yield f"    - {_transition(program, entity, None, transition)}"


def _leaves_everything(entity: Entity, transition: Transition) -> bool:
    """Told once, not in every stage."""
    open_ = {stage.id for stage in entity.stages.values() if not stage.final}
    return transition.entity == entity.name and len(open_) > 2 and set(transition.sources) >= open_


def _title(entity: Entity) -> str:
    return named(entity.name, entity.label)


def _stage(entity: Entity, stage: str) -> str:
    return named(stage, entity.stages[stage].label)


def _owed(stage: Stage) -> str:
    return f", owed by {people(stage.assign.users, stage.assign.roles)}" if stage.assign else ""


def _stage_sentences(program: Program, entity: Entity, stage: Stage) -> Iterator[str]:
    if stage.run is not None:
        yield _runs(entity, stage)
    if stage.final:
        yield "The record has ended here."
        return
    exits = entity.exits[stage.id]
    for transition in (*exits.auto, *exits.event, *exits.after, *exits.action):
        if not _leaves_everything(entity, transition):
            yield _transition(program, entity, stage, transition)
    if not (exits.auto or exits.event or exits.after or exits.action):
        following = entity.stage_after(stage.id)
        if following is not None and _may(program, "convert"):
            yield f"No transition leads on; `convert` moves it to {_stage(entity, following)}."
        elif _may(program, "close"):
            yield "No transition leads on; `close` ends the record."
        else:
            yield "Nothing leads on, and no role can close it."


def _runs(entity: Entity, stage: Stage) -> str:
    assert stage.run is not None
    told = f"It {run_sentence(stage.run)}."
    if stage.final:
        return told
    exits = entity.exits[stage.id]
    every = (*exits.auto, *exits.event, *exits.after, *exits.action)
    through = [named(t.name, t.label) for t in every if t.interrupts]
    but = f", but for {joined(through)}" if through else ""
    return f"{told} What leads on waits until all of that has ended{but}."


def _may(program: Program, action: str) -> bool:
    return program.can is None or bool(_roles_that_can(program, action))


def _transition(
    program: Program, entity: Entity, stage: Stage | None, transition: Transition
) -> str:
    """What a transition does; `stage` is None where it is told for all stages at once."""
    trigger = transition.trigger
    name = named(transition.name, transition.label)
    moves = (
        "begins it anew"
        if stage is not None and transition.target == stage.id
        else f"moves it to {_stage(entity, transition.target)}"
    )
    match trigger.kind:
        case "auto":
            first = f"At once, {name} {moves}"
        case "event":
            first = f"When {quoted(trigger.event)} happens, {name} {moves}"
        case "after":
            first = f"After {format_duration(trigger.after)} here, {name} {moves}"
        case _:
            first = f"{_takers(program, transition)} may take {name}, which {moves}"
    condition = transition.condition
    if condition is not None:
        word = "as soon as" if trigger.kind == "auto" else "if"
        first = first.replace("At once, ", "") if trigger.kind == "auto" else first
        first += f", {word} {condition_text(condition)}"
    if stage is not None and stage.id != transition.sources[0]:
        return f"{first}, as above."
    return " ".join([f"{first}.", *_consequences(program, transition)])


def _consequences(program: Program, transition: Transition) -> Iterator[str]:
    if transition.input is not None:
        yield f"It asks for {_properties(transition.input)}."
    if transition.set:
        values = joined(
            f"{computed.key} to {computed_text(computed)}" for computed in transition.set
        )
        yield f"It sets {values}."
    if transition.interrupts:
        yield "It stops what is left of the run."
    creates = transition.creates
    if creates is None:
        return
    created = program.entities[creates.entity]
    facts = [f"{computed.key} from {computed_text(computed)}" for computed in creates.data]
    facts += list(creates.copied)
    told = f", with {joined(facts)}" if facts else ""
    place = f" in {_stage(created, created.first_stage)}" if created.first_stage else ""
    yield f"It creates {with_article(created.name)}{place}{told}."


def _takers(program: Program, transition: Transition) -> str:
    """Who may take an action, by `roles`, `by` and assignment (R11)."""
    able = _roles_that_can(program, transition.name)
    if program.can is not None and not able:
        return "Nobody but an admin"
    if transition.users is not None or transition.roles is not None:
        users, roles = sorted(transition.users or ()), sorted(transition.roles or ())
        who = _capital(people(users, roles, "or"))
        limit = (
            ""
            if program.can is None or (not users and set(roles) <= set(able))
            else (f" (with {people((), able, 'or')})")
        )
        return who + limit
    if program.can is None:
        return "Whoever is assigned, else anybody,"
    return f"Whoever is assigned, with {people((), able, 'or')},"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _roles_that_can(program: Program, action: str) -> list[str]:
    if program.can is None:
        return []
    listed = any(action in can for can in program.can.values())
    if action in ("start", "add") and not listed:
        return []
    return [role for role, can in program.can.items() if action in can or "*" in can]


def _roles(program: Program) -> Iterator[str]:
    if program.can is None:
        yield "There are no roles: anybody of the tenant may act on what is assigned to nobody."
    else:
        yield "Roles:"
        for role, can in program.can.items():
            if "*" in can:
                yield f"  - {role}: everything."
                continue
            order = (*program.transitions, *BUILT_IN_ACTIONS, "start", "add")
            known = [action for action in order if action in can]
            yield f"  - {role}: {joined(known) or 'nothing'}."
        yield "The role admin may do everything, and the history says so."
    if not program.self_assign:
        yield "Nobody may assign a record to themselves."

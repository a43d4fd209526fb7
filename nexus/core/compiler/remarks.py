"""What is odd about a definition that can run: remarks that a colleague would make."""

from __future__ import annotations

from collections.abc import Iterator

from nexus.core.compiler.reader import below
from nexus.core.errors import Report, nearest
from nexus.core.program import Entity, Program, Transition
from nexus.core.reasons import several


def remark(report: Report, program: Program) -> None:
    """Report what is odd: stages without a way out, data that nothing names, idle automatics."""
    if not program.entities:
        report(
            "no_entities",
            "",
            f"{program.id!r} has no entities: an instance of it holds data and stays open until "
            "'close'.",
            severity="warning",
        )
    for entity in program.entities.values():
        _ways_out(report, entity)
    known = {name: _known_data(program, name) for name in program.entities}
    for transition in program.transitions.values():
        _data_named(report, transition, known[transition.entity])
        _takers_known(report, program, transition)
        if transition.trigger.kind == "auto" and transition.condition is None:
            report(
                "auto_without_condition",
                below("/transitions", transition.name),
                f"{transition.name!r} is taken as soon as its stage is entered: it is automatic "
                "and has no condition.",
                severity="warning",
            )


def _ways_out(report: Report, entity: Entity) -> None:
    """R3: a stage that no transition leaves, and that is not final."""
    if not entity.declared:
        return  # the single stage of an entity with clocks alone is nothing that its author wrote
    place = below(below("/entities", entity.name), "stages")
    for index, stage in enumerate(entity.stages.values()):
        exits = entity.exits[stage.id]
        if stage.final or exits.action or exits.auto or exits.event or exits.after:
            continue
        following = entity.stage_after(stage.id)
        by_hand = "'convert' and 'close' do" if following else "'close' does"
        report(
            "no_way_out",
            below(place, index),
            f"No transition leaves the stage {stage.id!r} of {entity.name!r}; "
            f"only the built-in {by_hand}.",
            severity="warning",
        )


def _data_named(report: Report, transition: Transition, known: set[str] | None) -> None:
    """A condition on data that neither `dataSchema`, `fields` nor a `set` names."""
    if known is None or transition.condition is None:
        return
    for path in transition.condition.paths:
        root, _, rest = path.partition(".")
        key = rest.split(".")[0].split("[")[0]
        if root == "data" and key and key not in known:
            report(
                "unknown_data",
                below(below("/transitions", transition.name), "condition"),
                f"The condition of {transition.name!r} reads data.{key}, which neither the "
                "dataSchema nor the fields name.",
                severity="warning",
                expected=several(f"data.{name}" for name in sorted(known)),
                found=f"data.{key}",
                suggestion=_likely(key, known),
            )


def _known_data(program: Program, entity: str) -> set[str] | None:
    """The data that the definition names for an entity; None where it names none."""
    fields = program.entities[entity].fields
    schemas = [schema for schema in (program.data_schema, fields) if schema is not None]
    named = [schema.properties for schema in schemas if schema.properties is not None]
    if not named:
        return None
    known = {key for properties in named for key in properties}
    known.update(computed.key for t in _of(program, entity) for computed in t.set)
    return known


def _of(program: Program, entity: str) -> Iterator[Transition]:
    return (t for t in program.transitions.values() if t.entity == entity)


def _likely(key: str, known: set[str]) -> str | None:
    """The name probably meant: one that is close, or the only one that has the key as a part."""
    containing = [name for name in sorted(known) if key in name.split("_")]
    return (containing[0] if len(containing) == 1 else None) or nearest(key, sorted(known))


def _takers_known(report: Report, program: Program, transition: Transition) -> None:
    """A role in `by` that the definition's own roles do not let take the action."""
    if program.can is None or not transition.roles or transition.trigger.kind != "action":
        return
    for role in sorted(transition.roles):
        can = program.can.get(role, frozenset())
        if transition.name not in can and "*" not in can:
            report(
                "role_cannot_take",
                below(below("/transitions", transition.name), "by"),
                f"'by' names the role {role!r}, but the roles of this definition do not let it "
                f"take {transition.name!r}.",
                severity="warning",
                expected=f"{transition.name!r} in the role's 'can'",
                found=role,
                suggestion=nearest(role, program.can),
            )

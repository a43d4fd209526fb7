"""What changed between two versions of a definition, and what that means for running instances."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from nexus.authoring.changes import Change, Kind, changes_without_effect, schema_changes
from nexus.authoring.conditions import compared
from nexus.authoring.runs import leaves_of, step_text
from nexus.authoring.wording import computed_text, condition_text, joined, people, trigger_text
from nexus.core.compiler import Compiled
from nexus.core.errors import nearest
from nexus.core.program import Creates, Entity, Program, Stage, Transition
from nexus.core.steps import ChannelStep, Computed, Run, Step


def compare(old: Compiled, new: Compiled) -> tuple[Change, ...]:
    """All differences, from the whole to its parts; none where only the layout differs."""
    before, after = old.program, new.program
    documents = _document(old), _document(new)
    changes = [
        *_identity(before, after, same=documents[0] == documents[1]),
        *schema_changes("dataSchema", before.data_schema, after.data_schema),
        *_roles(before, after),
        *_entities(before, after),
        *_transitions(before, after),
        *_channels(before, after),
        *changes_without_effect(*documents),
    ]
    return tuple(changes)


def _document(compiled: Compiled) -> object:
    return json.loads(compiled.text.removeprefix("\ufeff"))


def _identity(before: Program, after: Program, *, same: bool) -> Iterator[Change]:
    if before.id != after.id:
        text = f"id {before.id!r} is now {after.id!r}"
        yield Change("changed", "id", text, "These are two definitions: nothing moves by itself.")
    elif before.version != after.version:
        text = f"version {before.version} is now {after.version}"
        yield Change("changed", "version", text)
    elif not same:
        yield Change(
            "changed",
            "version",
            f"both are version {after.version}, with other content",
            "The API refuses that (version_exists); the definitions folder makes a revision of it.",
        )
    for name in ("label", "domain"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield Change("changed", name, f"{name} {one!r} is now {other!r}")
    if before.self_assign != after.self_assign:
        word = "may now" if after.self_assign else "may no longer"
        yield Change("changed", "policy.selfAssign", f"people {word} assign records to themselves")
    if before.default_entity != after.default_entity:
        text = f"a start makes a record of {after.default_entity}, not of {before.default_entity}"
        yield Change("changed", "start", text)


# --- people ----------------------------------------------------------------------------------


def _roles(before: Program, after: Program) -> Iterator[Change]:
    if (before.can is None) != (after.can is None):
        kind: Kind = "added" if before.can is None else "removed"
        text = (
            "roles say now who may do what"
            if before.can is None
            else "there are no roles any more: anybody of the tenant may act"
        )
        yield Change(kind, "roles", text)
    one, other = before.can or {}, after.can or {}
    for role in (role for role in one if role not in other):
        text = f"the role {role} is gone"
        yield Change("removed", f"role {role}", text, "Who has no other role may do nothing.")
    for role in other:
        had, has = one.get(role), other[role]
        if had is None:
            can = joined(sorted(has)) or "nothing"
            yield Change("added", f"role {role}", f"the role {role} may {can}")
        elif had != has:
            parts = [f"may now {joined(sorted(has - had))}"] * bool(has - had)
            parts += [f"may no longer {joined(sorted(had - has))}"] * bool(had - has)
            yield Change("changed", f"role {role}", f"{role} {joined(parts)}")


def _people(users: Iterable[str], roles: Iterable[str]) -> str:
    return people(sorted(users), sorted(roles)) or "nobody in particular"


# --- entities and stages ---------------------------------------------------------------------


def _entities(before: Program, after: Program) -> Iterator[Change]:
    for name, entity in before.entities.items():
        if name not in after.entities:
            meaning = f"Records of {name} have no place in the new version."
            yield Change("removed", f"entity {name}", f"the entity {name} is gone", meaning)
        else:
            yield from _entity(entity, after.entities[name])
    for name in (name for name in after.entities if name not in before.entities):
        yield Change("added", f"entity {name}", f"the entity {name} is new")


def _entity(before: Entity, after: Entity) -> Iterator[Change]:
    what = f"entity {before.name}"
    if before.label != after.label:
        text = f"label {before.label!r} is now {after.label!r}"
        yield Change("changed", what, text)
    if before.table != after.table:
        text = f"its records are also kept in {after.table}, not in {before.table}"
        yield Change("changed", what, text, "Rows of the former table stay as they are.")
    yield from schema_changes(f"{what} fields", before.fields, after.fields)
    added = [stage for stage in after.stages if stage not in before.stages]
    removed = [stage for stage in before.stages if stage not in after.stages]
    renames = dict(_renames(before, after))
    for stage in removed:
        renamed = renames.get(stage)
        guess = f" Perhaps it was renamed to {renamed!r}." if renamed else ""
        meaning = (
            f"Records that stand in {stage!r} have no place: say where they go when they are "
            f"moved.{guess}"
        )
        yield Change(
            "removed", f"stage {before.name}/{stage}", f"the stage {stage} is gone", meaning
        )
    for stage in added:
        yield Change("added", f"stage {before.name}/{stage}", f"the stage {stage} is new")
    for name, stage_before in before.stages.items():
        if name in after.stages:
            yield from _stage(before.name, stage_before, after.stages[name])
    kept = [
        [s for s in entity.stages if s in before.stages and s in after.stages]
        for entity in (before, after)
    ]
    if kept[0] != kept[1]:
        yield Change(
            "changed",
            f"{what} stages",
            f"the stages are listed as {joined(after.stages)}",
            "`convert` goes to the next stage in this order.",
        )
    if before.first_stage != after.first_stage and after.first_stage in before.stages:
        text = f"new records begin in {after.first_stage}, not in {before.first_stage}"
        yield Change("changed", what, text)


def _renames(before: Entity, after: Entity) -> Iterator[tuple[str, str]]:
    """Removed stages, and what each was probably renamed to: by label, by name, by place."""
    added = [stage for stage in after.stages if stage not in before.stages]
    removed = [stage for stage in before.stages if stage not in after.stages]
    places = list(before.stages), list(after.stages)
    for stage in removed:
        label = before.stages[stage].label
        alike = [name for name in added if after.stages[name].label == label != stage]
        found = alike[0] if len(alike) == 1 else nearest(stage, added)
        if found is None and len(added) == len(removed) == 1:
            same_place = places[0].index(stage) == places[1].index(added[0])
            found = added[0] if same_place else None
        if found is not None:
            added.remove(found)  # two stages are not renamed to one
            yield stage, found


def _stage(entity: str, before: Stage, after: Stage) -> Iterator[Change]:
    what = f"stage {entity}/{before.id}"
    for key in ("label", "type"):
        one, other = getattr(before, key), getattr(after, key)
        if one != other:
            yield Change("changed", what, f"{key} {one!r} is now {other!r}")
    if before.final != after.final:
        text = "it is final now" if after.final else "it is not final any more"
        meaning = (
            "Records that stand in it would have ended."
            if after.final
            else "Records that ended in it stay ended."
        )
        yield Change("changed", what, text, meaning)
    if before.assign != after.assign:
        one, other = (
            _people(stage.assign.users, stage.assign.roles) if stage.assign else "whoever was"
            for stage in (before, after)
        )
        text = f"it assigns {other}, not {one}"
        meaning = "Records that stand in it keep the assignees that they have."
        yield Change("changed", what, text, meaning)

    yield from _run(what, before.run, after.run)


def _run(what: str, before: Run | None, after: Run | None) -> Iterator[Change]:
    if before == after:
        return
    one, other = (leaves_of(run) if run is not None else {} for run in (before, after))
    told = False
    for key in (key for key in one if key not in other):
        yield Change("removed", what, f"it does not run {step_text(one[key])} any more", _UNDER_WAY)
        told = True
    for key, step in other.items():
        former = one.get(key)
        if former is None:
            yield Change("added", what, f"it also runs {step_text(step)}", _UNDER_WAY)
        elif texts := _step(former, step):
            yield Change("changed", what, f"in its run, {key}: {joined(texts)}", _UNDER_WAY)
        told = told or former is None or bool(_step(former, step))
    if not told:
        yield Change(
            "changed", what, "it runs the same steps, arranged or chosen in another way", _UNDER_WAY
        )


_UNDER_WAY = "What runs already is known by the place of each step in the old version."


def _step(before: Step, after: Step) -> list[str]:
    """What is different about a step itself, wherever it stands."""
    texts = [step_text(step) for step in (before, after)]
    if texts[0] != texts[1]:
        return [f"it is {texts[1]}, not {texts[0]}"]
    if isinstance(before, ChannelStep) and isinstance(after, ChannelStep):
        spoken = (("given", "with"), ("retry", "retry"), ("timeout", "timeout"))
        changed = [
            f"'{key}'" for name, key in spoken if getattr(before, name) != getattr(after, name)
        ]
        return [f"{joined(changed)} changed"] if changed else []
    return []


def _channels(before: Program, after: Program) -> Iterator[Change]:
    one, other = before.channels, after.channels
    for name in (name for name in one if name not in other):
        yield Change("removed", f"channels/{name}", f"the settings {name} are gone")
    for name, settings in other.items():
        if name not in one:
            yield Change("added", f"channels/{name}", f"the settings {name} are new")
        elif one[name] != settings:
            keys = [
                key for key in {**one[name], **settings} if one[name].get(key) != settings.get(key)
            ]
            text = f"{joined(map(repr, keys))} of the settings {name} changed"
            yield Change("changed", f"channels/{name}", text)


# --- transitions -----------------------------------------------------------------------------


def _transitions(before: Program, after: Program) -> Iterator[Change]:
    renames = {
        name: dict(_renames(entity, after.entities[name]))
        for name, entity in before.entities.items()
        if name in after.entities
    }
    for name, transition in before.transitions.items():
        what = f"transition {name}"
        if name in after.transitions:
            moved = renames.get(transition.entity, {})
            for text, meaning in _transition(transition, after.transitions[name], moved):
                yield Change("changed", what, text, meaning)
        else:
            clock = transition.trigger.kind == "after"
            meaning = "Clocks that run for it would be stopped." if clock else ""
            yield Change("removed", what, f"the transition {name} is gone", meaning)
    for name, transition in after.transitions.items():
        if name not in before.transitions:
            way = f"from {joined(transition.sources, 'or')} to {transition.target}"
            text = f"the transition {name} is new: {way}{_taken_by(transition)}"
            yield Change("added", f"transition {name}", text, _awaits(transition))
    common = [
        [t.name for t in program.transitions.values() if t.name in other.transitions]
        for program, other in ((before, after), (after, before))
    ]
    if common[0] != common[1]:
        yield Change(
            "changed",
            "transitions",
            "they are listed in another order",
            "Automatic transitions and those on one event are tried in this order.",
        )


def _taken_by(transition: Transition) -> str:
    trigger = trigger_text(transition.trigger)
    return f", {trigger}" if trigger else ""


def _awaits(transition: Transition) -> str:
    stages = joined(transition.sources, "or")
    if transition.trigger.kind == "auto":
        return f"Records that stand in {stages} may take it as soon as they are moved."
    if transition.trigger.kind == "after":
        return f"Records that stand in {stages} may be due for it as soon as they are moved."
    return ""


def _transition(
    before: Transition, after: Transition, renames: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What is different about a transition, and what that means.

    A stage that seems to be renamed is told once, and not again by each transition of it.
    """
    if before.label != after.label:
        yield f"label {before.label!r} is now {after.label!r}", ""
    if before.entity != after.entity:
        yield f"it is a transition of {after.entity}, not of {before.entity}", ""
    sources = [renames.get(stage, stage) for stage in before.sources]
    gone = [stage for stage in sources if stage not in after.sources]
    new = [stage for stage in after.sources if stage not in sources]
    if gone:
        meaning = f"Records that stand in {joined(gone, 'or')} can no longer take it."
        yield f"it does not leave {joined(gone, 'or')} any more", meaning
    if new:
        yield f"it also leaves {joined(new)}", ""
    if renames.get(before.target, before.target) != after.target:
        yield f"it leads to {after.target}, not to {before.target}", ""
    if before.trigger != after.trigger:
        one, other = (trigger_text(t.trigger) or "somebody's action" for t in (before, after))
        yield f"it is taken {other}, not {one}", _awaits(after)
    yield from _condition(before, after)
    if (before.users, before.roles) != (after.users, after.roles):
        one, other = (
            "whoever is assigned"
            if t.users is None and t.roles is None
            else _people(t.users or (), t.roles or ())
            for t in (before, after)
        )
        yield f"it is for {other}, not for {one}", ""
    if before.interrupts != after.interrupts:
        word = "interrupts" if after.interrupts else "no longer interrupts"
        yield f"it {word} a run that is going on", ""
    for change in schema_changes("input", before.input, after.input):
        yield f"its {change.what}: {change.text}", ""
    if _texts(before.set) != _texts(after.set):
        yield (
            f"it sets {_listing(after.set) or 'nothing'}, not {_listing(before.set) or 'nothing'}",
            "",
        )
    if _created(before.creates) != _created(after.creates):
        yield f"it creates {_created(after.creates)}, not {_created(before.creates)}", ""


def _condition(before: Transition, after: Transition) -> Iterator[tuple[str, str]]:
    one, other = before.condition, after.condition
    texts = [condition_text(condition) if condition else None for condition in (one, other)]
    if texts[0] == texts[1]:
        return
    if one is None:
        yield f"it has a condition now: {texts[1]}", "Fewer records pass."
    elif other is None:
        yield f"it has no condition any more; it was {texts[0]}", "More records pass."
    else:
        yield f"its condition is {texts[1]}; it was {texts[0]}", compared(one, other)


def _texts(computed: tuple[Computed, ...]) -> list[tuple[str, str]]:
    return [(one.key, computed_text(one)) for one in computed]


def _listing(computed: tuple[Computed, ...]) -> str:
    return joined(f"{key} to {text}" for key, text in _texts(computed))


def _created(creates: Creates | None) -> str:
    if creates is None:
        return "nothing"
    facts = joined([f"{key} from {text}" for key, text in _texts(creates.data)] + [*creates.copied])
    return f"a record of {creates.entity}" + (f" with {facts}" if facts else "")

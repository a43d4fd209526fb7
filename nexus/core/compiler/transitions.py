"""Transitions: where they lead from and to, what takes them, what they compute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from nexus.core.compiler.checks.written import Leaf, condition_tree, leaves, paths_at
from nexus.core.compiler.computed import read_computed
from nexus.core.compiler.forms import duration
from nexus.core.compiler.reader import (
    as_flag,
    as_name,
    as_names,
    as_object,
    as_text,
    below,
    known_keys,
    unknown_name,
)
from nexus.core.conditions import Condition, compile_condition
from nexus.core.errors import Report, nearest
from nexus.core.language import MOST_LABEL
from nexus.core.program import Creates, Entity, Transition, Trigger
from nexus.core.schemas import compile_data_schema
from nexus.core.steps import Computed

EVERY_STAGE = "*"


def compile_transitions(
    report: Report,
    document: Mapping[str, object],
    pointer: str,
    entities: Mapping[str, Entity],
) -> dict[str, Transition]:
    """All transitions by name; the faulty ones are reported and left out."""
    transitions: dict[str, Transition] = {}
    homes: dict[str, dict[str, Entity]] = {}
    for entity in entities.values():
        for stage in entity.stages:
            homes.setdefault(stage, {})[entity.name] = entity
    for name, value in document.items():
        place = below(pointer, name)
        if as_name(report, name, place, "A transition's name") is None:
            continue
        body = as_object(report, value, place, f"The transition {name!r}")
        if body is None:
            continue
        transition = _Reader(report, name, body, place, entities, homes).read()
        if transition is not None:
            transitions[name] = transition
    return transitions


class _Reader:
    """Reads one transition."""

    def __init__(
        self,
        report: Report,
        name: str,
        body: dict[str, object],
        pointer: str,
        entities: Mapping[str, Entity],
        homes: Mapping[str, Mapping[str, Entity]],
    ) -> None:
        self.report = report
        self.name = name
        self.body = body
        self.pointer = pointer
        self.entities = entities
        self.homes = homes  # stage → the entities that have it, by name

    def read(self) -> Transition | None:
        report, body = self.report, self.body
        known_keys(report, "transition", body, self.pointer)
        label = (
            as_text(report, body["label"], self.at("label"), "A label", MOST_LABEL)
            if "label" in body
            else None
        )
        trigger = self._trigger()
        condition = (
            compile_condition(body["condition"], self.at("condition"), report)
            if "condition" in body
            else None
        )
        if trigger.kind == "auto" and condition is not None and "now" in condition.names:
            self._now_in_auto(condition)
        by = self._by()
        schema = (
            compile_data_schema(body["input"], self.at("input"), report)
            if "input" in body
            else None
        )
        computed = read_computed(report, body["set"], self.at("set")) if "set" in body else ()
        sources, target = self._sources(), self._target()
        entity = self._entity(sources, target)
        creates = self._creates(entity) if "creates" in body else None
        interrupts = "interrupts" in body and as_flag(
            report, body["interrupts"], self.at("interrupts"), "'interrupts'"
        )
        if entity is None or target is None or not sources:
            return None
        resolved = self._resolve(sources, entity)
        self._must_have_stage(target, entity, self.at("to"))
        if not resolved or target not in entity.stages:
            return None
        return Transition(
            name=self.name,
            label=label or self.name,
            entity=entity.name,
            sources=resolved,
            target=target,
            trigger=trigger,
            condition=condition,
            users=None if by is None else frozenset(by[0]),
            roles=None if by is None else frozenset(by[1]),
            input=schema,
            set=computed,
            creates=creates,
            interrupts=bool(interrupts),
        )

    def at(self, key: str) -> str:
        return below(self.pointer, key)

    # --- from, to, entity -----------------------------------------------------------------

    def _sources(self) -> tuple[tuple[str, str], ...]:
        """The names in `from`, each with its pointer."""
        if "from" not in self.body:
            self.report(
                "missing_key",
                self.pointer,
                f"The transition {self.name!r} needs a 'from': a stage, a list of them, or '*'.",
                expected="'from'",
            )
            return ()
        value, place = self.body["from"], self.at("from")
        if isinstance(value, list):
            if not value:
                self.report(
                    "wrong_type", place, "'from' names no stage.", expected="a stage", found=value
                )
            named = [
                (as_name(self.report, item, below(place, i), "'from'"), below(place, i))
                for i, item in enumerate(value)
            ]
            return tuple((name, here) for name, here in named if name)
        name = as_name(self.report, value, place, "'from'")
        return ((name, place),) if name else ()

    def _target(self) -> str | None:
        if "to" not in self.body:
            self.report(
                "missing_key",
                self.pointer,
                f"The transition {self.name!r} needs a 'to': the stage that it leads to.",
                expected="'to'",
            )
            return None
        return as_name(self.report, self.body["to"], self.at("to"), "'to'")

    def _entity(self, sources: tuple[tuple[str, str], ...], target: str | None) -> Entity | None:
        """The entity named, or the one whose stages these are (R6)."""
        if "entity" in self.body:
            name = as_name(self.report, self.body["entity"], self.at("entity"), "'entity'")
            if name is None:
                return None
            if name not in self.entities:
                unknown_name(
                    self.report, "unknown_entity", self.at("entity"), "entity", name, self.entities
                )
                return None
            return self.entities[name]
        names = {name for name, _ in sources if name != EVERY_STAGE}
        if target is not None:
            names.add(target)
        # Only of entities that have one of the stages can it be: there may be hundreds of others.
        possible = self.homes.get(min(names), {}).values() if names else self._staged()
        fitting = [entity for entity in possible if all(name in entity.stages for name in names)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            found = ", ".join(entity.name for entity in fitting)
            self.report(
                "ambiguous_entity",
                self.pointer,
                f"The transition {self.name!r} could belong to {found}: say which 'entity'.",
                expected=f"'entity': one of {found}",
            )
            return None
        self._report_no_entity(sources, target)
        return None

    def _staged(self) -> list[Entity]:
        return [entity for entity in self.entities.values() if entity.stages]

    def _report_no_entity(self, sources: tuple[tuple[str, str], ...], target: str | None) -> None:
        """No entity has all these stages: say which none has, or that they are of several."""
        stages = [stage for entity in self._staged() for stage in entity.stages]
        places = [(name, here) for name, here in sources if name != EVERY_STAGE]
        if target is not None:
            places.append((target, self.at("to")))
        strangers = [(name, here) for name, here in places if name not in stages]
        for name, here in strangers:
            unknown_name(self.report, "unknown_stage", here, "stage", name, stages)
        if places and not strangers:
            self.report(
                "stages_of_several_entities",
                self.pointer,
                f"The transition {self.name!r} leads between stages of different entities.",
                expected="stages of one entity",
            )

    def _resolve(self, sources: tuple[tuple[str, str], ...], entity: Entity) -> tuple[str, ...]:
        resolved: dict[str, None] = {}
        for name, place in sources:
            if name == EVERY_STAGE:
                resolved.update((s.id, None) for s in entity.stages.values() if not s.final)
            elif self._must_have_stage(name, entity, place):
                if entity.stages[name].final:
                    self.report(
                        "leaves_final_stage",
                        place,
                        f"{name!r} is a final stage of {entity.name!r}: nothing leaves it.",
                    )
                resolved[name] = None
        if not resolved and all(name == EVERY_STAGE for name, _ in sources):
            self.report(
                "leaves_no_stage",
                self.at("from"),
                f"'*' means every stage that is not final, and {entity.name!r} has none.",
                expected="a stage that is not final",
            )
        return tuple(resolved)

    def _must_have_stage(self, name: str, entity: Entity, place: str) -> bool:
        if name in entity.stages:
            return True
        unknown_name(
            self.report,
            "unknown_stage",
            place,
            f"stage of {entity.name!r} named",
            name,
            entity.stages,
        )
        return False

    def _now_in_auto(self, condition: Condition) -> None:
        tree = condition_tree(condition, self.body["condition"], self.at("condition"))
        for leaf in leaves(tree):
            if not isinstance(leaf, Leaf):
                continue
            for path, node in paths_at(leaf.node):
                if path.root == "now":
                    leaf.written.tell(
                        self.report,
                        "now_in_auto",
                        node,
                        "An automatic transition cannot look at 'now': nothing would wake it "
                        "when the time comes.",
                        expected='"on": {"after": …}, or a condition without `now`',
                    )

    # --- what takes it, and who -----------------------------------------------------------

    def _trigger(self) -> Trigger:
        if "on" not in self.body:
            return Trigger()
        value, place = self.body["on"], self.at("on")
        if value == "action" or value == "auto":
            return Trigger("auto") if value == "auto" else Trigger()
        if isinstance(value, dict) and len(value) == 1:
            if "event" in value:
                event = as_text(self.report, value["event"], below(place, "event"), "An event", 200)
                return Trigger("event", event=event or "")
            if "after" in value:
                after = duration(self.report, value["after"], below(place, "after"))
                return Trigger("after", after=after or timedelta())
        self.report(
            "invalid_trigger",
            place,
            "'on' says what takes the transition.",
            expected='"action", "auto", {"event": "email.opened"} or {"after": "3 days"}',
            found=value,
            suggestion=nearest(value, ("action", "auto")) if isinstance(value, str) else None,
        )
        return Trigger()

    def _by(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        if "by" not in self.body:
            return None
        place = self.at("by")
        body = as_object(self.report, self.body["by"], place, "'by'")
        if body is None:
            return None
        known_keys(self.report, "by", body, place)
        users, roles = (
            as_names(self.report, body[key], below(place, key), f"'{key}'") if key in body else ()
            for key in ("users", "roles")
        )
        if not any(body.get(key, []) != [] for key in ("users", "roles")):
            self.report(
                "nobody_may_take",
                place,
                f"Nobody may take {self.name!r}: 'by' names neither users nor roles.",
                expected="'users' or 'roles'",
            )
        return users, roles

    # --- what it creates -------------------------------------------------------------------

    def _creates(self, own: Entity | None) -> Creates | None:
        value, place = self.body["creates"], self.at("creates")
        data: tuple[Computed, ...] = ()
        explicit = False
        if isinstance(value, dict):
            known_keys(self.report, "creates", value, place)
            if "entity" not in value:
                self.report(
                    "missing_key", place, "'creates' needs an 'entity'.", expected="'entity'"
                )
                return None
            explicit = "data" in value
            if explicit:
                data = read_computed(self.report, value["data"], below(place, "data"))
            name, here = value["entity"], below(place, "entity")
        else:
            name, here = value, place
        entity_name = as_name(self.report, name, here, "The entity to create")
        if entity_name is None:
            return None
        entity = self.entities.get(entity_name)
        if entity is None:
            unknown_name(self.report, "unknown_entity", here, "entity", entity_name, self.entities)
            return None
        copied = () if explicit else _fields_in_common(own, entity)
        return Creates(entity_name, data, copied)


def _fields_in_common(source: Entity | None, target: Entity) -> tuple[str, ...]:
    """What a created record takes over unless told: the fields that both entities list."""
    if source is None or source.fields is None or target.fields is None:
        return ()
    own = source.fields.properties or ()
    return tuple(key for key in (target.fields.properties or ()) if key in own)

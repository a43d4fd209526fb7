"""Entities and their stages."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from nexus.core.compiler.forms import compile_assign
from nexus.core.compiler.reader import (
    as_flag,
    as_name,
    as_object,
    as_text,
    below,
    known_keys,
    unknown_name,
)
from nexus.core.compiler.steps import compile_run
from nexus.core.errors import Report
from nexus.core.language import CLOCK_KEYS, MOST_LABEL, MOST_STAGES, TABLE_NAMES, TABLES
from nexus.core.program import OPEN_STAGE, Entity, Stage
from nexus.core.schemas import compile_fields


def compile_entities(
    report: Report, document: Mapping[str, object], pointer: str
) -> dict[str, Entity]:
    """All entities by name, without their transitions."""
    entities: dict[str, Entity] = {}
    for name, value in document.items():
        place = below(pointer, name)
        if as_name(report, name, place, "An entity's name") is None:
            continue
        body = as_object(report, value, place, f"The entity {name!r}")
        if body is not None:
            entities[name] = _entity(report, name, body, place)
    count = sum(len(entity.stages) for entity in entities.values())
    if count > MOST_STAGES:
        report(
            "too_many_stages",
            pointer,
            f"{count} stages are more than a definition can have.",
            expected=f"at most {MOST_STAGES} stages",
            found=count,
        )
    return entities


def _entity(report: Report, name: str, body: dict[str, object], pointer: str) -> Entity:
    known_keys(report, "entity", body, pointer)
    label = (
        as_text(report, body["label"], below(pointer, "label"), "A label", MOST_LABEL)
        if "label" in body
        else None
    )
    fields = (
        compile_fields(body["fields"], below(pointer, "fields"), report)
        if "fields" in body
        else None
    )
    stages = _stages(report, name, body, pointer)
    table = TABLES.get(name)
    if "table" in body:
        place = below(pointer, "table")
        table = as_name(report, body["table"], place, "A table")
        if table is not None and table not in TABLE_NAMES:
            unknown_name(report, "unknown_table", place, "table", table, TABLE_NAMES)
    return Entity(
        name=name,
        label=label or name,
        stages=stages,
        declared=bool(body.get("stages")),
        fields=fields,
        table=table,
    )


def _stages(
    report: Report, entity: str, body: Mapping[str, object], pointer: str
) -> dict[str, Stage]:
    if body.get("stages", []) == []:
        if any(key in body for key in CLOCK_KEYS):
            return {OPEN_STAGE: Stage(id=OPEN_STAGE, label=OPEN_STAGE)}
        return {}
    place = below(pointer, "stages")
    listed = body["stages"]
    if not isinstance(listed, list):
        report(
            "wrong_type",
            place,
            f"The stages of {entity!r} must be a list of names or objects.",
            expected="a list",
            found=listed,
        )
        return {}
    stages: dict[str, Stage] = {}
    for index, value in enumerate(listed):
        here = below(place, index)
        stage = _stage(report, value, here)
        if stage is None:
            continue
        if stage.id in stages:
            report(
                "duplicate_stage",
                here,
                f"{entity!r} has the stage {stage.id!r} twice.",
                found=stage.id,
            )
            continue
        stages[stage.id] = stage
    if stages and not any(stage.final for stage in stages.values()):
        last = list(stages)[-1]
        stages[last] = replace(stages[last], final=True)  # R3
        if len(listed) == 1:
            report(
                "only_stage_is_final",
                place,
                f"{last!r} is the only stage of {entity!r} and so its final one: its records "
                "end as soon as they begin.",
            )
    return stages


def _stage(report: Report, value: object, pointer: str) -> Stage | None:
    if isinstance(value, str):
        name = as_name(report, value, pointer, "A stage")
        return Stage(id=name, label=name) if name else None
    body = as_object(report, value, pointer, "A stage that is not a name")
    if body is None:
        return None
    known_keys(report, "stage", body, pointer)
    if "id" not in body:
        report("missing_key", pointer, "A stage needs an 'id'.", expected="'id'")
        return None
    name = as_name(report, body["id"], below(pointer, "id"), "A stage's id")
    if name is None:
        return None
    texts = {
        key: as_text(report, body[key], below(pointer, key), f"A stage's {key}", MOST_LABEL)
        for key in ("label", "type")
        if key in body
    }
    final = as_flag(report, body.get("final", False), below(pointer, "final"), "'final'")
    assign = (
        compile_assign(report, body["assign"], below(pointer, "assign"))
        if "assign" in body
        else None
    )
    return Stage(
        id=name,
        label=texts.get("label") or name,
        type=texts.get("type"),
        final=bool(final),
        assign=assign,
        run=compile_run(report, body["run"], below(pointer, "run")) if "run" in body else None,
    )

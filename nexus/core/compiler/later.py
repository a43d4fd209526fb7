"""Keys that have no effect yet, and those for tools: a mistake in them is found today.

A definition that is running was accepted once, and is not judged by this again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus.core.compiler.clocks import Names, check_clocks
from nexus.core.compiler.forms import check_assign, check_strategy
from nexus.core.compiler.reader import as_flag, as_text, below
from nexus.core.errors import Report
from nexus.core.language import SCHEMA_ID


def check_later(report: Report, document: Mapping[str, object]) -> None:
    """Report what is wrong in the keys that the program does not need."""
    _document(report, document)
    entities = _objects(document.get("entities"))
    actions = tuple(_objects_or_not(document.get("transitions")))
    of_entity = {name: _stages(body) for name, body in entities.items()}
    every = tuple(dict.fromkeys(stage for own in of_entity.values() for stage in own))
    check_clocks(report, document, "", Names(actions, every))
    policy = document.get("policy")
    if isinstance(policy, dict) and "fourEyes" in policy:
        as_flag(report, policy["fourEyes"], "/policy/fourEyes", "'fourEyes'")
    for name, body in entities.items():
        place = below("/entities", name)
        names = Names(actions, of_entity[name])
        check_clocks(report, body, place, names)
        for index, stage in _listed(body):
            _stage(report, stage, below(below(place, "stages"), index), names)
    for name, body in _objects(document.get("transitions")).items():
        place = below("/transitions", name)
        if "strategy" in body:
            check_strategy(report, body["strategy"], below(place, "strategy"))


def _stage(report: Report, stage: dict[str, object], pointer: str, names: Names) -> None:
    check_clocks(report, stage, pointer, names)
    assign = stage.get("assign")
    if isinstance(assign, dict):
        check_assign(report, assign, below(pointer, "assign"))


def _objects_or_not(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> dict[str, dict[str, object]]:
    """The members that are objects; what is wrong with the others is told elsewhere."""
    return {name: body for name, body in _objects_or_not(value).items() if isinstance(body, dict)}


def _listed(entity: Mapping[str, object]) -> Iterator[tuple[int, dict[str, object]]]:
    stages = entity.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else ()):
        if isinstance(stage, dict):
            yield index, stage


def _stages(entity: Mapping[str, object]) -> tuple[str, ...]:
    stages = entity.get("stages")
    ids = [
        stage.get("id") if isinstance(stage, dict) else stage
        for stage in (stages if isinstance(stages, list) else ())
    ]
    return tuple(id_ for id_ in ids if isinstance(id_, str))


def _document(report: Report, document: Mapping[str, object]) -> None:
    """Keys of the document that only tools and people read."""
    schema = document.get("$schema")
    if "$schema" in document:
        as_text(report, schema, "/$schema", "'$schema'")
    if (
        isinstance(schema, str)
        and schema.startswith(SCHEMA_ID.rpartition(":")[0])
        and schema != SCHEMA_ID
    ):
        report(
            "unknown_schema",
            "/$schema",
            f"This is version 1 of the language, whatever {schema!r} is.",
            expected=SCHEMA_ID,
            found=schema,
            suggestion=SCHEMA_ID,
        )
    if "description" in document:
        as_text(report, document["description"], "/description", "A description", 10_000)

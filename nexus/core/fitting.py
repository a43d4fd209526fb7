"""Whether an instance has a place in a definition that is not the one it was decided by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus.core.errors import Rejected, nearest
from nexus.core.program import Program, Stage
from nexus.core.state import Record, State


def misfits(program: Program, state: State) -> list[str]:
    """What of an instance has no place in a definition, each in words; empty if all has."""
    return [*_records(program, state), *_wanted(program, state)]


def require_fit(program: Program, state: State) -> None:
    """Refuse a definition that has no place for an instance.

    Raises:
        Rejected: `conflict`, with everything that has none.
    """
    found = misfits(program, state)
    if found:
        raise Rejected(
            "conflict",
            f"The definition {program.id!r} {program.version} has no place for what there is: "
            f"{'; '.join(found)}.",
            {"misfits": found},
        )


def _records(program: Program, state: State) -> Iterator[str]:
    for record in state.records.values():
        entity = program.entities.get(record.entity)
        if entity is None:
            yield f"{record.id!r} is a {record.entity!r}, which it does not know" + _near(
                record.entity, program.entities
            )
        elif record.stage is not None and record.stage not in entity.stages:
            near = _near(record.stage, entity.stages)
            yield f"{record.id!r} stands in {record.stage!r}, which {record.entity!r} has not{near}"
        elif record.running:
            yield from _run(record, entity.stages[str(record.stage)])


def _run(record: Record, stage: Stage) -> Iterator[str]:
    known = stage.run.by_path if stage.run is not None else {}
    for path, outcome in record.run.items():
        # The waiting of a `waitFor` is a place below the step itself.
        step = path.removesuffix("/waitFor")
        if outcome == "running" and path not in known and step not in known:
            yield f"{record.id!r} runs {path!r} of {stage.id!r}, which is no step of it"


def _wanted(program: Program, state: State) -> Iterator[str]:
    for timer in state.timers.values():
        if timer.kind == "transition" and timer.name not in program.transitions:
            yield f"a clock takes {timer.name!r}, which is no transition"
    for call in state.calls.values():
        entity = program.entities.get(state.records[call.record].entity)
        stage = entity.stages.get(call.stage) if entity is not None else None
        if stage is None or stage.run is None or call.path not in stage.run.by_path:
            yield f"{call.id!r} calls {call.channel!r}, and there is no such step"


def _near(name: str, names: Iterable[str]) -> str:
    near = nearest(name, names)
    return f" (did you mean {near!r}?)" if near else ""

"""What a diagram shows of a definition, before anything is drawn.

Mermaid and the picture are two renderings of the same chart, so they say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nexus.authoring.runs import run_note
from nexus.authoring.walk import Walk
from nexus.authoring.wording import (
    assignee_text,
    condition_text,
    is_another,
    shortened,
    takers_text,
    trigger_text,
)
from nexus.core.program import Entity, Program, Transition

WayKind = Literal["action", "auto", "event", "after", "convert"]

MOST_LINES_DRAWN = 4
"""A transition out of more stages than this names them instead of drawing a line from each."""

_MOST_CONDITION = 44  # characters of a condition
_MOST_NAMES = 40  # characters of names in one line
_MOST_FIELDS = 12


@dataclass(frozen=True, slots=True)
class ChartStage:
    """A stage as a diagram shows it.

    Attributes:
        assigned: Who is assigned on entering; "" for whoever was.
        runs: What it runs; "" for nothing.
        visits: How often the instance that is shown entered it.
        standing: The records that stand in it.
        ended: The records that ended in it.
    """

    id: str
    label: str
    first: bool
    final: bool
    assigned: str
    runs: str = ""
    visits: int = 0
    standing: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """A transition, or a `convert` where none is declared, as a diagram shows it.

    Attributes:
        name: What it is called by.
        sources: The stages that a line is drawn from; empty where `notes` name them.
        notes: Further lines: what takes it, its condition, who may.
        creates: Entity whose record it creates.
        condition: The whole condition, where it has one.
        taken: How often the instance that is shown took it.
        taken_from: The stages that it took it from.
    """

    name: str
    label: str
    kind: WayKind
    sources: tuple[str, ...]
    target: str
    notes: tuple[str, ...] = ()
    creates: str | None = None
    condition: str = ""
    taken: int = 0
    taken_from: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """Its label, and how often it was taken where that is more than once."""
        return f"{self.label} ({self.taken} times)" if self.taken > 1 else self.label


@dataclass(frozen=True, slots=True)
class ChartEntity:
    """One kind of record with its stages; one without them shows its fields."""

    name: str
    label: str
    stages: tuple[ChartStage, ...]
    ways: tuple[Way, ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole diagram.

    Attributes:
        walked: It shows the path of one instance.
    """

    title: str
    subtitle: str
    entities: tuple[ChartEntity, ...]
    walked: bool = False


def chart_of(program: Program, walk: Walk | None = None) -> Chart:
    """What a diagram of a definition shows.

    Args:
        program: The definition.
        walk: The path of one instance through it.
    """
    entities = tuple(
        _entity(program, entity, walk or Walk()) for entity in program.entities.values()
    )
    title = program.label
    return Chart(title, f"{program.id} {program.version}", entities, walk is not None)


def _entity(program: Program, entity: Entity, walk: Walk) -> ChartEntity:
    stages = tuple(
        ChartStage(
            id=stage.id,
            label=stage.label,
            first=stage.id == entity.first_stage,
            final=stage.final,
            assigned=shortened(assignee_text(stage.assign), _MOST_NAMES) if stage.assign else "",
            runs=shortened(run_note(stage.run), _MOST_NAMES) if stage.run else "",
            visits=walk.visits.get((entity.name, stage.id), 0),
            standing=walk.standing.get((entity.name, stage.id), ()),
            ended=walk.ended.get((entity.name, stage.id), ()),
        )
        for stage in entity.stages.values()
    )
    ways = [
        _way(program, entity, transition, walk)
        for transition in program.transitions.values()
        if transition.entity == entity.name
    ]
    ways += _converts(entity, walk)
    return ChartEntity(entity.name, entity.label, stages, tuple(ways), _fields(entity))


def _way(program: Program, entity: Entity, transition: Transition, walk: Walk) -> Way:
    sources = transition.sources
    drawn = sources if len(sources) <= MOST_LINES_DRAWN else ()
    condition = condition_text(transition.condition) if transition.condition else ""
    takers = takers_text(transition)
    created = transition.creates.entity if transition.creates else None
    taken = {stage: n for (name, stage), n in walk.taken.items() if name == transition.name}
    notes = (
        _called(transition),
        f"if {shortened(condition, _MOST_CONDITION)}" if condition else "",
        f"by {shortened(takers, _MOST_NAMES)}" if takers else "",
        f"from {_stages_named(entity, sources)}" if not drawn else "",
        f"creates {program.entities[created].label}" if created else "",
        "interrupts the run" if transition.interrupts else "",
    )
    return Way(
        name=transition.name,
        label=transition.label,
        kind=transition.trigger.kind,
        sources=drawn,
        target=transition.target,
        notes=tuple(note for note in notes if note),
        creates=created,
        condition=condition,
        taken=sum(taken.values()),
        taken_from=frozenset(taken),
    )


def _called(transition: Transition) -> str:
    """What takes it; for an action, the name that it is taken by, if its label is another."""
    if transition.trigger.kind == "action":
        other = is_another(transition.name, transition.label)
        return f"action {transition.name}" if other else ""
    return trigger_text(transition.trigger)


def _stages_named(entity: Entity, sources: tuple[str, ...]) -> str:
    before_the_end = {stage.id for stage in entity.stages.values() if not stage.final}
    if set(sources) == before_the_end:
        return "every stage before the end"
    labels = ", ".join(entity.stages[stage].label for stage in sources)
    return f"{len(sources)} stages: {shortened(labels, _MOST_NAMES)}"


def _converts(entity: Entity, walk: Walk) -> list[Way]:
    """`convert` where it is the only way on, and where the instance went by it."""
    pairs = {
        (stage.id, following): 0
        for stage in entity.stages.values()
        if not stage.final
        and (following := entity.stage_after(stage.id)) is not None
        and not _leaves(entity, stage.id)
    }
    for name, source, target in sorted(walk.converted):
        if name == entity.name and source in entity.stages and target in entity.stages:
            pairs[source, target] = 1
    return [
        Way(
            name="convert",
            label="convert",
            kind="convert",
            sources=(source,),
            target=target,
            taken=taken,
            taken_from=frozenset((source,) if taken else ()),
        )
        for (source, target), taken in pairs.items()
    ]


def _fields(entity: Entity) -> tuple[str, ...]:
    if entity.stages or entity.fields is None:
        return ()
    names = entity.fields.properties or ()
    more = len(names) - _MOST_FIELDS
    return (*names[:_MOST_FIELDS], f"and {more} more") if more > 0 else names


def _leaves(entity: Entity, stage: str) -> bool:
    exits = entity.exits[stage]
    return bool(exits.action or exits.auto or exits.event or exits.after)

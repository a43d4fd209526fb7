"""One entity of a picture: its stages and transitions, placed within a frame of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexus.authoring.chart import ChartEntity, ChartStage, Way
from nexus.authoring.layout import Arrangement, Box, Point, arrange
from nexus.authoring.lettering import width_of
from nexus.authoring.wording import is_another

STAGE_SIZE, NOTE_SIZE, TITLE_SIZE = 13.0, 10.5, 14.0
"""Sizes of letters in pixels: a stage, what stands below a name, an entity."""
LINE = 15.0
"""Pixels from one line to the next."""
MARGIN = 20.0
"""Between a frame and what is in it."""
HEAD = 68.0
"""Height of a frame's title, and of the start's arrow below it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An entity with everything in its place, from (0, 0)."""

    entity: ChartEntity
    arrangement: Arrangement
    sizes: Mapping[object, Point]
    layers: Mapping[object, int]
    links: tuple[tuple[object, object], ...]
    width: float
    height: float


def stage_lines(stage: ChartStage) -> tuple[str, ...]:
    """What stands below a stage's label."""
    lines = [stage.id] if is_another(stage.id, stage.label) else []
    lines += [f"assigned to {stage.assigned}"] if stage.assigned else []
    lines += [f"runs {stage.runs}"] if stage.runs else []
    lines += [f"entered {stage.visits} times"] if stage.visits > 1 else []
    lines += [f"here: {', '.join(stage.standing[:4])}{_more(stage.standing)}"] * bool(
        stage.standing
    )
    lines += [f"ended: {', '.join(stage.ended[:4])}{_more(stage.ended)}"] * bool(stage.ended)
    return tuple(lines)


def _more(records: tuple[str, ...]) -> str:
    return f" and {len(records) - 4} more" if len(records) > 4 else ""


def frame_of(entity: ChartEntity) -> Frame:
    """Place an entity's stages and transitions.

    Raises:
        TooLargeToDraw: There are too many long lines.
    """
    layers = _layers(entity)
    sizes: dict[object, Point] = {stage.id: _stage_size(stage) for stage in entity.stages}
    sizes.update((way_id(at), _way_size(way)) for at, way in enumerate(entity.ways))
    boxes = [Box(id_, *size, layers[id_]) for id_, size in sizes.items()]
    links: list[tuple[object, object]] = []
    for at, way in enumerate(entity.ways):
        links += [(source, way_id(at)) for source in way.sources]
        links.append((way_id(at), way.target))
    arrangement = arrange(boxes, links)
    width = max(
        arrangement.width,
        width_of(frame_title(entity), TITLE_SIZE, bold=True),
        *(width_of(name, NOTE_SIZE) for name in entity.fields),
        120.0,
    )
    height = arrangement.height if entity.stages else LINE * max(1, len(entity.fields))
    head = HEAD if entity.stages else HEAD - 28
    return Frame(
        entity,
        arrangement,
        sizes,
        layers,
        tuple(links),
        width + 2 * MARGIN,
        head + height + MARGIN,
    )


def frame_title(entity: ChartEntity) -> str:
    """What is written on top of an entity's frame."""
    if is_another(entity.name, entity.label):
        return f"{entity.label} ({entity.name})"
    return entity.label


def way_id(at: int) -> object:
    """How the layout knows a transition, which may be called like a stage."""
    return ("way", at)


def _stage_size(stage: ChartStage) -> Point:
    widths = [width_of(stage.label, STAGE_SIZE, bold=True)]
    widths += [width_of(line, NOTE_SIZE, bold=True) for line in stage_lines(stage)]
    return max(*widths, 70.0) + 24, 20 + LINE * (1 + len(stage_lines(stage)))


def _way_size(way: Way) -> Point:
    widths = [width_of(way.title, NOTE_SIZE + 0.5, bold=True)]
    widths += [width_of(note, NOTE_SIZE) for note in way.notes]
    return max(widths) + 16, 8 + (LINE - 1) * (1 + len(way.notes))


def _layers(entity: ChartEntity) -> dict[object, int]:
    """The layer of each stage and transition: stages on even ones, transitions between.

    The order in which an author lists the stages says which way is forward.
    """
    rank = {stage.id: at for at, stage in enumerate(entity.stages)}
    into: dict[str, list[Way]] = {}
    for way in entity.ways:
        into.setdefault(way.target, []).append(way)
    layers: dict[object, int] = {}
    for stage in entity.stages:
        above = [
            layers[source]
            for way in into.get(stage.id, ())
            for source in way.sources or _stages_before(entity, rank[stage.id])
            if rank[source] < rank[stage.id]
        ]
        # What nothing leads to from above stands below the stage that is listed before it.
        before = [layers[entity.stages[rank[stage.id] - 1].id]] if rank[stage.id] else []
        layers[stage.id] = max(above or before, default=-2) + 2
    for at, way in enumerate(entity.ways):
        layers[way_id(at)] = _between(
            [layers[source] for source in way.sources], layers[way.target]
        )
    return layers


def _stages_before(entity: ChartEntity, rank: int) -> tuple[str, ...]:
    return tuple(stage.id for stage in entity.stages[:rank])


def _between(sources: list[int], target: int) -> int:
    """A layer on the way: below the stages it comes from, or above them where it leads back."""
    if not sources:
        return target - 1 if target else 1
    forward = [source for source in sources if source < target]
    if forward:
        return max(forward) + 1
    return max(min(sources) - 1, target + 1)

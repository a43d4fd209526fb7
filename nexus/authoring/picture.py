"""A definition as a picture: SVG, drawn without a network, a browser or a font."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus.authoring import svg
from nexus.authoring.chart import Chart, ChartStage, Way, WayKind, chart_of
from nexus.authoring.frames import (
    HEAD,
    LINE,
    MARGIN,
    NOTE_SIZE,
    STAGE_SIZE,
    TITLE_SIZE,
    Frame,
    frame_of,
    frame_title,
    stage_lines,
    way_id,
)
from nexus.authoring.layout import Point, TooLargeToDraw
from nexus.authoring.lettering import width_of
from nexus.authoring.walk import Walk
from nexus.core.errors import NexusError
from nexus.core.program import Program

_INK, _GREY, _PALE = "#1f2937", "#6b7280", "#c3c9d3"
_FRAME, _FRAME_LINE = "#f6f7f9", "#d5dae1"
_STAGE_LINE, _FINAL, _FINAL_LINE = "#4b6a9b", "#edf6ef", "#3f7d4f"
_BEEN, _HERE, _HERE_LINE = "#e6eefb", "#ffe9b8", "#b7791f"
_CREATES = "#b0561b"

# What takes a transition → its box, its line, its name in the legend.
_KINDS: Mapping[WayKind, tuple[str, str, str]] = {
    "action": ("#ffffff", "#7b8798", "somebody's action"),
    "auto": ("#f1eafb", "#7b52ab", "automatic"),
    "event": ("#e3f4f4", "#2b8183", "an event"),
    "after": ("#fdf0dd", "#b7791f", "a clock"),
    "convert": ("#f6f7f9", "#9aa3b0", "convert, no transition declared"),
}

_BORDER = 24.0  # around everything
_TOP = 64.0  # the picture's own title
_BETWEEN = 64.0  # frames; lines of `creates` run there
_LANE = 12.0  # two of these lines


class CannotDraw(NexusError):
    """The definition has no picture; the message says why, and what would do."""


def draw(program: Program, walk: Walk | None = None) -> str:
    """A definition as an SVG file.

    Args:
        program: The definition.
        walk: The path of one instance; what it did not touch is drawn pale.

    Raises:
        CannotDraw: It is too large for a picture.
    """
    chart = chart_of(program, walk)
    try:
        frames = [frame_of(entity) for entity in chart.entities]
    except TooLargeToDraw:
        raise CannotDraw(
            f"{program.id!r} is too large for a picture: its lines would cross too many stages; "
            "Mermaid text has no such bound"
        ) from None
    return _Picture(chart, frames).svg()


class _Picture:
    def __init__(self, chart: Chart, frames: Sequence[Frame]) -> None:
        self._chart = chart
        self._frames = frames
        self._lanes = 0
        self._crossing = sum(
            1 for at, _, target in self._creations() if abs(self._index(target) - at) > 1
        )
        self._offsets: list[Point] = []
        top = _TOP + self._crossing * _LANE
        x = _BORDER
        for frame in frames:
            self._offsets.append((x, top))
            x += frame.width + _BETWEEN
        self._bottom = top + max((frame.height for frame in frames), default=0.0)
        to_the_right = any(self._index(target) <= at for at, _, target in self._creations())
        self._right = x - _BETWEEN + _BORDER + (40.0 if to_the_right else 0.0)

    def svg(self) -> str:
        chart = self._chart
        content = [
            svg.text((_BORDER, 32), chart.title, 18, _INK, bold=True, middle=False),
            svg.text((_BORDER, 50), chart.subtitle, 11, _GREY, middle=False),
        ]
        for at, frame in enumerate(self._frames):
            content += self._frame(frame, self._offsets[at])
        content += self._creation_lines()
        content += self._legend()
        entities = ", ".join(
            f"{entity.label}: {', '.join(stage.label for stage in entity.stages) or 'data'}"
            for entity in chart.entities
        )
        size = (max(self._right, self._legend_width()), self._bottom + 52)
        return svg.document(size, f"{chart.title} ({chart.subtitle})", entities, content)

    # --- an entity ---------------------------------------------------------------------------

    def _frame(self, frame: Frame, offset: Point) -> list[str]:
        x, y = offset
        entity = frame.entity
        centre = (x + frame.width / 2, y + frame.height / 2)
        content = [
            svg.rectangle(
                centre, (frame.width, frame.height), fill=_FRAME, stroke=_FRAME_LINE, round_=10
            ),
            svg.text(
                (x + MARGIN, y + 25), frame_title(entity), TITLE_SIZE, _INK, bold=True, middle=False
            ),
        ]
        if not entity.stages:
            names = entity.fields or ("plain data",)
            return content + [
                svg.text((x + MARGIN, y + 48 + at * LINE), name, NOTE_SIZE, _GREY, middle=False)
                for at, name in enumerate(names)
            ]
        inner = self._inner(frame, offset)
        content += self._lines(frame, inner)
        for at, way in enumerate(entity.ways):
            content.append(self._way(way, frame, way_id(at), inner))
        content += [self._stage(stage, frame, inner) for stage in entity.stages]
        return content

    def _inner(self, frame: Frame, offset: Point) -> Point:
        """Where the arrangement's (0, 0) lies; it stands in the middle of a wider frame."""
        spare = frame.width - 2 * MARGIN - frame.arrangement.width
        return offset[0] + MARGIN + spare / 2, offset[1] + HEAD

    def _lines(self, frame: Frame, inner: Point) -> list[str]:
        """Pale lines first, so that those taken lie above them."""
        targets = {way_id(at): way for at, way in enumerate(frame.entity.ways)}
        lines: list[tuple[bool, str]] = []
        for (tail, head), route in zip(frame.links, frame.arrangement.routes, strict=True):
            leaves = tail in targets
            way = targets[tail if leaves else head]
            walked = self._chart.walked
            taken = walked and (bool(way.taken) if leaves else tail in way.taken_from)
            colour = _KINDS[way.kind][1] if taken or not walked else _PALE
            points = [(x + inner[0], y + inner[1]) for x, y in route]
            line = svg.curve(
                points,
                colour,
                thick=2.4 if taken else 1.3,
                dashed=way.kind == "convert",
                # A line that comes up to a transition from below could be read as leaving it.
                arrow=leaves or points[-1][1] < points[0][1],
            )
            lines.append((taken, line))
        return [line for _, line in sorted(lines, key=lambda entry: entry[0])]

    def _place(self, frame: Frame, id_: object, inner: Point) -> Point:
        x, y = frame.arrangement.centres[id_]
        return x + inner[0], y + inner[1]

    def _way(self, way: Way, frame: Frame, id_: object, inner: Point) -> str:
        centre, size = self._place(frame, id_, inner), frame.sizes[id_]
        fill, stroke, _ = _KINDS[way.kind]
        pale = self._chart.walked and not way.taken
        top = centre[1] - size[1] / 2
        lines = [
            svg.rectangle(
                centre, size, fill=fill, stroke=_PALE if pale else stroke, thick=0.8, round_=9
            ),
            svg.text(
                (centre[0], top + 15),
                way.title,
                NOTE_SIZE + 0.5,
                _GREY if pale else _INK,
                bold=True,
            ),
        ]
        lines += [
            svg.text((centre[0], top + 15 + (at + 1) * (LINE - 1)), note, NOTE_SIZE, _GREY)
            for at, note in enumerate(way.notes)
        ]
        return svg.group(lines, f"{way.name}: {way.condition}" if way.condition else way.name)

    def _stage(self, stage: ChartStage, frame: Frame, inner: Point) -> str:
        centre, size = self._place(frame, stage.id, inner), frame.sizes[stage.id]
        walked = self._chart.walked
        touched = bool(stage.visits)
        fill = _FINAL if stage.final else "#ffffff"
        stroke = _FINAL_LINE if stage.final else _STAGE_LINE
        if walked:
            fill = (
                _HERE
                if stage.standing
                else (fill if stage.final else _BEEN)
                if touched
                else "#ffffff"
            )
            stroke = _HERE_LINE if stage.standing else stroke if touched else _PALE
        thick = 2.6 if stage.standing or (walked and stage.ended) else 1.5
        parts = [svg.rectangle(centre, size, fill=fill, stroke=stroke, thick=thick)]
        if stage.final:
            inside = (size[0] - 7, size[1] - 7)
            parts.append(
                svg.rectangle(centre, inside, fill="none", stroke=stroke, thick=1, round_=4)
            )
        top = centre[1] - size[1] / 2
        ink = _GREY if walked and not touched else _INK
        parts.append(svg.text((centre[0], top + 21), stage.label, STAGE_SIZE, ink, bold=True))
        for at, line in enumerate(stage_lines(stage)):
            strong = line.startswith(("here: ", "ended: "))
            below = (centre[0], top + 21 + (at + 1) * LINE)
            parts.append(svg.text(below, line, NOTE_SIZE, _INK if strong else _GREY, bold=strong))
        if stage.first:
            parts.append(svg.dot((centre[0], top - 22), 5, _INK))
            parts.append(
                svg.curve([(centre[0], top - 18), (centre[0], top)], _INK, thick=1.3, arrow=True)
            )
        return svg.group(parts, stage.id)

    # --- records that create others --------------------------------------------------------

    def _index(self, entity: str) -> int:
        return next(at for at, frame in enumerate(self._frames) if frame.entity.name == entity)

    def _creations(self) -> list[tuple[int, int, str]]:
        """Frame, transition and created entity of each transition that creates a record."""
        return [
            (at, index, way.creates)
            for at, frame in enumerate(self._frames)
            for index, way in enumerate(frame.entity.ways)
            if way.creates is not None
        ]

    def _creation_lines(self) -> list[str]:
        lines = []
        for count, (at, index, target) in enumerate(self._creations()):
            frame, goal = self._frames[at], self._index(target)
            way = frame.entity.ways[index]
            colour = _PALE if self._chart.walked and not way.taken else _CREATES
            lines.append(svg.corners(self._creation_route(count, at, index, goal), colour))
        return lines

    def _creation_route(self, count: int, at: int, index: int, goal: int) -> list[Point]:
        """From below the transition along its layer's gap, out of the frame, into the other one.

        It passes between layers and between frames, so that it crosses lines and nothing else.
        """
        frame, offset = self._frames[at], self._offsets[at]
        id_ = way_id(index)
        inner = self._inner(frame, offset)
        (x, y), (width, height) = self._place(frame, id_, inner), frame.sizes[id_]
        bottom = inner[1] + frame.arrangement.bottoms[frame.layers[id_]]
        shift = (count % 4) * 5.0
        gap = bottom + 12 + shift
        leave_right = goal >= at
        start = x + (0.36 if leave_right else -0.36) * width
        channel = offset[0] + frame.width + 20 + shift if leave_right else offset[0] - 20 - shift
        points = [(start, y + height / 2), (start, gap), (channel, gap)]
        other, corner = self._frames[goal], self._offsets[goal]
        if other.entity.stages:
            first = other.entity.stages[0].id
            place = self._place(other, first, self._inner(other, corner))
            side = other.sizes[first][0] / 2
            end = (place[0] + (side if goal <= at else -side), place[1] + shift)
        else:
            end = (corner[0] + (other.width if goal <= at else 0), corner[1] + 60 + shift)
        if abs(goal - at) > 1:
            lane = self._offsets[0][1] - 8 - self._lanes * _LANE
            self._lanes += 1
            beside = corner[0] - 20 - shift if goal > at else corner[0] + other.width + 20 + shift
            points += [(channel, lane), (beside, lane)]
            channel = beside
        return [*points, (channel, end[1]), end]

    # --- the legend ---------------------------------------------------------------------------

    def _legend_entries(self) -> list[tuple[str, str, str]]:
        kinds = {way.kind for frame in self._frames for way in frame.entity.ways}
        entries = [_KINDS[kind] for kind in _KINDS if kind in kinds]
        if any(stage.final for frame in self._frames for stage in frame.entity.stages):
            entries.append((_FINAL, _FINAL_LINE, "a final stage"))
        if self._creations():
            entries.append(("none", _CREATES, "creates a record"))
        if self._chart.walked:
            entries.append((_HERE, _HERE_LINE, "where it stands"))
        return entries

    def _legend_width(self) -> float:
        entries = self._legend_entries()
        return 2 * _BORDER + sum(width_of(name, NOTE_SIZE) + 46 for _, _, name in entries)

    def _legend(self) -> list[str]:
        parts, x, y = [], _BORDER, self._bottom + 28
        for fill, stroke, name in self._legend_entries():
            if fill == "none":
                parts.append(svg.corners([(x, y), (x + 20, y)], stroke))
            else:
                parts.append(
                    svg.rectangle((x + 10, y), (20, 12), fill=fill, stroke=stroke, round_=4)
                )
            parts.append(svg.text((x + 26, y + 4), name, NOTE_SIZE, _GREY, middle=False))
            x += width_of(name, NOTE_SIZE) + 46
        return parts

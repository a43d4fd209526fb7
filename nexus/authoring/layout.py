"""Placing boxes in layers, and the lines between them: a small Sugiyama layout.

The caller gives each box its layer. Long lines get a waypoint in every layer
that they pass, layers are ordered by medians until lines cross least, and each
layer is placed as near to its neighbours as the order allows (an isotonic
regression, solved exactly by pooling adjacent violators).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

GAP_ACROSS = 22.0
"""Pixels between two boxes of one layer."""
GAP_LINES = 14.0
"""Pixels between a line that passes a layer and what is beside it."""
GAP_DOWN = 40.0
"""Pixels between two layers."""
MOST_WAYPOINTS = 4_000
"""More than this many and nobody could read the picture, or wait for it."""

# How often layers are ordered and placed anew: often for what people look at, less often for
# what is very large, so that no picture takes more than a second or two.
_ORDERINGS, _FEWEST_ORDERINGS = 12, 4
_PLACINGS, _FEWEST_PLACINGS = 40, 8
_LARGE = 400  # nodes


class TooLargeToDraw(Exception):  # caught by `picture`
    """The lines are too many and too long to be drawn."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is placed: its size in pixels, and its layer from 0 at the top."""

    id: Hashable
    width: float
    height: float
    layer: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where everything stands.

    Attributes:
        centres: Of the boxes, by id.
        routes: Of the lines, in the order of the links: points from tail to head.
        width, height: Of everything; nothing lies below 0.
        bottoms: Lower edge of each layer.
    """

    centres: Mapping[Hashable, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float
    bottoms: tuple[float, ...]


def arrange(boxes: Sequence[Box], links: Sequence[tuple[Hashable, Hashable]]) -> Arrangement:
    """Place boxes, and route the lines between them.

    Args:
        boxes: In the order in which they should stand from left to right, where nothing
            speaks for another.
        links: Pairs of ids of boxes in different layers, tail and head.

    Raises:
        TooLargeToDraw: Beyond `MOST_WAYPOINTS`.
    """
    return _Layers(boxes, links).arrange()


class _Layers:
    """The boxes and waypoints of one layout; all are nodes, known by number."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[tuple[Hashable, Hashable]]) -> None:
        self._boxes = boxes
        self._number = {box.id: number for number, box in enumerate(boxes)}
        self._width = [box.width for box in boxes]
        self._layers: list[list[int]] = [
            [] for _ in range(max((box.layer for box in boxes), default=-1) + 1)
        ]
        self._layer = [box.layer for box in boxes]
        for number, box in enumerate(boxes):
            self._layers[box.layer].append(number)
        self._above: list[list[int]] = [[] for _ in boxes]
        self._below: list[list[int]] = [[] for _ in boxes]
        # Each line as the nodes that it passes, from the upper end to the lower.
        self._lines = [self._line(self._number[a], self._number[b]) for a, b in links]
        self._upwards = [
            self._layer[self._number[a]] > self._layer[self._number[b]] for a, b in links
        ]

    def arrange(self) -> Arrangement:
        self._order()
        across = self._place()
        bands = self._bands()
        centres = {
            box.id: (across[number], sum(bands[box.layer]) / 2)
            for number, box in enumerate(self._boxes)
        }
        ports = self._ports(across)
        routes = []
        for index, upwards in enumerate(self._upwards):
            points = self._route(index, across, bands, ports)
            routes.append(tuple(reversed(points)) if upwards else tuple(points))
        right = max((across[n] + self._width[n] / 2 for n in range(len(self._width))), default=0.0)
        height = bands[-1][1] if bands else 0.0
        return Arrangement(centres, tuple(routes), right, height, tuple(b for _, b in bands))

    def _line(self, tail: int, head: int) -> list[int]:
        upper, lower = sorted((tail, head), key=lambda number: self._layer[number])
        line = [upper]
        for layer in range(self._layer[upper] + 1, self._layer[lower]):
            number = len(self._width)
            if number - len(self._boxes) >= MOST_WAYPOINTS:
                raise TooLargeToDraw
            self._width.append(0.0)
            self._layer.append(layer)
            self._above.append([])
            self._below.append([])
            self._layers[layer].append(number)
            line.append(number)
        line.append(lower)
        for one, other in pairwise(line):
            self._below[one].append(other)
            self._above[other].append(one)
        return line

    def _rounds(self, most: int, fewest: int) -> int:
        return max(fewest, min(most, most * _LARGE // max(1, len(self._width))))

    # --- order within the layers -------------------------------------------------------------

    def _order(self) -> None:
        best, fewest = [list(layer) for layer in self._layers], self._crossings()
        for sweep in range(self._rounds(_ORDERINGS, _FEWEST_ORDERINGS)):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            neighbours = self._above if downwards else self._below
            for layer in self._layers if downwards else reversed(self._layers):
                self._sort(layer, neighbours)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self._layers], crossings
        self._layers = best

    def _sort(self, layer: list[int], neighbours: list[list[int]]) -> None:
        position = self._positions()
        total = {
            n: sum(position[other] for other in neighbours[n]) / len(neighbours[n])
            if neighbours[n]
            else float(position[n])
            for n in layer
        }
        layer.sort(key=lambda n: total[n])

    def _positions(self) -> dict[int, int]:
        return {n: at for layer in self._layers for at, n in enumerate(layer)}

    def _crossings(self) -> int:
        position = self._positions()
        count = 0
        for layer in self._layers:
            seen: list[int] = []
            for node in layer:
                ends = sorted(position[other] for other in self._below[node])
                count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return count

    # --- coordinates --------------------------------------------------------------------------

    def _place(self) -> list[float]:
        across = [0.0] * len(self._width)
        for layer in self._layers:
            at = 0.0
            for before, node in zip([None, *layer], layer, strict=False):
                at += 0.0 if before is None else self._apart(before, node)
                across[node] = at
        for sweep in range(self._rounds(_PLACINGS, _FEWEST_PLACINGS)):
            downwards = sweep % 2 == 0
            for layer in self._layers if downwards else reversed(self._layers):
                self._settle(layer, across, downwards)
        left = min((across[n] - self._width[n] / 2 for n in range(len(across))), default=0.0)
        return [at - left for at in across]

    def _settle(self, layer: list[int], across: list[float], downwards: bool) -> None:
        """Move a layer to where its neighbours are, without changing its order."""
        offsets, wishes, weights = [], [], []
        offset = 0.0
        for before, node in zip([None, *layer], layer, strict=False):
            offset += 0.0 if before is None else self._apart(before, node)
            near = self._above[node] if downwards else self._below[node]
            far = self._below[node] if downwards else self._above[node]
            # Straight lines matter most between waypoints, which have nothing else to say.
            pull = [(across[n], 6.0 if self._is_waypoint(n) else 1.0) for n in near]
            pull += [(across[n], 0.3) for n in far] + [(across[node], 0.01)]
            weight = sum(w for _, w in pull) * (4.0 if self._is_waypoint(node) else 1.0)
            offsets.append(offset)
            wishes.append(sum(x * w for x, w in pull) / sum(w for _, w in pull) - offset)
            weights.append(weight)
        for node, offset, level in zip(layer, offsets, _isotonic(wishes, weights), strict=True):
            across[node] = level + offset

    def _apart(self, one: int, other: int) -> float:
        """Least distance of the centres of two neighbours in a layer."""
        lines = self._is_waypoint(one) or self._is_waypoint(other)
        gap = GAP_LINES if lines else GAP_ACROSS
        return (self._width[one] + self._width[other]) / 2 + gap

    def _is_waypoint(self, node: int) -> bool:
        return node >= len(self._boxes)

    def _bands(self) -> list[Point]:
        """Upper and lower edge of each layer."""
        bands, top = [], 0.0
        for layer in self._layers:
            heights = [self._boxes[n].height for n in layer if not self._is_waypoint(n)]
            bottom = top + max(heights, default=0.0)
            bands.append((top, bottom))
            top = bottom + GAP_DOWN
        return bands

    # --- lines ----------------------------------------------------------------------------------

    def _ports(self, across: list[float]) -> dict[tuple[int, int, bool], float]:
        """Where on a box each line ends: (box, line, lower side) → x, spread out, uncrossed."""
        ends: dict[tuple[int, bool], list[tuple[float, int]]] = {}
        for index, line in enumerate(self._lines):
            ends.setdefault((line[0], True), []).append((across[line[1]], index))
            ends.setdefault((line[-1], False), []).append((across[line[-2]], index))
        ports = {}
        for (node, lower), found in ends.items():
            spread = min(18.0, self._width[node] * 0.7 / max(1, len(found) - 1))
            for place, (_, index) in enumerate(sorted(found)):
                shift = (place - (len(found) - 1) / 2) * spread
                ports[node, index, lower] = across[node] + shift
        return ports

    def _route(
        self,
        index: int,
        across: list[float],
        bands: list[Point],
        ports: Mapping[tuple[int, int, bool], float],
    ) -> list[Point]:
        line = self._lines[index]
        upper, lower = line[0], line[-1]
        points = [(ports[upper, index, True], self._edge(upper, bands, 1))]
        for node in line[1:-1]:
            top, bottom = bands[self._layer[node]]
            points += [(across[node], top), (across[node], bottom)]
        points.append((ports[lower, index, False], self._edge(lower, bands, -1)))
        return points

    def _edge(self, node: int, bands: list[Point], side: int) -> float:
        """Lower (1) or upper (-1) edge of a box, which stands in the middle of its layer."""
        return sum(bands[self._layer[node]]) / 2 + side * self._boxes[node].height / 2


def _isotonic(wishes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising sequence that is nearest to the wishes, by weighted least squares."""
    pools: list[tuple[float, float, int]] = []
    for wish, weight in zip(wishes, weights, strict=True):
        level, mass, count = wish, weight, 1
        while pools and pools[-1][0] > level:
            before, heavy, many = pools.pop()
            level = (before * heavy + level * mass) / (heavy + mass)
            mass, count = mass + heavy, count + many
        pools.append((level, mass, count))
    return [level for level, _, count in pools for _ in range(count)]

"""Placing boxes in layers: whatever the graph, nothing overlaps and every line arrives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.authoring.layout import (
    GAP_ACROSS,
    MOST_WAYPOINTS,
    Box,
    TooLargeToDraw,
    arrange,
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[tuple[object, object]]]:
    layers = draw(st.lists(st.integers(0, 6), min_size=1, max_size=14))
    boxes = [
        Box(f"b{n}", draw(st.integers(20, 200)), draw(st.integers(10, 60)), layer)
        for n, layer in enumerate(layers)
    ]
    pairs = [(a.id, b.id) for a in boxes for b in boxes if a.layer != b.layer]
    links = draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    return boxes, list(links)


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_boxes_stand_apart_and_lines_lead_from_box_to_box(
    graph: tuple[list[Box], list[tuple[object, object]]],
) -> None:
    boxes, links = graph
    placed = arrange(boxes, links)
    by_id = {box.id: box for box in boxes}
    for box in boxes:
        x, y = placed.centres[box.id]
        assert x - box.width / 2 >= -0.01
        assert x + box.width / 2 <= placed.width + 0.01
        assert y - box.height / 2 >= -0.01
        assert y + box.height / 2 <= placed.height + 0.01
        for other in boxes:
            if other is not box and other.layer == box.layer:
                apart = abs(x - placed.centres[other.id][0])
                assert apart >= (box.width + other.width) / 2 + GAP_ACROSS - 30
                assert apart >= (box.width + other.width) / 2
    for (tail, head), route in zip(links, placed.routes, strict=True):
        for id_, (x, y) in ((tail, route[0]), (head, route[-1])):
            box, (cx, cy) = by_id[id_], placed.centres[id_]
            assert abs(x - cx) <= box.width / 2
            assert abs(y - cy) == pytest.approx(box.height / 2)
        ups = [b[1] - a[1] for a, b in pairwise(route)]
        assert all(d >= -0.01 for d in ups) or all(d <= 0.01 for d in ups)


def test_lines_that_need_not_cross_do_not() -> None:
    boxes = [Box(name, 40, 20, layer) for layer, names in enumerate(("ab", "dc")) for name in names]
    placed = arrange(boxes, [("a", "c"), ("b", "d")])
    order = [placed.centres[name][0] for name in "abcd"]
    assert (order[0] < order[1]) == (order[2] < order[3])


def test_a_chain_is_straight() -> None:
    boxes = [Box(n, 40 + 10 * n, 20, n) for n in range(5)]
    placed = arrange(boxes, [(n, n + 1) for n in range(4)])
    assert len({round(x, 3) for x, _ in placed.centres.values()}) == 1


def test_nothing_is_placed_in_no_space() -> None:
    placed = arrange([], [])
    assert (placed.width, placed.height, placed.routes) == (0.0, 0.0, ())


def test_a_layout_has_a_bound() -> None:
    boxes = [Box(n, 10, 10, n) for n in range(MOST_WAYPOINTS // 10)]
    links = [(0, len(boxes) - 1)] * 11
    with pytest.raises(TooLargeToDraw):
        arrange(boxes, links)

"""Elements of an SVG file, as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from nexus.authoring.layout import Point
from nexus.authoring.lettering import FONTS

_ARROW = 7.0  # pixels from an arrow's tip to its base


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def text(
    at: Point, content: str, size: float, colour: str, *, bold: bool = False, middle: bool = True
) -> str:
    """One line of text with its baseline at a point."""
    x, y = at
    anchor = ' text-anchor="middle"' if middle else ""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" fill="{colour}"'
        f"{anchor}{weight}>{escape(content, quote=False)}</text>"
    )


def rectangle(
    centre: Point,
    size: Point,
    *,
    fill: str,
    stroke: str = "none",
    thick: float = 1.2,
    round_: float = 6,
) -> str:
    """A rectangle with round corners around a point."""
    (x, y), (width, height) = centre, size
    return (
        f'<rect x="{number(x - width / 2)}" y="{number(y - height / 2)}" width="{number(width)}" '
        f'height="{number(height)}" rx="{number(round_)}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{number(thick)}"/>'
    )


def dot(at: Point, radius: float, colour: str) -> str:
    """A filled circle."""
    return (
        f'<circle cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}" fill="{colour}"/>'
    )


def curve(
    points: Sequence[Point], colour: str, *, thick: float = 1.3, dashed: bool = False, arrow: bool
) -> str:
    """A line through points, level by level, that leaves and arrives upright."""
    shortened = list(points)
    head = ""
    if arrow:
        (x, y), before = points[-1], points[-2]
        way = 1.0 if y >= before[1] else -1.0
        base = y - way * _ARROW
        shortened[-1] = (x, base)
        head = _triangle((x, y), (x - 3.6, base), (x + 3.6, base), colour)
    path = [f"M{_pair(shortened[0])}"]
    for (x0, y0), (x1, y1) in pairwise(shortened):
        if abs(x0 - x1) < 0.05:
            path.append(f"L{_pair((x1, y1))}")
        else:
            half = (y0 + y1) / 2
            path.append(f"C{_pair((x0, half))} {_pair((x1, half))} {_pair((x1, y1))}")
    return _stroke("".join(path), colour, thick, dashed) + head


def corners(points: Sequence[Point], colour: str, *, thick: float = 1.4) -> str:
    """A dashed line of level and upright pieces with round corners, and an arrow at its end."""
    (x, y), before = points[-1], points[-2]
    level = abs(y - before[1]) < 0.05
    way = (1.0 if x >= before[0] else -1.0) if level else (1.0 if y >= before[1] else -1.0)
    back = _ARROW * way
    tip_base = (x - back, y) if level else (x, y - back)
    wings = (
        ((x - back, y - 3.6), (x - back, y + 3.6))
        if level
        else ((x - 3.6, y - back), (x + 3.6, y - back))
    )
    path = [f"M{_pair(points[0])}"]
    for one, corner, other in zip(points, points[1:], points[2:], strict=False):
        path.append(
            f"L{_pair(_towards(corner, one))}Q{_pair(corner)} {_pair(_towards(corner, other))}"
        )
    path.append(f"L{_pair(tip_base)}")
    return _stroke("".join(path), colour, thick, dashed=True) + _triangle((x, y), *wings, colour)


def _towards(start: Point, end: Point, most: float = 8.0) -> Point:
    """The point at most that far from one point on the way to another."""
    along, down = end[0] - start[0], end[1] - start[1]
    length = abs(along) + abs(down)
    share = min(most, length / 2) / length if length else 0.0
    return start[0] + along * share, start[1] + down * share


def _stroke(path: str, colour: str, thick: float, dashed: bool) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{number(thick)}"{dashes}/>'
    )


def _triangle(tip: Point, one: Point, other: Point, colour: str) -> str:
    return f'<path d="M{_pair(tip)}L{_pair(one)}L{_pair(other)}Z" fill="{colour}"/>'


def _pair(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"


def group(content: Sequence[str], tooltip: str = "") -> str:
    """Elements that belong together; a viewer shows the tooltip over them."""
    title = f"<title>{escape(tooltip, quote=False)}</title>" if tooltip else ""
    return f"<g>{title}{''.join(content)}</g>"


def document(size: Point, title: str, description: str, content: Sequence[str]) -> str:
    """The whole file."""
    width, height = (number(side) for side in size)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{FONTS}">\n'
        f"<title>{escape(title, quote=False)}</title>\n"
        f"<desc>{escape(description, quote=False)}</desc>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(content)
        + "\n</svg>\n"
    )

"""The funnel and the times of many runs as a picture: a bar for each stage and definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nexus.authoring import svg
from nexus.core.durations import format_duration
from nexus.core.program import Program
from nexus.simulation.tally import StageLine, Tally, funnel

_INK, _GREY = "#1f2933", "#7b8794"
_COLOURS = (("#3b6fb6", "#a9c4e6"), ("#c9772c", "#efc9a3"))  # of each definition: bar, and p90
_LEFT, _WIDTH, _GAP, _BAR, _TOP = 190.0, 300.0, 90.0, 14.0, 84.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One definition, and what its runs came to."""

    program: Program
    tally: Tally


def funnel_chart(shown: Sequence[Shown]) -> str:
    """An SVG of the funnel and of the times in stages, for one definition or two.

    A bar on the left is the share of runs that reached a stage; on the right, the
    median time of a visit, and the time within which nine of ten are over.
    """
    rows = _rows(shown)
    most = max((line.p90 or 0.0 for _, lines in rows for _, line in lines), default=0.0) or 1.0
    times = _LEFT + _WIDTH + _GAP
    content = _head(shown, times)
    y = _TOP
    for title, lines in rows:
        content.append(svg.text((16, y + 11), title, 12, _INK, middle=False))
        for which, line in lines:
            bar, pale = _COLOURS[which]
            content += _bar(_LEFT, y, line.share * _WIDTH, bar)
            told = f"{line.share:.0%} ({line.reached:,})"
            content.append(
                svg.text((_LEFT + line.share * _WIDTH + 6, y + 11), told, 10, _GREY, middle=False)
            )
            if line.p90 is not None and line.median is not None:
                content += _bar(times, y, line.p90 / most * _WIDTH, pale)
                content += _bar(times, y, line.median / most * _WIDTH, bar)
                told = f"{short(line.median)}, 90 %: {short(line.p90)}"
                at = (times + line.p90 / most * _WIDTH + 6, y + 11)
                content.append(svg.text(at, told, 10, _GREY, middle=False))
            y += _BAR + 3
        y += 8
    size = (times + _WIDTH + 170, y + 16)
    title = " and ".join(_name(one) for one in shown)
    stages = ", ".join(title for title, _ in rows)
    return svg.document(size, f"Funnel of {title}", f"Stages: {stages}", content)


def _rows(shown: Sequence[Shown]) -> list[tuple[str, list[tuple[int, StageLine]]]]:
    several = any(len(one.program.entities) > 1 for one in shown)
    rows: dict[str, list[tuple[int, StageLine]]] = {}
    for which, one in enumerate(shown):
        for line in funnel(one.program, one.tally):
            title = f"{line.entity}: {line.stage}" if several else line.stage
            rows.setdefault(title[:30], []).append((which, line))
    return list(rows.items())


def _head(shown: Sequence[Shown], times: float) -> list[str]:
    content = []
    x = 16.0
    for which, one in enumerate(shown):
        told = f"{_name(one)} · {one.tally.runs:,} runs"
        content.append(svg.dot((x + 5, 25), 5, _COLOURS[which][0]))
        content.append(svg.text((x + 16, 30), told, 14, _INK, bold=True, middle=False))
        x += 40 + len(told) * 8.0
    content.append(svg.text((_LEFT, 66), "share of runs that reached it", 11, _GREY, middle=False))
    content.append(
        svg.text((times, 66), "time in it: median, and nine of ten", 11, _GREY, middle=False)
    )
    return content


def _name(one: Shown) -> str:
    return f"{one.program.label} {one.program.version}"


def _bar(x: float, y: float, width: float, colour: str) -> list[str]:
    if width < 0.5:
        return []
    return [
        svg.rectangle((x + width / 2, y + _BAR / 2), (width, _BAR), fill=colour, thick=0, round_=2)
    ]


def short(seconds: float) -> str:
    """A length of time in its two largest units."""
    words = format_duration(timedelta(seconds=round(seconds))).split()
    parts = [f"{words[at]}{words[at + 1][0]}" for at in range(0, len(words), 2)]
    return " ".join(parts[:2])

"""What `nexus simulate --runs` does: many runs, told as a funnel, as times and as load."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nexus.cli.authoring import compiled
from nexus.cli.definition_files import read, shown
from nexus.cli.failures import CommandFailed
from nexus.cli.simulate import wide_console
from nexus.core import Program
from nexus.simulation.documents import DocumentError
from nexus.simulation.funnel_chart import Shown, funnel_chart, short
from nexus.simulation.many import run_many
from nexus.simulation.population import read_population
from nexus.simulation.tally import Tally, as_document, at_share, funnel

MOST_TOLD = 10  # lines of a list


def simulate_many(
    definitions: Sequence[Path],
    *,
    runs: int,
    seed: int,
    until: timedelta,
    population: Path | None,
    plot: Path | None,
    format_: Literal["table", "json"],
) -> None:
    """Run one definition, or two to compare, many times, and tell what came of it.

    Raises:
        CommandFailed: A file cannot be used.
    """
    chance = None if population is None else read(population)
    results = []
    for path in definitions:
        text = read(path)
        program = compiled(path, text=text).program
        if population is not None and chance is not None:
            _check(population, chance, program)
        with _bar(program, runs) as progress:
            tally = run_many(
                text.decode("utf-8-sig"),
                runs=runs,
                seed=seed,
                until=until,
                population=chance,
                progress=progress,
            )
        results.append(Shown(program, tally))
    if format_ == "json":
        told = [as_document(one.program, one.tally) for one in results]
        print(json.dumps(told if len(told) > 1 else told[0], ensure_ascii=False, indent=2))
    else:
        sys.stdout.write(_as_text(results, until))
    if plot is not None:
        _plot(results, plot)


def _check(path: Path, text: bytes, program: Program) -> None:
    from nexus.cli.findings import as_text

    try:
        read_population(text, shown(path), program)
    except DocumentError as error:
        for line in as_text(error.problems, text):
            print(line, file=sys.stderr)
        raise CommandFailed(f"{shown(path)}: this population cannot be used") from None


@contextmanager
def _bar(program: Program, runs: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, where somebody looks."""
    columns = (
        TextColumn(f"Running {program.id} {program.version}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=runs)
        yield lambda done: bar.advance(task, done)


def _plot(results: Sequence[Shown], path: Path) -> None:
    content: bytes
    picture = funnel_chart(results)
    if path.suffix.lower() == ".png":
        from nexus.authoring.png import png_of

        content = png_of(picture)
    elif path.suffix.lower() == ".svg":
        content = picture.encode()
    else:
        raise CommandFailed(f"--plot {path}: name a file that ends with .svg or .png")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{path}: cannot be written: {error.strerror or error}") from error


# --- for a person -------------------------------------------------------------------------------


def _as_text(results: Sequence[Shown], until: timedelta) -> str:
    console = wide_console()
    with console.capture() as captured:
        for one in results:
            title = f"{one.program.label} {one.program.version} · {one.tally.runs:,} runs"
            console.print(Text(f"{title} of up to {short(until.total_seconds())}", "bold"))
            console.print(_funnel(one.program, one.tally))
            console.print(_load(one.tally))
            for line in _sums(one.tally):
                console.print(Text(line))
            console.print()
        if len(results) == 2:
            console.print(Text("What differs", "bold"))
            console.print(_comparison(*results))
    return captured.get()


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column not in ("stage", "who", "in", "what")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    return table


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else short(seconds)


def _funnel(program: Program, tally: Tally) -> Table:
    several = len(program.entities) > 1
    table = _table("stage", "reached", "share", "", "still there", "median time", "90 % within")
    for line in funnel(program, tally):
        name = f"{line.entity}: {line.stage}" if several else line.stage
        table.add_row(
            name,
            f"{line.reached:,}",
            f"{line.share:.1%}",
            "█" * round(line.share * 20),
            "" if line.final else f"{line.staying:,}",
            "" if line.final else _time(line.median),
            "" if line.final else _time(line.p90),
        )
    return table


def _load(tally: Tally) -> Table:
    table = _table("who", "did", "was assigned", "median time", "90 % within")
    for name, count in sorted(tally.acted.items()):
        table.add_row(name, f"{count:,}", "", "", "")
    for name, count in sorted(tally.assigned.items()):
        seconds = tally.held.get(name, [])
        median, p90 = at_share(seconds, 0.5), at_share(seconds, 0.9)
        table.add_row(name, "", f"{count:,}", _time(median), _time(p90))
    return table


def _sums(tally: Tally) -> Iterator[str]:
    ended = ", ".join(f"{count:,} {status}" for status, count in tally.ended.most_common())
    lasted = ""
    if tally.lasted:
        median, p90 = at_share(tally.lasted, 0.5), at_share(tally.lasted, 0.9)
        lasted = f"; from start to end {_time(median)}, 90 % within {_time(p90)}"
    yield f"ended: {ended}{lasted}"
    for title, counter in (
        ("calls", tally.calls),
        ("failed calls", tally.failed),
        ("incidents", tally.incidents),
        ("refused", tally.refused),
    ):
        if counter:
            listed = [f"{name} {count:,}" for name, count in counter.most_common(MOST_TOLD)]
            more = len(counter) - MOST_TOLD
            yield f"{title}: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}"
    if tally.too_long:
        yield f"went in circles: {tally.too_long:,}"


def _comparison(one: Shown, other: Shown) -> Table:
    table = _table("what", "first", "second", "difference")
    before = {(line.entity, line.stage): line for line in funnel(one.program, one.tally)}
    after = {(line.entity, line.stage): line for line in funnel(other.program, other.tally)}
    for key in dict.fromkeys((*before, *after)):
        name = ": ".join(key)
        first, second = before.get(key), after.get(key)
        if first is None or second is None:
            table.add_row(name, "there" if first else "-", "there" if second else "-", "")
            continue
        if first.reached != second.reached:
            change = f"{(second.share - first.share) * 100:+.1f} points"
            table.add_row(f"{name}, reached", f"{first.share:.1%}", f"{second.share:.1%}", change)
        if first.median is not None and second.median is not None:
            apart = second.median - first.median
            if abs(apart) >= 1:
                sign = "+" if apart > 0 else "-"
                table.add_row(
                    f"{name}, median time",
                    _time(first.median),
                    _time(second.median),
                    f"{sign}{short(abs(apart))}",
                )
    for name in sorted({*one.tally.acted, *other.tally.acted}):
        did, does = one.tally.acted[name], other.tally.acted[name]
        if did != does:
            table.add_row(f"{name} did", f"{did:,}", f"{does:,}", f"{does - did:+,}")
    if not table.row_count:
        table.add_row("nothing", "", "", "")
    return table

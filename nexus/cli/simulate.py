"""What `nexus simulate` does: runs on a virtual clock, told to a person or a program."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nexus.cli.failures import CommandFailed
from nexus.core import Program
from nexus.core.durations import DurationError, format_duration, parse_duration
from nexus.core.errors import DefinitionError
from nexus.core.json_text import load
from nexus.core.rows import first_stage, history_row
from nexus.core.steps import ChannelStep
from nexus.simulation.documents import DocumentError
from nexus.simulation.generated import generated_data, people_of
from nexus.simulation.living import Living
from nexus.simulation.playing import Played, Refusal, play
from nexus.simulation.population import Population
from nexus.simulation.reading import read_scenarios
from nexus.simulation.reports import entry_document
from nexus.simulation.scenarios import ScenarioFile
from nexus.simulation.simulator import START, Simulation, TooLong
from nexus.simulation.timeline import Entry, timeline

if TYPE_CHECKING:
    from nexus.channels import Channels

Format = Literal["table", "jsonl", "mermaid", "svg", "png"]
UNTIL = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Run:
    """One run to be told."""

    title: str
    simulation: Simulation
    refusals: Sequence[Refusal]
    played: Played | None = None


def channels_for(program: Program) -> Channels | None:
    """The installed channels, if a definition calls any and they are installed."""
    calls = any(
        isinstance(step, ChannelStep)
        for entity in program.entities.values()
        for stage in entity.stages.values()
        if stage.run is not None
        for step in stage.run.by_path.values()
    )
    if not calls:
        return None
    from importlib.util import find_spec

    if not (find_spec("liquid") and find_spec("pydantic")):
        print(
            "nexus: contents of channels are not rendered: pip install 'nexus[channels]'",
            file=sys.stderr,
        )
        return None
    from nexus.channels import load_channels

    return load_channels()


def json_option(given: str | None, option: str) -> dict[str, Any]:
    """An object given on the command line, as JSON or as `@FILE`.

    Raises:
        CommandFailed: It is none.
    """
    if given is None:
        return {}
    text: str | bytes = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).read_bytes()
        except OSError as error:
            raise CommandFailed(f"{option}: {given[1:]}: {error.strerror or error}") from error
    try:
        value = load(text, option)
    except DefinitionError as error:
        problem = error.problems[0]
        raise CommandFailed(
            f"{option}, line {problem.line}, column {problem.column}: {problem.message}"
        ) from error
    if not isinstance(value, dict):
        raise CommandFailed(f'{option}: an object is wanted, such as \'{{"name": "Ann"}}\'')
    return value


def people_option(given: str | None, program: Program) -> dict[str, tuple[str, ...]]:
    """Who there is: as given, else somebody for each role of the definition.

    Raises:
        CommandFailed: It is not an object of names and lists of roles.
    """
    people = json_option(given, "--people")
    for name, roles in people.items():
        if not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
            raise CommandFailed(
                f'--people: {name!r} needs a list of roles, such as \'{{"ann": ["sales"]}}\''
            )
    return {name: tuple(roles) for name, roles in people.items()} or people_of(program)


def duration_option(given: str, option: str) -> timedelta:
    """A duration given on the command line.

    Raises:
        CommandFailed: It is none.
    """
    try:
        return parse_duration(given)
    except DurationError as error:
        raise CommandFailed(f"{option}: {error}") from error


def free_run(
    program: Program,
    *,
    data: Mapping[str, object],
    people: Mapping[str, tuple[str, ...]],
    until: timedelta,
    seed: int,
) -> Run:
    """One run in which people do what they may, by chance.

    Args:
        program: The compiled definition.
        data: What is given; what its schema demands beyond that is made up.
        people: Who there is.
        until: How long it goes.
        seed: The same gives the same run.

    Raises:
        CommandFailed: It cannot be started.
    """
    rng = random.Random(seed)  # noqa: S311 - chance, not secrets
    made_up = generated_data(program.data_schema, rng)
    simulation = Simulation(program, channels=channels_for(program))
    living = Living(simulation, Population(people=people), rng)
    living.start({**made_up, **data})
    if living.not_started is not None:
        who, rejected = living.not_started
        raise CommandFailed(f"{who!r} cannot start it ({rejected.code}): {rejected.message}")
    try:
        living.live(START + until)
    except TooLong as error:
        print(f"nexus: {error}", file=sys.stderr)
    return Run(f"seed {seed}", simulation, ())


def scenario_runs(
    program: Program, file: ScenarioFile, names: Sequence[str], until: timedelta | None
) -> Iterator[Run]:
    """The runs of a file's scenarios, or of those that are named.

    Raises:
        CommandFailed: There is none of that name.
    """
    known = [scenario.name for scenario in file.scenarios]
    for name in names:
        if name not in known:
            raise CommandFailed(
                f"{file.source}: no scenario {name!r}; there are: {', '.join(known)}"
            )
    channels = channels_for(program)
    for scenario in file.scenarios:
        if not names or scenario.name in names:
            played = play(program, scenario, channels=channels, until=until)
            yield Run(scenario.name, played.simulation, played.refusals, played)


def scenario_file(path: Path) -> ScenarioFile:
    """A file of scenarios, with its problems told on stderr where it has any.

    Raises:
        CommandFailed: It cannot be read, or run.
    """
    from nexus.cli.definition_files import read, shown
    from nexus.cli.findings import as_text

    text, name = read(path), shown(path)
    try:
        return read_scenarios(text, name)
    except DocumentError as error:
        for line in as_text(error.problems, text):
            print(line, file=sys.stderr)
        raise CommandFailed(f"{name}: these scenarios cannot be run") from None


# --- telling ------------------------------------------------------------------------------------


def tell(runs: Sequence[Run], format_: Format, output: Path | None, *, everything: bool) -> None:
    """Tell runs.

    Args:
        runs: At least one.
        format_: `table` for a person, `jsonl` for a program, else a picture of the one run.
        output: Where to; None for standard output.
        everything: Also what follows from other lines.

    Raises:
        CommandFailed: A picture of several runs is wanted, or the file cannot be written.
    """
    if format_ in ("mermaid", "svg", "png"):
        if len(runs) != 1:
            raise CommandFailed(
                f"a picture shows one run, and there are {len(runs)}: name one with --name"
            )
        content = picture(runs[0], format_)
    else:
        content = _as_text(runs, format_, everything, output).encode()
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{output}: cannot be written: {error.strerror or error}") from error


def picture(run: Run, format_: Format) -> bytes:
    """The definition, with the path that a run took."""
    from nexus.authoring.walk import walk_of

    simulation = run.simulation
    walk = walk_of(history_row(event) for event in simulation.events)
    if format_ == "mermaid":
        from nexus.authoring.mermaid import mermaid

        return mermaid(simulation.program, walk).encode()
    from nexus.authoring.picture import draw

    drawn = draw(simulation.program, walk)
    if format_ == "svg":
        return drawn.encode()
    from nexus.authoring.png import png_of

    return png_of(drawn)


def _as_text(runs: Sequence[Run], format_: Format, everything: bool, output: Path | None) -> str:
    console = wide_console(record=output is not None)
    with console.capture() as captured:
        for run in runs:
            entries = timeline(run.simulation, run.refusals, everything=everything)
            if format_ == "jsonl":
                for entry in entries:
                    line = {"run": run.title, **entry_document(entry)}
                    console.out(json.dumps(line, ensure_ascii=False), highlight=False)
            else:
                _print_table(console, run, entries)
    return captured.get()


def wide_console(*, record: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough where there is none."""
    terminal = sys.stdout.isatty() and not record
    return Console(width=None if terminal else 140, no_color=not terminal, highlight=False)


_STYLES = {"refusal": "red", "clock": "dim"}


def _print_table(console: Console, run: Run, entries: Sequence[Entry]) -> None:
    simulation = run.simulation
    program = simulation.program
    console.print(Text(f"{program.label} {program.version} · {run.title}", "bold"))
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("since", justify="right", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("who", no_wrap=True, max_width=20, overflow="ellipsis")
    table.add_column("record", no_wrap=True, max_width=20, overflow="ellipsis")
    table.add_column("what", overflow="fold", min_width=30)
    table.add_column("why", overflow="fold")
    before = None
    for entry in entries:
        moment = f"{entry.at:%a %Y-%m-%d %H:%M:%S}"
        table.add_row(
            "" if moment == before else f"+{since_text(entry.since)}",
            "" if moment == before else moment,
            entry.who,
            entry.record or "",
            Text(entry.what),
            Text(entry.why),
            style=_STYLES.get(entry.kind),
        )
        before = moment
    console.print(table)
    console.print(Text(_outcome(simulation)))
    console.print()


def since_text(since: timedelta) -> str:
    """How long after the start, short enough for a column."""
    seconds = timedelta(seconds=round(since.total_seconds()))
    words = format_duration(seconds)
    for long, short in ((" day", "d"), (" hour", "h"), (" minute", "m"), (" second", "s")):
        words = words.replace(f"{long}s", short).replace(long, short)
    return words


def _outcome(simulation: Simulation) -> str:
    state = simulation.state
    stages = ", ".join(f"{r.id} in {r.stage}" for r in state.records.values() if r.stage)
    told = [f"{state.status}: {stages}" if stages else state.status]
    if state.tasks:
        told.append(f"open tasks: {', '.join(task.title for task in state.tasks.values())}")
    if state.incidents:
        told.append(f"incidents: {', '.join(one.code for one in state.incidents.values())}")
    due = simulation.next_due()
    if due is not None:
        told.append(f"next due: {due:%Y-%m-%d %H:%M}")
    if first_stage(state) is None and not state.records:
        told.append("it has no records with stages")
    return " · ".join(told)

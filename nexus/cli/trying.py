"""The commands that try definitions out, before they meet anybody. Nothing is sent by them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nexus.cli.failures import CommandFailed


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(simulate)
    app.command("test")(run_tests)


def simulate(
    file: Annotated[
        Path, typer.Argument(metavar="DEFINITION", help="A definition, or - for stdin.")
    ],
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="The instance's data, or @FILE with it.")
    ] = None,
    people: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Who there is, with roles, or @FILE.  [default: somebody for each role]",
        ),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Play scenarios instead of making up a run.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of the scenario. Repeatable.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it goes.  [default: 90d]")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes up the same run.")] = 1,
    format_: Annotated[
        Literal["table", "json", "jsonl", "mermaid", "svg", "png"] | None,
        typer.Option("--format", help="How to tell it.  [default: by OUT's ending, else table]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Where to write it.")
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Many runs, told as a funnel, times and load."),
    ] = None,
    population: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the many runs are like.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A second definition, run likewise.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT", help="The funnel as a picture: .svg or .png.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also steps that begin, and calls that just succeed.")
    ] = False,
) -> None:
    """Run a definition on a virtual clock. Nothing is sent.

    Without scenarios, people do what they may, by chance. Exit code 1 if a scenario fails.
    """
    import sys

    from nexus.cli.authoring import compiled
    from nexus.cli.simulate import (
        UNTIL,
        Format,
        duration_option,
        free_run,
        json_option,
        people_option,
        scenario_file,
        scenario_runs,
        tell,
    )

    endings: dict[str, Format] = {
        ".svg": "svg",
        ".png": "png",
        ".mmd": "mermaid",
        ".jsonl": "jsonl",
    }
    length = None if until is None else duration_option(until, "--until")
    if runs is not None:
        from nexus.cli.population import simulate_many

        alone = {"--data": data, "--people": people, "--scenario": scenario, "--output": output}
        for option, given in alone.items():
            if given is not None:
                raise CommandFailed(f"{option} is for one run; many are described by --population")
        if format_ not in (None, "table", "json"):
            raise CommandFailed("many runs are told as --format table or json; --plot draws them")
        simulate_many(
            [file] if compare is None else [file, compare],
            runs=runs,
            seed=seed,
            until=length or UNTIL,
            population=population,
            plot=plot,
            format_="json" if format_ == "json" else "table",
        )
        return
    for option, given in {"--population": population, "--compare": compare, "--plot": plot}.items():
        if given is not None:
            raise CommandFailed(f"{option} is for many runs: say how many with --runs")
    if format_ == "json":
        raise CommandFailed("one run is told as --format jsonl: a line for each thing")
    chosen: Format = format_ or endings.get(output.suffix.lower() if output else "", "table")
    if chosen == "png" and output is None and sys.stdout.isatty():
        raise CommandFailed("a PNG is nothing to read: say where to write it with --output FILE")
    program = compiled(file).program
    if scenario is None:
        if name:
            raise CommandFailed("--name is the name of a scenario: say where with --scenario FILE")
        run = free_run(
            program,
            data=json_option(data, "--data"),
            people=people_option(people, program),
            until=length or UNTIL,
            seed=seed,
        )
        tell([run], chosen, output, everything=everything)
        return
    if data is not None or people is not None:
        raise CommandFailed("a scenario has its own data and people: leave out --data and --people")
    played = list(scenario_runs(program, scenario_file(scenario), name or (), length))
    tell(played, chosen, output, everything=everything)
    failures = [
        (run.title, failure.message)
        for run in played
        if run.played is not None
        for failure in run.played.failures
    ]
    for title, message in failures:
        print(f"nexus: {title}: {message}", file=sys.stderr)
    if failures:
        raise typer.Exit(1)


def run_tests(
    given: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE|DIR]…",
            help="Scenarios, definitions that have some, or folders.  [default: this folder]",
        ),
    ] = None,
    format_: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to tell it.")
    ] = "text",
    covered: Annotated[
        bool, typer.Option("--covered", help="Exit code 1 also where something is not covered.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also name scenarios that pass.")
    ] = False,
) -> None:
    """Play all scenarios; exit code 1 if one fails."""
    from nexus.cli.scenario_tests import as_document, is_good, scenario_files, tested, told

    files = [tested(path) for path in scenario_files(given or [Path()])]
    print(told(files, verbose=verbose) if format_ == "text" else as_document(files), end="")
    if not all(is_good(one, covered=covered) for one in files):
        raise typer.Exit(1)

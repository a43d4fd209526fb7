"""What `nexus test` does: every scenario of some files or folders, and what they cover."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nexus.cli.failures import CommandFailed
from nexus.cli.simulate import channels_for, since_text, wide_console
from nexus.core import DefinitionError, load_definition
from nexus.core.errors import Problem
from nexus.core.json_text import Positions
from nexus.simulation.coverage import KINDS, Coverage, coverage_of
from nexus.simulation.documents import DocumentError
from nexus.simulation.playing import Failure, Played, play
from nexus.simulation.reading import read_scenarios
from nexus.simulation.reports import coverage_document, scenario_document
from nexus.simulation.timeline import timeline

ENDING = ".scenarios.json"
MOST_LINES = 12  # of the timeline before a failure


@dataclass(frozen=True, slots=True)
class Tested:
    """One file of scenarios, and what came of it.

    Attributes:
        file: Its name.
        definition: That of its definition.
        problems: Why it, or its definition, cannot be run; empty where it was.
        places: For lines of failures; None where it was not run.
    """

    file: str
    definition: str
    problems: tuple[Problem, ...] = ()
    texts: tuple[bytes, bytes] = (b"", b"")
    played: tuple[Played, ...] = ()
    coverage: Coverage | None = None

    @property
    def failed(self) -> int:
        """How many scenarios did not pass."""
        return sum(not one.passed for one in self.played)


def scenario_files(given: Sequence[Path]) -> tuple[Path, ...]:
    """The files of scenarios that are meant by files and folders, each once.

    A definition's own file means its scenarios.

    Raises:
        CommandFailed: There are none.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = [
                file
                for file in sorted(path.rglob(f"*{ENDING}"))
                if not any(part.startswith(".") for part in file.relative_to(path).parts)
            ]
            if not inside:
                raise CommandFailed(f"{path}: no scenarios (*{ENDING}) in this folder")
            found.update(dict.fromkeys(inside))
            continue
        if not path.exists():
            raise CommandFailed(f"{path}: no such file or folder")
        beside = path if path.name.endswith(ENDING) else path.with_suffix(ENDING)
        if not beside.exists():
            raise CommandFailed(f"{path} has no scenarios: {beside} does not exist")
        found[beside] = None
    return tuple(found)


def tested(path: Path) -> Tested:
    """Run a file's scenarios.

    Raises:
        CommandFailed: A file cannot be read.
    """
    from nexus.cli.definition_files import read, shown

    text, name = read(path), shown(path)
    definition, script = path.with_name(path.name.replace(ENDING, ".json")), b""
    try:
        file = read_scenarios(text, name)
        if file.definition is not None:
            definition = path.parent / file.definition
        if not definition.exists():
            return Tested(
                name, shown(definition), (_without(text, name, definition),), (text, text)
            )
        script = read(definition)
        program = load_definition(script, shown(definition)).program
    except DocumentError as error:
        return Tested(name, shown(definition), error.problems, (text, text))
    except DefinitionError as error:
        errors = tuple(one for one in error.problems if one.severity == "error")
        return Tested(name, shown(definition), errors, (text, script))
    channels = channels_for(program)
    played = tuple(play(program, scenario, channels=channels) for scenario in file.scenarios)
    coverage = coverage_of(program, played)
    return Tested(name, shown(definition), (), (text, script), played, coverage)


def _without(text: bytes, name: str, definition: Path) -> Problem:
    line, column = Positions(text).value("/definition")
    message = f"its definition is not there: {definition}"
    return Problem(
        "invalid_scenario", message, "/definition", line=line, column=column, source=name
    )


def is_good(one: Tested, *, covered: bool) -> bool:
    """Whether everything passed, and with `covered`, everything was shown as well."""
    whole = one.coverage is None or not one.coverage.missing or not covered
    return not one.problems and not one.failed and whole


# --- for a person -------------------------------------------------------------------------------


def told(files: Sequence[Tested], *, verbose: bool) -> str:
    """The report."""
    from nexus.cli.findings import as_text

    console = wide_console()
    with console.capture() as captured:
        for one in files:
            _headline(console, one)
            if one.problems:
                for line in as_text(one.problems, one.texts[1]):
                    console.out(line, highlight=False)
            for played in one.played:
                _tell_played(console, one, played, verbose=verbose)
            if one.coverage is not None:
                _tell_coverage(console, one.coverage)
        console.print(Text(_summary(files), "bold"))
    return captured.get()


def _headline(console: Console, one: Tested) -> None:
    console.print(Text(one.file, "bold"))


def _tell_played(console: Console, one: Tested, played: Played, *, verbose: bool) -> None:
    if played.passed:
        if verbose:
            console.print(Text(f"  ✓ {played.scenario.name}", "green"))
        return
    console.print(Text(f"  ✗ {played.scenario.name}", "red"))
    positions = Positions(one.texts[0])
    for failure in played.failures:
        line, column = positions.value(failure.pointer)
        console.print(Text(f"      {one.file}:{line}:{column}: {failure.message}"))
        for text, style in _diff(failure):
            console.print(Text(f"      {text}", style))
    console.print(Text("      what happened:", "dim"))
    for text in _lately(played):
        console.print(Text(f"        {text}", "dim"))


def _diff(failure: Failure) -> Iterator[tuple[str, str]]:
    """What was expected, and what is, line by line."""
    for difference in failure.differences:
        expected, actual = difference.expected, difference.actual
        if isinstance(expected, list) and isinstance(actual, list):
            yield f"  {difference.what}:", ""
            yield from ((f"-   {_json(one)}", "red") for one in expected)
            yield from ((f"+   {_json(one)}", "green") for one in actual)
            if not actual:
                yield "+   (none)", "green"
            continue
        yield f"- {difference.what}: {_json(expected)}", "red"
        yield f"+ {difference.what}: {_json(actual)}", "green"


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lately(played: Played) -> Iterator[str]:
    at = played.failures[0].at
    entries = [
        entry
        for entry in timeline(played.simulation, played.refusals)
        if entry.at <= at and entry.kind != "clock"
    ]
    if len(entries) > MOST_LINES:
        yield f"… {len(entries) - MOST_LINES} lines before"
    for entry in entries[-MOST_LINES:]:
        record = f"{entry.record}: " if entry.record else ""
        why = f"  [{entry.why}]" if entry.why else ""
        yield f"+{since_text(entry.since)}  {entry.who}  {record}{entry.what}{why}"


def _tell_coverage(console: Console, coverage: Coverage) -> None:
    parts = []
    for kind in KINDS:
        shown, every = coverage.of(kind)
        if every:
            parts.append(f"{kind} {shown}/{every}")
    console.print(Text(f"  covered: {', '.join(parts) or 'there is nothing to cover'}"))
    for item in coverage.missing:
        console.print(Text(f"    not shown ({item.kind}): {item.name}", "yellow"))


def _summary(files: Sequence[Tested]) -> str:
    count = sum(len(one.played) for one in files)
    failed = sum(one.failed for one in files)
    broken = sum(bool(one.problems) for one in files)
    told = [f"{count - failed} passed"]
    told += [f"{failed} failed"] * bool(failed)
    told += [f"{broken} cannot be run"] * bool(broken)
    return f"{_counted(count, 'scenario')} in {_counted(len(files), 'file')}: {', '.join(told)}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# --- for a program ------------------------------------------------------------------------------


def as_document(files: Sequence[Tested]) -> str:
    """The report as JSON."""
    return json.dumps([_file(one) for one in files], ensure_ascii=False, indent=2)


def _file(one: Tested) -> dict[str, object]:
    positions = Positions(one.texts[0])
    return {
        "file": one.file,
        "definition": one.definition,
        "problems": [asdict(problem) for problem in one.problems],
        "scenarios": [scenario_document(played, positions) for played in one.played],
        "coverage": None if one.coverage is None else coverage_document(one.coverage),
    }

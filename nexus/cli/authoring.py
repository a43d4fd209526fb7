"""The commands of those who write definitions. None of them needs the platform, or a network.

What a command needs is imported when it runs, since checking a folder of
definitions should take no longer than reading it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nexus.cli.failures import CommandFailed

if TYPE_CHECKING:
    from nexus.cli.findings import Checked
    from nexus.core import Compiled
    from nexus.core.errors import DefinitionError

_Given = Annotated[
    list[Path],
    typer.Argument(metavar="FILE|DIR…", help="Definitions, folders of them, or - for stdin."),
]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A definition, or - for stdin.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    for command in (validate, diagram, explain, new, diff, fmt):
        app.command()(command)


def validate(
    given: _Given,
    format_: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="How to tell it.")
    ] = "text",
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings count as errors for the exit code.")
    ] = False,
) -> None:
    """Check definitions; exit code 1 if one cannot run."""
    from nexus.cli.definition_files import definition_files
    from nexus.cli.findings import told

    checked = _checked(definition_files(given))
    for line in told(checked, format_):
        print(line)
    if not all(file.valid and not (strict and file.problems) for file in checked):
        raise typer.Exit(1)


def _checked(files: tuple[Path, ...]) -> list[Checked]:
    """Each file checked by itself, and whether two of them define the same."""
    from nexus.cli.channels import installed_channels
    from nexus.cli.definition_files import read, shown
    from nexus.cli.findings import Checked
    from nexus.core import DefinitionError, load_definition
    from nexus.core.errors import Problem
    from nexus.core.json_text import Positions

    checked: list[Checked] = []
    defined: dict[tuple[str, str], str] = {}
    channels = installed_channels()
    for path in files:
        text, name = read(path), shown(path)
        try:
            compiled = load_definition(text, name, channels)
        except DefinitionError as error:
            checked.append(Checked(name, text, error.problems))
            continue
        program, found = compiled.program, list(compiled.warnings)
        first = defined.setdefault((program.id, program.version), name)
        if first != name:
            message = f"{program.id!r} {program.version} is defined by {first} already."
            line, column = Positions(text).value("/id")
            found.append(
                Problem("defined_twice", message, "/id", line=line, column=column, source=name)
            )
        checked.append(Checked(name, text, tuple(found), program.id, program.version))
    return checked


def diagram(
    file: _File,
    format_: Annotated[
        Literal["mermaid", "svg", "png"] | None,
        typer.Option("--format", help="What to make.  [default: by OUT's ending, else mermaid]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Where to write it.")
    ] = None,
) -> None:
    """Draw a definition, without a network."""
    chosen = format_ or _format_of(output)
    if chosen == "png" and output is None and sys.stdout.isatty():
        raise CommandFailed("a PNG is nothing to read: say where to write it with --output FILE")
    program = compiled(file).program
    if chosen == "mermaid":
        from nexus.authoring.mermaid import mermaid

        content = mermaid(program).encode()
    else:
        from nexus.authoring.picture import draw

        picture = draw(program)
        content = picture.encode()
        if chosen == "png":
            from nexus.authoring.png import png_of

            content = png_of(picture)
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        _write(output, content)


def _format_of(output: Path | None) -> Literal["mermaid", "svg", "png"]:
    ending = output.suffix.lower() if output else ""
    return "svg" if ending == ".svg" else "png" if ending == ".png" else "mermaid"


def explain(file: _File) -> None:
    """Tell a definition in plain sentences: who, when, and what comes next."""
    from nexus.authoring.explain import explained

    print(explained(compiled(file)), end="")


def new(
    name: Annotated[str, typer.Argument(help="Id of the definition.")] = "my-pipeline",
    kind: Annotated[
        Literal["lead", "campaign", "approval"], typer.Option(help="What to begin with.")
    ] = "lead",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write it.  [default: NAME.json]"
        ),
    ] = None,
) -> None:
    """Begin a definition: one that runs, and a guide to its parts."""
    from nexus.authoring.template import guide, new_definition
    from nexus.core import DefinitionError, load_definition

    text = new_definition(name, kind)
    try:
        load_definition(text)
    except DefinitionError as error:
        raise CommandFailed(f"{name!r}: {error.problems[0].message}") from error
    path = output or Path(f"{name}.json")
    if path.exists():
        raise CommandFailed(f"{path} exists already; nothing was written")
    _write(path, text.encode())
    print(guide(name, kind, str(path)), end="")


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="The old definition.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The new definition.")],
    format_: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to tell it.")
    ] = "text",
) -> None:
    """Say what changed, and what it means for running instances.

    Exit code 0 without a change, 1 with one, 2 if a definition cannot be read.
    """
    import json
    from dataclasses import asdict

    from nexus.authoring.differ import compare

    try:
        old, new_ = compiled(before, failing=2), compiled(after, failing=2)
    except CommandFailed as error:
        print(f"nexus: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    changes = compare(old, new_)
    if format_ == "json":
        print(json.dumps([asdict(change) for change in changes], ensure_ascii=False, indent=2))
    else:
        marks = {"added": "+", "removed": "-", "changed": "~"}
        for change in changes:
            print(f"{marks[change.kind]} {change.what}: {change.text}")
            if change.running:
                print(f"    running instances: {change.running}")
        if changes:
            version = old.program.version
            print(
                f"\nRunning instances keep version {version} as it was when they started; what is"
            )
            print("said of them holds for those that are moved to the new version.")
        else:
            print("No change.")
    if changes:
        raise typer.Exit(1)


def fmt(
    given: _Given,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if a file would change.")
    ] = False,
) -> None:
    """Bring definitions into one layout; what they say does not change."""
    from nexus.authoring.fmt import formatted
    from nexus.cli.definition_files import STDIN, definition_files, read, shown
    from nexus.core import DefinitionError

    changed = failed = False
    for path in definition_files(given):
        text = read(path)
        try:
            better = formatted(text, shown(path)).encode()
        except DefinitionError as error:
            _complain(error, text)
            failed = True
            continue
        differs = better != text
        changed = changed or differs
        if str(path) == STDIN and not check:
            sys.stdout.buffer.write(better)
        elif differs:
            print(f"{shown(path)}: {'would change' if check else 'formatted'}")
            if not check:
                _write(path, better)
    if failed or (check and changed):
        raise typer.Exit(1)


def compiled(path: Path, *, failing: int = 1, text: bytes | None = None) -> Compiled:
    """A definition that can run; else its problems are told on stderr, and the command ends."""
    from nexus.cli.definition_files import read, shown
    from nexus.core import DefinitionError, load_definition

    text = read(path) if text is None else text
    try:
        return load_definition(text, shown(path))
    except DefinitionError as error:
        _complain(error, text)
        raise typer.Exit(failing) from None


def _complain(error: DefinitionError, text: bytes) -> None:
    from nexus.cli.findings import as_text

    errors = [problem for problem in error.problems if problem.severity == "error"]
    for line in as_text(errors, text):
        print(line, file=sys.stderr)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{path}: cannot be written: {error.strerror or error}") from error

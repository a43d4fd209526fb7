"""Pages of the documentation, done as their readers do them: what a block shows has to come.

The blocks of a page, by what stands after the fence:

| block | what its reader does |
| --- | --- |
| `python name.py` | begins a program in this file |
| `python` | goes on with it |
| `text` | sees what the block before it has printed |
| `json name.json` | writes this file |
| `console` | gives the commands that stand after `$`, and sees what follows each |
| `sh` | does what tests do in their own way |

A program that shows nothing is only written: others import it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(
    r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL
)
_END = "\x1e"  # printed after each part of a program, and after each command

# Runs a program part by part, as one file: its line numbers are those of the file.
_RUNNER = """
import contextlib, io, json, pathlib, sys, types, warnings

path, parts = json.load(sys.stdin)
module = types.ModuleType("__main__")
module.__file__ = path
sys.modules["__main__"] = module
sys.path.insert(0, "")
line = 0
for part in parts:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        exec(compile("\\n" * line + part, path, "exec"), module.__dict__)
    line += part.count("\\n") + 1
    sys.stdout.write(told.getvalue() + "\\x1e")
    sys.stdout.flush()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    file: str
    content: str


@dataclass
class Program:
    """A program, in the parts in which the page shows it.

    Attributes:
        shown: What the page says that each part prints; None where it says nothing.
    """

    file: str
    parts: list[str] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join(self.parts)


@dataclass(frozen=True)
class Written:
    """A file that is no program."""

    file: str
    content: str


@dataclass(frozen=True)
class Command:
    """A command of the shell, and what the page shows of its output."""

    script: str
    shown: str


Step = Program | Written | Command


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(found["kind"], found["file"] or "", found["content"])
        for found in _BLOCK.finditer(page)
    ]


def steps(page: str) -> Iterator[Step]:
    """What a page, or a part of one, has its reader do."""
    program: Program | None = None
    for block in blocks(page):
        if block.kind == "python" and not block.file:
            assert program is not None, block.content
            program.parts.append(block.content)
            program.shown.append(None)
            continue
        if block.kind == "text":
            assert program is not None, block.content
            assert program.shown[-1] is None, block.content
            program.shown[-1] = block.content
            continue
        if program is not None:
            yield program
            program = None
        if block.kind == "python":
            program = Program(block.file, [block.content], [None])
        elif block.kind == "json":
            yield Written(block.file, block.content)
        elif block.kind == "console":
            yield from _commands(block.content)
        else:
            assert block.kind == "sh", block.kind
    if program is not None:
        yield program


def _commands(content: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        more = next((at for at, line in enumerate(lines) if at and line[:2] != "> "), len(lines))
        command = [lines[0], *(line.removeprefix("> ") for line in lines[1:more])]
        yield Command("\n".join(command), "".join(f"{line}\n" for line in lines[more:]))


@dataclass(frozen=True)
class Seen:
    """What came of a part of a program, or of a command.

    Attributes:
        of: The part, or the command.
        shown: What the page says of it.
        printed: What was really printed.
    """

    of: str
    shown: str
    printed: str


def done(step: Step, folder: Path, environment: dict[str, str]) -> list[Seen]:
    """Do one step in a folder; what a command exports is in the environment of those after it."""
    match step:
        case Written():
            _write(folder / step.file, step.content)
            return []
        case Program():
            _write(folder / step.file, step.text)
            shows = any(shown is not None for shown in step.shown)
            return _run(step, folder, environment) if shows else []
        case Command():
            return [Seen(step.script, step.shown, _shell(step.script, folder, environment))]


def _shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints."""
    ran = subprocess.run(
        ["bash", "-c", f"{script}\nprintf '{_END}'; env -0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    printed, _, variables = ran.stdout.partition(_END)
    pairs = (line.partition("=") for line in variables.split("\0") if line)
    environment.clear()
    environment.update({name: value for name, _, value in pairs})
    return printed


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def _run(program: Program, folder: Path, environment: Mapping[str, str]) -> list[Seen]:
    ran = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps([program.file, program.parts]),
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    printed = ran.stdout.split(_END)
    assert len(printed) == len(program.parts) + 1, ran.stdout + ran.stderr
    return [
        Seen(part, shown or "", text)
        for part, shown, text in zip(program.parts, program.shown, printed, strict=False)
    ]

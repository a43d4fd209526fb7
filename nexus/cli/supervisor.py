"""Runs child processes in the foreground: starts, restarts, and ends them in order.

The children stay in this process's group, so that one signal to the group reaches all. They are
told by the kernel when this process is gone, so that none is left behind, whatever ended it.
A child that dies is started again after a pause that doubles, until it has run for a while.
What a child writes goes into its log file; lines that matter are echoed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nexus.cli.child_logs import ChildLog
from nexus.cli.orphans import dies_with_parent
from nexus.cli.progress import say

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

# A child that ran this long was well: its next death starts with the short pause again.
WELL_AFTER = 30.0


def silent(line: str) -> str | None:  # noqa: ARG001 - one of the ways to echo
    """Shows nothing of a child's output."""
    return None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A program to keep running.

    Attributes:
        name: What it is called in messages and in its log's file name.
        command: Its command line.
        environment: What is added to the environment of this process.
        grace: Seconds between the request to end and SIGKILL.
        echo: Which lines of its output are shown, as what; None shows nothing.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    grace: float = 8.0
    echo: Callable[[str], str | None] = silent


class Child:
    """One program under supervision."""

    def __init__(self, spec: ChildSpec, logs: Path) -> None:
        self.spec = spec
        self.log = ChildLog(logs / f"{spec.name}.log")
        self.deaths = 0
        self._running: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._running.pid if self._running else None

    def start(self) -> None:
        """Starts the program, and watches it from now on."""
        self._watch = asyncio.create_task(self._keep_running(), name=self.spec.name)

    def let_end(self) -> None:
        """From now on, the program's end is no death, and it is not started again."""
        self._stopping.set()

    async def stop(self) -> None:
        """Asks the program to end, and makes it end after its grace."""
        self.let_end()
        process = self._running
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self.spec.grace)
            except TimeoutError:
                say(f"{self.spec.name} did not end within {self.spec.grace:.0f} s and is killed")
                self.kill()
                await process.wait()
        if self._watch is not None:
            # It ends by itself once the last lines are read, unless it sits out a pause.
            await asyncio.wait({self._watch}, timeout=1 if process is not None else 0)
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        self.log.close()

    def kill(self) -> None:
        """Ends the program at once."""
        if self._running is not None and self._running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._running.kill()

    async def _keep_running(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            reason = await self._run_once()
            if self._stopping.is_set():
                return
            self.deaths += 1
            if time.monotonic() - started >= WELL_AFTER:
                pause = FIRST_PAUSE
            say(
                f"{self.spec.name} {reason}; it starts again in {pause:g} s "
                f"(its log: {self.log.path})"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **self.spec.environment},
                preexec_fn=dies_with_parent(os.getpid()),
            )
        except OSError as error:
            return f"cannot be started ({error.strerror})"
        self._running = process
        if process.stdout is not None:
            async for line in _lines(process.stdout):
                self.log.write(line)
                if not self._stopping.is_set() and (shown := self.spec.echo(line)) is not None:
                    say(f"{self.spec.name}: {shown}")
        return _reason(await process.wait())


class Supervisor:
    """The children of one command, in the order in which they are started."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def start(self, spec: ChildSpec) -> Child:
        """Starts one more child."""
        child = Child(spec, self._logs)
        self._children.append(child)
        child.start()
        return child

    async def stop(self) -> None:
        """Ends all children, the last started first."""
        # All at once: who ended this process may have told its whole group.
        for child in self._children:
            child.let_end()
        for child in reversed(self._children):
            await child.stop()

    def kill(self) -> None:
        """Ends all children at once, for somebody who asks a second time."""
        for child in self._children:
            child.kill()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream; a line of any length, where `readline` has a limit."""
    rest = b""
    while piece := await stream.read(65536):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

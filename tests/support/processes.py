"""What every service of the tests needs: a free port, a check that something listens, an end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nexus.cli.orphans import dies_with_parent

_given: set[int] = set()
_MEASURING = frozenset({"COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"})


def free_port() -> int:
    """A TCP port that nothing uses, and that no other test of this process was given."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def listens(port: int) -> bool:
    """Whether something accepts connections."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def unmeasured() -> dict[str, str]:
    """The environment of the tests, for programs whose coverage is not measured: it would make
    them twice as slow, and tests of services are about what they do in time."""
    return {name: value for name, value in os.environ.items() if name not in _MEASURING}


def wait_until(
    condition: Callable[[], object], *, seconds: float = 30, what: str = "the condition"
) -> None:
    """Waits for something that comes true by itself.

    Raises:
        AssertionError: It did not, in that time.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} has not come true within {seconds:g} s")
        time.sleep(0.03)


class Service:
    """A program that runs while tests need it, and that a test may kill and start again.

    Attributes:
        log: Where the program's output goes.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        environment: dict[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        self._command = command
        self._environment = environment or {}
        self._user = user
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; the service must have been started."""
        assert self._running is not None
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Starts the program."""
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**unmeasured(), **self._environment},
                user=self._user,
                # No service outlives the tests, however they end.
                preexec_fn=dies_with_parent(os.getpid()),
            )

    def send(self, what: signal.Signals) -> None:
        """Sends a signal to the program, if it runs."""
        if self._running is not None and self._running.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._running.send_signal(what)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int | None:
        """Asks the program to end, waits, and returns its exit code."""
        return self._end(how, seconds)

    def kill(self) -> None:
        """Ends the program with SIGKILL."""
        self._end(signal.SIGKILL, 10)

    def output(self) -> str:
        """What the program has written so far; "" before its first start."""
        if not self.log.exists():
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _end(self, how: signal.Signals, seconds: float) -> int | None:
        if self._running is None:
            return None
        self.send(how)
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self._running.kill()
            return self._running.wait(10)

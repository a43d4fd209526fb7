"""A Temporal development server for tests, started as `nexus dev` starts it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nexus.cli.temporal_server import server_command
from tests.support.processes import Service, free_port, wait_until

_STARTS = 3


class TemporalServer:
    """A Temporal that a test may kill; what it had acknowledged is in its file.

    Attributes:
        address: host:port of the frontend.
        namespace: The namespace that it comes with.
        service: The process.
    """

    namespace = "default"

    def __init__(self, temporal: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._temporal = temporal
        self.service = Service(
            server_command(temporal, database=folder / "temporal.db", port=port, ui_port=None),
            folder / "temporal.log",
        )

    def start(self) -> None:
        """Starts the server, and returns once it answers.

        It chooses ports for its own parts, and ends where another program was quicker to
        take one: then it is started again.
        """
        for _ in range(_STARTS - 1):
            self.service.start()
            wait_until(self._healthy_or_ended, what=f"Temporal at {self.address}")
            if self.service.alive:
                return
        self.service.start()
        wait_until(self._healthy, what=f"Temporal at {self.address}")

    def stop(self) -> None:
        """Ends the server. Its file stays, so nothing of worth is lost by ending it at once."""
        self.service.kill()

    def _healthy_or_ended(self) -> bool:
        return not self.service.alive or self._healthy()

    def _healthy(self) -> bool:
        assert self.service.alive, f"Temporal ended:\n{self.service.output()[-2000:]}"
        temporal = str(self._temporal)
        command = [temporal, "operator", "cluster", "health", "--address", self.address]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

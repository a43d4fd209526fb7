"""The whole platform as separate processes, each of which a test may kill."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import httpx

from nexus.cli.tokens import issue_token
from nexus.settings import sqlite_url
from tests.support.commands import nexus
from tests.support.processes import Service, free_port, wait_until
from tests.support.temporal import TemporalServer

Part = Literal["temporal", "worker", "api"]

DEFINITIONS = Path(__file__).resolve().parents[2] / "definitions"


class Platform:
    """Temporal, the database's schema, a worker and the API, run by the production commands.

    Attributes:
        url: Base URL of the API.
        temporal: Temporal's server.
        worker: The worker's process.
        api: The API's process.
        environment: What the parts are told (`NEXUS_…`).
    """

    def __init__(
        self,
        temporal: Path,
        folder: Path,
        database_url: str | None = None,
        *,
        definitions: Path = DEFINITIONS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.temporal = TemporalServer(temporal, folder)
        self._secret = secrets.token_hex(32)
        self.environment = {
            "NEXUS_DATA_DIR": str(folder),
            "NEXUS_DATABASE_URL": database_url or sqlite_url(folder),
            "NEXUS_DEFINITIONS": str(definitions),
            "NEXUS_JWT_SECRET": self._secret,
            "NEXUS_TEMPORAL_ADDRESS": self.temporal.address,
            "NEXUS_WEB_UI_URL": "http://127.0.0.1:8233",
        }
        self.worker = self._part(folder, "worker")
        self.api = self._part(folder, "api", "--port", str(port))

    def start(self) -> None:
        """Starts all parts, and returns once the API says that it is ready."""
        self.temporal.start()
        migrated = nexus("migrate", environment=self.environment)
        assert migrated.returncode == 0, migrated.stderr
        self.api.start()
        start_worker(self.worker)
        self.wait_ready()

    def stop(self) -> None:
        """Ends all parts."""
        self.api.stop()
        self.worker.stop()
        self.temporal.stop()

    def kill(self, part: Part) -> None:
        """Ends one part with SIGKILL."""
        self._service(part).kill()

    def bring_back(self, part: Part) -> None:
        """Starts a part again, and returns once the platform is ready."""
        if part == "temporal":
            self.temporal.start()
        elif part == "worker":
            start_worker(self.worker)
        else:
            self.api.start()
        self.wait_ready()

    def another_worker(self, folder: Path) -> Service:
        """A further worker of the same task queue, not started yet; its log is in `folder`."""
        return self._part(folder, "worker")

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until the API says that database, Temporal and a worker are there."""
        wait_until(self._is_ready, seconds=seconds, what=f"{self.url}/readyz")

    def client(
        self, user: str, *roles: str, tenant: str = "acme", timeout: float = 60
    ) -> httpx.Client:
        """A client of the API with a token of its own; close it, or use it in a `with`."""
        return httpx.Client(
            base_url=self.url, headers=self.headers(user, roles, tenant), timeout=timeout
        )

    def headers(self, user: str, roles: Sequence[str] = (), tenant: str = "acme") -> dict[str, str]:
        """The headers that a user's requests carry."""
        token = issue_token(self._secret, tenant=tenant, user=user, roles=roles)
        return {"Authorization": f"Bearer {token}"}

    def _service(self, part: Part) -> Service:
        return {"temporal": self.temporal.service, "worker": self.worker, "api": self.api}[part]

    def _part(self, folder: Path, name: str, *arguments: str) -> Service:
        return Service(
            [sys.executable, "-m", "nexus", name, *arguments],
            folder / f"{name}.log",
            environment=self.environment,
        )

    def _is_ready(self) -> bool:
        assert self.api.alive, f"the API ended:\n{self.api.output()[-3000:]}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def start_worker(worker: Service) -> None:
    """Starts a worker, and returns once it works.

    The API cannot tell: to it, a worker that has just been killed still polls for a while.
    """
    words = "working on the task queue"
    before = worker.output().count(words)
    worker.start()
    wait_until(lambda: worker.output().count(words) > before, what="a worker's start")

"""The API on a port of its own, and tokens to call it with."""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import uvicorn

from api.app import create_app
from nexus.settings import Settings
from storage import migrate
from tests.support.processes import Service, free_port, wait_until

SECRET = "a secret of thirty-two characters or more"


def make_settings(
    folder: Path, *, database_url: str, temporal: str = "127.0.0.1:1", task_queue: str = "nexus"
) -> Settings:
    """Settings of a test; nothing listens on Temporal's default address here."""
    definitions = folder / "definitions"
    definitions.mkdir(exist_ok=True)
    return Settings(
        database_url=database_url,
        temporal_address=temporal,
        task_queue=task_queue,
        jwt_secret=SECRET,
        definitions=definitions,
        web_ui_url="http://ui.test",
        data_dir=folder,
    )


def token(
    user: object = "ann",
    tenant: object = "acme",
    roles: object = (),
    *,
    secret: str = SECRET,
    lives: timedelta = timedelta(hours=1),
    **claims: object,
) -> str:
    """A bearer token; claims given as None are left out."""
    expires = datetime.now(UTC) + lives
    body = {"sub": user, "tenant": tenant, "roles": roles, "exp": expires, **claims}
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, secret, algorithm="HS256")


class ServedApi:
    """A running API.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        migrate.upgrade(settings.database_url)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.app = create_app(settings)
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, port=port, log_level="warning", access_log=False)
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> None:
        """Return once it answers."""
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), what="the API")
        assert self._server.started, "the API ended while starting"

    def stop(self) -> None:
        """End it, and wait for that."""
        self._server.should_exit = True
        until = time.monotonic() + 10
        self._thread.join(max(0.0, until - time.monotonic()))

    def client(
        self, user: str = "ann", tenant: str = "acme", roles: tuple[str, ...] = ()
    ) -> httpx.Client:
        """A client that calls as somebody."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token(user, tenant, roles)}"},
            timeout=60,
        )


class Platform:
    """An API, a worker, and the Temporal that they share with other tests.

    Attributes:
        api: The API, in this process.
        worker: The worker, in a process of its own, so that a test may kill it.
    """

    def __init__(self, folder: Path, *, database_url: str, temporal: str) -> None:
        queue = f"queue-{folder.name}"
        settings = make_settings(
            folder, database_url=database_url, temporal=temporal, task_queue=queue
        )
        self.api = ServedApi(settings)
        self.worker = Service(
            [sys.executable, "-m", "nexus", "worker"],
            folder / "worker.log",
            environment={
                "NEXUS_DATABASE_URL": database_url,
                "NEXUS_TEMPORAL_ADDRESS": temporal,
                "NEXUS_TASK_QUEUE": queue,
                "NEXUS_JWT_SECRET": SECRET,
                "NEXUS_DATA_DIR": str(folder),
            },
        )

    def start(self) -> None:
        """Return once the platform is ready."""
        self.worker.start()
        self.api.start()
        wait_until(self._ready, seconds=30, what="the platform")

    def stop(self) -> None:
        """End both."""
        self.api.stop()
        self.worker.stop()

    def define(self, document: dict[str, object], tenant: str = "acme") -> None:
        """Store a definition for a tenant."""
        with self.api.client("root", tenant, ("admin",)) as client:
            answer = client.post("/v1/definitions", json=document)
        assert answer.status_code in (200, 201), answer.text

    def _ready(self) -> bool:
        assert self.worker.alive, self.worker.output()[-3000:]
        return httpx.get(f"{self.api.url}/readyz").status_code == 200

"""The API on a port of its own, and tokens to call it with."""

from __future__ import annotations

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
from tests.support.processes import free_port, wait_until

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

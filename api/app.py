"""The application: parts made, routes joined, folder watched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api import handlers, openapi
from api.authentication import Authentication
from api.commands import Commands
from api.folder import DefinitionsFolder
from api.gateway import Gateway
from api.idempotency import Idempotency
from api.observing import Observing, configure_logs
from api.reading import Database
from api.routes import (
    dashboard,
    definitions,
    diagrams,
    incidents,
    instances,
    mails,
    me,
    system,
    versions,
)
from api.services import Services
from nexus.channels import load_channels
from nexus.settings import Settings
from storage.engine import create_engine

VERSION = "1"
_FIRST_LOOK = 5.0
"""Seconds that starting waits for the definitions folder; a database that is away takes longer."""

log = structlog.get_logger("api")


def create_app(settings: Settings) -> FastAPI:
    """The API, ready to be served; it connects when it starts.

    Raises:
        ValueError: There is no secret to verify tokens with.
        ChannelLoadError: A channel cannot be loaded.
        SettingsFileError: The operator's settings of channels cannot be used.
    """
    configure_logs()
    channels = load_channels()
    authentication = Authentication(settings.jwt_secret)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings.database_url)
        # Lazily: an API that starts before Temporal becomes ready when Temporal does.
        client = await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            data_converter=pydantic_data_converter,
            lazy=True,
        )
        database = Database(engine)
        gateway = Gateway(client, settings.task_queue)
        folder = DefinitionsFolder(engine, settings.definitions, channels.seen_by(None))
        app.state.services = Services(
            settings=settings,
            engine=engine,
            database=database,
            gateway=gateway,
            commands=Commands(database, gateway, settings.signal_roles),
            authentication=authentication,
            idempotency=Idempotency(database),
            channels=channels,
            folder=folder,
        )
        watching = asyncio.create_task(folder.run())
        watching.add_done_callback(_notice)
        await folder.looked(_FIRST_LOOK)
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            engine.dispose()

    app = FastAPI(
        title="Nexus",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url="/docs",
        redoc_url=None,
    )
    for routes in (
        definitions,
        versions,
        diagrams,
        instances,
        incidents,
        dashboard,
        mails,
        me,
        system,
    ):
        app.include_router(routes.router)
    handlers.install(app)
    app.add_middleware(Observing)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app


def _notice(task: asyncio.Task[None]) -> None:
    """A watcher that breaks must not do so in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("definitions_folder_unwatched", exc_info=error)

"""What the routes work with; made once per application."""

from __future__ import annotations

from dataclasses import dataclass

from api.authentication import Authentication
from api.commands import Commands
from api.folder import DefinitionsFolder
from api.gateway import Gateway
from api.idempotency import Idempotency
from api.reading import Database
from nexus.channels import Channels
from nexus.settings import Settings
from storage.engine import Engine


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the API.

    Attributes:
        settings: What it was told.
        engine: The database that projections are read from.
        database: Reads and writes in threads, and waits for one that is away.
        gateway: The way to Temporal.
        commands: Starts instances, commands them and asks them.
        authentication: Reads tokens.
        idempotency: Keeps answers by key.
        channels: What is installed, for the checks of definitions; nothing is called here.
        folder: The watched folder of definitions.
    """

    settings: Settings
    engine: Engine
    database: Database
    gateway: Gateway
    commands: Commands
    authentication: Authentication
    idempotency: Idempotency
    channels: Channels
    folder: DefinitionsFolder

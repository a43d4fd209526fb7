"""The platform as the models of this process know it: one client, who it is, what is stored."""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from nexus.client import Forbidden, Me, NexusClient, NotFound
from nexus.core.commands import ADMIN, Actor
from nexus.core.compiler import program_of
from nexus.core.program import Program
from nexus.local.configuration import APPLICATION, ConfigurationError, Platform
from nexus.local.definition import ModelDefinition
from nexus.local.spec import warn

_LIVE_FOR = 30.0  # seconds for which a live version is taken for live without asking again


class StoredProgram(Struct, frozen=True):
    """A definition of the platform, compiled."""

    id: str
    version: str
    program: Program


class Connection:
    """One platform, one token.

    Args:
        there: Where it is, and what opens it.
    """

    def __init__(self, there: Platform) -> None:
        self.url = there.url
        self._client = NexusClient(there.url, there.token)
        self._me: Me | None = None
        self._versions: dict[tuple[str, str], StoredProgram] = {}
        self._live: dict[str, tuple[StoredProgram, float]] = {}
        self._compared: set[str] = set()

    @property
    def client(self) -> NexusClient:
        """The client, acting as the token's user."""
        return self._client

    @property
    def me(self) -> Me:
        """Whom the token names."""
        if self._me is None:
            self._me = self._client.me()
        return self._me

    @property
    def default_actor(self) -> Actor:
        """Who acts where nobody is named: the application, if the token may act for others."""
        if ADMIN in self.me.roles:
            return Actor(APPLICATION)
        return Actor(self.me.user, tuple(self.me.roles))

    def acting(self, actor: Actor) -> NexusClient:
        """The client, acting as somebody."""
        if actor == Actor(self.me.user, tuple(self.me.roles)):
            return self._client
        return self._client.acting(actor.id, actor.roles)

    def live(self, own: ModelDefinition) -> StoredProgram:
        """The definition that new instances of a model take.

        The platform's own, where it has one of this id; else the model's, which is stored there.

        Raises:
            ConfigurationError: There is none, and the token may not store one.
        """
        id_ = own.program.id
        known = self._live.get(id_)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        try:
            found = self._client.definition(id_)
        except NotFound:
            self._store(own)
            found = self._client.definition(id_)
        stored = self._compiled(found.id, found.version, found.document)
        if id_ not in self._compared:
            self._compared.add(id_)
            _compare(own, found.version, found.document)
        self._live[id_] = (stored, time.monotonic() + _LIVE_FOR)
        return stored

    def version(self, id_: str, version: str) -> StoredProgram:
        """One version of a definition, as a running instance has it."""
        known = self._versions.get((id_, version))
        if known is None:
            found = self._client.definition(id_, version=version)
            known = self._compiled(found.id, found.version, found.document)
        return known

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _store(self, own: ModelDefinition) -> None:
        try:
            self._client.store_definition(own.document)
        except Forbidden as error:
            raise ConfigurationError(
                f"The platform has no definition {own.program.id!r}, and this token may not store "
                f"the model's: it takes the role {ADMIN!r} ({error.message})"
            ) from None

    def _compiled(self, id_: str, version: str, document: Mapping[str, Any]) -> StoredProgram:
        program = program_of(json.dumps(document, ensure_ascii=False))
        stored = StoredProgram(id_, version, program)
        self._versions[id_, version] = stored
        return stored


def _compare(own: ModelDefinition, version: str, document: Mapping[str, Any]) -> None:
    # One that names no domain is for both sides, and so for this one.
    if {**own.document} != {"domain": own.program.domain, **document}:
        warn(
            f"The platform's definition {own.program.id!r} {version} is not the one in the code, "
            "and goes before it."
        )


_connections: dict[tuple[int, str, str], Connection] = {}
_connecting = threading.Lock()


@atexit.register
def _close_all() -> None:
    for (process, _, _), connection in _connections.items():
        if process == os.getpid():
            connection.close()


def connection_to(there: Platform) -> Connection:
    """The connection of this process to a platform; a forked process gets its own."""
    key = (os.getpid(), there.url, there.token)
    with _connecting:
        if key not in _connections:
            _connections[key] = Connection(there)
        return _connections[key]

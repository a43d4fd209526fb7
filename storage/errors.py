"""What storage can complain about, in one tree.

    StorageError
    ├── InvalidCursor     a page's cursor cannot be read
    ├── VersionExists     a definition's version is stored with other content
    ├── KeyReused         an idempotency key came back with another body
    └── UnscopedQuery     a query would have escaped its tenant; a fault in our code

A database that is away raises its driver's own errors: `is_unavailable` tells
them from those that no retry will heal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import sqlalchemy.exc

from nexus.core.errors import NexusError


class StorageError(NexusError):
    """Base of every error that storage raises on purpose."""


class InvalidCursor(StorageError):
    """The cursor of a page cannot be read, or belongs to a differently sorted list."""


class VersionExists(StorageError):
    """The same version of a definition is stored with other content (R23).

    Attributes:
        definition: Id of the definition.
        version: The version that is taken.
    """

    def __init__(self, definition: str, version: str) -> None:
        super().__init__(
            f"Version {version} of {definition!r} is stored with other content; "
            "give the changed definition a new version."
        )
        self.definition = definition
        self.version = version


class KeyReused(StorageError):
    """An idempotency key was used before, with another body (R26).

    Attributes:
        key: The key in question.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} was used with another body.")
        self.key = key


class UnscopedQuery(StorageError):
    """A statement would have run without its tenant."""


# Primary result codes of SQLite that pass by themselves or with an operator's hand.
_SQLITE_AWAY = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    )
)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is away or overloaded, so that a later try may succeed.

    True for lost and refused connections, an exhausted pool, statement and lock
    time-outs, deadlocks, a full disk and a server that has become read-only.
    False for what is wrong with the statement or its data.
    """
    return any(_is_away(link) for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        origin = getattr(link, "orig", None)
        link = origin if isinstance(origin, BaseException) else link.__cause__


def _is_away(error: BaseException) -> bool:
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return True
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return True
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", None)
        # The lower byte of an extended code is the primary one.
        return code is not None and code & 0xFF in _SQLITE_AWAY
    return False

"""The database from the event loop: in threads, scoped to a tenant, and with patience.

A database that is away for ten seconds delays requests and loses none, so
connection-level failures are tried again until the patience is used up.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from api.problems import unavailable
from storage.engine import Engine
from storage.errors import is_unavailable
from storage.scope import TenantSession, reading, writing

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 15.0
"""Seconds until a database that stays away becomes a 503."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_THREADS = 16

log = structlog.get_logger("api.database")


class Database:
    """Runs work on the database in threads, each piece in a transaction of its own.

    A piece of work may be run several times, even after a commit whose answer
    was lost, and must bear it.

    Args:
        engine: Where to.
        patience: Seconds to keep trying while the database is away.
        threads: How many at once; more than the connection pool holds would only wait there.
    """

    def __init__(self, engine: Engine, patience: float = PATIENCE, threads: int = _THREADS) -> None:
        self._engine = engine
        self._patience = patience
        # Made here and used by one event loop alone, that of the application.
        self._limiter = CapacityLimiter(threads)

    async def read(
        self,
        tenant: str,
        work: Callable[Concatenate[TenantSession, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of work that reads a tenant's rows.

        Raises:
            Problem: `unavailable`, if the database stayed away.
        """

        def call() -> T:
            with reading(self._engine, tenant) as session:
                return work(session, *args, **kwargs)

        return await self.run(call)

    async def write(
        self,
        tenant: str,
        work: Callable[Concatenate[TenantSession, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of work that writes a tenant's rows, once it is committed.

        Raises:
            Problem: `unavailable`, if the database stayed away.
        """

        def call() -> T:
            with writing(self._engine, tenant) as session:
                return work(session, *args, **kwargs)

        return await self.run(call)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of any blocking work.

        Raises:
            Problem: `unavailable`, if the database stayed away.
        """
        call = functools.partial(work, *args, **kwargs)
        until, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return await to_thread.run_sync(call, limiter=self._limiter)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                if time.monotonic() + pause > until:
                    log.warning("database_unavailable", error=str(error))
                    raise unavailable("The database is away.") from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

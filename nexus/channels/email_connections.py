"""Connections to mail servers: opened when needed, used again, closed when idle."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiosmtplib

from nexus.contracts import ChannelError

IDLE_FOR = 30.0  # seconds until an unused connection is closed
MOST_USES = 100  # mails over one connection; many servers close after about as many

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to connect; equal ones share connections."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    helo: str | None = None
    most: int = 4


@dataclass(slots=True)
class _Connection:
    client: aiosmtplib.SMTP
    uses: int = 0
    since: float = 0.0


@dataclass(slots=True)
class _Pool:
    slots: asyncio.Semaphore
    idle: list[_Connection] = field(default_factory=list)


class Connections:
    """Pools of connections, one for each server. For one event loop at a time."""

    def __init__(self) -> None:
        self._pools: dict[Server, _Pool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def of(self, server: Server, seconds: float) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that answers, for one mail at a time.

        It is kept for the next mail, unless something was raised.

        Args:
            server: Where to.
            seconds: How long connecting, and each command later, may take.

        Raises:
            ChannelError: There is no connection to be had.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # connections of another loop are of no use in this one
            self._loop, self._pools = loop, {}
        pool = self._pools.setdefault(server, _Pool(asyncio.Semaphore(server.most)))
        async with pool.slots:
            connection = await self._idle(pool, seconds) or await _connect(server, seconds)
            connection.client.timeout = seconds
            try:
                yield connection.client
            except BaseException:
                connection.client.close()
                raise
            connection.uses += 1
            connection.since = time.monotonic()
            if connection.uses >= MOST_USES:
                await _quit(connection)
            else:
                pool.idle.append(connection)

    async def _idle(self, pool: _Pool, seconds: float) -> _Connection | None:
        """A connection that is open and still answers; the server may have closed it meanwhile."""
        while pool.idle:
            connection = pool.idle.pop()
            if time.monotonic() - connection.since < IDLE_FOR and connection.client.is_connected:
                try:
                    await connection.client.rset(timeout=seconds)
                except (aiosmtplib.SMTPException, OSError):
                    connection.client.close()
                else:
                    return connection
            else:
                await _quit(connection)
        return None

    async def close(self) -> None:
        """Close what is idle."""
        pools, self._pools = self._pools, {}
        if asyncio.get_running_loop() is self._loop:
            for pool in pools.values():
                for connection in pool.idle:
                    await _quit(connection)


async def _quit(connection: _Connection) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await connection.client.quit(timeout=1)
    connection.client.close()


async def _connect(server: Server, seconds: float) -> _Connection:
    where = f"{server.host}:{server.port}"
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        username=server.username,
        password=server.password,
        local_hostname=server.helo,
        timeout=seconds,
        tls_context=_tls(server),
    )
    try:
        await client.connect()
    except aiosmtplib.SMTPAuthenticationError as error:
        client.close()
        final = error.code >= 500
        raise ChannelError(
            "login_refused",
            f"{where} refuses the login of {server.username!r} ({error.code}).",
            retryable=not final,
        ) from None
    except (aiosmtplib.SMTPNotSupported, ssl.SSLError) as error:
        client.close()
        raise _no_tls(where, error) from None
    except aiosmtplib.SMTPConnectResponseError as error:
        client.close()
        raise ChannelError(
            "refused_by_server",
            f"{where} takes no connection: {error.code} {said(error.message)}",
            retryable=error.code < 500,
        ) from None
    except (aiosmtplib.SMTPTimeoutError, TimeoutError):
        client.close()
        raise ChannelError("timed_out", f"{where} did not answer within {seconds:g} s.") from None
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        if isinstance(error.__cause__, ssl.SSLError) or "STARTTLS" in str(error):
            raise _no_tls(where, error) from None
        raise ChannelError(
            "unreachable", f"{where} cannot be reached: {said(str(error))}"
        ) from None
    return _Connection(client)


def _no_tls(where: str, error: Exception) -> ChannelError:
    """Never without the encryption that is configured: nothing is sent instead."""
    reason = getattr(error.__cause__ or error, "verify_message", "") or str(error)
    return ChannelError(
        "no_encryption",
        f"{where} gives no encrypted connection that can be trusted: {said(reason)}",
        retryable=False,
    )


def _tls(server: Server) -> ssl.SSLContext | None:
    if server.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ChannelError(
            "not_configured",
            f"The CA file {server.ca_file} cannot be used ({error}).",
            retryable=False,
        ) from None


def said(words: str) -> str:
    """A server's words in a message of ours: one line, not too long, ended."""
    line = " ".join("".join(char if char.isprintable() else " " for char in words).split())[:500]
    return line if line.endswith(".") else f"{line}."

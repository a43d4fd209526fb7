"""Connections to mail servers: opened when needed, used again, closed when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiosmtplib

from nexus.contracts import ChannelError

IDLE_FOR = 30.0  # seconds until an unused connection is closed
NOT_KNOWN = (500, 502, 504)  # a server's answer to commands of which it has never heard
FINAL = 500  # the code from which on a server's answer is its last word
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
    expires: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Pool:
    slots: asyncio.Semaphore
    idle: list[_Connection] = field(default_factory=list)


class Connections:
    """Pools of connections, one for each server. For one event loop at a time."""

    def __init__(self) -> None:
        self._pools: dict[Server, _Pool] = {}
        self._leaving: set[asyncio.Future[None]] = set()
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
            connection = await _idle(pool, seconds) or await _connect(server, seconds)
            connection.client.timeout = seconds
            try:
                yield connection.client
            except BaseException:
                connection.client.close()
                raise
            connection.uses += 1
            if connection.uses >= MOST_USES:
                await _quit(connection)
            elif connection.client.is_connected:
                connection.expires = loop.call_later(IDLE_FOR, self._expire, pool, connection)
                pool.idle.append(connection)

    def _expire(self, pool: _Pool, connection: _Connection) -> None:
        pool.idle.remove(connection)
        leaving = asyncio.ensure_future(_quit(connection))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Close what is idle."""
        pools, self._pools = self._pools, {}
        if asyncio.get_running_loop() is self._loop:
            for pool in pools.values():
                while pool.idle:
                    await _quit(_taken(pool))
            await asyncio.gather(*self._leaving)


def _taken(pool: _Pool) -> _Connection:
    connection = pool.idle.pop()
    if connection.expires is not None:
        connection.expires.cancel()
    return connection


async def _idle(pool: _Pool, seconds: float) -> _Connection | None:
    """A connection that is open and still answers; the server may have closed it meanwhile."""
    while pool.idle:
        connection = _taken(pool)
        try:
            if connection.client.is_connected:
                await connection.client.rset(timeout=seconds)
                return connection
        except (aiosmtplib.SMTPException, OSError):
            pass  # the next one, or a new one
        except BaseException:
            connection.client.close()
            raise
        connection.client.close()
    return None


async def _quit(connection: _Connection) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await connection.client.quit(timeout=1)
    connection.client.close()


async def _connect(server: Server, seconds: float) -> _Connection:
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=False,  # below, where it is known why it fails
        local_hostname=server.helo,
        timeout=seconds,
        tls_context=_tls(server),
    )
    try:
        await client.connect()
        await _greet(client)
        if server.security == "starttls":
            await _encrypt(client, server)
        if server.username is not None:
            await _log_in(client, server)
    except BaseException as error:
        client.close()
        if isinstance(error, aiosmtplib.SMTPException | OSError | UnicodeError):
            raise _told(error, server, seconds) from None
        raise
    return _Connection(client)


async def _encrypt(client: aiosmtplib.SMTP, server: Server) -> None:
    if not client.supports_extension("starttls"):
        raise _no_tls(server, "it offers no STARTTLS")
    await client.starttls()
    await _greet(client)  # what was said before could have been said by anybody


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Hear what the server can do; one that does not know the question can do nothing special."""
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in NOT_KNOWN:
            raise
        await client.helo()


async def _log_in(client: aiosmtplib.SMTP, server: Server) -> None:
    where, user = f"{server.host}:{server.port}", server.username or ""
    if not client.supported_auth_methods:
        raise ChannelError(
            "login_refused", f"{where} offers no login that is known here.", retryable=False
        )
    try:
        await client.login(user, server.password or "")
    except aiosmtplib.SMTPAuthenticationError as error:
        # Its words are left out: some servers repeat what they were given.
        raise ChannelError(
            "login_refused",
            f"{where} refuses the login of {user!r} ({error.code}).",
            retryable=error.code < FINAL,
        ) from None


def _told(error: Exception, server: Server, seconds: float) -> ChannelError:
    """Why there is no connection."""
    where = f"{server.host}:{server.port}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return ChannelError(
            "refused_by_server",
            f"{where} takes no connection: {error.code} {said(error.message)}",
            retryable=error.code < FINAL,
        )
    if isinstance(error, TimeoutError):
        return ChannelError("timed_out", f"{where} did not answer within {seconds:g} s.")
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return _no_tls(server, getattr(cause, "verify_message", "") or str(cause))
    if isinstance(cause, OSError) and cause.errno:
        said_by_system = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror
        return ChannelError("unreachable", f"{where} cannot be reached: {said_by_system}.")
    return ChannelError("unreachable", f"{where} cannot be reached: {said(str(cause))}")


def _no_tls(server: Server, why: str) -> ChannelError:
    """Never without the encryption that is configured: nothing is sent instead."""
    return ChannelError(
        "no_encryption",
        f"{server.host}:{server.port} gives no encrypted connection that can be trusted: "
        f"{said(why)}",
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

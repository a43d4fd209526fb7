"""A mail server of flesh and bone: real sockets, and every fault a mail server can have.

    with SmtpServer() as server:
        server.on("RCPT", reply(450, "later"), ok())
        …send a mail to 127.0.0.1:server.port…
        assert server.taken["<id@example.com>"] == 1

It runs in a thread of its own, for callers in this process and in others. Its steps are those of
the protocol: `CONNECT` (the greeting), `EHLO`, `STARTTLS`, `AUTH`, `MAIL`, `RCPT`, `DATA` (the
answer that asks for the mail), `BODY` (the answer to the mail itself), `RSET` and `QUIT`.

As a program it takes mails, forgets them, and prints its port: `python -m tests.support.smtp`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from types import TracebackType
from typing import Literal

import pytest

EXTENSIONS = ("8BITMIME", "SMTPUTF8", "SIZE 33554432")


@dataclass(frozen=True, kw_only=True)
class TakenMail:
    """One mail for which the server has taken the responsibility.

    `connection` counts from 1; `user` is who logged in, "" for nobody.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    connection: int
    encrypted: bool
    user: str
    options: tuple[str, ...]

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        message = BytesParser(policy=policy.default).parsebytes(self.content)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def message_id(self) -> str:
        return str(self.message.get("Message-ID", ""))


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the server does at one step. Make them with the functions below."""

    code: int = 0
    text: str = "fine"
    after: float = 0.0
    fault: Literal["", "hang", "drop", "lose", "twice", "garbage"] = ""


Script = Behaviour | Callable[[str], Behaviour]


def ok(*, after: float = 0.0) -> Behaviour:
    """The usual answer, `after` so many seconds."""
    return Behaviour(after=after)


def reply(code: int, text: str = "as it was told") -> Behaviour:
    """This answer; at `BODY`, any but 2yz means that the mail was not taken."""
    return Behaviour(code=code, text=text)


def hang() -> Behaviour:
    """No answer, ever."""
    return Behaviour(fault="hang")


def drop() -> Behaviour:
    """The connection is closed without an answer; nothing is done."""
    return Behaviour(fault="drop")


def lose_answer() -> Behaviour:
    """At `BODY`: takes the mail, and closes the connection before it says so."""
    return Behaviour(fault="lose")


def twice() -> Behaviour:
    """The usual answer, and then once more, unasked."""
    return Behaviour(fault="twice")


def garbage() -> Behaviour:
    """Something that is no SMTP."""
    return Behaviour(fault="garbage")


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for these names, signed by itself, and its key; skips where none can be made.

    The certificate is its own authority: clients that trust this file trust it.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    made, key = folder / "certificate.pem", folder / "key.pem"
    alternatives = ",".join(
        f"IP:{name}" if name[0].isdigit() else f"DNS:{name}" for name in (names or ("127.0.0.1",))
    )
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=mail.test", "-addext", f"subjectAltName={alternatives}"]
    files = ["-keyout", str(key), "-out", str(made)]
    subprocess.run([openssl, *asked.split(), *subject, *files], check=True, capture_output=True)
    return made, key


def tls_context(made: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to encrypt."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context


class SmtpServer:
    """Listens on 127.0.0.1; what it saw stays over `stop()` and `start()`, and so does the port.

    Args:
        tls: For STARTTLS, which is offered then, and for `implicit`.
        implicit: TLS from the first byte.
        users: Name → password; who is not logged in may not send, where there are any.
        extensions: What `EHLO` tells beside STARTTLS and AUTH.
        port: 0 for any.
        keeps: Whether it remembers mails and commands.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        users: Mapping[str, str] | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        port: int = 0,
        keeps: bool = True,
    ) -> None:
        self.tls = tls
        self.implicit = implicit
        self.users = dict(users or {})
        self.extensions = tuple(extensions)
        self.keeps = keeps
        self.mails: list[TakenMail] = []
        self.taken: Counter[str] = Counter()
        """Message-ID → how often it was taken."""
        self.commands: list[tuple[int, str]] = []
        """Connection and line, in their order; never what a login says."""
        self.connections = 0
        self._port = port
        self._scripts: dict[str, list[Script]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._open: set[asyncio.Task[None]] = set()

    # -- what it shall do ---------------------------------------------------------------------

    def on(self, step: str, *script: Script) -> None:
        """One behaviour for each time that a step comes up, in turn; the last one stays.

        A function is given the line that the client sent.
        """
        with self._changed:
            self._scripts[step] = list(script)

    def hang_up(self) -> None:
        """Close all connections, as a server does with those that are idle for long."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._open])

    @property
    def port(self) -> int:
        return self._port

    # -- what it saw --------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def said(self, verb: str) -> list[str]:
        """The lines of one command, over all connections."""
        with self._changed:
            return [line for _, line in self.commands if line.upper().startswith(verb)]

    def wait_until(self, condition: Callable[[SmtpServer], bool], timeout: float = 30.0) -> None:
        """Until `condition(server)` holds; looked at whenever something happens.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise TimeoutError(f"not within {timeout} s; the server heard {self.commands}")

    # -- its life -----------------------------------------------------------------------------

    def __enter__(self) -> SmtpServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when it does."""
        assert self._thread is None, "it runs"
        ready: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="smtp", daemon=True
        )
        self._thread.start()
        try:
            self._port = ready.result(timeout=10)
        except BaseException:
            self._thread = None
            raise

    def stop(self) -> None:
        """Close the port and all connections."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive(), "the mail server does not stop"
        self._thread = None

    async def _serve(self, ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            with self._changed:
                self._open.add(task)
                self.connections += 1
                number = self.connections
                self._changed.notify_all()
            try:
                await _Conversation(self, number, reader, writer).hold()
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                pass  # the client went away, which is its right
            except asyncio.CancelledError:
                pass  # hung up, which is ours
            finally:
                with self._changed:
                    self._open.discard(task)
                    self._changed.notify_all()
                writer.close()

        try:
            server = await asyncio.start_server(
                connected,
                "127.0.0.1",
                self._port,
                ssl=self.tls if self.implicit else None,
                limit=64 * 1024 * 1024,
            )
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    # -- what its conversations ask it ----------------------------------------------------------

    def next(self, step: str, line: str) -> Behaviour:
        """What is to be done at this step."""
        with self._changed:
            script = self._scripts.get(step)
            if not script:
                return ok()
            chosen = script.pop(0) if len(script) > 1 else script[0]
        return chosen if isinstance(chosen, Behaviour) else chosen(line)

    def heard(self, connection: int, line: str) -> None:
        """A command came."""
        if self.keeps:
            with self._changed:
                self.commands.append((connection, line))
                self._changed.notify_all()

    def take(self, mail: TakenMail) -> None:
        """A mail came."""
        if self.keeps:
            with self._changed:
                self.mails.append(mail)
                self.taken[mail.message_id] += 1
                self._changed.notify_all()


class _Hangup(Exception):
    """The server ends the conversation."""


class _Conversation:
    """What is said on one connection."""

    def __init__(
        self,
        server: SmtpServer,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._server = server
        self._number = number
        self._reader = reader
        self._writer = writer
        self._encrypted = server.implicit
        self._user = ""
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._options: tuple[str, ...] = ()

    async def hold(self) -> None:
        with contextlib.suppress(_Hangup):
            await self._answer("CONNECT", "", 220)
            while line := (await self._reader.readline()).decode(errors="surrogateescape").strip():
                verb = line.partition(" ")[0].upper()
                self._server.heard(self._number, "AUTH" if verb == "AUTH" else line)
                act = getattr(self, f"_{verb.lower()}", None)
                if act is None:
                    await self._say(500, "no such command")
                else:
                    await act(line)

    async def _ehlo(self, line: str) -> None:
        offers = [*self._server.extensions]
        if self._server.tls and not self._encrypted:
            offers.append("STARTTLS")
        if self._server.users:
            offers.append("AUTH PLAIN LOGIN")
        await self._answer("EHLO", line, 250, "\n".join(("mail.test", *offers)))

    async def _helo(self, _line: str) -> None:
        await self._say(250, "mail.test")

    async def _starttls(self, line: str) -> None:
        if self._server.tls is None or self._encrypted:
            await self._say(502, "no encryption here")
        elif await self._answer("STARTTLS", line, 220):
            await self._writer.start_tls(self._server.tls)
            self._encrypted = True

    async def _auth(self, line: str) -> None:
        _, kind, *rest = line.split(" ")
        if kind.upper() == "PLAIN":
            given = rest[0] if rest else await self._asked("")
            _, user, password = base64.b64decode(given).decode().split("\0")
        else:
            user = base64.b64decode(rest[0] if rest else await self._asked("VXNlcm5hbWU6")).decode()
            password = base64.b64decode(await self._asked("UGFzc3dvcmQ6")).decode()
        if self._server.users.get(user) != password:
            await self._say(535, f"{user} with {password} is not known here")
        elif await self._answer("AUTH", kind, 235):
            self._user = user

    async def _asked(self, what: str) -> str:
        await self._say(334, what)
        return (await self._reader.readline()).decode().strip()

    async def _mail(self, line: str) -> None:
        if self._server.users and not self._user:
            await self._say(530, "log in first")
            return
        if self._sender is not None:
            await self._say(503, "one mail at a time")
            return
        address, *options = line.partition(":")[2].split(" ")
        if await self._answer("MAIL", line, 250):
            self._sender, self._recipients = address.strip("<>"), []
            self._options = tuple(options)

    async def _rcpt(self, line: str) -> None:
        if self._sender is None:
            await self._say(503, "from whom?")
        elif await self._answer("RCPT", line, 250):
            self._recipients.append(line.partition(":")[2].split(" ")[0].strip("<>"))

    async def _data(self, line: str) -> None:
        if not self._recipients:
            await self._say(503, "to whom?")
        elif await self._answer("DATA", line, 354):
            raw = await self._reader.readuntil(b"\r\n.\r\n")
            content = raw[:-3].replace(b"\r\n..", b"\r\n.")
            await self._body(content.removeprefix(b".") if content[:2] == b".." else content)

    async def _body(self, content: bytes) -> None:
        assert self._sender is not None
        mail = TakenMail(
            sender=self._sender,
            recipients=tuple(self._recipients),
            content=content,
            connection=self._number,
            encrypted=self._encrypted,
            user=self._user,
            options=self._options,
        )
        self._sender, self._recipients = None, []
        behaviour = self._server.next("BODY", mail.sender)
        refused = behaviour.code >= 300 or behaviour.fault in ("drop", "hang", "garbage")
        if not refused:
            self._server.take(mail)
        await self._behave(behaviour, 250, "taken")

    async def _rset(self, line: str) -> None:
        if await self._answer("RSET", line, 250):
            self._sender, self._recipients = None, []

    async def _noop(self, _line: str) -> None:
        await self._say(250, "nothing done")

    async def _quit(self, line: str) -> None:
        await self._answer("QUIT", line, 221)
        raise _Hangup

    async def _answer(self, step: str, line: str, code: int, text: str = "") -> bool:
        """Returns whether it was the usual answer."""
        behaviour = self._server.next(step, line)
        await self._behave(behaviour, code, text)
        return behaviour.code in (0, code)

    async def _behave(self, behaviour: Behaviour, code: int, text: str) -> None:
        await asyncio.sleep(behaviour.after)
        if behaviour.fault == "hang":
            await asyncio.Event().wait()
        if behaviour.fault in ("drop", "lose"):
            raise _Hangup
        if behaviour.fault == "garbage":
            self._writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await self._writer.drain()
            raise _Hangup
        said = behaviour.text if behaviour.code else text or behaviour.text
        await self._say(behaviour.code or code, said, 2 if behaviour.fault == "twice" else 1)
        if behaviour.code == 421:
            raise _Hangup

    async def _say(self, code: int, text: str, times: int = 1) -> None:
        *more, last = text.split("\n")
        lines = [*(f"{code}-{line}\r\n" for line in more), f"{code} {last}\r\n"]
        self._writer.write("".join(lines).encode() * times)
        await self._writer.drain()


if __name__ == "__main__":
    with SmtpServer(keeps=False) as serving:
        print(serving.port, flush=True)
        while True:
            time.sleep(3600)

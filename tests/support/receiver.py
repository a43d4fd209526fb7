"""A webhook receiver of flesh and bone: real sockets, and every fault a receiver can have.

    with Receiver(secrets=["whsec_…"]) as receiver:
        receiver.on("/crm", answer(500), answer(500), answer(200))
        …call receiver.url("/crm")…
        assert receiver.succeeded[key] == 1

It runs in a thread of its own, for callers in this process and in others, verifies signatures
with the public library, and does what Standard Webhooks tells receivers to do: what it has done
for a `webhook-id` it does not do again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal

from standardwebhooks import Webhook, WebhookVerificationError

DEFAULT_BODY: Any = {"received": True}


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request, as it arrived.

    `signature` is `unsigned` where no `webhook-signature` came, `unchecked` where the receiver
    has no secrets; `answered` is the status that it was given, None for none at all.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    signature: Literal["verified", "unchecked", "unsigned", "bad"]
    duplicate: bool = False
    answered: int | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def key(self) -> str:
        """Its `webhook-id`; empty if there is none."""
        return self.headers.get("webhook-id", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the receiver does with one request. Make them with the functions below."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0
    fault: Literal["", "hang", "drop", "lose", "cut", "endless", "trickle", "twice", "garbage"] = ""

    @property
    def does_it(self) -> bool:
        """Whether the receiver has done what was asked, whatever becomes of the answer."""
        return 200 <= self.status < 300 and self.fault not in ("hang", "drop", "garbage")


Script = Behaviour | Callable[[Received], Behaviour]


def answer(
    status: int = 200,
    body: Any = DEFAULT_BODY,
    *,
    headers: Mapping[str, str] | None = None,
    after: float = 0.0,
) -> Behaviour:
    """An answer: bytes and text as they are, anything else as JSON; `after` so many seconds."""
    kind = "application/json"
    if isinstance(body, str | bytes):
        kind = "text/plain; charset=utf-8"
        raw = body if isinstance(body, bytes) else body.encode()
    else:
        raw = json.dumps(body).encode()
    return Behaviour(
        status=status, body=raw, headers={"Content-Type": kind, **(headers or {})}, after=after
    )


def redirect(to: str, status: int = 307) -> Behaviour:
    """Sent elsewhere."""
    return answer(status, "", headers={"Location": to})


def hang() -> Behaviour:
    """Takes the request and never answers; nothing is done."""
    return Behaviour(fault="hang")


def drop() -> Behaviour:
    """Closes the connection without an answer; nothing is done."""
    return Behaviour(fault="drop")


def lose_answer() -> Behaviour:
    """Does what was asked, and closes the connection before it says so."""
    return Behaviour(fault="lose")


def cut_short(status: int = 200) -> Behaviour:
    """Closes in the middle of the answer's body."""
    return replace(answer(status), fault="cut")


def endless(status: int = 200) -> Behaviour:
    """A body without end, as fast as it is read."""
    return replace(answer(status, "x" * 8192), fault="endless")


def trickle(status: int = 200) -> Behaviour:
    """A body without end, a byte every twentieth of a second."""
    return replace(answer(status, "x"), fault="trickle")


def twice(status: int = 200, body: Any = DEFAULT_BODY) -> Behaviour:
    """The whole answer, and then once more, unasked."""
    return replace(answer(status, body), fault="twice")


def garbage() -> Behaviour:
    """Something that is no HTTP; nothing is done."""
    return replace(answer(200, b"\x00\xff 220 mail.example ESMTP\r\n\r\n"), fault="garbage")


class Receiver:
    """Listens on 127.0.0.1; everything it saw stays over `stop()` and `start()`, and so does the
    port.

    Attributes:
        requests: All requests whose head and body arrived, in the order of their answers' begin.
        succeeded: `webhook-id` → how often what it asked for was done: 1, or the receiver is
            faulty itself. Requests without an id count under the empty text.
        duplicates: `webhook-id` → how often it came again after it had been done.
        connections: How many were opened.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str] = (),
        default: Script | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        """Args:
        secrets: `whsec_…`; any of them verifies. Without, signatures are not looked at.
        default: What paths and keys without a script get; 200 unless told.
        tls: Speak HTTPS with this.
        port: A free one unless told.
        """
        self.requests: list[Received] = []
        self.succeeded: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.connections = 0
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._default = default or answer()
        self._tls = tls
        self._port = port
        self._scripts: dict[tuple[Literal["path", "key"], str], list[Script]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    # -- what it shall do ---------------------------------------------------------------------

    def on(self, path: str, *script: Script) -> None:
        """One behaviour per request to `path`, in turn; the last one stays."""
        with self._changed:
            self._scripts["path", path] = list(script)

    def on_key(self, key: str, *script: Script) -> None:
        """The same for one `webhook-id`, whatever its path; comes before `on`."""
        with self._changed:
            self._scripts["key", key] = list(script)

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def port(self) -> int:
        return self._port

    # -- what it saw --------------------------------------------------------------------------

    def to(self, path: str) -> list[Received]:
        """The requests to one path."""
        with self._changed:
            return [request for request in self.requests if request.path == path]

    def wait_until(self, condition: Callable[[Receiver], bool], timeout: float = 30.0) -> None:
        """Until `condition(receiver)` holds; looked at after every request.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                seen = [(r.method, r.target, r.key, r.answered) for r in self.requests]
                raise TimeoutError(f"not within {timeout} s; the receiver saw {seen}")

    # -- its life -----------------------------------------------------------------------------

    def __enter__(self) -> Receiver:
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
            target=lambda: asyncio.run(self._serve(ready)), name="receiver", daemon=True
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
        assert not self._thread.is_alive(), "the receiver does not stop"
        self._thread = None

    async def _serve(self, ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        open_now: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_now.add(task)
            self.connections += 1
            try:
                await self._connection(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                pass  # the caller went away, which is the caller's right
            except asyncio.CancelledError:
                pass  # `stop`; the streams would take it for an error of theirs
            finally:
                open_now.discard(task)
                writer.transport.abort()

        try:
            server = await asyncio.start_server(
                connected, "127.0.0.1", self._port, ssl=self._tls, limit=1024 * 1024
            )
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await self._read(reader, writer)
            if request is None:
                return
            behaviour = self._decide(request)
            last = request.headers.get("connection", "").lower() == "close"
            if not await self._behave(behaviour, writer, last=last):
                return

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Received | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        elif length := int(headers.get("content-length", "0")):
            body = await reader.readexactly(length)
        return Received(
            method=method,
            target=target,
            headers=headers,
            body=body,
            at=time.time(),
            signature=self._verified(headers, body),
        )

    def _verified(
        self, headers: Mapping[str, str], body: bytes
    ) -> Literal["verified", "unchecked", "unsigned", "bad"]:
        if "webhook-signature" not in headers:
            return "unsigned"
        if not self._webhooks:
            return "unchecked"
        for webhook in self._webhooks:
            with contextlib.suppress(WebhookVerificationError, ValueError):
                webhook.verify(body, dict(headers), json_parse=False)
                return "verified"
        return "bad"

    def _decide(self, request: Received) -> Behaviour:
        with self._changed:
            if self._webhooks and request.signature != "verified":
                behaviour = answer(401, {"error": request.signature})
            elif request.key and self.succeeded[request.key]:
                self.duplicates[request.key] += 1
                behaviour = answer(200, {"received": True, "duplicate": True})
                request = replace(request, duplicate=True)
            else:
                behaviour = self._next(request)
                if behaviour.does_it:
                    self.succeeded[request.key] += 1
            speaks = behaviour.fault not in ("hang", "drop", "lose", "garbage")
            self.requests.append(replace(request, answered=behaviour.status if speaks else None))
            self._changed.notify_all()
            return behaviour

    def _next(self, request: Received) -> Behaviour:
        script = self._scripts.get(("key", request.key)) or self._scripts.get(
            ("path", request.path)
        )
        if not script:
            script = [self._default]
        chosen = script.pop(0) if len(script) > 1 else script[0]
        return chosen if isinstance(chosen, Behaviour) else chosen(request)

    async def _behave(
        self, behaviour: Behaviour, writer: asyncio.StreamWriter, *, last: bool
    ) -> bool:
        """Returns whether the connection may be used again."""
        if behaviour.after:
            await asyncio.sleep(behaviour.after)
        fault = behaviour.fault
        if fault == "hang":
            await asyncio.Event().wait()
        if fault in ("drop", "lose"):
            return False
        if fault == "garbage":
            writer.write(behaviour.body)
            await writer.drain()
            return False
        length = {"cut": len(behaviour.body) + 100}.get(fault, len(behaviour.body))
        headers = dict(behaviour.headers)
        if fault not in ("endless", "trickle"):
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {behaviour.status} Said", *(f"{k}: {v}" for k, v in headers.items())]
        whole = "\r\n".join([*lines, "", ""]).encode() + behaviour.body
        writer.write(whole)
        while fault in ("endless", "trickle"):
            await writer.drain()
            if fault == "trickle":
                await asyncio.sleep(0.05)
            writer.write(behaviour.body)
        if fault == "twice":
            writer.write(whole)
        await writer.drain()
        if last or fault in ("cut", "twice"):
            # An orderly end, so that what was written arrives.
            writer.close()
            await writer.wait_closed()
            return False
        return True

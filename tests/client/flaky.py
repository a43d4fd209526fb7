"""A server on a real socket that answers as it is told, once per request."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ME = {"tenant": "acme", "user": "ann", "roles": ["rep"]}


@dataclass(frozen=True)
class Say:
    """One answer. `hangs` gives none until the server ends; `closes` ends the connection."""

    status: int = 200
    body: Any = field(default_factory=lambda: ME)
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    closes: bool = False


def problem(status: int, code: str, **headers: str) -> Say:
    """A problem of the API; an underscore in a header's name is a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"code": code, "detail": "What happened.", "status": status, "instance": "urn:uuid:17"}
    return Say(status, body, {"Content-Type": "application/problem+json", **named})


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Flaky:
    """The server.

    Attributes:
        url: Where it listens.
        seen: All requests, in order.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._answers: list[Say] = []
        self._ended = threading.Event()
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                flaky.seen.append(Seen(self.command, self.path, headers, body))
                say = flaky._answers.pop(0) if flaky._answers else Say()
                if say.hangs:
                    flaky._ended.wait(30)
                if say.hangs or say.closes:
                    self.close_connection = True
                    return
                content = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
                self.send_response(say.status)
                for name, value in say.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the server's names
            do_PATCH = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing: tests look at `seen`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def will(self, *answers: Say) -> None:
        """Answer the next requests so; those after them with 200 and `ME`."""
        self._answers += answers

    @property
    def keys(self) -> list[str | None]:
        """The idempotency keys, in order."""
        return [request.headers.get("idempotency-key") for request in self.seen]

    def __enter__(self) -> Flaky:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

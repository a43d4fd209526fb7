"""The channel, called as Nexus calls it, against a server that does what Matrix says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from nexus_channel_matrix import MatrixChannel, MatrixParameters, MatrixSettings
from pydantic import ValidationError

from nexus.contracts import ChannelCall, ChannelError
from nexus.core.calls import CallRequest

ROOM = "!sales:example.com"


class HomeServer(ThreadingHTTPServer):
    """Posts each transaction once. `failures` are answered first, one to a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: dict[tuple[str, ...], Any] = {}
        self.requests = 0
        self.failures: list[tuple[int, dict[str, str], dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: HomeServer

    def do_PUT(self) -> None:
        self.server.requests += 1
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.failures:
            self._answer(*self.server.failures.pop(0))
        elif self.headers["authorization"] != "Bearer s3cret":
            self._answer(401, {}, {"errcode": "M_UNKNOWN_TOKEN"})
        else:
            place = tuple(unquote(part) for part in self.path.split("/")[5:])
            self.server.messages.setdefault(place, body)
            event = f"${list(self.server.messages).index(place)}"
            self._answer(200, {}, {"event_id": event})

    def _answer(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HomeServer]:
    with HomeServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def call(
    server: HomeServer, operation: str = "execute", token: str = "s3cret", **given: Any
) -> Any:
    request = CallRequest(
        key="i-1/lead-1/1/run/0",
        tenant="acme",
        instance="i-1",
        definition="outreach",
        version="1.0.0",
        record="lead-1",
        stage="contacted",
        step="run/0",
        channel="matrix",
        requested_at=datetime(2026, 11, 21, tzinfo=UTC),
    )
    made = ChannelCall(
        request=request,
        settings=MatrixSettings.model_validate(
            {"server": server.address, "token": token, "room": ROOM}
        ),
        parameters=MatrixParameters.model_validate(given),
        attempt=1,
        timeout=timedelta(seconds=10),
    )

    async def once() -> object:
        channel = MatrixChannel()
        try:
            return await getattr(channel, operation)(made)
        finally:
            await channel.close()

    return asyncio.run(once())


def fails(server: HomeServer, **given: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        call(server, **given)
    assert "s3cret" not in caught.value.message
    return caught.value


def test_a_message_is_posted_once_however_often_the_call_is_made(server: HomeServer) -> None:
    first = call(server, text="Ann is worth a call", html="<b>Ann</b>")
    assert call(server, text="Ann is worth a call", html="<b>Ann</b>") == first == {"event": "$0"}
    assert server.requests == 2
    assert server.messages == {
        (ROOM, "send", "m.room.message", "i-1/lead-1/1/run/0"): {
            "msgtype": "m.text",
            "body": "Ann is worth a call",
            "format": "org.matrix.custom.html",
            "formatted_body": "<b>Ann</b>",
        }
    }


def test_a_step_may_name_another_room(server: HomeServer) -> None:
    call(server, text="Hello", room="!board:example.com")
    assert [place[0] for place in server.messages] == ["!board:example.com"]


def test_a_message_is_taken_back(server: HomeServer) -> None:
    call(server, "compensate", event="$0")
    assert list(server.messages) == [(ROOM, "redact", "$0", "i-1/lead-1/1/run/0")]


def test_what_the_server_refuses_is_not_tried_again(server: HomeServer) -> None:
    error = fails(server, text="Hello", token="another")
    assert (error.code, error.retryable) == ("refused", False)
    assert error.message == "The server answered 401 M_UNKNOWN_TOKEN."


@pytest.mark.parametrize(
    ("headers", "body"),
    [({"retry-after": "7"}, {}), ({}, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 7000})],
)
def test_a_server_says_when_to_come_back(
    server: HomeServer, headers: dict[str, str], body: dict[str, Any]
) -> None:
    server.failures = [(429, headers, body)]
    error = fails(server, text="Hello")
    assert (error.code, error.retryable) == ("too_many", True)
    assert error.retry_after == timedelta(seconds=7)


def test_a_server_that_fails_or_is_away_is_tried_again(server: HomeServer) -> None:
    server.failures = [(503, {}, {})]
    assert fails(server, text="Hello").retryable
    server.shutdown()
    server.server_close()
    error = fails(server, text="Hello")
    assert (error.code, error.retryable) == ("unreachable", True)


def test_a_step_has_to_say_something() -> None:
    with pytest.raises(ValidationError, match="It needs 'text'"):
        MatrixParameters.model_validate({})

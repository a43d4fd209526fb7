"""The receiver keeps its own promises; the channel's tests rest on them."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.receiver import (
    Receiver,
    answer,
    cut_short,
    drop,
    garbage,
    hang,
    lose_answer,
    twice,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(key: str, body: str, secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, now, body),
    }


def test_a_script_is_followed_and_its_last_line_stays() -> None:
    with Receiver() as receiver:
        receiver.on("/crm", answer(500), answer(500), answer(202, {"id": 7}))
        statuses = [httpx.post(receiver.url("/crm")).status_code for _ in range(4)]
        assert statuses == [500, 500, 202, 202]
        assert [request.answered for request in receiver.to("/crm")] == statuses


def test_what_was_done_for_a_key_is_not_done_again() -> None:
    with Receiver(secrets=[SECRET]) as receiver:
        for _ in range(3):
            reply = httpx.post(receiver.url(), content="{}", headers=signed("a/1", "{}"))
            assert reply.status_code == 200
        assert receiver.succeeded == {"a/1": 1}
        assert receiver.duplicates == {"a/1": 2}
        assert [request.duplicate for request in receiver.requests] == [False, True, True]


def test_a_wrong_or_missing_signature_is_refused() -> None:
    with Receiver(secrets=[SECRET]) as receiver:
        other = signed("a", "{}", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
        assert httpx.post(receiver.url(), content="{}", headers=other).status_code == 401
        assert httpx.post(receiver.url(), content="{}").status_code == 401
        assert [request.signature for request in receiver.requests] == ["bad", "unsigned"]
        assert not receiver.succeeded


def test_a_lost_answer_has_been_done_and_a_dropped_request_has_not() -> None:
    with Receiver() as receiver:
        receiver.on_key("lost", lose_answer())
        receiver.on_key("dropped", drop(), answer())
        for key in ("lost", "dropped"):
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.post(receiver.url(), headers={"webhook-id": key})
            assert httpx.post(receiver.url(), headers={"webhook-id": key}).status_code == 200
        assert receiver.succeeded == {"lost": 1, "dropped": 1}
        assert receiver.duplicates == {"lost": 1}


@pytest.mark.parametrize("behaviour", [hang(), cut_short(), garbage()], ids=lambda b: b.fault)
def test_faults_are_faults_to_a_caller(behaviour: object) -> None:
    with Receiver() as receiver:
        receiver.on("/", behaviour)  # type: ignore[arg-type]
        with pytest.raises(httpx.TransportError):
            httpx.post(receiver.url(), timeout=0.3)


def test_an_answer_may_come_twice() -> None:
    with Receiver() as receiver:
        receiver.on("/", twice(200, "once"))
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            with caller.makefile("rb") as answers:
                said = answers.read()
        assert said.count(b"HTTP/1.1 200") == said.count(b"once") == 2


def test_it_comes_back_on_its_port_and_remembers() -> None:
    receiver = Receiver()
    receiver.start()
    url = receiver.url()
    httpx.post(url, headers={"webhook-id": "a"})
    receiver.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.post(url)
    receiver.start()
    try:
        assert httpx.post(url, headers={"webhook-id": "a"}).json()["duplicate"]
        receiver.wait_until(lambda seen: len(seen.requests) == 2, timeout=5)
        assert receiver.succeeded["a"] == 1
    finally:
        receiver.stop()


def test_waiting_says_what_was_seen_instead() -> None:
    with Receiver() as receiver:
        httpx.get(receiver.url("/only"))
        with pytest.raises(TimeoutError, match="/only"):
            receiver.wait_until(lambda seen: len(seen.requests) == 2, timeout=0.05)

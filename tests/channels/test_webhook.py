"""Webhooks against a real receiver: what is sent, what is signed, what a failure is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from nexus.channels.webhook import MOST_READ, WebhookChannel
from nexus.channels.webhook_models import WebhookParameters, WebhookSettings
from nexus.contracts import ChannelCall, ChannelError
from nexus.core.calls import CallRequest
from tests.support.receiver import (
    Behaviour,
    Receiver,
    answer,
    cut_short,
    drop,
    endless,
    garbage,
    hang,
    lose_answer,
    trickle,
    twice,
)

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
KEY = "tenant~acme/lead-1/1/run%2E/0"
AT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


def call(
    parameters: dict[str, Any],
    settings: dict[str, Any] | None = None,
    *,
    seconds: float = 20,
    **request: Any,
) -> ChannelCall[WebhookSettings, WebhookParameters]:
    asked = CallRequest(
        key=KEY,
        tenant="acme",
        instance="lead-1",
        definition="leads",
        version="3",
        record="record-1",
        stage="new",
        step="run/0",
        channel="tell-crm",
        requested_at=AT,
        scope={"data": {"name": "Zoë", "age": 41}},
        **request,
    )
    return ChannelCall(
        request=asked,
        settings=WebhookSettings.model_validate(settings or {}),
        parameters=WebhookParameters.model_validate(parameters),
        attempt=1,
        timeout=timedelta(seconds=seconds),
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel(allow_private=True)
    yield made
    await made.close()


async def failure(
    channel: WebhookChannel, made: ChannelCall[WebhookSettings, WebhookParameters]
) -> ChannelError:
    with pytest.raises(ChannelError) as failed:
        await channel.execute(made)
    return failed.value


# --- what is sent ---------------------------------------------------------------------------


async def test_without_a_body_the_record_is_sent_in_an_envelope(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    response = await channel.execute(call({"url": receiver.url("/hook?a=b")}))
    assert response == {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": {"received": True},
    }
    (request,) = receiver.requests
    assert (request.method, request.target) == ("POST", "/hook?a=b")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.json == {
        "type": "leads.new.tell-crm",
        "timestamp": "2026-11-21T05:00:00.000Z",
        "data": {"name": "Zoë", "age": 41},
        "source": {
            "tenant": "acme",
            "instance": "lead-1",
            "definition": "leads",
            "version": "3",
            "record": "record-1",
            "stage": "new",
            "step": "run/0",
            "operation": "execute",
        },
    }


@pytest.mark.parametrize(
    ("given", "method", "body", "kind"),
    [
        ({"body": {"a": [1, "ö"]}}, "POST", '{"a":[1,"ö"]}', "application/json"),
        ({"body": "text"}, "POST", '"text"', "application/json"),
        ({"body": False}, "POST", "false", "application/json"),
        ({"body": None}, "POST", "", None),
        (
            {"body": "a=1&b=2", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            "POST",
            "a=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        (
            {"body": "x", "headers": {"content-type": "application/vnd.api+json"}},
            "POST",
            '"x"',
            "application/vnd.api+json",
        ),
        ({"method": "PUT", "body": {}}, "PUT", "{}", "application/json"),
        ({"method": "PATCH", "body": []}, "PATCH", "[]", "application/json"),
        ({"method": "DELETE"}, "DELETE", "", None),
        ({"method": "DELETE", "body": {"id": 7}}, "DELETE", '{"id":7}', "application/json"),
        ({"method": "GET"}, "GET", "", None),
    ],
)
async def test_methods_and_bodies(
    channel: WebhookChannel,
    receiver: Receiver,
    given: dict[str, Any],
    method: str,
    body: str,
    kind: str | None,
) -> None:
    await channel.execute(call({"url": receiver.url(), **given}))
    (request,) = receiver.requests
    assert (request.method, request.body.decode()) == (method, body)
    assert request.headers.get("content-type") == kind


async def test_headers_are_text_and_null_leaves_one_out(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    headers = {"X-Id": 7, "X-On": True, "X-None": None, "X-Name": " Zoë ", "User-Agent": "mine"}
    await channel.execute(call({"url": receiver.url(), "headers": headers}))
    (request,) = receiver.requests
    assert request.headers["x-id"] == "7"
    assert request.headers["x-on"] == "true"
    assert "x-none" not in request.headers
    assert request.headers["x-name"].encode("latin-1").decode() == "Zoë"
    assert request.headers["user-agent"] == "mine"
    assert request.headers["idempotency-key"] == KEY


async def test_the_settings_url_is_for_steps_that_give_none(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    settings = {"url": receiver.url("/settings")}
    await channel.execute(call({}, settings))
    await channel.execute(call({"url": receiver.url("/step")}, settings))
    assert [request.path for request in receiver.requests] == ["/settings", "/step"]
    failed = await failure(channel, call({}))
    assert (failed.code, failed.retryable) == ("invalid_parameters", False)


async def test_half_a_character_is_no_body(channel: WebhookChannel, receiver: Receiver) -> None:
    failed = await failure(channel, call({"url": receiver.url(), "body": {"a": "\ud800"}}))
    assert (failed.code, failed.retryable) == ("invalid_parameters", False)
    assert receiver.requests == []


# --- signatures -----------------------------------------------------------------------------


async def test_every_attempt_has_the_same_id_and_a_good_signature(
    channel: WebhookChannel,
) -> None:
    with Receiver(secrets=[OLD]) as receiver:
        receiver.on("/", answer(500), lose_answer())
        made = call({"url": receiver.url(), "body": {"name": "Zoë"}}, {"secrets": [OLD]})
        assert (await failure(channel, made)).code == "receiver_failed"
        assert (await failure(channel, made)).code == "unreachable"
        response = await channel.execute(made)
        assert response["body"]["duplicate"]  # type: ignore[index]
        assert [request.key for request in receiver.requests] == [KEY] * 3
        assert {request.signature for request in receiver.requests} == {"verified"}
        assert receiver.succeeded == {KEY: 1}


@pytest.mark.parametrize("known", [OLD, NEW])
async def test_while_secrets_rotate_receivers_may_know_either(
    channel: WebhookChannel, known: str
) -> None:
    with Receiver(secrets=[known]) as receiver:
        await channel.execute(call({"url": receiver.url()}, {"secrets": [NEW, OLD]}))
        assert len(receiver.requests[0].headers["webhook-signature"].split(" ")) == 2
        assert receiver.succeeded == {KEY: 1}


async def test_a_secret_may_be_any_text(channel: WebhookChannel) -> None:
    with Receiver(secrets=["whsec_cGxhaW4gdGV4dA=="]) as receiver:
        await channel.execute(call({"url": receiver.url()}, {"secrets": ["plain text"]}))
        assert receiver.requests[0].signature == "verified"


async def test_an_empty_body_is_signed_as_well(channel: WebhookChannel) -> None:
    with Receiver(secrets=[OLD]) as receiver:
        made = call({"url": receiver.url(), "method": "GET"}, {"secrets": [OLD]})
        await channel.execute(made)
        assert receiver.requests[0].signature == "verified"


async def test_without_secrets_nothing_is_signed_unless_it_has_to_be(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    await channel.execute(call({"url": receiver.url()}))
    assert receiver.requests[0].signature == "unsigned"
    assert receiver.requests[0].key == KEY
    failed = await failure(channel, call({"url": receiver.url()}, {"requireSignature": True}))
    assert (failed.code, failed.retryable) == ("not_configured", False)
    assert len(receiver.requests) == 1


async def test_undoing_is_a_call_with_an_id_of_its_own(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    made = call({"url": receiver.url()}, operation="compensate")
    await channel.compensate(made)
    (request,) = receiver.requests
    assert request.key == f"{KEY}~compensate"
    assert request.json["source"]["operation"] == "compensate"


# --- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "refused_by_receiver", False),
        (401, "refused_by_receiver", False),
        (404, "refused_by_receiver", False),
        (410, "refused_by_receiver", False),
        (422, "refused_by_receiver", False),
        (304, "refused_by_receiver", False),
        (408, "receiver_failed", True),
        (425, "receiver_failed", True),
        (429, "receiver_failed", True),
        (500, "receiver_failed", True),
        (503, "receiver_failed", True),
    ],
)
async def test_what_is_tried_again_and_what_is_not(
    channel: WebhookChannel, receiver: Receiver, status: int, code: str, retryable: bool
) -> None:
    body = "" if status == 304 else "No such\r\n lead"
    receiver.on("/", answer(status, body))
    failed = await failure(channel, call({"url": receiver.url("/")}))
    assert (failed.code, failed.retryable) == (code, retryable)
    assert f"127.0.0.1:{receiver.port} answered {status}" in failed.message
    assert body == "" or failed.message.endswith(": No such lead")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_is_a_success(
    channel: WebhookChannel, receiver: Receiver, status: int
) -> None:
    receiver.on("/", answer(status, ""))
    response = await channel.execute(call({"url": receiver.url()}))
    assert response["status"] == status  # type: ignore[index]
    assert response["body"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0", None, None),
        ("99999999999999999999", 3600, 3600),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True), 200, 300),
        (lambda: format_datetime(datetime.now(UTC) - timedelta(days=5), usegmt=True), None, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600, 3600),
        ("soon", None, None),
        ("-5", None, None),
        ("\u0667", None, None),
    ],
)
async def test_receivers_say_when_to_come_back_within_reason(
    channel: WebhookChannel,
    receiver: Receiver,
    asked: str | Callable[[], str],
    least: float | None,
    most: float | None,
) -> None:
    text = asked if isinstance(asked, str) else asked()
    receiver.on("/", answer(503, headers={"Retry-After": text}))
    failed = await failure(channel, call({"url": receiver.url()}))
    if least is None or most is None:
        assert failed.retry_after is None
    else:
        assert failed.retry_after is not None
        assert least <= failed.retry_after.total_seconds() <= most


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"id": 7}', {"id": 7}),
        (b"[1, 2]", [1, 2]),
        (b"null", "null"),
        (b"plain", "plain"),
        (b'{"a": "\\u0000"}', '{"a": "\\u0000"}'),
        (b'{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        (b"a\x00b\xff", "a\ufffdb\ufffd"),
        (b"[" * 5000, "[" * 5000),
    ],
    ids=["object", "list", "null", "text", "nul", "twice", "binary", "deep"],
)
async def test_a_body_is_json_if_it_is_and_else_text(
    channel: WebhookChannel, receiver: Receiver, body: bytes, expected: object
) -> None:
    receiver.on("/", answer(200, body))
    response = await channel.execute(call({"url": receiver.url()}))
    assert response["body"] == expected  # type: ignore[index]
    assert "truncated" not in response  # type: ignore[operator]


@pytest.mark.parametrize(
    "behaviour",
    [
        endless(),
        answer(200, "x" * (MOST_READ + 1)),
        answer(200, "ö" * 20_000),
        answer(200, {"list": ["\\" * 50] * 500}),
    ],
    ids=["endless", "long", "umlauts", "json"],
)
async def test_long_bodies_are_cut_and_say_so(
    channel: WebhookChannel, receiver: Receiver, behaviour: Behaviour
) -> None:
    receiver.on("/", behaviour)
    response: Any = await channel.execute(call({"url": receiver.url()}))
    assert response["truncated"] is True
    assert 10_000 < len(response["body"].encode()) <= 30_000


async def test_a_packed_body_that_nobody_asked_for_is_not_unpacked(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/", answer(200, b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"}))
    response: Any = await channel.execute(call({"url": receiver.url()}))
    assert response["body"] is None
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (drop(), "unreachable"),
        (cut_short(), "unreachable"),
        (garbage(), "unreachable"),
        (hang(), "timed_out"),
        (trickle(), "timed_out"),
        (answer(200, after=60), "timed_out"),
    ],
    ids=["drop", "cut", "garbage", "hang", "trickle", "late"],
)
async def test_faults_are_tried_again(
    channel: WebhookChannel, receiver: Receiver, behaviour: Behaviour, code: str
) -> None:
    receiver.on("/", behaviour)
    failed = await failure(channel, call({"url": receiver.url()}, seconds=0.4))
    assert (failed.code, failed.retryable) == (code, True)
    assert f"127.0.0.1:{receiver.port}" in failed.message


async def test_a_second_answer_is_not_taken_for_that_of_the_next_call(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/", twice(200, "first"), answer(200, "second"))
    url = receiver.url()
    bodies = []
    for _ in range(2):
        response: Any = await channel.execute(call({"url": url}))
        bodies.append(response["body"])
    # The receiver knows the key by then, and says so; what counts is that it was asked.
    assert bodies == ["first", {"received": True, "duplicate": True}]
    assert receiver.connections == len(receiver.requests) == 2


async def test_nobody_there_is_unreachable(channel: WebhookChannel, receiver: Receiver) -> None:
    url = receiver.url("/T0/secret-path")
    receiver.stop()
    failed = await failure(channel, call({"url": url}))
    assert (failed.code, failed.retryable) == ("unreachable", True)
    assert "secret-path" not in failed.message


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async def nobody(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    channel = WebhookChannel(allow_private=True, resolve=nobody)
    failed = await failure(channel, call({"url": "https://gone.example/"}))
    assert (failed.code, failed.retryable) == ("unreachable", True)
    assert "'gone.example' has no address" in failed.message


async def test_a_hanging_receiver_holds_up_no_other_call(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/slow", hang())
    slow = [
        asyncio.create_task(channel.execute(call({"url": receiver.url("/slow")})))
        for _ in range(150)
    ]
    await asyncio.to_thread(receiver.wait_until, lambda seen: len(seen.requests) == 150)
    response: Any = await channel.execute(call({"url": receiver.url("/fast")}))
    assert response["status"] == 200
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


# --- where calls may not go -----------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "localhost."]
)
async def test_this_machine_is_not_called_unless_the_operator_allows_it(
    receiver: Receiver, host: str
) -> None:
    channel = WebhookChannel(allow_private=False)
    failed = await failure(channel, call({"url": receiver.url(host=host)}))
    assert (failed.code, failed.retryable) == ("address_refused", False)
    assert receiver.requests == []
    await channel.close()


async def test_the_environment_allows_private_addresses(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEXUS_WEBHOOK_ALLOW_PRIVATE", raising=False)
    assert (await failure(WebhookChannel(), call({"url": receiver.url()}))).code == (
        "address_refused"
    )
    monkeypatch.setenv("NEXUS_WEBHOOK_ALLOW_PRIVATE", "1")
    channel = WebhookChannel()
    await channel.execute(call({"url": receiver.url()}))
    await channel.close()


async def test_proxies_of_the_environment_are_not_used(
    channel: WebhookChannel, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await channel.execute(call({"url": receiver.url()}))
    assert len(receiver.requests) == 1


async def test_only_the_hosts_that_the_operator_lists_are_called(receiver: Receiver) -> None:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    channel = WebhookChannel(allow_private=True, resolve=here)
    settings = {"hosts": ["api.example.com", "*.crm.example"]}
    for host in ("api.example.com", "API.example.com.", "eu.crm.example", "a.b.crm.example"):
        await channel.execute(call({"url": receiver.url(host=host)}, settings))
    for host in ("example.com", "crm.example", "evilcrm.example", "api.example.com.evil"):
        failed = await failure(channel, call({"url": receiver.url(host=host)}, settings))
        assert failed.code == "address_refused"
    assert len(receiver.requests) == 4
    await channel.close()

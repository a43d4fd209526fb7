"""Redirects, encryption, and the operator's settings of webhooks."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nexus.channels.webhook import MOST_REDIRECTS, WebhookChannel
from nexus.channels.webhook_models import WebhookParameters, WebhookSettings
from tests.channels.test_webhook import KEY, NEW, call, failure
from tests.support.receiver import Receiver, answer, redirect

HEADERS = {"headers": {"Authorization": "Bearer s3cr3t-t0k3n"}, "hosts": ["crm.example"]}


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel(allow_private=True, resolve=here)
    yield made
    await made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=[NEW]) as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Receiver]:
    with Receiver(secrets=[NEW]) as running:
        yield running


# --- redirects ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirected_call_stays_what_it_is(
    channel: WebhookChannel, receiver: Receiver, status: int
) -> None:
    receiver.on("/old", redirect("/new?x=1", status))
    made = call(
        {"url": receiver.url("/old"), "body": {"a": 1}, "headers": {"X-Team": "sales"}},
        {"secrets": [NEW]},
    )
    await channel.execute(made)
    (request,) = receiver.to("/new")
    assert (request.method, request.target, request.json) == ("POST", "/new?x=1", {"a": 1})
    assert request.headers["x-team"] == "sales"
    assert request.signature == "verified"
    assert receiver.succeeded == {KEY: 1}


async def test_see_other_is_seen_with_a_get(channel: WebhookChannel, receiver: Receiver) -> None:
    receiver.on("/", redirect("/status", 303))
    receiver.on("/status", answer(200, {"state": "queued"}))
    response: Any = await channel.execute(call({"url": receiver.url()}, {"secrets": [NEW]}))
    (request,) = receiver.to("/status")
    assert (request.method, request.body) == ("GET", b"")
    assert "content-type" not in request.headers
    assert response["body"] == {"state": "queued"}


async def test_another_receiver_is_given_a_signature_but_no_header_of_anybody(
    channel: WebhookChannel, receiver: Receiver, elsewhere: Receiver
) -> None:
    receiver.on("/", redirect(elsewhere.url("/caught", host="crm.example")))
    made = call(
        {"url": receiver.url(host="crm.example"), "headers": {"X-Api-Key": "mine"}},
        {"secrets": [NEW], **HEADERS},
    )
    await channel.execute(made)
    (first,) = receiver.requests
    assert first.headers["authorization"] == "Bearer s3cr3t-t0k3n"
    assert first.headers["x-api-key"] == "mine"
    (second,) = elsewhere.requests
    assert second.signature == "verified"
    assert second.headers["host"] == f"crm.example:{elsewhere.port}"
    assert not {"authorization", "x-api-key"} & set(second.headers)


async def test_a_redirect_goes_nowhere_that_a_call_may_not_go(
    receiver: Receiver, elsewhere: Receiver
) -> None:
    """The first address is public by name, the second one is not."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "public.example" else ["169.254.169.254"]

    channel = WebhookChannel(allow_private=True, resolve=resolve)
    for place in ("http://metadata.example/", "//metadata.example/", "ftp://public.example/"):
        receiver.on("/", redirect(place))
        made = call({"url": receiver.url(host="public.example")}, {"secrets": [NEW]})
        failed = await failure(channel, made)
        assert (failed.code, failed.retryable) == ("address_refused", False)
    receiver.on("/", redirect(elsewhere.url(host="public.example")))
    listed = {"secrets": [NEW], "hosts": ["other.example"]}
    failed = await failure(channel, call({"url": receiver.url(host="public.example")}, listed))
    assert failed.code == "address_refused"
    assert elsewhere.requests == []
    await channel.close()


async def test_redirects_end(channel: WebhookChannel, receiver: Receiver) -> None:
    receiver.on("/", redirect("/"))
    failed = await failure(channel, call({"url": receiver.url()}, {"secrets": [NEW]}))
    assert (failed.code, failed.retryable) == ("too_many_redirects", False)
    assert len(receiver.requests) == 1 + MOST_REDIRECTS


async def test_a_redirect_to_nowhere_is_a_refusal(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/", answer(302, ""))
    failed = await failure(channel, call({"url": receiver.url()}, {"secrets": [NEW]}))
    assert (failed.code, failed.retryable) == ("refused_by_receiver", False)


# --- encryption -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `crm.example` that it signed itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=crm.example", "-addext", "subjectAltName=DNS:crm.example"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *asked.split(), *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def encrypted(certificate: tuple[Path, Path]) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Receiver(secrets=[NEW], tls=context) as running:
        yield running


@pytest.fixture
async def trusting(certificate: tuple[Path, Path]) -> AsyncIterator[WebhookChannel]:
    context = ssl.create_default_context(cafile=certificate[0])
    made = WebhookChannel(allow_private=True, resolve=here, tls=context)
    yield made
    await made.close()


async def test_the_certificate_is_that_of_the_name_though_the_address_is_connected_to(
    trusting: WebhookChannel, encrypted: Receiver
) -> None:
    await trusting.execute(call({"url": encrypted.url(host="crm.example")}, {"secrets": [NEW]}))
    assert encrypted.requests[0].headers["host"] == f"crm.example:{encrypted.port}"
    # Another name at the same address does not get the connection that is open.
    failed = await failure(trusting, call({"url": encrypted.url(host="other.example")}))
    assert (failed.code, failed.retryable) == ("unreachable", True)
    assert "certificate" in failed.message.lower()
    assert len(encrypted.requests) == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    channel: WebhookChannel, encrypted: Receiver
) -> None:
    failed = await failure(channel, call({"url": encrypted.url(host="crm.example")}))
    assert failed.code == "unreachable"
    assert "certificate" in failed.message.lower()
    assert encrypted.requests == []


async def test_encryption_is_not_given_up_on_the_way(
    trusting: WebhookChannel, encrypted: Receiver, receiver: Receiver
) -> None:
    encrypted.on("/", redirect(receiver.url(host="crm.example")))
    made = call({"url": encrypted.url(host="crm.example")}, {"secrets": [NEW]})
    failed = await failure(trusting, made)
    assert (failed.code, failed.retryable) == ("address_refused", False)
    assert "without encryption" in failed.message
    assert receiver.requests == []


async def test_the_operators_headers_are_sent_encrypted_or_not_at_all(receiver: Receiver) -> None:
    channel = WebhookChannel(allow_private=False, resolve=here)
    failed = await failure(channel, call({"url": receiver.url(host="crm.example")}, HEADERS))
    assert (failed.code, failed.retryable) == ("address_refused", False)
    assert "without encryption" in failed.message
    assert receiver.requests == []


# --- settings -------------------------------------------------------------------------------


async def test_the_operators_headers_win_and_are_in_no_message(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/", lambda request: answer(403, f"no {request.headers['authorization']}"))
    made = call(
        {"url": receiver.url(host="crm.example"), "headers": {"authorization": "Basic bWU="}},
        {"secrets": [NEW], **HEADERS},
    )
    failed = await failure(channel, made)
    assert receiver.requests[0].headers["authorization"] == "Bearer s3cr3t-t0k3n"
    assert failed.message.endswith("answered 403: no ***")
    assert "s3cr3t" not in repr(made.settings)


async def test_no_half_of_a_token_is_in_a_message(
    channel: WebhookChannel, receiver: Receiver
) -> None:
    receiver.on("/", lambda _: answer(403, "x" * 190 + " s3cr3t-t0k3n"))
    made = call({"url": receiver.url(host="crm.example")}, {"secrets": [NEW], **HEADERS})
    failed = await failure(channel, made)
    assert failed.message.endswith("xxx ***")


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ({"secrets": ["whsec_!!"]}, ("secrets",), "not base64"),
        ({"secrets": ["whsec_"]}, ("secrets",), "a secret is empty"),
        ({"secrets": [""]}, ("secrets",), "a secret is empty"),
        ({"hosts": ["https://api.example.com"]}, ("hosts",), "is no host"),
        ({"hosts": ["API.example.com"]}, ("hosts",), "small letters"),
        ({"headers": {"Authorization": "x"}}, (), "headers need hosts"),
        ({"headers": {"Host": "x"}, "hosts": ["a"]}, ("headers",), "writes itself"),
        ({"headers": {"X-A": "x\r\nX-B: y"}, "hosts": ["a"]}, ("headers",), "line break"),
        ({"secret": "x"}, ("secret",), "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict[str, Any], place: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        WebhookSettings.model_validate(settings)
    (problem,) = refused.value.errors()
    assert problem["loc"] == place
    assert said in problem["msg"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Host": "evil"}, "writes itself"),
        ({"Content-Length": 5}, "writes itself"),
        ({"transfer-encoding": "chunked"}, "writes itself"),
        ({"Webhook-Id": "other"}, "writes itself"),
        ({"webhook-signature": "v1,x"}, "writes itself"),
        ({"Proxy-Authorization": "x"}, "writes itself"),
        ({"X-A": "a\nX-B: b"}, "line break"),
        ({"X-A": "a\x00"}, "line break"),
        ({"X A": "a"}, "no name"),
        ({"": "a"}, "no name"),
        ({"X-A:": "a"}, "no name"),
        ({"X-A": "a", "x-a": "b"}, "twice"),
    ],
)
def test_headers_that_would_change_the_request_are_refused(
    headers: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        WebhookParameters.model_validate({"url": "https://a.example", "headers": headers})


def test_a_get_has_no_body() -> None:
    with pytest.raises(ValidationError, match="a GET has no body"):
        WebhookParameters.model_validate({"method": "GET", "body": {}})

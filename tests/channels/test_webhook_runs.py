"""Webhooks as the runner makes them: the operator's file, secrets by reference, templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nexus.channels.loading import load_channels
from nexus.channels.runner import Channels
from nexus.contracts import ChannelError
from nexus.core.calls import CallRequest
from tests.support.receiver import Receiver, answer

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

SETTINGS = {
    "*": {"webhook": {"secrets": [{"env": "HOOKS_NEW"}, {"env": "HOOKS_OLD"}]}},
    "strict": {
        "erp": {
            "channel": "webhook",
            "hosts": ["localhost"],
            "headers": {"Authorization": {"env": "ERP_TOKEN"}},
        }
    },
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=[OLD]) as running:
        yield running


@pytest.fixture
def channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channels:
    monkeypatch.setenv("NEXUS_WEBHOOK_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("HOOKS_NEW", NEW)
    monkeypatch.setenv("HOOKS_OLD", OLD)
    monkeypatch.setenv("ERP_TOKEN", "Bearer s3cr3t-t0k3n")
    file = tmp_path / "channels.json"
    file.write_text(json.dumps(SETTINGS))
    return load_channels(file)


def request(**given: Any) -> CallRequest:
    return CallRequest(
        key="lead-1/record-1/1/run/0",
        tenant="acme",
        instance="lead-1",
        definition="leads",
        version="1",
        record="record-1",
        stage="new",
        step="run/0",
        channel="webhook",
        requested_at=datetime(2026, 11, 21, tzinfo=UTC),
        scope={"data": {"name": "Zoë", "tags": ["a", "b"], "age": 41}},
        given=given,
    )


async def call(channels: Channels, asked: CallRequest) -> Any:
    try:
        return await channels.call(asked, attempt=1, timeout=timedelta(seconds=20))
    finally:
        await channels.close()


async def test_templates_are_rendered_and_what_they_show_is_signed_with_all_secrets(
    channels: Channels, receiver: Receiver
) -> None:
    asked = request(
        url=receiver.url("/people/{{ data.age }}"),
        headers={"X-Age": "{{ data.age }}"},
        body={"hello": "Dear {{ data.name }}", "tags": "{{ data.tags }}"},
    )
    response = await call(channels, asked)
    assert response["body"] == {"received": True}
    (received,) = receiver.to("/people/41")
    assert received.json == {"hello": "Dear Zoë", "tags": ["a", "b"]}
    assert received.headers["x-age"] == "41"
    assert receiver.succeeded == {"lead-1/record-1/1/run/0": 1}


async def test_named_settings_authorize_at_their_hosts_and_nowhere_else(
    channels: Channels, receiver: Receiver
) -> None:
    receiver.on("/", lambda seen: answer(422, seen.headers["authorization"]))
    asked = replace(request(url=receiver.url(host="localhost")), tenant="strict", channel="erp")
    with pytest.raises(ChannelError) as failed:
        await call(channels, asked)
    assert failed.value.code == "refused_by_receiver"
    assert failed.value.message.endswith("answered 422: ***")
    away = replace(asked, given={"url": receiver.url(host="127.0.0.1")})
    with pytest.raises(ChannelError, match="not among the hosts"):
        await call(channels, away)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "own", [{"secrets": [OLD]}, {"headers": {"A": "b"}}, {"hosts": ["a"]}, {"requireSignature": 0}]
)
async def test_definitions_set_no_more_than_the_url(
    channels: Channels, receiver: Receiver, own: dict[str, Any]
) -> None:
    asked = replace(request(), settings={"channel": "webhook", "url": receiver.url()})
    await call(channels, asked)
    found = channels.seen_by("acme").check_settings("webhook", own)
    assert (found[0].code, found[0].pointer) == ("not_for_definitions", f"/{next(iter(own))}")
    with pytest.raises(ChannelError) as failed:
        await call(channels, replace(asked, settings={**asked.settings, **own}))
    assert failed.value.code == "not_for_definitions"
    assert len(receiver.requests) == 1


async def test_what_a_step_gives_is_checked_before_it_runs(channels: Channels) -> None:
    given = {"url": "{{ data.url }}", "methd": "GET", "headers": {"Host": "x"}}
    found = {
        finding.pointer: finding
        for finding in channels.seen_by("acme").check_given("webhook", given)
    }
    assert set(found) == {"/methd", "/headers"}
    assert found["/methd"].suggestion == "method"

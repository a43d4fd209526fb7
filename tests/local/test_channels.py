"""Channels at Level 1: through a function of the user's, handed on, or those that are installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import nexus
from nexus.core.calls import CallRequest
from nexus.local import (
    LATER,
    CallFailed,
    Level1Warning,
    rendered,
    run_due,
)
from tests.local.conftest import Clock
from tests.local.homes import Home, PlainHome

NURTURE = {
    "entities": {
        "lead": {
            "stages": [
                {"id": "new", "run": [{"channel": "mail", "with": {"to": "{{ data.email }}"}}]},
                {"id": "done", "final": True},
            ]
        }
    },
    "transitions": {"finish": {"from": "new", "to": "done"}},
}


@pytest.fixture(autouse=True)
def known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        yield


def test_channels_run_through_the_function_that_is_given(home: Home) -> None:
    """One call, with its key and what templates see."""
    requests: list[CallRequest] = []

    def deliver(request: CallRequest) -> object:
        requests.append(request)
        return {"id": 17}

    nexus.configure(channels=deliver)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {"email": "j@example.com"})
    home.commit()
    (request,) = requests
    assert (request.channel, request.step) == ("mail", "run/0")
    assert request.key.endswith("/lead-1/1/run/0")
    ended = [entry for entry in user.crm().history() if entry.event == "channel_succeeded"]
    assert ended[0].payload["response"] == {"id": 17}
    assert home.again(user).crm().can("finish")


def test_a_call_that_fails_is_tried_again_when_its_pause_is_over(home: Home, clock: Clock) -> None:
    """REL-005: under the same key, and nothing sleeps."""
    keys: list[str] = []

    def deliver(request: CallRequest) -> None:
        keys.append(request.key)
        if len(keys) < 3:
            raise CallFailed("unreachable", "nobody there")

    nexus.configure(channels=deliver)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    assert len(keys) == 1
    assert user.crm().can("finish") is False
    clock.advance(timedelta(seconds=1))
    run_due([user])
    run_due([user])
    assert len(keys) == 2
    clock.advance(timedelta(seconds=2))
    assert user.crm().act("finish").stage == "done"
    assert len(set(keys)) == 1
    assert len(keys) == 3


def test_a_call_that_failed_for_good_is_an_incident(home: Home) -> None:
    """REL-002: it blocks nothing, and a person settles it."""
    answers: list[Exception | None] = [
        CallFailed("rejected", "no such mailbox", retryable=False),
        ValueError("broken"),
        None,
    ]

    def deliver(_: CallRequest) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    nexus.configure(channels=deliver)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    (incident,) = user.crm().incidents()
    assert (incident.code, incident.message, incident.retryable) == (
        "rejected",
        "The channel 'mail' failed in 'new': no such mailbox",
        True,
    )
    assert user.crm().can("finish")
    user.crm().retry(incident)
    assert answers == [None]
    assert user.crm().incidents() == [] or user.crm().incidents()[0].attempts == 1
    home.commit()
    assert home.again(user).crm().history()[-1].event in ("incident_retried", "channel_failed")


def test_a_function_that_breaks_is_seen_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its mistakes pass for a channel's, which is tried again; nobody would find them otherwise."""

    def deliver(request: Any) -> object:
        return request.parms

    nexus.configure(channels=deliver)
    home = PlainHome()
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    (logged,) = caplog.records
    assert "/lead-1/1/run/0" in logged.getMessage()
    assert logged.exc_info is not None
    assert isinstance(logged.exc_info[1], AttributeError)
    caplog.clear()
    nexus.configure(channels=lambda _: _refuse())
    home.new(home.model(NURTURE)).crm().add("lead", {})
    assert caplog.records == []


def _refuse() -> object:
    raise CallFailed("unreachable", "nobody there")


def test_a_call_can_be_handed_on(home: Home) -> None:
    """To a queue, for one; whoever makes it says what came of it."""
    waiting: list[CallRequest] = []

    def hand_on(request: CallRequest) -> object:
        waiting.append(request)
        return LATER

    nexus.configure(channels=hand_on)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    home.commit()
    again = home.again(user)
    assert run_due([again]).happened == 0
    assert len(waiting) == 1
    assert again.crm().call_ended(waiting[0].key, response={"sent": True})
    home.commit()
    assert not again.crm().call_ended(waiting[0].key)
    assert again.crm().act("finish").stage == "done"


def test_what_was_handed_on_can_fail() -> None:
    nexus.configure(channels=lambda _: LATER)
    home = PlainHome()
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    (call,) = user.crm_data.state.calls
    key = f"{user.crm_data.instance}/{call}"
    assert user.crm().call_ended(key, failed=CallFailed("bounced", "no such mailbox"))
    assert [incident.code for incident in user.crm().incidents()] == ["bounced"]


def test_installed_channels_are_called_where_no_function_is_given(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    """The channel `log`, with its templates rendered."""
    run = [{"channel": "log", "with": {"message": "Hello {{ data.name }}"}}]
    definition = {"entities": {"lead": {"stages": [{"id": "new", "run": run}, "done"]}}}
    user = home.new(home.model(definition))
    user.crm().add("lead", {"name": "Ann"})
    events = [entry.event for entry in user.crm().history()]
    assert events[-2:] == ["channel_succeeded", "step_ended"]


def test_what_is_left_of_a_former_instance_is_given_up(home: Home) -> None:
    """As on the platform: its incidents are closed, and history says so."""

    def fail(_: CallRequest) -> None:
        raise CallFailed("rejected", "no", retryable=False)

    nexus.configure(channels=fail)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {})
    user.crm().act("finish")
    assert len(user.crm().incidents()) == 1
    user.crm().add("lead", {})
    home.commit()
    events = [entry.event for entry in home.again(user).crm().history()]
    assert events.index("incident_closed") < events.index("instance_started", 1)


def test_a_function_that_makes_calls_can_have_templates_filled_in() -> None:
    said: list[object] = []
    nexus.configure(channels=lambda request: said.append(rendered(request)["to"]))
    home = PlainHome()
    home.new(home.model(NURTURE)).crm().add("lead", {"email": "j@example.com"})
    assert said == ["j@example.com"]
    stages = [{"id": "new", "run": [{"channel": "mail", "with": {"to": "{% if %}"}}]}, "done"]
    user = home.new(home.model({"entities": {"lead": {"stages": stages}}}))
    user.crm().add("lead", {})
    assert len(user.crm().incidents()) == 1

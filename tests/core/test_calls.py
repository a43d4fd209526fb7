"""A call as it leaves the core: its key, and what templates see."""

from __future__ import annotations

import json

import pytest

from nexus.core.calls import CallRequest, call_request, idempotency_key
from tests.core.playing import NOON, Document, Play, lead

MAIL: Document = {"channel": "welcome", "with": {"to": "{{ data.email }}"}}


def request(play: Play, path: str) -> CallRequest:
    (call,) = [call for call in play.state.calls.values() if call.path == path]
    return call_request(play.program, play.state, call, tenant="acme", instance="i-1", now=play.now)


def test_a_request_says_all_that_a_channel_has_to_know() -> None:
    channels = {"welcome": {"channel": "email", "from": "crm@acme.example"}}
    stages = [{"id": "new", "run": {"sequence": [MAIL]}}, "won"]
    play = Play(lead({}, stages, channels=channels, version="1.2.3"))
    play.start({"email": "ann@example.com"})
    made = request(play, "run/sequence/0")
    assert (made.channel, made.operation) == ("welcome", "execute")
    assert made.key == "i-1/lead-1/1/run/sequence/0"
    assert (made.tenant, made.instance, made.definition, made.version) == (
        "acme",
        "i-1",
        "test",
        "1.2.3",
    )
    assert (made.record, made.stage, made.step) == ("lead-1", "new", "run/sequence/0")
    assert made.settings == {"channel": "email", "from": "crm@acme.example"}
    assert made.given == {"to": "{{ data.email }}"}
    assert made.requested_at == NOON
    assert made.scope["data"] == {"email": "ann@example.com"}
    assert made.scope["subject"] == {"type": "account", "id": "acme"}
    assert made.scope["now"] == "2026-11-21T12:00:00Z"
    assert json.loads(json.dumps(made.scope)) == made.scope


def test_templates_see_the_event_that_they_follow_and_earlier_answers() -> None:
    then = {"sequence": [{"set": {"n": 1}}, MAIL]}
    run = {
        "sequence": [
            {"channel": "webhook"},
            {"waitFor": {"event": "opened", "then": then}},
            {"channel": "log"},
        ]
    }
    play = Play(lead({}, [{"id": "new", "run": run}, "won"]))
    play.start()
    play.ends("run/sequence/0", response={"status": 200})
    play.event("opened", {"by": "ann"})
    made = request(play, "run/sequence/1/waitFor/then/sequence/1")
    assert made.scope["event"] == {"type": "opened", "data": {"by": "ann"}}
    assert made.scope["steps"] == {
        "webhook": {"outcome": "done", "response": {"status": 200}},
        "welcome": {"outcome": "running"},
    }
    play.ends("run/sequence/1/waitFor/then/sequence/1")
    assert request(play, "run/sequence/2").scope["event"] == {}


def test_a_retry_after_its_stage_was_left_asks_for_the_same() -> None:
    stages = [{"id": "new", "run": [MAIL]}, "won", "end"]
    play = Play(lead({"win": {"from": "new", "to": "won"}}, stages))
    play.start()
    first = request(play, "run/0")
    play.ends("run/0", "failed")
    play.act("win")
    play.act("update", data={"email": "right@example.com"})
    play.retry(next(iter(play.state.incidents)))
    again = request(play, "run/0")
    assert (again.key, again.given, again.stage) == (first.key, first.given, "new")
    assert again.scope["data"] == {"email": "right@example.com"}


@pytest.mark.parametrize(
    ("call", "key"),
    [
        ("lead-1/1/run/0", "i/lead-1/1/run/0"),
        ("ü.x y-1/2/run", "i/%C3%BC%2Ex%20y-1/2/run"),
        ("a:b%-1/1/run", "i/a%3Ab%25-1/1/run"),
    ],
)
def test_a_key_fits_into_a_header_and_has_no_full_stop(call: str, key: str) -> None:
    """Standard Webhooks signs `id.timestamp.body`."""
    assert idempotency_key("i", call) == key

"""What is tried again, after how long, and what comes of it."""

from __future__ import annotations

import gzip
import logging
import pickle
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from nexus.client import (
    Busy,
    ClientError,
    ConditionNotMet,
    Me,
    NexusClient,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from nexus.client.errors import error_of
from nexus.client.exchange import PATIENCE, Attempts
from nexus.client.requests import me
from tests.client.calling import MakeClient
from tests.client.flaky import Flaky, Say, problem
from tests.support.processes import free_port

TOKEN = "not-to-be-shown"
SOON = {"Retry_After": "0"}


@pytest.mark.parametrize(
    "failures",
    [
        [Say(closes=True)],
        [Say(502, b"<html>"), Say(504, b"")],
        [problem(429, "busy", **SOON), problem(503, "unavailable", **SOON)],
    ],
    ids=["closed", "gateway", "busy"],
)
def test_what_passes_is_tried_again(
    client: MakeClient, flaky: Flaky, failures: Sequence[Say]
) -> None:
    flaky.will(*failures)
    assert client(flaky.url, TOKEN).me() == Me(tenant="acme", user="ann", roles=("rep",))
    assert len(flaky.seen) == len(failures) + 1


def test_a_command_is_tried_again_under_its_one_key(client: MakeClient, flaky: Flaky) -> None:
    stored = {"id": "p", "version": "1", "active": True, "warnings": []}
    nexus = client(flaky.url, TOKEN)
    flaky.will(Say(closes=True), problem(503, "unavailable", **SOON), Say(201, stored))
    nexus.store_definition({"id": "p"})
    assert len(flaky.seen) == 3
    assert len(set(flaky.keys)) == 1
    assert len({request.body for request in flaky.seen}) == 1
    flaky.will(Say(502, b""), Say(201, stored), Say(201, stored))
    nexus.store_definition({"id": "p"}, key="mine")
    nexus.store_definition({"id": "p"})
    assert flaky.keys[3:5] == ["mine", "mine"]
    assert flaky.keys[5] not in (None, flaky.keys[0], "mine")


def test_a_question_has_no_key(client: MakeClient, flaky: Flaky) -> None:
    client(flaky.url, TOKEN).me()
    assert flaky.keys == [None]


def test_a_hanging_answer_is_given_up_and_asked_for_again(client: MakeClient, flaky: Flaky) -> None:
    flaky.will(Say(hangs=True))
    assert client(flaky.url, TOKEN, timeout=0.2).me().user == "ann"
    assert len(flaky.seen) == 2


def test_a_refusal_is_said_at_once(client: MakeClient, flaky: Flaky) -> None:
    flaky.will(problem(409, "condition_not_met"))
    with pytest.raises(ConditionNotMet) as caught:
        client(flaky.url, TOKEN).act("i", "qualify")
    assert (caught.value.status, caught.value.correlation_id) == (409, "17")
    assert len(flaky.seen) == 1


def test_a_fault_of_the_platform_is_not_tried_again(client: MakeClient, flaky: Flaky) -> None:
    flaky.will(problem(500, "internal"))
    with pytest.raises(ClientError, match=r"internal: What happened\."):
        client(flaky.url, TOKEN).me()
    assert len(flaky.seen) == 1


def test_after_all_attempts_the_last_answer_counts(client: MakeClient, flaky: Flaky) -> None:
    flaky.will(*[problem(503, "unavailable", **SOON)] * 2, problem(429, "busy", **SOON))
    with pytest.raises(Busy):
        client(flaky.url, TOKEN, attempts=3).me()
    assert len(flaky.seen) == 3


def test_after_all_attempts_without_an_answer_it_is_unreachable(client: MakeClient) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=r"got no answer in 2 attempts") as caught:
        client(url, TOKEN, attempts=2).cancel("i", key="mine")
    assert caught.value.key == "mine"
    with pytest.raises(Unreachable) as caught:
        client(url, TOKEN, attempts=1).me()
    assert caught.value.key is None


def test_retry_after_is_waited_for(client: MakeClient, flaky: Flaky) -> None:
    flaky.will(problem(503, "unavailable", Retry_After="1"))
    began = time.monotonic()
    client(flaky.url, TOKEN).me()
    assert time.monotonic() - began >= 1


def test_a_retry_after_beyond_all_patience_is_not_waited_for(
    client: MakeClient, flaky: Flaky
) -> None:
    flaky.will(problem(503, "unavailable", Retry_After="3600"))
    with pytest.raises(Unavailable):
        client(flaky.url, TOKEN).me()
    assert len(flaky.seen) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Say(502, b"<html>" + b"x" * 1000), 502),
        (Say(200, b"<html>" + b"x" * 1000), 200),
        (Say(302, b"", {"Location": "/login"}), 302),
        (Say(404, {"error": "none of ours"}), 404),
        (Say(404, [1]), 404),
        (Say(200, {"tenant": 1}), 200),
    ],
)
def test_an_answer_of_something_else_is_told_from_one_of_the_api(
    client: MakeClient, flaky: Flaky, answer: Say, status: int
) -> None:
    flaky.will(answer)
    with pytest.raises(UnexpectedAnswer) as caught:
        client(flaky.url, TOKEN, attempts=1).me()
    assert caught.value.status == status
    assert len(caught.value.beginning) <= 200


def test_an_answer_that_cannot_be_unpacked_is_unexpected(client: MakeClient, flaky: Flaky) -> None:
    broken = gzip.compress(b"{}")[:-9] + b"\xff" * 9
    flaky.will(Say(200, broken, {"Content-Encoding": "gzip"}))
    with pytest.raises(UnexpectedAnswer):
        client(flaky.url, TOKEN).me()
    assert len(flaky.seen) == 1


# --- when, without a socket --------------------------------------------------------------------


def pauses(attempts: Attempts, times: int) -> list[float | None]:
    return [attempts.after_answer(503, {}, 0.0) for _ in range(times)]


def test_pauses_double_up_to_five_seconds_and_differ() -> None:
    found = pauses(Attempts(me(), 9, 0.0), 9)
    assert found[-1] is None
    for number, pause in enumerate(found[:-1]):
        longest = min(0.1 * 2**number, 5.0)
        assert pause is not None
        assert longest / 2 <= pause <= longest
    assert found != pauses(Attempts(me(), 9, 0.0), 9)


def test_no_attempt_begins_after_half_a_minute() -> None:
    attempts = Attempts(me(), 6, 100.0)
    assert attempts.after_answer(503, {}, 100.0 + PATIENCE) is None
    with pytest.raises(Unreachable):
        attempts.after_failure(TimeoutError(), 100.0 + PATIENCE)


def test_retry_after_may_be_a_date() -> None:
    then = datetime.now(UTC) + timedelta(seconds=20)
    pause = Attempts(me(), 6, 0.0).after_answer(
        503, {"retry-after": format_datetime(then, usegmt=True)}, 0.0
    )
    assert pause is not None
    assert 15 < pause <= 20
    past = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert Attempts(me(), 6, 0.0).after_answer(503, past, 0.0) == 0
    pause = Attempts(me(), 6, 0.0).after_answer(503, {"retry-after": "soon"}, 0.0)
    assert pause is not None
    assert pause <= 0.1


# --- what is shown -----------------------------------------------------------------------------


def test_the_token_is_in_no_repr_message_or_log(
    client: MakeClient, flaky: Flaky, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nexus = client(flaky.url, TOKEN, attempts=2)
    flaky.will(Say(closes=True), Say(502, b"<html>"))
    with pytest.raises(ClientError) as caught:
        nexus.me()
    nexus.acting("bob").me()
    assert flaky.seen[-1].headers["authorization"] == f"Bearer {TOKEN}"
    for text in (repr(nexus), str(caught.value), repr(caught.value), caplog.text):
        assert text
        assert TOKEN not in text


@pytest.mark.parametrize("token", ["", f"{TOKEN}\n", f"{TOKEN}é", f"{TOKEN} {TOKEN}"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ClientError, match="token") as caught:
        NexusClient("http://127.0.0.1:1", token)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "line\n", "é", "k" * 256])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_is(
    client: MakeClient, flaky: Flaky, key: str
) -> None:
    with pytest.raises(ClientError, match="idempotency key"):
        client(flaky.url, TOKEN).cancel("i", key=key)
    assert flaky.seen == []


def test_errors_can_be_handed_to_another_process() -> None:
    refused = error_of(409, {"code": "conflict", "detail": "No.", "instance": "urn:uuid:1", "a": 1})
    found = pickle.loads(pickle.dumps(refused))
    assert type(found) is type(refused)
    assert vars(found) == vars(refused)
    for error in (Unreachable("m", "key"), UnexpectedAnswer("m", 502, "b")):
        found = pickle.loads(pickle.dumps(error))
        assert (str(found), vars(found)) == (str(error), vars(error))

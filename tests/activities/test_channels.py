"""One try of a channel call, as Temporal has it made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.channels import BEAT, ChannelActivities
from nexus.contracts import ChannelError
from nexus.core.calls import GRACE, CallAnswer, CallRequest

REQUEST = CallRequest(
    key="instance/lead-1/1/run%2F0",
    tenant="acme",
    instance="instance",
    definition="welcome",
    version="1.0.0",
    record="lead-1",
    stage="new",
    step="run/0",
    channel="email",
    requested_at=datetime(2026, 3, 1, tzinfo=UTC),
)

Making = Callable[[CallRequest, int, timedelta], Awaitable[object]]


class Caller:
    """Makes calls as it is told to."""

    def __init__(self, making: Making) -> None:
        self._making = making

    async def call(self, request: CallRequest, *, attempt: int, timeout: timedelta) -> object:  # noqa: ASYNC109
        return await self._making(request, attempt, timeout)


def environment(*, attempt: int = 1, seconds: float = 10) -> ActivityEnvironment:
    env = ActivityEnvironment()
    limit = timedelta(seconds=seconds) + GRACE
    env.info = replace(env.info, attempt=attempt, start_to_close_timeout=limit)
    return env


async def make(
    making: Making, env: ActivityEnvironment | None = None, beat: float = BEAT
) -> CallAnswer:
    activities = ChannelActivities(Caller(making), beat)
    answer: CallAnswer = await (env or environment()).run(activities.call_channel, REQUEST)
    return answer


async def failed(making: Making, env: ActivityEnvironment | None = None) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised:
        await make(making, env)
    return raised.value


async def test_the_answer_tells_how_often_it_was_tried() -> None:
    async def making(request: CallRequest, attempt: int, limit: timedelta) -> object:
        return {"key": request.key, "attempt": attempt, "seconds": limit.total_seconds()}

    answer = await make(making, environment(attempt=3, seconds=20))
    assert answer == CallAnswer(
        response={"key": REQUEST.key, "attempt": 3, "seconds": 20.0}, attempts=3
    )


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_failure_keeps_its_code_and_says_whether_to_try_again(retryable: bool) -> None:
    """R10."""

    async def making(*_: object) -> object:
        raise ChannelError(
            "receiver_failed",
            "It answered 503.",
            retryable=retryable,
            retry_after=timedelta(seconds=7),
        )

    error = await failed(making, environment(attempt=2))
    assert (error.type, error.message) == ("receiver_failed", "It answered 503.")
    assert error.non_retryable is not retryable
    assert error.next_retry_delay == timedelta(seconds=7)
    assert error.details == ({"attempts": 2},)


async def test_a_call_that_is_not_done_in_time_says_so_itself() -> None:
    async def making(*_: object) -> object:
        await asyncio.sleep(60)
        return None

    error = await failed(making, environment(seconds=0.05))
    assert error.type == "timed_out"
    assert error.message == "'email' was not done within 0.05 seconds."
    assert not error.non_retryable


async def test_a_channel_that_gave_up_waiting_by_itself_timed_out_as_well() -> None:
    async def making(*_: object) -> object:
        raise TimeoutError("of its own")

    error = await failed(making)
    assert (error.type, error.message) == ("timed_out", "'email' was not done in time.")


async def test_a_long_call_gives_signs_of_life_and_a_short_one_none() -> None:
    beats: list[object] = []

    async def making(request: CallRequest, attempt: int, limit: timedelta) -> object:
        while attempt > 1 and len(beats) < 3:
            await asyncio.sleep(0.01)
        return request.key

    short, long = environment(), environment(attempt=2)
    short.on_heartbeat = long.on_heartbeat = lambda *details: beats.append(details)
    await make(making, short, 0.02)
    assert beats == []
    await make(making, long, 0.02)
    assert len(beats) == 3
    await asyncio.sleep(0.1)
    assert len(beats) == 3, "none follows the end of the call"


async def test_a_call_that_is_cancelled_ends_as_cancelled() -> None:
    begun = asyncio.Event()

    async def making(*_: object) -> object:
        begun.set()
        await asyncio.sleep(60)
        return None

    env = environment()
    calling = asyncio.create_task(make(making, env))
    await begun.wait()
    env.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


@pytest.mark.parametrize(
    ("response", "told"),
    [
        ("x" * 70_000, "70,002 bytes"),
        ({1j}, "no JSON"),
        (b"\xff", None),
        ("\ud800", "no JSON"),
        ({"deep": []}, None),
    ],
    ids=["large", "strange", "bytes", "half a character", "fine"],
)
async def test_an_answer_that_cannot_be_kept_is_no_failure(
    response: object, told: str | None
) -> None:
    """The call was made: a failure would have it made again."""

    async def making(*_: object) -> object:
        return response

    answer = await make(making)
    if told is None:
        assert answer.response in ("/w==", {"deep": []})
    else:
        assert isinstance(answer.response, dict)
        assert told in answer.response["dropped"]

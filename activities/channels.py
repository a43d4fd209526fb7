"""The activity that calls a channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from nexus.contracts import ChannelError
from nexus.core.calls import GRACE, CallAnswer, CallRequest, plain_response
from nexus.core.durations import format_duration
from nexus.core.steps import DEFAULT_TIMEOUT

BEAT = 2.0  # seconds between two signs of life; calls that are shorter give none

_log = structlog.get_logger(__name__)


class Caller(Protocol):
    """Who makes the calls: `nexus.channels.Channels`."""

    async def call(self, request: CallRequest, *, attempt: int, timeout: timedelta) -> object:  # noqa: ASYNC109
        """Make one try of a call, within that time. Raises ChannelError."""
        ...


class ChannelActivities:
    """Makes calls with the channels that are installed. Needs no database and no secret of ours."""

    def __init__(self, channels: Caller, beat: float = BEAT) -> None:
        self._channels = channels
        self._beat = beat

    @activity.defn(name="call_channel")
    async def call_channel(self, request: CallRequest) -> CallAnswer:
        """Make one try of a call.

        While it takes, the server is told that this process lives, and hears
        from it in turn whether the call is still wanted.

        Args:
            request: What is to be done.

        Returns:
            The channel's answer. One that is too large, or no JSON, is not an
            error, since the call was made: it says so instead.

        Raises:
            ApplicationError: The try failed; its type is the code of the failure.
                Temporal tries again unless that is final.
        """
        info = activity.info()
        timeout = (info.start_to_close_timeout or DEFAULT_TIMEOUT + GRACE) - GRACE
        log = _log.bind(
            tenant=request.tenant,
            instance=request.instance,
            step=request.step,
            channel=request.channel,
            attempt=info.attempt,
        )
        limit = asyncio.timeout(timeout.total_seconds())
        try:
            async with _alive(self._beat), limit:
                response = await self._channels.call(request, attempt=info.attempt, timeout=timeout)
        except ChannelError as error:
            log.warning("channel_failed", code=error.code, retryable=error.retryable)
            raise _failed(error, info.attempt) from None
        except TimeoutError:
            log.warning("channel_failed", code="timed_out", retryable=True)
            within = f" within {format_duration(timeout)}" if limit.expired() else " in time"
            late = ChannelError("timed_out", f"{request.channel!r} was not done{within}.")
            raise _failed(late, info.attempt) from None
        return CallAnswer(response=plain_response(response), attempts=info.attempt)


@asynccontextmanager
async def _alive(every: float) -> AsyncIterator[None]:
    """Signs of life, for as long as it takes."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every)
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


def _failed(error: ChannelError, attempt: int) -> ApplicationError:
    return ApplicationError(
        error.message,
        {"attempts": attempt},
        type=error.code,
        non_retryable=not error.retryable,
        next_retry_delay=error.retry_after,
        category=ApplicationErrorCategory.BENIGN,  # it was logged, without a traceback
    )

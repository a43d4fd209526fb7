"""Channel calls at Level 1: made by whoever touches the model, one try at a time.

Theory of operation. A call that is wanted is first claimed, in the same write as the decision
that wants it: who else looks at the model finds it under way. Then it is tried, once, and what
came of it is decided on. A try that failed and may be repeated is repeated when its pause is
over and somebody looks again: nothing here sleeps. If the process dies in between, the claim
runs out, and the same call is tried again under the same idempotency key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from nexus.core.calls import GRACE, CallRequest, call_request, plain_response, step_of
from nexus.core.commands import CallEnded
from nexus.core.durations import format_duration
from nexus.core.errors import NexusError
from nexus.core.program import Program
from nexus.core.state import Call
from nexus.local.configuration import Deliver
from nexus.local.kept import Kept, Tried
from nexus.local.shell import TENANT, decided

if TYPE_CHECKING:
    import asyncio

    from nexus.channels import Channels

MOST_CALLS = 1_000
"""Calls that one look makes; what is left is made in the next."""


class CallFailed(NexusError):
    """What a function that makes calls raises where one did not succeed.

    Any other exception means the same: `channel_error`, which may be tried again.

    Attributes:
        code: Stable word, such as `unreachable`; the code of the incident.
        message: What a person should read.
        retryable: Another try may succeed.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


def rendered(request: CallRequest) -> dict[str, object]:
    """What a call says, its templates filled in: for functions that make calls themselves.

    Raises:
        CallFailed: A template cannot be filled in, or `nexus[channels]` is not installed.
    """
    try:
        from nexus.channels.rendering import render
    except ModuleNotFoundError as error:
        raise CallFailed(
            "not_installed",
            f"Templates cannot be filled in: {error.name} is not installed. Install "
            "'nexus[channels]'.",
            retryable=False,
        ) from None
    from nexus.contracts import ChannelError

    try:
        return render(request.given, request.scope)
    except ChannelError as error:
        raise CallFailed(error.code, error.message, retryable=error.retryable) from None


class Later:
    """What a function returns that has handed a call on, to a queue for one.

    Whoever makes the call says what came of it by `handle.call_ended(request.key, …)`.
    """

    def __repr__(self) -> str:
        return "LATER"


LATER: Final = Later()


class Attempt(Struct, frozen=True):
    """One try that is to be made; `number` counts from 1."""

    call: Call
    request: CallRequest
    number: int
    timeout: timedelta


class Outcome(Struct, frozen=True):
    """What came of a try.

    Attributes:
        ended: How the call ends if this was the last try.
        final: No other try may be made.
        pause: How long to wait before another; None leaves that to the step.
    """

    ended: CallEnded
    final: bool = False
    pause: timedelta | None = None


Making = Callable[[Attempt], Any]


def claimed(program: Program, kept: Kept, now: datetime) -> tuple[Kept, list[Attempt]]:
    """Claim every call that is due, and end those that nobody wants any more.

    Returns:
        What is kept then, and the tries that whoever writes that has to make.
    """
    attempts: list[Attempt] = []
    if not kept.state.calls:
        return kept, attempts
    for call in list(kept.state.calls.values()):
        tried = kept.tries.get(call.id)
        handed_on = tried is not None and tried.again_at is None
        if call.cancelling and handed_on:
            continue  # only whoever has it knows what became of it
        if call.cancelling:
            kept = decided(program, kept, CallEnded(call=call.id, outcome="cancelled"), now)
        elif tried is None or (tried.again_at is not None and tried.again_at <= now):
            number = tried.attempts + 1 if tried else 1
            timeout = step_of(program, kept.state, call).timeout
            kept = _with_try(kept, call.id, number, now + timeout + GRACE)
            request = call_request(
                program, kept.state, call, tenant=TENANT, instance=kept.instance, now=now
            )
            attempts.append(Attempt(call, request, number, timeout))
    return kept, attempts


def made(attempt: Attempt, making: Making) -> Outcome | Later:
    """Make one try. Whatever goes wrong is its outcome, and no exception."""
    call = attempt.call.id
    try:
        response = making(attempt)
    except Exception as error:  # what breaks must not break the caller's action
        if not hasattr(error, "retryable"):  # nobody meant to raise this
            import logging  # few ever need it

            log = logging.getLogger("nexus.local")
            log.exception("The function that makes calls broke on %s.", attempt.request.key)
        # Channels have an exception of their own, which has the same attributes as `CallFailed`.
        ended = CallEnded(
            call=call,
            outcome="failed",
            code=str(getattr(error, "code", "channel_error")),
            message=str(getattr(error, "message", "")) or f"{type(error).__name__}: {error}",
            attempts=attempt.number,
        )
        final = not getattr(error, "retryable", True)
        return Outcome(ended, final, getattr(error, "retry_after", None))
    if isinstance(response, Later):
        return response
    response = plain_response(response)
    return Outcome(CallEnded(call=call, outcome="done", response=response, attempts=attempt.number))


def settled(
    program: Program, kept: Kept, attempt: Attempt, outcome: Outcome | Later, now: datetime
) -> Kept:
    """What is kept once a try was made: the call has ended, or is to be tried again."""
    call = kept.state.calls.get(attempt.call.id)
    if call is None:
        return kept
    if isinstance(outcome, Later):
        return _with_try(kept, call.id, attempt.number, None)
    retry = step_of(program, kept.state, call).retry
    failed = outcome.ended.outcome == "failed"
    if failed and not outcome.final and attempt.number < retry.attempts and not call.cancelling:
        pause = min(retry.initial * retry.backoff ** (attempt.number - 1), retry.maximum)
        pause = max(pause, outcome.pause or pause)
        return _with_try(kept, call.id, attempt.number, now + pause)
    return decided(program, kept, outcome.ended, now)


def _with_try(kept: Kept, call: str, attempts: int, again_at: datetime | None) -> Kept:
    tries: Mapping[str, Tried] = {**kept.tries, call: Tried(attempts=attempts, again_at=again_at)}
    return replace(kept, tries=tries)


# --- the channels that are installed ---------------------------------------------------------


class _Installed:
    """The channels that are installed, on an event loop of their own.

    Channels keep connections, which belong to one loop; the caller may have another, or none.
    """

    def __init__(self) -> None:
        self._process = 0
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channels: Channels | None = None

    def __call__(self, attempt: Attempt) -> Any:
        import asyncio  # not before a channel is called: it takes longer than all of this module

        channels, loop = self._started()
        request, timeout = attempt.request, attempt.timeout
        calling = channels.call(request, attempt=attempt.number, timeout=timeout)
        limited = asyncio.wait_for(calling, timeout.total_seconds())
        try:
            return asyncio.run_coroutine_threadsafe(limited, loop).result()
        except TimeoutError:
            within = format_duration(timeout)
            message = f"{request.channel!r} was not done within {within}."
            raise CallFailed("timed_out", message) from None

    def _started(self) -> tuple[Channels, asyncio.AbstractEventLoop]:
        import asyncio

        with self._starting:
            if self._channels is None or self._loop is None or self._process != os.getpid():
                try:
                    from nexus.channels import load_channels
                except ModuleNotFoundError as error:
                    raise CallFailed(
                        "not_installed",
                        f"No channel can be called: {error.name} is not installed. Install "
                        "'nexus[channels]', or give nexus.configure(channels=…) a function.",
                        retryable=False,
                    ) from None
                self._channels = load_channels()
                self._loop = asyncio.new_event_loop()
                self._process = os.getpid()
                threading.Thread(
                    target=self._loop.run_forever, name="nexus-channels", daemon=True
                ).start()
            return self._channels, self._loop


_installed = _Installed()


def making_of(deliver: Deliver | None) -> Making:
    """What makes tries: the function that the user gave, else the channels that are installed."""
    if deliver is None:
        return _installed
    return lambda attempt: deliver(attempt.request)

"""Clocks and channel calls: what the state wants of the world is held equal to what is under way.

Effects come from the state, not from events: whatever is wanted and missing is
started, whatever is surplus is cancelled, in a new run of the workflow as well.
An effect is taken off the list and its outcome decided without an `await`
between the two, so no decision sees one that is neither wanted nor ended.

Calls are held back where too many of them, or too large ones, would be too much
for Temporal: the rest follows when others have ended, or in the next run of the
instance. What decides that is counted here, and nothing else: how a history is
cut into workflow tasks, and what the server suggests, is not the same in a replay.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal

import msgspec
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    RetryState,
    TimeoutError,  # noqa: A004 - of an activity
)
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from nexus.core.calls import GRACE, CallAnswer, CallRequest, call_request, step_of
from nexus.core.commands import CallEnded, TimerDue
from nexus.core.program import Program
from nexus.core.rows import Identity
from nexus.core.state import Call, State, Timer
from nexus.core.steps import ChannelStep, Retry
from workflows.appearance import call_summary, shortened
from workflows.contract import CALL_CHANNEL, channel_queue

Happened = Callable[[TimerDue | CallEnded], Awaitable[None]]

# A worker that is gone is noticed after this long, whatever the call's own time is; a call that is
# cancelled hears of it with its next heartbeat.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)

# Under way at once. The server keeps 100 events while a workflow task is worked on, two for each
# call that ends, and fails the task when there are more.
MOST_CALLS = 40
# Bytes of one call; the server takes 2 MiB, and ends the workflow above.
MOST_REQUEST = 1_500_000
# Bytes of the calls under way, and so of those that one workflow task starts; the server takes
# 4 MiB with everything else.
MOST_REQUESTED = 1_500_000
# What one run of an instance starts; the server suggests a new run at 4,096 events or 4 MiB.
MOST_STARTED = 800
MOST_STARTED_BYTES = 4_000_000
_EVENTS_OF_A_CALL = 5
_LEAST_PAUSE = timedelta(milliseconds=1)
_MOST_ID = 500  # characters of an activity's id; the server takes 1,000


class Effects:
    """The clocks and calls under way of one run of an instance.

    Attributes:
        crash: An error in an effect. Nobody awaits effects, so whoever runs the
            workflow has to raise it: it must fail the workflow task, where people see it.
    """

    def __init__(
        self,
        program: Program,
        identity: Identity,
        state: Callable[[], State],
        happened: Happened,
        roll_over_after: int = 0,
    ) -> None:
        """Nothing is under way yet.

        Args:
            program: The compiled definition.
            identity: Of the instance.
            state: The instance as it stands.
            happened: Decides on what came of an effect, before it awaits anything.
            roll_over_after: History events after which a new run is to follow; 0 for as many as
                the server takes well.
        """
        self.crash: BaseException | None = None
        self._program = program
        self._identity = identity
        self._state = state
        self._happened = happened
        self._most_started = MOST_STARTED
        if roll_over_after:
            self._most_started = max(1, roll_over_after // _EVENTS_OF_A_CALL)
        self._clocks: dict[str, asyncio.Task[None]] = {}
        self._calls: dict[str, ActivityHandle[object] | None] = {}
        self._cancelled: set[str] = set()
        self._sizes: dict[str, int] = {}  # bytes of each call under way
        self._started = 0
        self._started_bytes = 0

    @property
    def calling(self) -> bool:
        """Whether a call is under way."""
        return bool(self._calls)

    @property
    def spent(self) -> bool:
        """This run has started as many calls as it may; the others are for the next."""
        return self._started >= self._most_started or self._started_bytes >= MOST_STARTED_BYTES

    def reconcile(self) -> None:
        """Start what is wanted and missing; cancel, once, what nobody wants any more."""
        state = self._state()
        self._reconcile_clocks(state)
        if state.calls or self._calls:
            self._reconcile_calls(state)

    def _spawn(self, effect: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(effect)
        task.add_done_callback(self._notice)
        return task

    def _notice(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.crash = error

    # --- clocks ---------------------------------------------------------------------------

    def _reconcile_clocks(self, state: State) -> None:
        timers = state.timers
        for id_ in [id_ for id_ in self._clocks if id_ not in timers]:
            self._clocks.pop(id_).cancel()
        missing = [timer for id_, timer in timers.items() if id_ not in self._clocks]
        # After continue-as-new several may be overdue: they still fire in due order (R7).
        for timer in sorted(missing, key=lambda timer: timer.due):
            self._clocks[timer.id] = self._spawn(self._clock(timer))

    async def _clock(self, timer: Timer) -> None:
        wait = max(timer.due - workflow.now(), timedelta())
        await workflow.sleep(wait, summary=shortened(timer.summary, 200))
        self._clocks.pop(timer.id, None)
        await self._happened(TimerDue(timer=timer.id))

    # --- calls ----------------------------------------------------------------------------

    def _reconcile_calls(self, state: State) -> None:
        held_back = False  # all after the first that is: they have their turn in this order
        for call in state.calls.values():
            if call.id in self._calls:
                if call.cancelling and call.id not in self._cancelled:
                    self._cancelled.add(call.id)
                    self._spawn(self._cancel(call.id))
            elif call.cancelling:
                self._calls[call.id] = None
                self._spawn(self._end(CallEnded(call=call.id, outcome="cancelled")))
            elif not held_back:
                held_back = not self._begin(state, call)

    def _begin(self, state: State, call: Call) -> bool:
        """Start a call, unless it has to be held back. Returns whether it was started."""
        if len(self._calls) >= MOST_CALLS or self.spent:
            return False
        request = call_request(
            self._program,
            state,
            call,
            tenant=self._identity.tenant,
            instance=self._identity.id,
            now=workflow.now(),
        )
        size = len(msgspec.json.encode(request))
        if size > MOST_REQUEST:
            self._calls[call.id] = None
            self._spawn(self._end(_too_large(call, size)))
            return True
        requested = sum(self._sizes.values())
        if requested and requested + size > MOST_REQUESTED:
            return False
        self._sizes[call.id] = size
        self._started += 1
        self._started_bytes += size
        step = step_of(self._program, state, call)
        self._calls[call.id] = handle = self._start(call, step, request)
        self._spawn(self._await(call, step, handle))
        return True

    def _start(self, call: Call, step: ChannelStep, request: CallRequest) -> ActivityHandle[object]:
        return workflow.start_activity(
            CALL_CHANNEL,
            request,
            activity_id=_activity_id(call.id),
            task_queue=channel_queue(workflow.info().task_queue),
            start_to_close_timeout=step.timeout + GRACE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_retry_policy(step.retry),
            # Whether it was done in spite of being cancelled is worth knowing.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=call_summary(call),
        )

    async def _await(self, call: Call, step: ChannelStep, handle: ActivityHandle[object]) -> None:
        try:
            ended = _succeeded(call, await handle)
        except asyncio.CancelledError:
            if call.id not in self._cancelled:
                raise  # this run of the workflow leaves the worker's memory
            ended = CallEnded(call=call.id, outcome="cancelled")
        except ActivityError as error:
            ended = _not_succeeded(call, step, error)
        await self._end(ended)

    async def _end(self, ended: CallEnded) -> None:
        self._calls.pop(ended.call, None)
        self._sizes.pop(ended.call, None)
        self._cancelled.discard(ended.call)
        await self._happened(ended)

    async def _cancel(self, call: str) -> None:
        # The answer of a call that has come in together with what cancels it would be thrown away:
        # a condition is looked at when everything that has come in was heard.
        await workflow.wait_condition(lambda: True)
        handle = self._calls.get(call)
        if handle is not None and call in self._cancelled:
            handle.cancel()


def _activity_id(call: str) -> str:
    if len(call) <= _MOST_ID:
        return call
    return f"{call[:_MOST_ID]}…{hashlib.blake2b(call.encode(), digest_size=16).hexdigest()}"


def _retry_policy(retry: Retry) -> RetryPolicy:
    initial = max(retry.initial, _LEAST_PAUSE)
    return RetryPolicy(
        initial_interval=initial,
        backoff_coefficient=max(retry.backoff, 1.0),
        maximum_interval=max(retry.maximum, initial),
        maximum_attempts=max(retry.attempts, 1),
    )


def _too_large(call: Call, size: int) -> CallEnded:
    return CallEnded(
        call=call.id,
        outcome="failed",
        code="too_large",
        message=f"What the channel would be told has {size:,} bytes, and at most "
        f"{MOST_REQUEST:,} can be sent. Most of it is data of the record and its instance.",
    )


def _succeeded(call: Call, answered: object) -> CallEnded:
    try:
        answer = msgspec.convert(answered, type=CallAnswer)
    except msgspec.ValidationError as error:
        message = f"The channel's answer cannot be read: {error}."
        return CallEnded(call=call.id, outcome="failed", code="bad_answer", message=message)
    return CallEnded(
        call=call.id, outcome="done", response=answer.response, attempts=answer.attempts
    )


def _not_succeeded(call: Call, step: ChannelStep, error: ActivityError) -> CallEnded:
    cause = error.cause
    if isinstance(cause, CancelledError):
        return CallEnded(call=call.id, outcome="cancelled", code="cancelled", message="cancelled")
    if isinstance(cause, TimeoutError):
        spent = error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED
        return CallEnded(
            call=call.id,
            outcome="timed_out",
            code="timed_out",
            message="Nothing was heard of the call in time, nor of the worker that made it.",
            attempts=step.retry.attempts if spent else 1,
        )
    code, message, attempts = "channel_error", str(cause or error), 1
    if isinstance(cause, ApplicationError):
        code, message = cause.type or code, cause.message
        told = cause.details[0] if cause.details else None
        if isinstance(told, dict) and isinstance(told.get("attempts"), int):
            attempts = told["attempts"]
    outcome: Literal["timed_out", "failed"] = "timed_out" if code == "timed_out" else "failed"
    return CallEnded(call=call.id, outcome=outcome, code=code, message=message, attempts=attempts)

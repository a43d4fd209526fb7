"""One instance on a virtual clock: commands in, events out, clocks and calls in due order.

Theory of operation. What the state wants of the world is a clock for each of its
timers and an answer for each of its calls. Time moves only when it is told to,
and stops on its way at whatever is due first; a call is answered as `answering`
has it, by default with success at once. Two things that are due at the same
moment have their turn in the order in which they were wanted, calls first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from nexus.core.calls import CallRequest, call_request
from nexus.core.commands import CallEnded, Command, TimerDue
from nexus.core.decide import step
from nexus.core.errors import NexusError
from nexus.core.events import AnyEvent
from nexus.core.program import Program
from nexus.core.state import Call, State

if TYPE_CHECKING:
    from nexus.channels import Channels

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday morning
MOST_EVENTS = 100_000

EndOfCall = Literal["done", "failed", "timed_out"]


class TooLong(NexusError):
    """A run has more events than it may: most likely it goes in circles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a channel call comes to.

    Attributes:
        outcome: How it ends.
        response: What the channel answers; JSON.
        code, message: What went wrong, where it does not succeed.
        attempts: How often it is tried.
        after: From the request to the end, with all tries and the pauses between them.
        when_cancelled: What becomes of it if nobody wants it any more before it has ended: it ends
            at once or in its own time, as cancelled; or it is done all the same.
    """

    outcome: EndOfCall = "done"
    response: object = None
    code: str = ""
    message: str = ""
    attempts: int = 1
    after: timedelta = timedelta()
    when_cancelled: Literal["ends_at_once", "ends_in_time", "is_done"] = "ends_at_once"


Answering = Callable[[CallRequest], Answer]

_DONE = Answer()


@dataclass(slots=True, kw_only=True)
class MadeCall:
    """A call that would have been made.

    Attributes:
        id: Its effect id.
        request: What the channel would have been asked.
        kind: The kind of channel; None where it is not installed here.
        content: The step's `with`, rendered.
        requested_at: When.
        outcome: What came of it; `running` until then.
        response, code, message: As `Answer` has them.
        ended_at: When it ended; None until then.
    """

    id: str
    request: CallRequest
    kind: str | None
    content: Mapping[str, object]
    requested_at: datetime
    outcome: Literal["running", "done", "failed", "timed_out", "cancelled"] = "running"
    response: object = None
    code: str = ""
    message: str = ""
    ended_at: datetime | None = None


@dataclass(slots=True)
class _UnderWay:
    """A call whose end is due; `made` is None for one that was not wanted any more to begin with.

    Attributes:
        cancelled: Nobody wants it any more, and it heard of that in time.
    """

    due: datetime
    answer: Answer
    made: MadeCall | None
    cancelled: bool = False


def always_done(_request: CallRequest) -> Answer:
    """Every call succeeds at once."""
    return _DONE


class Simulation:
    """One instance of a definition, from its start on.

    Attributes:
        state: The instance as it stands.
        now: The virtual time, timezone-aware.
        events: Everything that happened, in order.
        calls: Every call that would have been made, in order.
    """

    def __init__(
        self,
        program: Program,
        *,
        at: datetime = START,
        answering: Answering = always_done,
        channels: Channels | None = None,
        tenant: str = "simulated",
        instance: str = "simulated",
        render: bool = True,
        most_events: int = MOST_EVENTS,
    ) -> None:
        """A new instance, which takes only `Start`.

        Args:
            program: The compiled definition.
            at: What the clock shows.
            answering: What comes of a call. One whose content its channel would refuse fails
                whatever this says.
            channels: The channels whose templates and parameters are looked at; without them
                contents are not rendered.
            tenant: As it stands in requests.
            instance: Its id, as it stands in requests.
            render: Whether contents are wanted at all; they take most of the time.
            most_events: How many events a run may have.
        """
        self.program = program
        self.state = State()
        self.now = at
        self.events: list[AnyEvent] = []
        self.calls: list[MadeCall] = []
        self._answering = answering
        self._channels = channels if render else None
        self._tenant = tenant
        self._instance = instance
        self._most_events = most_events
        self._under_way: dict[str, _UnderWay] = {}

    def give(self, command: Command) -> tuple[AnyEvent, ...]:
        """Decide on a command, and let what takes no time happen.

        Returns:
            The events of the command, and of the calls that ended with it.

        Raises:
            Rejected: The command is refused; nothing has changed.
            TooLong: There are too many events.
        """
        before = len(self.events)
        self._decide(command)
        self._let_happen(self.now)
        return tuple(self.events[before:])

    def advance(self, until: datetime) -> None:
        """Let time pass; whatever comes due on the way happens, in due order.

        Raises:
            TooLong: There are too many events.
        """
        self._let_happen(until)
        self.now = max(self.now, until)

    def next_due(self) -> datetime | None:
        """When the next clock or call is due; None where nothing is awaited but people."""
        dues = [timer.due for timer in self.state.timers.values()]
        dues += [one.due for one in self._under_way.values()]
        return min(dues, default=None)

    # --- what happens by itself -------------------------------------------------------------

    def _let_happen(self, until: datetime) -> None:
        while True:
            call = min(self._under_way, key=self._due_of, default=None)
            clock = min(
                self.state.timers.values(), key=lambda timer: (timer.due, timer.id), default=None
            )
            called = None if call is None else self._under_way[call].due
            if clock is not None and (called is None or clock.due < called):
                if clock.due > until:
                    return
                self.now = max(self.now, clock.due)
                self._decide(TimerDue(timer=clock.id))
            elif call is not None and called is not None:
                if called > until:
                    return
                self.now = max(self.now, called)
                self._end(call)
            else:
                return

    def _due_of(self, call: str) -> datetime:
        return self._under_way[call].due

    def _decide(self, command: Command) -> None:
        events, self.state = step(self.program, self.state, command, self.now)
        self.events += events
        if len(self.events) > self._most_events:
            raise TooLong(
                f"There are more than {self._most_events:,} events by {self.now:%Y-%m-%d %H:%M}: "
                "it seems to go in circles."
            )
        if self.state.calls or self._under_way:
            self._reconcile()

    # --- calls ------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Make the calls that are wanted and missing; end, as cancelled, those that are not."""
        for call in self.state.calls.values():
            under_way = self._under_way.get(call.id)
            if under_way is None and call.cancelling:
                self._under_way[call.id] = _UnderWay(self.now, _DONE, None, cancelled=True)
            elif under_way is None:
                self._under_way[call.id] = self._make(call)
            elif call.cancelling and not under_way.cancelled:
                how = under_way.answer.when_cancelled
                under_way.cancelled = how != "is_done"
                if how == "ends_at_once":
                    under_way.due = self.now

    def _make(self, call: Call) -> _UnderWay:
        request = call_request(
            self.program,
            self.state,
            call,
            tenant=self._tenant,
            instance=self._instance,
            now=self.now,
        )
        kind, content, answer = None, request.given, None
        if self._channels is not None:
            preview = self._channels.preview(request)
            kind, content = preview.kind, preview.content
            if preview.fault is not None:
                fault = preview.fault
                answer = Answer(outcome="failed", code=fault.code, message=fault.message)
        made = MadeCall(
            id=call.id, request=request, kind=kind, content=content, requested_at=self.now
        )
        self.calls.append(made)
        if answer is None:
            answer = self._answering(request)
        return _UnderWay(self.now + answer.after, answer, made)

    def _end(self, call: str) -> None:
        under_way = self._under_way.pop(call)
        made, answer = under_way.made, under_way.answer
        if made is None:
            self._decide(CallEnded(call=call, outcome="cancelled"))
            return
        made.ended_at = self.now
        if under_way.cancelled:
            made.outcome = "cancelled"
            ended = CallEnded(call=call, outcome="cancelled", code="cancelled", message="cancelled")
        else:
            made.outcome = answer.outcome
            made.response, made.code, made.message = answer.response, answer.code, answer.message
            ended = CallEnded(
                call=call,
                outcome=answer.outcome,
                response=answer.response,
                code=answer.code,
                message=answer.message,
                attempts=answer.attempts,
            )
        self._decide(ended)

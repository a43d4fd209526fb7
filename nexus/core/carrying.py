"""Carrying over: an instance that ran elsewhere goes on here, with its whole history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from nexus.core.authority import authorize_opening
from nexus.core.commands import CarryOver
from nexus.core.decision import Decision
from nexus.core.errors import Rejected
from nexus.core.events import AnyEvent, CarriedOver, InstanceStarted
from nexus.core.fitting import require_fit
from nexus.core.restoring import apply, events_of, rows_of

# How far the clock of the machine that an instance comes from may be ahead of ours.
SKEW = timedelta(minutes=5)


def carry_over(decision: Decision, command: CarryOver) -> None:
    """Take over what happened elsewhere, as it was, and say so.

    Args:
        decision: Of an instance that is new; takes the events.
        command: What happened, and where.

    Raises:
        Rejected: `forbidden`; `invalid_data`, if the history cannot be read or is not whole;
            `conflict` with `misfits`, if the program does not know what it has.
    """
    program = decision.program
    authorize_opening(program, command.actor, "start")
    events = list(events_of(rows_of(command.history)))
    _require_whole(decision, command, events)
    for index, event in enumerate(events):
        decision.state = apply(decision.state, event, f"/history/{index}")
    decision.events += events
    # One that has ended comes along as well: it is part of what happened to its subject.
    require_fit(program, decision.state)
    # A clock that is ahead must not have history go backwards.
    decision.now = max(decision.now, events[-1].at)
    decision.emit(CarriedOver, origin=command.origin, events=len(events))


def _require_whole(decision: Decision, command: CarryOver, events: Sequence[AnyEvent]) -> None:
    """Refuse a history that does not begin with the start, has gaps, or goes back in time."""
    program, subject = decision.program, command.subject
    first = events[0] if events else None
    if not isinstance(first, InstanceStarted):
        raise _not_whole("/history", "it has to begin with 'instance_started'")
    if first.definition != program.id:
        raise _not_whole(
            "/history/0/payload/definition",
            f"it is an instance of {first.definition!r}, not of {program.id!r}",
        )
    if first.subject != subject:
        raise _not_whole(
            "/history/0/payload/subject",
            f"it is about {first.subject.type} {first.subject.id!r}, not about {subject.type} "
            f"{subject.id!r}",
        )
    latest = first.at
    for index, event in enumerate(events):
        if event.seq != index + 1:
            raise _not_whole(f"/history/{index}/seq", f"is {event.seq}, and has to be {index + 1}")
        if event.at < latest:
            raise _not_whole(f"/history/{index}/at", "is before the row above it")
        latest = event.at
        if index and isinstance(event, InstanceStarted):
            raise _not_whole(f"/history/{index}/event", "it has started already")
    if latest > decision.now + SKEW:
        raise _not_whole(f"/history/{len(events) - 1}/at", "lies in the future")


def _not_whole(pointer: str, message: str) -> Rejected:
    return Rejected(
        "invalid_data",
        f"The history cannot be carried over: {pointer}: {message}.",
        {"errors": [{"pointer": pointer, "message": message}]},
    )

"""What arrives without anybody's action: events from outside, and clocks (R7, R8).

An event reaches each record once: it takes a transition that can be taken now,
else a step that waits for it has it, else the record keeps it where its stage
could still use it. A clock, or a kept event, that would leave a stage whose run
is going on waits for the join; then each has its turn, in the order in which
they came or were due.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from nexus.core.commands import SYSTEM_ACTOR
from nexus.core.decision import Decision
from nexus.core.errors import RefusalCode, Rejected
from nexus.core.events import EventApplied, EventReceived, TimerFired
from nexus.core.program import Transition
from nexus.core.runs import clock_of_step, hear, run_of_record
from nexus.core.state import Awaiting, Data, Record, Timer
from nexus.core.steps import WaitForStep
from nexus.core.transitions import (
    NO_EXITS,
    Reason,
    hindrance,
    report_not_taken,
    take,
    take_or_report,
)

MOST_KEPT = 100  # events that one record keeps in one stage visit


class _Reach(Struct):
    """Whom an event reaches."""

    takes: list[tuple[Transition, Record]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)  # record, path of the step
    kept: list[str] = field(default_factory=list)
    why: list[Mapping[str, object]] = field(default_factory=list)


def receive(decision: Decision, event: str, data: Data, record_id: str | None) -> None:
    """Let each live record, or the one named, have an event.

    The history says who, and why the others that listen do not.

    Raises:
        Rejected: `too_large`, if a record keeps as many as it may.
    """
    sender = decision.actor
    decision.actor = SYSTEM_ACTOR
    decision.received = {"type": event, "data": data}
    reach = _Reach()
    for record in decision.state.records.values():
        live = record.status == "open" or record.running
        if live and record.stage is not None and record_id in (None, record.id):
            _reach(decision, event, record, reach)
    decision.actor = sender
    decision.emit(
        EventReceived,
        record=record_id,
        event=event,
        data=dict(data),
        takes=tuple(f"{record.id}: {transition.name}" for transition, record in reach.takes),
        consumed=tuple(f"{record}: {path}" for record, path in reach.waiting),
        kept=tuple(reach.kept),
        why=tuple(reach.why),
    )
    decision.actor = SYSTEM_ACTOR
    for transition, record in reach.takes:
        take_or_report(decision, transition, record, "event")
    for waiting, _ in reach.waiting:
        hear(decision, waiting, event, data)


def _reach(decision: Decision, event: str, record: Record, reach: _Reach) -> None:
    listening = _listening(decision, record, event)
    for transition in listening:
        if record.running and not transition.interrupts:
            continue
        reason = hindrance(decision, transition, record)
        if reason is None:
            reach.takes.append((transition, record))
            return
        reach.why += _of(record, transition, reason)
    run = run_of_record(decision, record)
    if run is None or not record.running:
        return
    for step in run.by_path.values():
        if (
            isinstance(step, WaitForStep)
            and step.event == event
            and record.run.get(step.path) == "running"
            and step.waiting not in record.run
        ):
            reach.waiting.append((record.id, step.path))
            return
    if event in run.events or any(not transition.interrupts for transition in listening):
        if sum(one.kind == "event" for one in record.awaiting) >= MOST_KEPT:
            raise Rejected(
                "too_large",
                f"{record.id!r} keeps {MOST_KEPT} events until the run of {record.stage!r} has "
                "joined, and no more.",
            )
        reach.kept.append(record.id)


def _listening(decision: Decision, record: Record, event: str) -> list[Transition]:
    if record.stage is None or record.status != "open":
        return []
    exits = decision.program.entities[record.entity].exits.get(record.stage, NO_EXITS)
    return [transition for transition in exits.event if transition.trigger.event == event]


def _of(record: Record, transition: Transition, reason: Reason) -> list[Mapping[str, object]]:
    return [{"record": record.id, "transition": transition.name, **one} for one in reason.why]


# --- clocks --------------------------------------------------------------------------------


def timer_due(decision: Decision, timer: Timer) -> None:
    """A clock came due: end its step, or take its transition, or have it wait for the join."""
    if timer.kind == "wait":
        clock_of_step(decision, timer)
        return
    record = decision.state.records[timer.record]
    transition = decision.program.transitions[timer.name]
    if record.running and not transition.interrupts:
        decision.emit(
            TimerFired,
            record=record.id,
            timer=timer.id,
            transition=transition.name,
            outcome="awaits_join",
            due=timer.due,
        )
        return
    _fire(decision, timer.id, transition, record)


def _fire(decision: Decision, timer: str, transition: Transition, record: Record) -> None:
    """Take a clock's transition if its condition holds, and say so either way."""

    def fired(outcome: RefusalCode | str, reason: Reason | None = None) -> None:
        decision.emit(
            TimerFired,
            record=record.id,
            timer=timer,
            transition=transition.name,
            outcome=outcome,
            why=() if reason is None else reason.why,
        )

    reason = hindrance(decision, transition, record)
    before = decision.mark()
    fired("taken" if reason is None else reason.code, reason)
    if reason is not None:
        return
    try:
        take(decision, transition, record, "after")
    except Rejected as refusal:
        decision.back_to(before)
        fired(refusal.code)
        report_not_taken(decision, transition, record, refusal)


# --- after the join ------------------------------------------------------------------------


def apply_awaiting(decision: Decision) -> None:
    """Give what waited for a join its turn, in the order in which it came or was due (R7)."""
    for id_ in [id_ for id_, record in decision.state.records.items() if record.awaiting]:
        while True:
            record = decision.state.records[id_]
            if record.running or record.status != "open" or not record.awaiting:
                break
            _apply(decision, record, min(record.awaiting, key=lambda one: one.at))


def _apply(decision: Decision, record: Record, came: Awaiting) -> None:
    if came.kind == "after":
        transition = decision.program.transitions[came.name]
        _fire(decision, f"{record.id}/{record.visit}/after:{came.name}", transition, record)
        return
    before, decision.received = decision.received, {"type": came.name, "data": came.data}
    why: list[Mapping[str, object]] = []
    taken: Transition | None = None
    for transition in _listening(decision, record, came.name):
        reason = hindrance(decision, transition, record)
        if reason is None:
            taken = transition
            break
        why += _of(record, transition, reason)
    decision.emit(
        EventApplied,
        record=record.id,
        event=came.name,
        transition=taken.name if taken else None,
        why=tuple(why),
    )
    if taken is not None:
        take_or_report(decision, taken, decision.state.records[record.id], "event")
    decision.received = before

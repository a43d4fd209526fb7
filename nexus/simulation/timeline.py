"""A run as lines that a person reads: when, who, what, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nexus.core.durations import format_duration
from nexus.core.events import (
    ActionTaken,
    AnyEvent,
    Assigned,
    CarriedOver,
    ChannelFailed,
    ChannelRequested,
    ChannelSucceeded,
    CommentAdded,
    DataChanged,
    EventApplied,
    EventReceived,
    IncidentClosed,
    IncidentRaised,
    IncidentRetried,
    InstanceEnded,
    InstanceEnding,
    InstanceStarted,
    RecordClosed,
    RecordCreated,
    RunStopped,
    SignalRefused,
    StageEntered,
    StepEnded,
    StepStarted,
    TaskCompleted,
    TaskOpened,
    TimerFired,
)
from nexus.core.expressions import to_json
from nexus.core.program import Program
from nexus.core.reasons import several, unmet
from nexus.core.state import RUN_ROOT, Assignees, Timer
from nexus.simulation.playing import Refusal
from nexus.simulation.simulator import MadeCall, Simulation

MOST_SHOWN = 160  # characters of a content in one line

Why = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timeline.

    Attributes:
        at: When.
        since: That, from the start on.
        kind: `event`, `refusal`, or `clock` for one that is set.
        who: Id of who caused it.
        record: Id of the record concerned; None for the whole instance.
        what: What happened, in a few words.
        why: What led to it, or kept it from happening; "" where that is plain.
        details: The facts, as JSON.
    """

    at: datetime
    since: timedelta
    kind: str
    who: str
    record: str | None
    what: str
    why: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def timeline(
    simulation: Simulation, refusals: Sequence[Refusal] = (), *, everything: bool = False
) -> list[Entry]:
    """What happened in a run, in order.

    Args:
        simulation: The run.
        refusals: What was refused in it.
        everything: Also what follows from other lines, such as a step that begins.
    """
    start = simulation.events[0].at if simulation.events else simulation.now
    writer = _Writer(simulation, start, everything)
    return list(writer.entries(sorted(refusals, key=lambda refusal: refusal.before)))


class _Writer:
    def __init__(self, simulation: Simulation, start: datetime, everything: bool) -> None:
        self._program: Program = simulation.program
        self._events = simulation.events
        self._start = start
        self._everything = everything
        self._calls: dict[str, list[MadeCall]] = {}
        for call in simulation.calls:
            self._calls.setdefault(call.id, []).append(call)

    def entries(self, refusals: list[Refusal]) -> Iterator[Entry]:
        """The lines of all events, with refusals between them."""
        for index, event in enumerate(self._events):
            while refusals and refusals[0].before <= index:
                yield self._refused(refusals.pop(0))
            yield from self._lines(event)
        for refusal in refusals:
            yield self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Entry:
        return Entry(
            at=refusal.at,
            since=refusal.at - self._start,
            kind="refusal",
            who=refusal.by,
            record=None,
            what=f"{refusal.what}: refused ({refusal.rejected.code})",
            why=refusal.rejected.message,
            details={"code": refusal.rejected.code, "action": refusal.what},
        )

    def _lines(self, event: AnyEvent) -> Iterator[Entry]:
        told = self._told(event)
        if told is not None:
            what, why, details = told
            yield self._entry(event, what, why, {"event": event.name, **details})
        if isinstance(event, StageEntered | StepStarted):
            for timer in event.timers:
                yield self._clock(event, timer)

    def _entry(
        self,
        event: AnyEvent,
        what: str,
        why: str,
        details: Mapping[str, object],
        kind: str = "event",
    ) -> Entry:
        return Entry(
            at=event.at,
            since=event.at - self._start,
            kind=kind,
            who=event.actor,
            record=event.record,
            what=what,
            why=why,
            details=details,
        )

    def _clock(self, event: AnyEvent, timer: Timer) -> Entry:
        length = format_duration(timer.due - event.at)
        name = timer.name if timer.kind == "transition" else "waiting"
        what = f"clock set: {name} in {length}"
        facts = {"timer": timer.id, "due": timer.due.isoformat(), "name": timer.name}
        return self._entry(event, what, "", facts, "clock")

    # --- events in words --------------------------------------------------------------------

    def _told(self, event: AnyEvent) -> tuple[str, str, dict[str, object]] | None:
        return self._told_of_life(event) or self._told_of_runs(event) or self._told_of_calls(event)

    def _told_of_life(self, event: AnyEvent) -> tuple[str, str, dict[str, object]] | None:
        match event:
            case InstanceStarted():
                subject = f"{event.subject.type} {event.subject.id}"
                data = {"data": to_json(event.data)}
                return f"started for {subject}", _shown(event.data), data
            case CarriedOver():
                what = f"carried over from {event.origin}"
                return what, f"with {event.events} events", {"origin": event.origin}
            case RecordCreated():
                why = f"from {event.parent}" if event.parent else ""
                return f"{event.entity} created", why, {"data": to_json(event.data)}
            case ActionTaken():
                why = "as admin" if event.override else ""
                given = _shown(event.input)
                details: dict[str, object] = {"action": event.action, "input": to_json(event.input)}
                return event.action, ", ".join(filter(None, (given, event.comment, why))), details
            case StageEntered():
                return self._entered(event)
            case Assigned():
                return f"assigned to {_people(event.assignees)}", "", {}
            case DataChanged():
                return f"data: {_shown(event.changes)}", "", {"changes": to_json(event.changes)}
            case CommentAdded():
                return "comment", event.comment or "", {}
            case RecordClosed():
                return f"closed in {event.stage}" if event.stage else "closed", "", {}
            case EventReceived():
                return self._received(event)
            case EventApplied():
                why = _unmet(event.transition or event.event, event.why)
                return f"event {event.event}, kept until the join", why, {"event_type": event.event}
            case TimerFired():
                outcome = {"taken": "", "awaits_join": "waits for the run to join"}
                why = outcome.get(event.outcome) or _unmet(event.transition, event.why)
                return f"clock fires: {event.transition}", why, {"outcome": event.outcome}
            case SignalRefused():
                return f"signal refused ({event.code})", event.message, {}
            case InstanceEnding():
                return f"ending as {event.status}", "once what still runs has settled", {}
            case InstanceEnded():
                return f"instance {event.status}", "", {"status": event.status}
            case _:
                return None

    def _entered(self, event: StageEntered) -> tuple[str, str, dict[str, object]]:
        why = ""
        if event.transition is not None:
            transition = self._program.transitions[event.transition]
            why = f"by {event.transition}"
            if event.trigger != "action":
                why += f" ({event.trigger})"
            if transition.condition is not None:
                condition = transition.condition
                text = getattr(condition, "text", "")
                why += f", as {text}" if text else ", as its condition holds"
        who = f", assigned to {_people(event.assignees)}" if event.assignees else ""
        from_ = f"{event.previous} → " if event.previous else "→ "
        final = " (final)" if event.final else ""
        details: dict[str, object] = {
            "stage": event.stage,
            "previous": event.previous,
            "transition": event.transition,
        }
        return f"{from_}{event.stage}{final}{who}", why, details

    def _received(self, event: EventReceived) -> tuple[str, str, dict[str, object]]:
        if event.takes or event.consumed:
            why = ""
        elif event.kept:
            why = f"kept by {several(event.kept)}"
        elif event.why:
            why = _unmet(event.event, event.why)
        else:
            why = "nobody listens"
        given = f": {_shown(event.data)}" if event.data else ""
        return f"event {event.event}{given}", why, {"event_type": event.event}

    def _told_of_runs(self, event: AnyEvent) -> tuple[str, str, dict[str, object]] | None:
        match event:
            case StepStarted():
                if not self._everything:
                    return None
                return f"{event.step} begins ({event.kind})", "", {"step": event.step}
            case StepEnded():
                return self._step_ended(event)
            case RunStopped():
                return "run stopped", f"left: {several(event.steps)}", {"steps": list(event.steps)}
            case TaskOpened():
                task = event.task
                who = f" for {_people(task.assignees)}" if task.assignees else ""
                return f"task: {task.title}{who}", "", {"task": task.id, "title": task.title}
            case TaskCompleted():
                why = ", ".join(filter(None, (_shown(event.data), event.comment)))
                return f"task done: {event.title}", why, {"task": event.task, "title": event.title}
            case _:
                return None

    def _step_ended(self, event: StepEnded) -> tuple[str, str, dict[str, object]] | None:
        details: dict[str, object] = {"step": event.step, "outcome": event.outcome}
        if event.step == RUN_ROOT:
            return "run joined", "", details
        if event.outcome == "skipped" and event.why:
            return f"{event.step} skipped", _unmet(event.step, event.why), details
        if event.step.endswith("/waitFor"):
            what = "waiting is over" if event.outcome == "done" else "waited in vain"
            return f"{what}: {event.step.removesuffix('/waitFor')}", "", details
        if event.outcome == "failed" or self._everything:
            return f"{event.step} {event.outcome}", "", details
        return None

    def _told_of_calls(self, event: AnyEvent) -> tuple[str, str, dict[str, object]] | None:
        match event:
            case ChannelRequested():
                return self._called(event.call.id, event.call.channel, event.call.path, "")
            case IncidentRetried():
                call = event.call
                return self._called(call.id, call.channel, call.path, f"again: {event.incident}")
            case ChannelSucceeded():
                if event.response is None and event.attempts == 1 and not self._everything:
                    return None
                tries = f" at try {event.attempts}" if event.attempts > 1 else ""
                why = "" if event.response is None else f"answers {_shown(event.response)}"
                return f"{event.channel} done{tries}", why, {"response": to_json(event.response)}
            case ChannelFailed():
                tries = f" after {event.attempts} tries" if event.attempts > 1 else ""
                ended = event.outcome.replace("_", " ")
                code: dict[str, object] = {"code": event.code}
                return f"{event.channel} {ended}{tries} ({event.code})", event.message, code
            case IncidentRaised():
                return f"incident: {event.code}", event.message, {"incident": event.incident}
            case IncidentClosed():
                return f"incident {event.outcome}: {event.incident.code}", "", {}
            case _:
                return None

    def _called(
        self, id_: str, channel: str, path: str, why: str
    ) -> tuple[str, str, dict[str, object]]:
        made = self._calls.get(id_)
        call = made.pop(0) if made else None
        content = to_json(call.content) if call else {}
        kind = call.kind if call else None
        name = channel if kind in (None, channel) else f"{channel} ({kind})"
        details: dict[str, object] = {"channel": channel, "step": path, "with": content}
        return f"would call {name}", ", ".join(filter(None, (why, _shown(content)))), details


def _people(assignees: Assignees) -> str:
    return several([*assignees.users, *(f"role {role}" for role in assignees.roles)]) or "nobody"


def _unmet(name: str, why: Why) -> str:
    told = []
    for one in why:
        reason = one.get("reason")
        if isinstance(reason, str) and "values" not in one and "missing" not in one:
            told.append(reason)
        else:
            told.append(unmet(str(one.get("transition", name)), one))
    return " ".join(told)


def _shown(value: object) -> str:
    """A value in one line, as JSON without the outer braces."""
    if value in (None, {}, ()):
        return ""
    plain = to_json(value)
    if isinstance(plain, dict):
        text = ", ".join(f"{key}: {_text(item)}" for key, item in plain.items())
    else:
        text = _text(plain)
    text = " ".join(text.split())
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""Taking transitions: conditions, computed data, entering stages, what follows (R3 to R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nexus.core.commands import SYSTEM_ACTOR
from nexus.core.decision import Decision
from nexus.core.durations import format_duration
from nexus.core.errors import RefusalCode, Rejected
from nexus.core.events import (
    DataChanged,
    EventReceived,
    InstanceEnded,
    RecordCreated,
    StageEntered,
    TimerFired,
)
from nexus.core.expressions import Unknown, to_json
from nexus.core.incidents import raise_incident
from nexus.core.program import Exits, Stage, Transition
from nexus.core.steps import Computed
from nexus.core.reasons import unmet
from nexus.core.state import Data, Record, Timer
from nexus.core.validation import check_computed, check_record_data

AUTO_LIMIT = 50  # automatic transitions in a row (R5)
# Records of one instance. A clock that creates a record with the same clock would double them
# at every turn, and nobody would be there to be refused.
MOST_RECORDS = 1_000

Cause = Literal["start", "action", "auto", "event", "after"]

_NO_EXITS = Exits()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a transition is not taken, as a refusal would say it."""

    code: Literal["condition_not_met", "invalid_data"]
    message: str
    why: tuple[dict[str, object], ...] = ()

    def reject(self) -> Rejected:
        """The refusal for whoever asked for it."""
        return Rejected(self.code, self.message, {"why": list(self.why)} if self.why else None)


def hindrance(
    decision: Decision, transition: Transition, record: Record, given: Data | None = None
) -> Reason | None:
    """Why the condition keeps this transition from being taken now; None if it does not (R2)."""
    if transition.condition is None:
        return None
    scope = decision.scope(record, given)
    if transition.condition.holds(scope) is True:
        return None
    why = transition.condition.explain(scope)
    return Reason("condition_not_met", unmet(transition.name, why), (why,))


def take(
    decision: Decision,
    transition: Transition,
    record: Record,
    cause: Cause,
    given: Data | None = None,
) -> None:
    """Take a transition whose condition holds: compute its data, leave, enter, create.

    Raises:
        Rejected: `invalid_data`, if what it computes cannot be kept; `too_large`.
    """
    changes = compute(transition.set, decision.scope(record, given), f"{transition.name}.set")
    if changes:
        change_data(decision, record, changes)
        record = decision.state.records[record.id]
    creates = transition.creates
    created_data: dict[str, object] = {}
    if creates:  # after `set`, and before the record leaves its stage
        scope = decision.scope(record, given)
        created_data = {key: record.data[key] for key in creates.copied if key in record.data}
        created_data.update(compute(creates.data, scope, f"{transition.name}.creates.data"))
    enter_stage(decision, record.id, transition.target, cause, transition.name)
    if creates:
        create_record(decision, creates.entity, created_data, cause, parent=record.id)


def change_data(decision: Decision, record: Record | None, changes: Data) -> None:
    """Merge values into a record's data, or the instance's, if the result is valid.

    Raises:
        Rejected: `invalid_data`.
    """
    own = decision.state.data if record is None else record.data
    entity = None if record is None else decision.program.entities[record.entity]
    check_record_data(decision.program, entity, decision.state.data, {**own, **changes})
    previous = {key: own[key] for key in changes if key in own}
    decision.emit(
        DataChanged,
        record=None if record is None else record.id,
        changes=dict(changes),
        previous=previous,
    )


def create_record(
    decision: Decision, entity_name: str, data: Data, cause: Cause, parent: str | None = None
) -> str:
    """Create a record, in the first stage of its entity if that has stages. Returns its id.

    Raises:
        Rejected: `invalid_data`; `too_large`, if the instance has as many as it may.
    """
    if len(decision.state.records) >= MOST_RECORDS:
        raise Rejected("too_large", f"An instance has at most {MOST_RECORDS:,} records.")
    entity = decision.program.entities[entity_name]
    check_record_data(decision.program, entity, decision.state.data, data)
    number = 1 + sum(r.entity == entity_name for r in decision.state.records.values())
    record = f"{entity_name}-{number}"
    decision.emit(RecordCreated, record=record, entity=entity_name, data=dict(data), parent=parent)
    if entity.first_stage is not None:
        enter_stage(decision, record, entity.first_stage, cause, None)
    return record


def enter_stage(
    decision: Decision, record_id: str, stage_id: str, cause: Cause, transition: str | None
) -> None:
    """Begin a new visit: assign, start the clocks of it."""
    record = decision.state.records[record_id]
    entity = decision.program.entities[record.entity]
    stage: Stage = entity.stages[stage_id]
    visit = record.visit + 1
    leaving = entity.exits.get(stage_id, _NO_EXITS)
    timers = () if stage.final else _clocks(decision, record_id, visit, stage, leaving)
    decision.emit(
        StageEntered,
        record=record_id,
        stage=stage_id,
        previous=record.stage,
        transition=transition,
        trigger=cause,
        final=stage.final,
        assignees=record.assignees if stage.assign is None else stage.assign,
        timers=timers,
    )


def _clocks(
    decision: Decision, record: str, visit: int, stage: Stage, leaving: Exits
) -> tuple[Timer, ...]:
    return tuple(
        Timer(
            id=f"{record}/{visit}/after:{transition.name}",
            record=record,
            kind="transition",
            name=transition.name,
            due=decision.now + transition.trigger.after,
            summary=f"{transition.name}: {record} leaves {stage.label} "
            f"after {format_duration(transition.trigger.after)}",
        )
        for transition in leaving.after
    )


def compute(values: Sequence[Computed], scope: dict[str, object], place: str) -> dict[str, object]:
    """Evaluate `set` or `creates.data`.

    Raises:
        Rejected: `invalid_data`, naming what is missing, if a value is unknown; also for
            values nested too deep or too large to be kept.
    """
    computed: dict[str, object] = {}
    for value in values:
        result = value.literal if value.expression is None else value.expression.evaluate(scope)
        if isinstance(result, Unknown):
            raise Rejected(
                "invalid_data",
                f"{place}.{value.key} cannot be computed: {result.reason}.",
            )
        computed[value.key] = result
    check_computed(computed, place)
    return {key: to_json(result) for key, result in computed.items()}


def receive(decision: Decision, event: str, data: Data, record_id: str | None) -> None:
    """Let each open record, or the one named, take its first transition on this event (R8).

    The history says which, and why the others that listen were not taken.
    """
    sender = decision.actor
    decision.actor = SYSTEM_ACTOR
    decision.received = {"type": event, "data": data}
    takes: list[tuple[Transition, Record]] = []
    why: list[Mapping[str, object]] = []
    for record in decision.open_records():
        if (record_id is not None and record.id != record_id) or record.stage is None:
            continue
        exits = decision.program.entities[record.entity].exits.get(record.stage, _NO_EXITS)
        for transition in exits.event:
            if transition.trigger.event != event:
                continue
            reason = hindrance(decision, transition, record)
            if reason is None:
                takes.append((transition, record))
                break
            why += [
                {"record": record.id, "transition": transition.name, **one} for one in reason.why
            ]
    decision.actor = sender
    decision.emit(
        EventReceived,
        record=record_id,
        event=event,
        data=dict(data),
        takes=tuple(f"{record.id}: {transition.name}" for transition, record in takes),
        why=tuple(why),
    )
    decision.actor = SYSTEM_ACTOR
    for transition, record in takes:
        take_or_report(decision, transition, record, "event")


def timer_due(decision: Decision, timer: Timer) -> None:
    """A clock came due: take its transition if the condition holds, and say so either way."""
    record = decision.state.records[timer.record]
    transition = decision.program.transitions[timer.name]
    reason = hindrance(decision, transition, record)
    before = decision.mark()
    _fired(decision, timer, "taken" if reason is None else reason.code, reason)
    if reason is not None:
        return
    try:
        take(decision, transition, record, "after")
    except Rejected as refusal:
        decision.back_to(before)
        _fired(decision, timer, refusal.code)
        _not_taken(decision, transition, record, refusal)


def _fired(
    decision: Decision,
    timer: Timer,
    outcome: RefusalCode | Literal["taken"],
    reason: Reason | None = None,
) -> None:
    decision.emit(
        TimerFired,
        record=timer.record,
        timer=timer.id,
        transition=timer.name,
        outcome=outcome,
        why=() if reason is None else reason.why,
    )


def take_or_report(
    decision: Decision, transition: Transition, record: Record, cause: Cause
) -> bool:
    """Take a transition that nobody waits for; what would be refused becomes an incident.

    Returns:
        Whether it was taken.
    """
    before = decision.mark()
    try:
        take(decision, transition, record, cause)
    except Rejected as refusal:
        decision.back_to(before)
        _not_taken(decision, transition, record, refusal)
        return False
    return True


def _not_taken(
    decision: Decision, transition: Transition, record: Record, refusal: Rejected
) -> None:
    raise_incident(
        decision,
        refusal.code,
        f"{transition.name!r} was not taken: {refusal.message}",
        f"{record.id}: {transition.name}",
        record=record.id,
        details={"transition": transition.name, **refusal.details},
    )


def settle(decision: Decision) -> None:
    """What follows by itself from a change: automatic transitions (R5), then the end (R4)."""
    if decision.state.status != "active":
        return  # nothing follows an end, whatever a condition says of it
    decision.actor = SYSTEM_ACTOR
    if decision.program.has_auto:
        _take_automatic(decision)
    state = decision.state
    if state.calls:
        return
    staged = [record for record in state.records.values() if record.stage is not None]
    if staged and all(record.status != "open" for record in staged):
        decision.emit(InstanceEnded, status="completed")


def _take_automatic(decision: Decision) -> None:
    hopeless: set[tuple[str, str]] = set()  # refused once in this round: not tried again
    before = decision.mark()
    for _ in range(AUTO_LIMIT):
        found = _next_automatic(decision, hopeless)
        if found is None:
            return
        transition, record = found
        if not take_or_report(decision, transition, record, "auto"):
            hopeless.add((transition.name, record.id))
    found = _next_automatic(decision, hopeless)
    if found is None:
        return
    # A loop is undone as a whole. Were its last stage kept, the clocks of that visit would come
    # due and begin the next fifty, for ever.
    decision.back_to(before)
    transition, record = found
    stage = decision.state.records[record.id].stage if record.id in decision.state.records else None
    stays = f"; {record.id!r} stays in {stage!r}" if stage is not None else ""
    raise_incident(
        decision,
        "auto_loop",
        f"More than {AUTO_LIMIT} automatic transitions in a row, and {transition.name!r} "
        f"would have been next: none of them was taken{stays}.",
        f"auto_loop: {transition.name}",
        record=record.id if stage is not None else None,
        details={"transition": transition.name, "limit": AUTO_LIMIT},
    )


def _next_automatic(
    decision: Decision, hopeless: set[tuple[str, str]]
) -> tuple[Transition, Record] | None:
    """The first automatic transition, in document order, that some record can take now."""
    candidates: list[tuple[Transition, Record]] = []
    waiting = 0
    for record in decision.open_records():
        if record.stage is None:
            continue
        exits = decision.program.entities[record.entity].exits.get(record.stage, _NO_EXITS)
        waiting += bool(exits.auto)
        candidates += [
            (transition, record)
            for transition in exits.auto
            if (transition.name, record.id) not in hopeless
        ]
    if waiting > 1:  # those of one record stand in document order already
        order = {name: index for index, name in enumerate(decision.program.transitions)}
        candidates.sort(key=lambda candidate: order[candidate[0].name])
    for transition, record in candidates:
        if not hindrance(decision, transition, record):
            return transition, record
    return None

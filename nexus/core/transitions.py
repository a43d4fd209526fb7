"""Taking transitions: conditions, computed data, entering stages (R3)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from nexus.core.decision import Decision
from nexus.core.durations import format_duration
from nexus.core.errors import Rejected
from nexus.core.events import RecordCreated, StageEntered
from nexus.core.incidents import about_leaving, raise_incident, resolve_leaving
from nexus.core.program import Exits, Stage, Transition
from nexus.core.reasons import unmet
from nexus.core.record_data import change_data, compute
from nexus.core.runs import advance, stop_run
from nexus.core.state import Data, Record, Timer
from nexus.core.validation import check_record_data

# Records of one instance. A clock that creates a record with the same clock would double them
# at every turn, and nobody would be there to be refused.
MOST_RECORDS = 1_000

Cause = Literal["start", "action", "auto", "event", "after"]

NO_EXITS = Exits()


class Reason(Struct, frozen=True):
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
    """Begin a new visit: stop what the last one still runs; assign, start clocks, run."""
    stop_run(decision, record_id)
    resolve_leaving(decision, record_id)
    record = decision.state.records[record_id]
    entity = decision.program.entities[record.entity]
    stage: Stage = entity.stages[stage_id]
    visit = record.visit + 1
    leaving = entity.exits.get(stage_id, NO_EXITS)
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
    if stage.run is not None:
        advance(decision, record_id)


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
        report_not_taken(decision, transition, record, refusal)
        return False
    return True


def report_not_taken(
    decision: Decision, transition: Transition, record: Record, refusal: Rejected
) -> None:
    """A transition that nobody waits for was refused: a person has to see to it."""
    raise_incident(
        decision,
        refusal.code,
        f"{transition.name!r} was not taken: {refusal.message}",
        about_leaving(record.id, transition.name),
        record=record.id,
        details={"transition": transition.name, **refusal.details},
    )

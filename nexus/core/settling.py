"""What follows by itself from any change: turns after a join, automatic transitions, the end."""

from __future__ import annotations

from typing import Literal

from nexus.core.arrivals import apply_awaiting
from nexus.core.commands import SYSTEM_ACTOR
from nexus.core.decision import Decision
from nexus.core.errors import Rejected
from nexus.core.events import IncidentClosed, InstanceEnded, InstanceEnding
from nexus.core.incidents import about_leaving, lingers, raise_incident
from nexus.core.program import Transition
from nexus.core.runs import stop_run
from nexus.core.state import Record
from nexus.core.transitions import NO_EXITS, hindrance, take_or_report

EndStatus = Literal["completed", "cancelled"]

AUTO_LIMIT = 50  # automatic transitions in a row (R5)


def settle(decision: Decision) -> None:
    """What waited for a join (R7), automatic transitions (R5), then the end (R4)."""
    state = decision.state
    if state.status != "active":
        return  # nothing follows an end, whatever a condition says of it
    decision.actor = SYSTEM_ACTOR
    if state.ending is not None:
        if not state.calls:
            _finish(decision, state.ending)
        return
    apply_awaiting(decision)
    if decision.program.has_auto:
        _take_automatic(decision)
    state = decision.state
    if state.calls:
        return
    staged = [record for record in state.records.values() if record.stage is not None]
    if staged and not any(record.status == "open" or record.running for record in staged):
        _finish(decision, "completed")


def end(decision: Decision, status: EndStatus) -> None:
    """End the instance; where calls are under way, they are cancelled and awaited first."""
    for id_ in decision.state.records:
        stop_run(decision, id_)
    if decision.state.calls:
        decision.emit(InstanceEnding, status=status)
    else:
        _finish(decision, status)


def stop(decision: Decision) -> None:
    """The run itself is cancelled by an operator, in whatever state the instance is.

    Raises:
        Rejected: `wrong_stage`, if nothing is left to stop.
    """
    state = decision.state
    if lingers(state):
        give_up(decision)
    elif state.status != "active":
        raise Rejected("wrong_stage", f"There is nothing to stop: the instance is {state.status}.")
    elif state.ending is None:
        end(decision, "cancelled")


def give_up(decision: Decision) -> None:
    """Close what keeps an ended instance: its incidents, and calls that are tried again."""
    for incident in list(decision.state.incidents.values()):
        decision.emit(IncidentClosed, record=incident.record, incident=incident, outcome="dropped")
    if decision.state.calls:
        decision.emit(InstanceEnding, status="completed")


def _finish(decision: Decision, status: EndStatus) -> None:
    """Calls that failed can still be tried again, unless the instance was cancelled (R10)."""
    for incident in list(decision.state.incidents.values()):
        if status == "cancelled" or incident.call is None:
            decision.emit(
                IncidentClosed, record=incident.record, incident=incident, outcome="dropped"
            )
    decision.emit(InstanceEnded, status=status)


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
        about_leaving(record.id, "auto_loop"),
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
        exits = decision.program.entities[record.entity].exits.get(record.stage, NO_EXITS)
        waiting += bool(exits.auto)
        candidates += [
            (transition, record)
            for transition in exits.auto
            if (transition.name, record.id) not in hopeless
            and (transition.interrupts or not record.running)  # R7
        ]
    if waiting > 1:  # those of one record stand in document order already
        order = {name: index for index, name in enumerate(decision.program.transitions)}
        candidates.sort(key=lambda candidate: order[candidate[0].name])
    for transition, record in candidates:
        if not hindrance(decision, transition, record):
            return transition, record
    return None

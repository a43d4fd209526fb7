"""Incidents: what needs a person is kept open until it is settled (R10)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from nexus.core.authority import authorize
from nexus.core.decision import Decision
from nexus.core.errors import Rejected
from nexus.core.events import IncidentClosed, IncidentRaised, IncidentRetried
from nexus.core.reasons import several
from nexus.core.state import Call, Incident, State


def raise_incident(
    decision: Decision,
    code: str,
    message: str,
    cause: str,
    *,
    record: str | None = None,
    details: Mapping[str, object] | None = None,
    call: Call | None = None,
    attempts: int = 0,
) -> None:
    """Say that something needs a person. The same cause is not said twice while it is open.

    Args:
        decision: Takes the event.
        code: Stable code.
        message: What a person should read.
        cause: What it is about.
        record: Id of the record concerned; None for the whole instance.
        details: JSON-serialisable facts.
        call: The call that failed; its own incident, if it has one, is raised again.
        attempts: How often that was tried this time.
    """
    known = call.incident if call else None
    if known is None and any(one.cause == cause for one in decision.state.incidents.values()):
        return
    decision.emit(
        IncidentRaised,
        record=record,
        code=code,
        message=message,
        details=details or {},
        incident=known or f"incident-{decision.state.seq + 1}",
        cause=cause,
        call=call,
        attempts=attempts,
    )


def about_leaving(record: str, what: str) -> str:
    """The cause of an incident about a way out of the stage in which a record stands."""
    return f"{record}: {what}"


def resolve_leaving(decision: Decision, record: str) -> None:
    """The record leaves its stage, so what kept it from that needs nobody any more."""
    for incident in list(decision.state.incidents.values()):
        if incident.cause.startswith(about_leaving(record, "")):
            decision.emit(IncidentClosed, record=record, incident=incident, outcome="resolved")


def lingers(state: State) -> bool:
    """Whether an instance that has ended is kept for calls that can still be tried again."""
    retryable = any(incident.call is not None for incident in state.incidents.values())
    return state.ended and (retryable or bool(state.calls))


def retry(decision: Decision, incident_id: str, comment: str | None = None) -> None:
    """Have the call behind an incident tried again, under the same key (R10).

    Raises:
        Rejected: `not_found`; `forbidden`; `conflict`, if there is nothing to try again, or it is
            being tried.
    """
    incident = _open_incident(decision, incident_id, "retry")
    if incident.call is None:
        raise Rejected(
            "conflict",
            f"There is nothing to try again behind {incident_id!r} ({incident.code}): "
            "see to its cause, then skip it.",
        )
    call = replace(incident.call, incident=incident.id, cancelling=False)
    decision.emit(
        IncidentRetried, record=incident.record, comment=comment, incident=incident.id, call=call
    )


def skip(decision: Decision, incident_id: str, comment: str | None = None) -> None:
    """Settle an incident as it is (R10).

    Raises:
        Rejected: `not_found`; `forbidden`; `conflict`, if its call is being tried again.
    """
    incident = _open_incident(decision, incident_id, "skip")
    decision.emit(
        IncidentClosed,
        record=incident.record,
        comment=comment,
        incident=incident,
        outcome="skipped",
    )


def _open_incident(decision: Decision, incident_id: str, action: str) -> Incident:
    state = decision.state
    incident = state.incidents.get(incident_id)
    if incident is None:
        listed = f"open are: {several(state.incidents)}" if state.incidents else "none is open"
        raise Rejected("not_found", f"No open incident {incident_id!r} in this instance; {listed}.")
    records = [] if incident.record is None else [state.records[incident.record]]
    authorize(decision.program, decision.actor, action, records)
    if incident.retrying:
        raise Rejected("conflict", f"{incident_id!r} is being tried again already.")
    return incident

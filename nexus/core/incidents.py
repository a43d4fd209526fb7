"""Incidents: what needs a person is kept open until it is settled (R10)."""

from __future__ import annotations

from collections.abc import Mapping

from nexus.core.decision import Decision
from nexus.core.events import IncidentClosed, IncidentRaised
from nexus.core.state import Call


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


def resolve(decision: Decision, cause: str) -> None:
    """What this incident was about has happened after all."""
    for incident in list(decision.state.incidents.values()):
        if incident.cause == cause:
            decision.emit(
                IncidentClosed, record=incident.record, incident=incident, outcome="resolved"
            )

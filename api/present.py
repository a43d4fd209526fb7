"""The one place where rows become the JSON of the API.

An update's answer and what is read from SQL are the same dataclasses, so what
a user is told after an action and what they read a moment later look the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from nexus.core.projection import (
    HistoryRow,
    IncidentRow,
    InstanceRow,
    RecordRow,
    Snapshot,
    TaskRow,
    TimerRow,
)
from nexus.settings import Settings
from storage.dashboard import DashboardRow
from storage.definitions import StoredDefinition
from storage.incidents import ListedIncident
from storage.timers import DueTimer

Json = dict[str, object]


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A response of a JSON-serialisable value; datetimes become RFC 3339."""
    return bytes_response(msgspec.json.encode(value), status, headers)


def bytes_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A response of JSON that is encoded already."""
    return Response(
        body, status_code=status, headers=dict(headers or {}), media_type="application/json"
    )


def present_record(record: RecordRow, timers: Sequence[TimerRow] = ()) -> Json:
    """One record; `timers` are the clocks of its whole instance."""
    return {
        "id": record.id,
        "entity": record.entity,
        "stage": record.stage,
        "status": record.status,
        "running": record.running,
        "data": record.data,
        "assignees": {"users": list(record.users), "roles": list(record.roles)},
        "votes": [],
        "sla": None,
        "roi": None,
        "parent": record.parent,
        "created_at": record.created_at,
        "since": record.since,
        "due_at": record.due_at,
        "timers": [present_timer(timer) for timer in timers if timer.record == record.id],
    }


def present_timer(timer: TimerRow) -> Json:
    """One clock that is running."""
    return {
        "id": timer.id,
        "kind": timer.kind,
        "name": timer.name,
        "trigger_at": timer.trigger_at,
        "summary": timer.summary,
    }


def web_ui_link(settings: Settings, row: InstanceRow) -> str:
    """Where Temporal's Web UI shows the instance."""
    namespace, workflow = (
        quote(settings.temporal_namespace, safe=""),
        quote(row.workflow_id, safe=""),
    )
    return f"{settings.web_ui_url}/namespaces/{namespace}/workflows/{workflow}/{row.id}/history"


def present_instance(settings: Settings, snapshot: Snapshot) -> Json:
    """One instance with all of its records, as it stands."""
    row = snapshot.instance
    return {
        "id": row.id,
        "tenant": row.tenant,
        "definition": {"id": row.definition, "version": row.version},
        "subject": {"type": row.subject_type, "id": row.subject_id},
        "status": row.status,
        "state": row.stage,
        "data": row.data,
        "records": [present_record(record, snapshot.timers) for record in snapshot.records],
        "tasks": [present_task(task) for task in snapshot.tasks],
        "incidents": [_present_incident(row.id, incident) for incident in snapshot.incidents],
        "started_by": row.started_by,
        "started_at": row.started_at,
        "updated_at": row.updated_at,
        "ended_at": row.ended_at,
        "web_ui": web_ui_link(settings, row),
    }


def present_task(task: TaskRow) -> Json:
    """One open task."""
    return {
        "id": task.id,
        "record": task.record,
        "title": task.title,
        "assignees": {"users": list(task.users), "roles": list(task.roles)},
        "since": task.since,
    }


def incident_id(instance: str, incident: str) -> str:
    """The id by which the API knows an incident: `{instance}-{number}`."""
    return f"{instance}-{incident.removeprefix('incident-')}"


def incident_of(public: str) -> tuple[str, str] | None:
    """Instance and own id of an incident, from its id in the API; None where it is no such id."""
    instance, dash, number = public.rpartition("-")
    return (instance, f"incident-{number}") if dash and number.isdecimal() else None


def _present_incident(instance: str, incident: IncidentRow) -> Json:
    return {
        "id": incident_id(instance, incident.id),
        "record": incident.record,
        "stage": incident.stage,
        "step": incident.step,
        "channel": incident.channel,
        "code": incident.code,
        "message": incident.message,
        "attempts": incident.attempts,
        "retryable": incident.retryable,
        "status": incident.status,
        "raised_at": incident.raised_at,
        "closed_at": incident.closed_at,
        "closed_by": incident.closed_by,
    }


def present_incident(listed: ListedIncident) -> Json:
    """One incident, with what its instance is about."""
    return {
        **_present_incident(listed.instance, listed.incident),
        "instance": listed.instance,
        "definition": {"id": listed.definition, "version": listed.version},
        "subject": {"type": listed.subject_type, "id": listed.subject_id},
    }


def present_history(row: HistoryRow) -> Json:
    """One event of the audit trail."""
    return {
        "seq": row.seq,
        "at": row.at,
        "event": row.event,
        "actor": row.actor,
        "on_behalf_of": row.on_behalf_of,
        "record": row.record,
        "before": row.before,
        "after": row.after,
        "comment": row.comment,
        "payload": row.payload,
    }


def present_due_timer(timer: DueTimer) -> Json:
    """One clock in a list of the tenant's clocks."""
    return {
        "instance": timer.instance,
        "record": timer.record,
        "id": timer.id,
        "kind": timer.kind,
        "name": timer.name,
        "trigger_at": timer.trigger_at,
        "summary": timer.summary,
    }


def present_dashboard(row: DashboardRow) -> Json:
    """One row of a dashboard."""
    return {
        "instance": row.instance,
        "record": row.record,
        "task": row.task,
        "title": row.title,
        "entity": row.entity,
        "definition": {"id": row.definition, "version": row.version},
        "stage": row.stage,
        "subject": {"type": row.subject_type, "id": row.subject_id},
        "assigned_as": row.assigned_as,
        "role": row.role,
        "delegator": None,
        "due_at": row.due_at,
        "sla": None,
        "incidents": row.incidents,
        "since": row.since,
    }


def present_definition_entry(stored: StoredDefinition) -> Json:
    """A stored version without its document."""
    return {
        "id": stored.id,
        "version": stored.version,
        "revision": stored.revision,
        "label": stored.label,
        "domain": stored.domain,
        "active": stored.active,
        "source": stored.source,
        "shared": stored.shared,
        "uploaded_by": stored.uploaded_by,
        "uploaded_at": stored.uploaded_at,
        "activated_at": stored.activated_at,
        "activated_by": stored.activated_by,
        "retired_at": stored.retired_at,
        "retired_by": stored.retired_by,
    }


def present_version(stored: StoredDefinition, live: StoredDefinition | None) -> Json:
    """A stored version among its kin; `live` is the one that new instances take."""
    return {**present_definition_entry(stored), "live": live is not None and _is(stored, live)}


def _is(one: StoredDefinition, other: StoredDefinition) -> bool:
    places = [(found.tenant, found.version, found.revision) for found in (one, other)]
    return places[0] == places[1]


def present_definition(stored: StoredDefinition, versions: Sequence[StoredDefinition]) -> Json:
    """A stored version with its document, as it was written, and the versions there are."""
    return {
        **present_definition_entry(stored),
        "document": msgspec.Raw(stored.text.encode()),
        "warnings": stored.warnings,
        "versions": list(dict.fromkeys(other.version for other in versions)),
    }


def page(items: Sequence[object], following: str | None) -> Json:
    """One page of a list; `following` is the cursor of the next."""
    return {"items": items, "next": following}

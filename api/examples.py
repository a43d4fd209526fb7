"""Answers as they look, for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOMENT = "2026-11-21T09:00:00Z"
_INSTANCE = "019aa3c2-8f4e-7d1b-9c55-0c1f6f1f2a77"
_WORKFLOW = "demo%3Asales-pipeline%3Aaccount%3Aacme"

RECORD: dict[str, Any] = {
    "id": "lead-1",
    "entity": "lead",
    "stage": "new",
    "status": "open",
    "running": False,
    "data": {},
    "assignees": {"users": ["ann"], "roles": []},
    "votes": [],
    "sla": None,
    "roi": None,
    "parent": None,
    "created_at": _MOMENT,
    "since": _MOMENT,
    "due_at": None,
    "timers": [],
}
TASK: dict[str, Any] = {
    "id": "task-17",
    "record": "lead-1",
    "title": "Call Ann",
    "assignees": {"users": [], "roles": ["sales"]},
    "since": _MOMENT,
}
OWN_INCIDENT: dict[str, Any] = {
    "id": f"{_INSTANCE}-21",
    "record": "lead-1",
    "stage": "contacted",
    "step": "run/0",
    "channel": "email",
    "code": "unreachable",
    "message": "The channel 'email' failed in 'contacted': smtp.example.com does not answer.",
    "attempts": 3,
    "retryable": True,
    "status": "open",
    "raised_at": _MOMENT,
    "closed_at": None,
    "closed_by": None,
}
INCIDENT: dict[str, Any] = {
    **OWN_INCIDENT,
    "instance": _INSTANCE,
    "definition": {"id": "sales-pipeline", "version": "1.0.0"},
    "subject": {"type": "account", "id": "acme"},
}
INSTANCE: dict[str, Any] = {
    "id": _INSTANCE,
    "tenant": "demo",
    "definition": {"id": "sales-pipeline", "version": "1.0.0"},
    "subject": {"type": "account", "id": "acme"},
    "status": "active",
    "state": "new",
    "data": {"score": 40},
    "records": [RECORD],
    "tasks": [],
    "incidents": [],
    "started_by": "ann",
    "started_at": _MOMENT,
    "updated_at": _MOMENT,
    "ended_at": None,
    "web_ui": f"http://127.0.0.1:8233/namespaces/default/workflows/{_WORKFLOW}/{_INSTANCE}/history",
}
PERMISSION: dict[str, Any] = {
    "allowed": False,
    "code": "condition_not_met",
    "message": "'qualify' needs data.score > 50; data.score is 40.",
    "why": [{"expression": "data.score > 50", "result": False, "values": {"data.score": 40}}],
}
HISTORY_ENTRY: dict[str, Any] = {
    "seq": 4,
    "at": _MOMENT,
    "event": "action_taken",
    "actor": "ann",
    "on_behalf_of": None,
    "record": "lead-1",
    "before": None,
    "after": None,
    "comment": "Called, very interested.",
    "payload": {"action": "qualify"},
}
DASHBOARD_ENTRY: dict[str, Any] = {
    "instance": _INSTANCE,
    "record": "lead-1",
    "task": None,
    "title": None,
    "entity": "lead",
    "definition": {"id": "sales-pipeline", "version": "1.0.0"},
    "stage": "new",
    "subject": {"type": "account", "id": "acme"},
    "assigned_as": "user",
    "role": None,
    "delegator": None,
    "due_at": None,
    "sla": None,
    "incidents": 0,
    "since": _MOMENT,
}

MAIL_ENTRY: dict[str, Any] = {
    "id": "20261121T090000000000-0c1f6f1f2a77",
    "received_at": _MOMENT,
    "from": "nexus@nexus.example",
    "to": ["ann@example.com"],
    "subject": "Welcome, Ann",
    "message_id": "<845b63969054741efa7d17dd50477d7d374b44fe@nexus.example>",
    "times": 1,
}
MAIL: dict[str, Any] = {
    **MAIL_ENTRY,
    "headers": [{"name": "Subject", "value": "Welcome, Ann"}],
    "text": "Hello Ann\n",
    "html": None,
    "attachments": [],
}
DEFINITION_VERSION: dict[str, Any] = {
    "id": "sales-pipeline",
    "version": "1.0.0",
    "revision": 1,
    "label": "Sales Pipeline",
    "domain": "crm",
    "active": False,
    "source": "api",
    "shared": False,
    "uploaded_by": "root",
    "uploaded_at": _MOMENT,
    "activated_at": _MOMENT,
    "activated_by": "root",
    "retired_at": "2026-11-22T09:00:00Z",
    "retired_by": "root",
    "live": False,
}
STORED_DEFINITION: dict[str, Any] = {
    "id": "sales-pipeline",
    "version": "1.0.0",
    "active": True,
    "warnings": [],
}
VALIDATED: dict[str, Any] = {
    "valid": True,
    "id": "sales-pipeline",
    "version": "1.0.0",
    "warnings": [],
}
DUE_TIMER: dict[str, Any] = {
    "id": "lead-1/2/after:remind",
    "kind": "transition",
    "name": "remind",
    "trigger_at": _MOMENT,
    "summary": "remind: lead-1 leaves Contacted after 3 days",
    "instance": _INSTANCE,
    "record": "lead-1",
}
DEFINITION: dict[str, Any] = {
    **{name: value for name, value in DEFINITION_VERSION.items() if name != "live"},
    "document": {"id": "sales-pipeline", "version": "1.0.0", "entities": {}},
    "warnings": [],
    "versions": ["1.0.0"],
}

# FastAPI leaves out what is null in an example that a model carries; these go in afterwards.
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "Record": RECORD,
    "Instance": INSTANCE,
    "Task": TASK,
    "OwnIncident": OWN_INCIDENT,
    "Incident": INCIDENT,
    "Permission": PERMISSION,
    "HistoryEntry": HISTORY_ENTRY,
    "DashboardEntry": DASHBOARD_ENTRY,
    "MailEntry": MAIL_ENTRY,
    "Mail": MAIL,
    "DefinitionVersion": DEFINITION_VERSION,
    "StoredDefinition": STORED_DEFINITION,
    "Validated": VALIDATED,
    "DueTimer": DUE_TIMER,
    "Definition": DEFINITION,
    "RetiredVersions": {"retired": [DEFINITION_VERSION], "live": None},
}

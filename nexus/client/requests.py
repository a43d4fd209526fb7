"""One function per thing that can be asked of the API. Nothing is sent here.

Both clients send what these give, and read the answer by `Request.kind`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from nexus.client.errors import ClientError
from nexus.client.models import (
    DashboardEntry,
    DefinitionDocument,
    DefinitionEntry,
    DefinitionVersion,
    DueTimer,
    HistoryEntry,
    Instance,
    ListedIncident,
    Me,
    Page,
    Permission,
    Record,
    RetiredVersions,
    StoredDefinition,
    Validated,
)

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Data = Mapping[str, Any]

LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Request(Generic[Answer]):
    """One request.

    Attributes:
        method, path: `path` is percent-encoded, and begins with a slash.
        kind: What the answer is decoded as.
        query: What is None is left out.
        body: JSON; None for no body.
        key: The idempotency key; None for what is only asked.
    """

    method: str
    path: str
    kind: Any
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    key: str | None = None

    def page(self, cursor: str | None) -> Request[Answer]:
        """The same for the page that a cursor leads to."""
        return self if cursor is None else replace(self, query={**self.query, "cursor": cursor})


def path(*parts: str) -> str:
    """A path below `/v1`, each part percent-encoded.

    Raises:
        ClientError: A part is empty, which would name another thing.
    """
    return "/v1/" + "/".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if not part:
        raise ClientError("An id or a name is empty, so it names nothing.")
    # These two are steps through the path to whoever normalises it on the way.
    return part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")


def _key(key: str | None) -> str:
    # Every command has a key, so that trying it again is safe.
    return uuid.uuid4().hex if key is None else key


def _get(kind: Any, place: str, **query: object) -> Request[Any]:
    return Request("GET", place, kind, _texts(query))


def _list(kind: Any, place: str, **query: object) -> Request[Any]:
    return _get(Page[kind], place, limit=LARGEST_PAGE, **query)


def _texts(query: Mapping[str, object]) -> dict[str, str]:
    texts = {}
    for name, value in query.items():
        if isinstance(value, datetime):
            texts[name] = value.isoformat()
        elif value is not None:
            texts[name] = str(value)
    return texts


def _post(
    kind: Any, place: str, body: Mapping[str, object], key: str | None, method: str = "POST"
) -> Request[Any]:
    told = {name: value for name, value in body.items() if value is not None}
    return Request(method, place, kind, {}, msgspec.json.encode(told), _key(key))


# --- who, and what there is --------------------------------------------------------------------


def me() -> Request[Me]:
    """Whom the token names."""
    return _get(Me, path("me"))


def definitions() -> Request[Page[DefinitionEntry]]:
    """The definitions that the tenant may start."""
    return _list(DefinitionEntry, path("definitions"))


def definition(id_: str, version: str | None) -> Request[DefinitionDocument]:
    """One definition with its document."""
    return _get(DefinitionDocument, path("definitions", id_), version=version)


def versions(id_: str) -> Request[Page[DefinitionVersion]]:
    """All versions of a definition."""
    return _list(DefinitionVersion, path("definitions", id_, "versions"))


def store_definition(document: Data | str, key: str | None) -> Request[StoredDefinition]:
    """Store a definition; its text is kept as it is."""
    return _document(StoredDefinition, path("definitions"), document, key)


def validate_definition(document: Data | str) -> Request[Validated]:
    """Check a definition, and store nothing."""
    return _document(Validated, path("definitions", "validate"), document, None)


def _document(kind: Any, place: str, document: Data | str, key: str | None) -> Request[Any]:
    body = document.encode() if isinstance(document, str) else msgspec.json.encode(document)
    return Request("POST", place, kind, {}, body, _key(key))


def activate(id_: str, version: str, key: str | None) -> Request[DefinitionVersion]:
    """Make a stored version live."""
    return _post(DefinitionVersion, path("definitions", id_, "activate"), {"version": version}, key)


def retire(id_: str, version: str | None, key: str | None) -> Request[RetiredVersions]:
    """Take no new instances of a version, or of any."""
    return _post(RetiredVersions, path("definitions", id_, "retire"), {"version": version}, key)


def ready() -> Request[Data]:
    """Whether the platform can work; it is `Unavailable` where it cannot."""
    return Request("GET", "/readyz", dict[str, Any])


def simulate(definition: Data | str, told: Data) -> Request[Data]:
    """Play a definition on a virtual clock."""
    body = {"definition": definition, **told}
    return _post(dict[str, Any], path("definitions", "simulate"), body, None)


# --- instances ---------------------------------------------------------------------------------


def start(
    definition: str,
    subject: tuple[str, str],
    *,
    version: str | None,
    data: Data | None,
    entity: str | None,
    records: Iterable[tuple[str, Data]],
    key: str | None,
) -> Request[Instance]:
    """Start an instance."""
    wanted = [{"entity": name, "data": dict(given)} for name, given in records]
    body = {
        "definition": definition,
        "version": version,
        "subject": {"type": subject[0], "id": subject[1]},
        "data": dict(data) if data else None,
        "entity": entity,
        "records": wanted or None,
    }
    return _post(Instance, path("instances"), body, key)


def carry_over(
    definition: str,
    subject: tuple[str, str],
    *,
    version: str | None,
    origin: str,
    history: Iterable[Data | HistoryEntry],
    key: str | None,
) -> Request[Instance]:
    """Have the platform take an instance over, with all that happened to it."""
    body = {
        "definition": definition,
        "version": version,
        "subject": {"type": subject[0], "id": subject[1]},
        "origin": origin,
        "history": list(history),
    }
    return _post(Instance, path("instances", "import"), body, key)


def instance(id_: str) -> Request[Instance]:
    """An instance as it stands."""
    return _get(Instance, path("instances", id_))


def instances(data: Data | None, **query: object) -> Request[Page[Instance]]:
    """Instances of the tenant."""
    filters = {f"data.{name}": _plain(value) for name, value in (data or {}).items()}
    return _list(Instance, path("instances"), **query, **filters)


def _plain(value: object) -> object:
    """A value of data as a filter has it: JSON, and texts as they are."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def history(instance: str) -> Request[Page[HistoryEntry]]:
    """All that happened to an instance, the oldest first."""
    return _list(HistoryEntry, path("instances", instance, "history"))


def can(instance: str, action: str, record: str | None) -> Request[Permission]:
    """Whether an action could be taken now."""
    return _get(Permission, path("instances", instance, "can", action), record=record)


def act(
    instance: str,
    action: str,
    *,
    record: str | None,
    data: Data | None,
    comment: str | None,
    key: str | None,
) -> Request[Instance]:
    """Take an action."""
    body = {"record": record, "data": dict(data) if data else None, "comment": comment}
    return _post(Instance, path("instances", instance, "actions", action), body, key)


def add_record(instance: str, entity: str, data: Data | None, key: str | None) -> Request[Record]:
    """Add a record."""
    body = {"entity": entity, "data": dict(data) if data else None}
    return _post(Record, path("instances", instance, "records"), body, key)


def update_record(instance: str, record: str, data: Data, key: str | None) -> Request[Record]:
    """Merge data into a record."""
    place = path("instances", instance, "records", record)
    return _post(Record, place, {"data": dict(data)}, key, "PATCH")


def complete_task(
    instance: str, task: str, *, comment: str | None, data: Data | None, key: str | None
) -> Request[Instance]:
    """Say that the work of a task is done."""
    body = {"comment": comment, "data": dict(data) if data else None}
    return _post(Instance, path("instances", instance, "tasks", task, "complete"), body, key)


def send_event(
    instance: str, type_: str, *, data: Data | None, record: str | None, key: str | None
) -> Request[Instance]:
    """Say that something happened outside."""
    body = {"type": type_, "data": dict(data) if data else None, "record": record}
    return _post(Instance, path("instances", instance, "events"), body, key)


def cancel(instance: str, comment: str | None, key: str | None) -> Request[Instance]:
    """End an instance where it stands."""
    return _post(Instance, path("instances", instance, "cancel"), {"comment": comment}, key)


# --- what there is to do -----------------------------------------------------------------------


def dashboard(user: str, view: str, **query: object) -> Request[Page[DashboardEntry]]:
    """What a user has to do; `view` is `pending` or `active`."""
    return _list(DashboardEntry, path("dashboard", user, view), **query)


def timers(due_before: datetime | None) -> Request[Page[DueTimer]]:
    """The running clocks, the next due first."""
    return _list(DueTimer, path("timers"), due_before=due_before)


def incidents(**query: object) -> Request[Page[ListedIncident]]:
    """Incidents of the tenant."""
    return _list(ListedIncident, path("incidents"), **query)


def incident(id_: str) -> Request[ListedIncident]:
    """One incident."""
    return _get(ListedIncident, path("incidents", id_))


def settle_incident(
    id_: str, how: str, comment: str | None, key: str | None
) -> Request[ListedIncident]:
    """Have an incident's call tried again (`retry`), or leave it as it is (`skip`)."""
    return _post(ListedIncident, path("incidents", id_, how), {"comment": comment}, key)

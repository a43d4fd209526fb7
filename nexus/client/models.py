"""What the API answers with. Times are timezone-aware; keys that a newer platform adds are ignored.

The shapes are those of the HTTP contract; `api.schemas` describes them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

Item = TypeVar("Item")
Json = Mapping[str, Any]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Part of an answer; cannot be changed."""


class DefinitionReference(Model, frozen=True, kw_only=True):
    """One version of a definition."""

    id: str
    version: str


class Subject(Model, frozen=True, kw_only=True):
    """What an instance is about, in the caller's own system."""

    type: str
    id: str


class Assignees(Model, frozen=True, kw_only=True):
    """Who owes the next step."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class Sla(Model, frozen=True, kw_only=True):
    """The worst clock of a record."""

    status: str
    breach_at: datetime | None = None


class Timer(Model, frozen=True, kw_only=True):
    """A clock that is running."""

    id: str
    kind: str
    name: str
    trigger_at: datetime
    summary: str = ""


class DueTimer(Timer, frozen=True, kw_only=True):
    """The same, with the record that it is of."""

    instance: str
    record: str


class Record(Model, frozen=True, kw_only=True):
    """A lead, an opportunity, a campaign … as it stands."""

    id: str
    entity: str
    stage: str | None
    status: str
    data: Json
    assignees: Assignees
    running: bool = False
    votes: tuple[Json, ...] = ()
    sla: Sla | None = None
    roi: Json | None = None
    parent: str | None = None
    created_at: datetime
    since: datetime | None = None
    due_at: datetime | None = None
    timers: tuple[Timer, ...] = ()


class Task(Model, frozen=True, kw_only=True):
    """Work for a person that a stage waits for."""

    id: str
    record: str
    title: str
    assignees: Assignees
    since: datetime


class Incident(Model, frozen=True, kw_only=True):
    """Something that needs a person. `record` is None where it is about the whole instance."""

    id: str
    record: str | None
    code: str
    message: str
    stage: str | None = None
    step: str | None = None
    channel: str | None = None
    attempts: int = 0
    retryable: bool = False
    status: str = "open"
    raised_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None


class ListedIncident(Incident, frozen=True, kw_only=True):
    """The same, with what its instance is about."""

    instance: str
    definition: DefinitionReference
    subject: Subject


class Instance(Model, frozen=True, kw_only=True):
    """One run of one definition for one subject, as it stands.

    `state` is the stage of its first record that has one.
    """

    id: str
    tenant: str
    definition: DefinitionReference
    subject: Subject
    status: str
    state: str | None
    data: Json
    records: tuple[Record, ...]
    tasks: tuple[Task, ...] = ()
    incidents: tuple[Incident, ...] = ()
    started_by: str = ""
    started_at: datetime
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    web_ui: str = ""


class HistoryEntry(Model, frozen=True, kw_only=True):
    """One event of an instance."""

    seq: int
    at: datetime
    event: str
    actor: str
    on_behalf_of: str | None = None
    record: str | None = None
    before: Any = None
    after: Any = None
    comment: str | None = None
    payload: Json


class Permission(Model, frozen=True, kw_only=True):
    """Whether an action could be taken now; `why` lists each condition with what it saw."""

    allowed: bool
    code: str | None = None
    message: str | None = None
    why: tuple[Json, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed


class DashboardEntry(Model, frozen=True, kw_only=True):
    """A record, or a task of one, that is assigned to a user. `task` is None for the record."""

    instance: str
    record: str
    task: str | None = None
    title: str | None = None
    entity: str
    definition: DefinitionReference
    stage: str | None = None
    subject: Subject
    assigned_as: str
    role: str | None = None
    delegator: str | None = None
    due_at: datetime | None = None
    sla: Sla | None = None
    incidents: int = 0
    since: datetime | None = None


class Finding(Model, frozen=True, kw_only=True):
    """One located finding in a definition; what is not known is None."""

    code: str
    severity: str
    message: str
    pointer: str
    line: int | None = None
    column: int | None = None
    source: str | None = None
    expected: str | None = None
    found: str | None = None
    suggestion: str | None = None
    excerpt: str | None = None


class StoredDefinition(Model, frozen=True, kw_only=True):
    """What has been stored; `active` where new instances take it."""

    id: str
    version: str
    active: bool
    warnings: tuple[Finding, ...] = ()


class Validated(Model, frozen=True, kw_only=True):
    """The definition can run."""

    id: str
    version: str
    warnings: tuple[Finding, ...] = ()


class DefinitionEntry(Model, frozen=True, kw_only=True):
    """A stored version of a definition, without its document."""

    id: str
    version: str
    revision: int = 1
    label: str | None = None
    domain: str | None = None
    active: bool = False
    source: str | None = None
    shared: bool = False
    uploaded_by: str | None = None
    uploaded_at: datetime | None = None
    activated_at: datetime | None = None
    activated_by: str | None = None
    retired_at: datetime | None = None
    retired_by: str | None = None


class DefinitionVersion(DefinitionEntry, frozen=True, kw_only=True):
    """The same among its kin; `live` is the one that new instances take."""

    live: bool


class DefinitionDocument(DefinitionEntry, frozen=True, kw_only=True):
    """A stored version with its document, and the versions there are."""

    document: Json
    warnings: tuple[Finding, ...] = ()
    versions: tuple[str, ...] = ()


class RetiredVersions(Model, frozen=True, kw_only=True):
    """What was retired, and what new instances take now."""

    retired: tuple[DefinitionVersion, ...]
    live: DefinitionVersion | None = None


class Me(Model, frozen=True, kw_only=True):
    """Whom the token names, or who acts."""

    tenant: str
    user: str
    roles: tuple[str, ...] = ()


class Page(Model, Generic[Item], frozen=True, kw_only=True):
    """One page of a list; `next` is the cursor of the next."""

    items: tuple[Item, ...]
    next: str | None = None

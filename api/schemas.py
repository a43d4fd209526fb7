"""The shapes of requests and responses, for checking bodies and for the documentation.

Bodies are checked by these models. Responses are documented by them and
written by `api.present`; a test holds the two equal.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")
_RESERVED = "Reserved; always empty now."
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Comment = Annotated[str, StringConstraints(max_length=10_000)]
Data = Annotated[
    dict[str, Any],
    Field(description="Any JSON object.", examples=[{"score": 60}]),
]


class _Body(BaseModel):
    """A request's body: nothing that is not named, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SubjectBody(_Body):
    """What the instance is about, in the caller's own system."""

    type: Annotated[Name, Field(examples=["account"])]
    id: Annotated[Name, Field(examples=["acme"])]


class NewRecordBody(_Body):
    """A record to begin with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"entity": "lead", "data": {"score": 40}}]}
    )

    entity: Annotated[Name, Field(examples=["lead"])]
    data: Data = Field(default_factory=dict)


class StartBody(_Body):
    """A start. Without `version`, the live one; without `entity` and `records`, one record of
    the first entity that has stages.
    """

    definition: Annotated[Name, Field(examples=["sales-pipeline"])]
    version: Annotated[Name | None, Field(examples=["1.0.0"])] = None
    subject: SubjectBody
    data: Data = Field(default_factory=dict, description="Belongs to the instance.")
    entity: Name | None = None
    records: Annotated[list[NewRecordBody], Field(max_length=1000)] = Field(default_factory=list)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "definition": "sales-pipeline",
                    "subject": {"type": "account", "id": "acme"},
                    "data": {"score": 40},
                }
            ]
        }
    )


class CarriedEvent(_Body):
    """One event that has happened elsewhere, as a history shows it."""

    seq: Annotated[int, Field(ge=1, description="From 1, without gaps.")]
    at: Annotated[
        str,
        Field(
            max_length=100,
            description="RFC 3339, with a zone.",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    event: Annotated[Name, Field(examples=["stage_entered"])]
    actor: Name
    on_behalf_of: Name | None = None
    record: Annotated[str | None, Field(max_length=250)] = None
    before: Any = None
    after: Any = None
    comment: Comment | None = None
    payload: dict[str, Any] = Field(default_factory=dict)


class ImportBody(_Body):
    """An instance that began elsewhere. Without `version`, it goes on under the live one."""

    definition: Annotated[Name, Field(examples=["sales-pipeline"])]
    version: Annotated[Name | None, Field(examples=["1.0.0"])] = None
    subject: SubjectBody
    origin: Annotated[
        Name,
        Field(description="Its id where it began; the calls of channels keep the keys made of it."),
    ]
    history: Annotated[
        list[CarriedEvent], Field(min_length=1, description="All that happened, in order.")
    ]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "definition": "sales-pipeline",
                    "subject": {"type": "account", "id": "acme"},
                    "origin": "deals-4711",
                    "history": [
                        {
                            "seq": 1,
                            "at": "2026-01-15T09:30:00Z",
                            "event": "instance_started",
                            "actor": "ann",
                            "after": {"score": 40},
                            "payload": {
                                "definition": "sales-pipeline",
                                "version": "1.0.0",
                                "subject": {"type": "account", "id": "acme"},
                                "data": {"score": 40},
                            },
                        },
                        {
                            "seq": 2,
                            "at": "2026-01-15T09:30:00Z",
                            "event": "record_created",
                            "actor": "ann",
                            "record": "lead-1",
                            "payload": {"entity": "lead", "data": {}, "parent": None},
                        },
                        {
                            "seq": 3,
                            "at": "2026-01-15T09:30:00Z",
                            "event": "stage_entered",
                            "actor": "ann",
                            "record": "lead-1",
                            "after": "new",
                            "payload": {"stage": "new", "trigger": "start"},
                        },
                    ],
                }
            ]
        }
    )


class SimulationBody(_Body):
    """A run on a virtual clock, of a stored definition or of one that comes along.

    With `scenarios` these are played; without, people do what they may, by chance.
    """

    definition: Annotated[
        Name | dict[str, Any],
        Field(description="Id of a stored definition, or a definition itself."),
    ]
    version: Annotated[Name | None, Field(description="Of a stored one; the live one without.")] = (
        None
    )
    scenarios: Annotated[
        dict[str, Any] | None,
        Field(description="What a file of scenarios has; see `nexus schema scenarios`."),
    ] = None
    data: Data = Field(default_factory=dict, description="The instance's; more is made up.")
    people: Annotated[
        dict[Name, list[Name]],
        Field(description="Who there is, with roles; by default somebody for each role."),
    ] = Field(default_factory=dict)
    until: Annotated[str, Field(max_length=100, examples=["90 days"])] = "90 days"
    seed: int = Field(default=1, description="The same gives the same run.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "definition": "sales-pipeline",
                    "scenarios": {
                        "scenarios": [
                            {
                                "name": "a low score is refused",
                                "given": {"data": {"score": 50}},
                                "when": [
                                    {"do": "qualify", "then": {"refused": "condition_not_met"}}
                                ],
                            }
                        ]
                    },
                }
            ]
        }
    )


class ActionBody(_Body):
    """An action. `record` may be left out where exactly one is eligible."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"comment": "Called, very interested."}]}
    )

    record: Annotated[Name | None, Field(examples=["lead-1"])] = None
    data: Data = Field(default_factory=dict)
    comment: Comment | None = None


class RecordBody(_Body):
    """A record to add."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"entity": "lead", "data": {"score": 10}}]}
    )

    entity: Annotated[Name, Field(examples=["lead"])]
    data: Data = Field(default_factory=dict)


class RecordPatchBody(_Body):
    """Data to merge into a record."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": {"score": 70}}]})

    data: Data


class EventBody(_Body):
    """Something that happened outside."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "email.opened", "data": {"campaign": "spring"}}]}
    )

    type: Annotated[Name, Field(examples=["email.opened"])]
    data: Data = Field(default_factory=dict)
    record: Name | None = None


class CancelBody(_Body):
    """Why it is cancelled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"comment": "Asked us to stop."}]})

    comment: Comment | None = None


class ActivateBody(_Body):
    """The version to make live."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "1.0.0"}]})

    version: Annotated[Name, Field(examples=["1.0.0"])]


class RetireBody(_Body):
    """The version to retire; all of them without one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "1.0.0"}]})

    version: Annotated[Name | None, Field(examples=["1.0.0"])] = None


class TaskBody(_Body):
    """What came of a task."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"comment": "She calls back on Monday.", "data": {"reached": True}}]
        }
    )

    comment: Comment | None = None
    data: Data = Field(
        default_factory=dict, description="What later steps see as `steps.<name>.data`."
    )


class IncidentBody(_Body):
    """Why an incident is settled so."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"comment": "The mail server is back."}]}
    )

    comment: Comment | None = None


class Me(BaseModel):
    """As whom a request acts."""

    tenant: str
    user: str
    roles: list[str]


class DefinitionReference(BaseModel):
    """One version of a definition."""

    id: str
    version: str


class Subject(BaseModel):
    """What an instance is about."""

    type: str
    id: str


class Assignees(BaseModel):
    """Who owes the next step."""

    users: list[str]
    roles: list[str]


class Sla(BaseModel):
    """The worst clock of a record."""

    status: Literal["on_track", "breached"]
    breach_at: datetime


class Timer(BaseModel):
    """A clock that is running."""

    id: str
    kind: str
    name: str
    trigger_at: datetime
    summary: str


class Record(BaseModel):
    """A lead, an opportunity, a campaign … as it stands."""

    id: Annotated[str, Field(examples=["lead-1"])]
    entity: str
    stage: str | None
    status: Literal["open", "final", "closed"]
    running: Annotated[bool, Field(description="Something that its stage runs has not ended yet.")]
    data: dict[str, Any]
    assignees: Assignees
    votes: Annotated[list[dict[str, Any]], Field(description=_RESERVED)]
    sla: Annotated[Sla | None, Field(description=_RESERVED)]
    roi: Annotated[dict[str, Any] | None, Field(description=_RESERVED)]
    parent: str | None
    created_at: datetime
    since: datetime | None
    due_at: datetime | None
    timers: list[Timer]


class Task(BaseModel):
    """Work for a person that a stage waits for."""

    id: Annotated[str, Field(examples=["task-17"])]
    record: str
    title: str
    assignees: Assignees
    since: datetime


class OwnIncident(BaseModel):
    """Something that needs a person."""

    id: str
    record: Annotated[
        str | None, Field(description="None where it is about the instance as a whole.")
    ]
    stage: Annotated[str | None, Field(description="Of the call that failed, if one did.")]
    step: Annotated[str | None, Field(description="Its place in what the stage runs.")]
    channel: str | None
    code: Annotated[str, Field(examples=["unreachable"])]
    message: str
    attempts: int
    retryable: Annotated[
        bool, Field(description="There is a call that can be tried again; else skip it.")
    ]
    status: Literal["open", "retrying", "resolved", "skipped", "dropped"]
    raised_at: datetime
    closed_at: datetime | None
    closed_by: str | None


class Incident(OwnIncident):
    """An incident, with what its instance is about."""

    instance: str
    definition: DefinitionReference
    subject: Subject


class Instance(BaseModel):
    """One run of one definition for one subject, as it stands."""

    id: str
    tenant: str
    definition: DefinitionReference
    subject: Subject
    status: Literal["active", "completed", "cancelled", "failed"]
    state: str | None
    data: dict[str, Any]
    records: list[Record]
    tasks: Annotated[list[Task], Field(description="The open ones.")]
    incidents: Annotated[list[OwnIncident], Field(description="The open ones.")]
    started_by: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    web_ui: str


class HistoryEntry(BaseModel):
    """One event of an instance."""

    seq: int
    at: datetime
    event: Annotated[str, Field(examples=["stage_entered"])]
    actor: str
    on_behalf_of: Annotated[str | None, Field(description=_RESERVED)]
    record: str | None
    before: Any
    after: Any
    comment: str | None
    payload: dict[str, Any]


class Permission(BaseModel):
    """Whether an action could be taken now, and why or why not."""

    allowed: bool
    code: str | None
    message: str | None
    why: list[dict[str, Any]]


class DashboardEntry(BaseModel):
    """Something assigned to a user."""

    instance: str
    record: str
    task: Annotated[
        str | None, Field(description="Id of a task; null where it is the record itself.")
    ]
    title: Annotated[str | None, Field(description="What is to be done for the task.")]
    entity: str
    definition: DefinitionReference
    stage: str | None
    subject: Subject
    assigned_as: Literal["user", "role", "delegation"]
    role: Annotated[str | None, Field(description="The role it came by.")]
    delegator: Annotated[str | None, Field(description=_RESERVED)]
    due_at: datetime | None
    sla: Annotated[Sla | None, Field(description=_RESERVED)]
    incidents: Annotated[int, Field(description="How many of the record's are open.")]
    since: datetime | None


class DueTimer(Timer):
    """A running clock, with the instance that it belongs to."""

    instance: str
    record: str


class Finding(BaseModel):
    """One located finding in a definition."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    pointer: str
    line: int | None = None
    column: int | None = None
    source: str | None = None
    expected: str | None = None
    found: str | None = None
    suggestion: str | None = None
    excerpt: Annotated[
        str | None,
        Field(
            description="The line of an expression that is meant, and carets below the wrong part.",
            examples=["dta.score > 50\n^^^"],
        ),
    ] = None


class StoredDefinition(BaseModel):
    """What has been stored."""

    id: str
    version: str
    active: Annotated[
        bool,
        Field(
            description="New instances take it. False where an older version, or a retired one, "
            "was stored once more, which changes nothing."
        ),
    ]
    warnings: list[Finding]


class Validated(BaseModel):
    """The definition can run."""

    valid: Literal[True]
    id: str
    version: str
    warnings: list[Finding]


class TimelineEntry(BaseModel):
    """One thing that happened in a simulated run.

    `since` is seconds from the start; `kind` is `event`, `refusal`, or `clock` for one that is set.
    """

    at: datetime
    since: float
    kind: Literal["event", "refusal", "clock"]
    who: str
    record: str | None
    what: str
    why: str
    details: dict[str, Any]


class SimulatedCall(BaseModel):
    """A channel call that would have been made, with its content."""

    channel: str
    kind: Annotated[str | None, Field(description="None where it is not installed.")]
    record: str
    stage: str
    step: str
    with_: Annotated[Any, Field(alias="with")]
    requested_at: datetime
    ended_at: datetime | None
    outcome: Literal["running", "done", "failed", "timed_out", "cancelled"]
    code: str | None


class SimulatedRecord(BaseModel):
    """A record in the end."""

    id: str
    entity: str
    stage: str | None
    status: str
    data: dict[str, Any]


class SimulatedInstance(BaseModel):
    """How a run stands in the end."""

    status: str
    state: str | None
    data: dict[str, Any]
    records: list[SimulatedRecord]


class SimulatedDifference(BaseModel):
    """What was expected, and what is."""

    what: str
    expected: Any
    actual: Any


class SimulatedFailure(BaseModel):
    """Something that is not as a scenario has it; `pointer` into `scenarios`."""

    pointer: str
    message: str
    at: datetime
    differences: list[SimulatedDifference]


class PlayedScenario(BaseModel):
    """What came of one scenario."""

    name: str
    passed: bool
    failures: list[SimulatedFailure]
    timeline: list[TimelineEntry]


class Covered(BaseModel):
    """What scenarios have shown of one kind of thing."""

    covered: int
    of: int
    missing: list[str]


class Simulated(BaseModel):
    """What came of a simulation: of one run by chance, or of scenarios."""

    definition: str
    version: str
    timeline: list[TimelineEntry] | None = None
    calls: list[SimulatedCall] | None = None
    instance: SimulatedInstance | None = None
    passed: bool | None = None
    scenarios: list[PlayedScenario] | None = None
    coverage: dict[Literal["stages", "transitions", "branches", "refusals"], Covered] | None = None


class DefinitionEntry(BaseModel):
    """A stored version of a definition, without its document."""

    id: str
    version: str
    revision: int
    label: str | None
    domain: str | None
    active: bool
    source: Literal["api", "folder"]
    shared: bool
    uploaded_by: str
    uploaded_at: datetime
    activated_at: datetime | None
    activated_by: str | None
    retired_at: Annotated[
        datetime | None, Field(description="Since then it takes no new instances.")
    ]
    retired_by: str | None


class DefinitionVersion(DefinitionEntry):
    """A stored version among the others of its definition."""

    live: Annotated[
        bool,
        Field(
            description="New instances of the tenant take this one: `active`, and not hidden by "
            "an active one of the tenant's own."
        ),
    ]


class RetiredVersions(BaseModel):
    """What takes no new instances now, and what takes them instead."""

    retired: list[DefinitionVersion]
    live: DefinitionVersion | None


class Definition(DefinitionEntry):
    """A stored version of a definition."""

    document: dict[str, Any]
    warnings: list[Finding]
    versions: list[str]


class MailEntry(BaseModel):
    """A mail that was caught instead of delivered."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    received_at: datetime
    sender: Annotated[str, Field(alias="from", description="Of the envelope.")]
    to: Annotated[list[str], Field(description="Of the envelope, blind copies included.")]
    subject: str
    message_id: str
    times: Annotated[int, Field(description="How often a mail of this Message-ID came.")]


class MailHeader(BaseModel):
    """One header of a mail, decoded."""

    name: str
    value: str


class Mail(MailEntry):
    """A mail as somebody reads it."""

    headers: list[MailHeader]
    text: str | None
    html: str | None
    attachments: Annotated[list[str], Field(description="Names of its files.")]


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one."""

    items: list[Item]
    next: str | None


class ProblemBody(BaseModel):
    """RFC 9457 problem details; a code's further members stand beside these."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["/problems/condition_not_met"])]
    title: str
    status: int
    detail: str
    code: str
    instance: Annotated[str | None, Field(description="Names this occurrence in the log.")] = None

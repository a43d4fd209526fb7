"""The tables. All of them belong to tenants; the schema itself is made by migrations.

Rows are written by Core statements and read column by column: these classes
give names and types to both, and are what tenant scoping recognises.

Strings are bounded. What is too long is refused at the edges; what comes this
far nevertheless is clipped by the writer rather than holding an instance up.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from storage.types import JSON, UtcDateTime, key

# Owner of what all tenants share: the definitions of the folder.
EVERY_TENANT = "*"

TENANT_MAX = 200
ID_MAX = 64
NAME_MAX = 200
# A workflow id holds tenant, definition and subject, and Temporal bounds it at 1000 bytes.
WORKFLOW_ID_MAX = 1000
RECORD_MAX = 250
ACTOR_MAX = 500
SUMMARY_MAX = 500
VALUE_MAX = 500
TIMER_MAX = 1000
TITLE_MAX = 1000


def _key(length: int, *, primary_key: bool = False) -> Any:
    return Field(sa_type=key(length), max_length=length, primary_key=primary_key)


def _optional_key(length: int) -> Any:
    return Field(default=None, sa_type=key(length), max_length=length, nullable=True)


def _column(kind: Any, *, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=kind, nullable=nullable)


# A list of their own: all other tables of SQLModel in a process stand in one of theirs.
METADATA = sa.MetaData()


class TenantScoped(SQLModel):
    """Whatever belongs to one tenant; a session adds the tenant to its queries."""

    metadata = METADATA

    tenant: str = _key(TENANT_MAX)


class Definition(TenantScoped, table=True):
    """One revision of one version of a definition; `active` marks the live one.

    A retired one takes no new instances; it is never active.
    """

    __tablename__ = "definitions"

    tenant: str = _key(TENANT_MAX, primary_key=True)
    id: str = _key(WORKFLOW_ID_MAX, primary_key=True)
    version: str = _key(NAME_MAX, primary_key=True)
    revision: int = Field(
        primary_key=True, sa_type=sa.Integer, sa_column_kwargs={"autoincrement": False}
    )
    label: str | None = Field(default=None, max_length=VALUE_MAX)
    domain: str | None = Field(default=None, max_length=NAME_MAX)
    text: str = _column(sa.Text)
    sha256: str = Field(max_length=64)
    active: bool
    source: str = Field(max_length=16)
    uploaded_by: str = Field(max_length=ACTOR_MAX)
    uploaded_at: datetime = _column(UtcDateTime)
    activated_at: datetime | None = _column(UtcDateTime, nullable=True)
    activated_by: str | None = Field(default=None, max_length=ACTOR_MAX)
    retired_at: datetime | None = _column(UtcDateTime, nullable=True)
    retired_by: str | None = Field(default=None, max_length=ACTOR_MAX)
    warnings: list[Any] = _column(JSON)


class Instance(TenantScoped, table=True):
    """One instance as it stands, and the head of its history's hash chain."""

    __tablename__ = "instances"
    __table_args__ = (
        sa.Index("ix_instances_started", "tenant", "started_at", "id"),
        sa.Index("ix_instances_updated", "tenant", "updated_at", "id"),
        sa.Index("ix_instances_id", "tenant", "id"),
        sa.Index("ix_instances_definition", "tenant", "definition", "started_at", "id"),
        sa.Index("ix_instances_status", "tenant", "status", "started_at", "id"),
        sa.Index("ix_instances_stage", "tenant", "stage", "started_at", "id"),
        sa.Index("ix_instances_subject", "tenant", "subject_type", "subject_id", "definition"),
    )

    id: str = _key(ID_MAX, primary_key=True)
    workflow_id: str = Field(max_length=WORKFLOW_ID_MAX)
    definition: str = _key(WORKFLOW_ID_MAX)
    version: str = Field(max_length=NAME_MAX)
    domain: str | None = Field(default=None, max_length=NAME_MAX)
    subject_type: str = _key(WORKFLOW_ID_MAX)
    subject_id: str = _key(WORKFLOW_ID_MAX)
    status: str = _key(16)
    stage: str | None = _optional_key(NAME_MAX)
    data: dict[str, Any] = _column(JSON)
    started_by: str = Field(max_length=ACTOR_MAX)
    started_at: datetime = _column(UtcDateTime)
    ended_at: datetime | None = _column(UtcDateTime, nullable=True)
    seq: int = Field(sa_type=sa.BigInteger)
    updated_at: datetime = _column(UtcDateTime)
    chain_position: int = Field(sa_type=sa.BigInteger)
    chain_hash: str = Field(max_length=64)


class Record(TenantScoped, table=True):
    """One record of an instance; `seq` is the last event of the projection that wrote it."""

    __tablename__ = "records"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(RECORD_MAX, primary_key=True)
    position: int
    entity: str = Field(max_length=NAME_MAX)
    typed_table: str | None = Field(default=None, max_length=32)
    stage: str | None = Field(default=None, max_length=NAME_MAX)
    status: str = Field(max_length=16)
    data: dict[str, Any] = _column(JSON)
    users: list[str] = _column(JSON)
    roles: list[str] = _column(JSON)
    pending: bool
    running: bool
    parent: str | None = Field(default=None, max_length=RECORD_MAX)
    created_at: datetime = _column(UtcDateTime)
    since: datetime | None = _column(UtcDateTime, nullable=True)
    due_at: datetime | None = _column(UtcDateTime, nullable=True)
    seq: int = Field(sa_type=sa.BigInteger)


class History(TenantScoped, table=True):
    """The audit trail, append-only.

    `before`, `after` and `payload` are JSON kept as text: the hash chain goes
    over what is stored, and a JSON column would store something else than it
    was given. `position` counts the rows of one instance as they were written;
    `revision` tells a superseded event from the one that stands (see the
    decision record on ghosts).
    """

    __tablename__ = "history"
    __table_args__ = (
        sa.UniqueConstraint("instance", "position", name="uq_history_position"),
        sa.Index("ix_history_command", "instance", "command"),
    )

    instance: str = _key(ID_MAX, primary_key=True)
    seq: int = Field(
        primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    revision: int = Field(
        primary_key=True, sa_type=sa.Integer, sa_column_kwargs={"autoincrement": False}
    )
    position: int = Field(sa_type=sa.BigInteger)
    at: datetime = _column(UtcDateTime)
    event: str = Field(max_length=NAME_MAX)
    actor: str = Field(max_length=ACTOR_MAX)
    on_behalf_of: str | None = Field(default=None, max_length=ACTOR_MAX)
    record: str | None = Field(default=None, max_length=RECORD_MAX)
    before: str = _column(sa.Text)
    after: str = _column(sa.Text)
    comment: str | None = _column(sa.Text, nullable=True)
    payload: str = _column(sa.Text)
    command: str | None = _optional_key(NAME_MAX)
    prev_hash: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class Timer(TenantScoped, table=True):
    """One clock that is running."""

    __tablename__ = "timers"
    __table_args__ = (
        sa.Index("ix_timers_trigger_at", "trigger_at"),
        sa.Index("ix_timers_due", "tenant", "trigger_at", "instance", "id"),
    )

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(TIMER_MAX, primary_key=True)
    record: str = Field(max_length=RECORD_MAX)
    kind: str = Field(max_length=32)
    name: str = Field(max_length=TIMER_MAX)
    trigger_at: datetime = _column(UtcDateTime)
    summary: str = Field(max_length=SUMMARY_MAX)


class Task(TenantScoped, table=True):
    """One open task."""

    __tablename__ = "tasks"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(ID_MAX, primary_key=True)
    record: str = _key(RECORD_MAX)
    step: str = Field(max_length=TIMER_MAX)
    title: str = Field(max_length=TITLE_MAX)
    users: list[str] = _column(JSON)
    roles: list[str] = _column(JSON)
    since: datetime = _column(UtcDateTime)


class Incident(TenantScoped, table=True):
    """One incident, open or settled; `seq` is the number of the event that raised it."""

    __tablename__ = "incidents"
    __table_args__ = (
        sa.Index("ix_incidents_raised", "tenant", "raised_at", "instance", "id"),
        sa.Index("ix_incidents_status", "tenant", "status", "raised_at", "instance", "id"),
    )

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(ID_MAX, primary_key=True)
    seq: int = Field(sa_type=sa.BigInteger)
    record: str | None = _optional_key(RECORD_MAX)
    code: str = _key(NAME_MAX)
    message: str = _column(sa.Text)
    stage: str | None = _optional_key(NAME_MAX)
    step: str | None = Field(default=None, max_length=TIMER_MAX)
    channel: str | None = _optional_key(NAME_MAX)
    retryable: bool
    attempts: int
    status: str = _key(16)
    raised_at: datetime = _column(UtcDateTime)
    closed_at: datetime | None = _column(UtcDateTime, nullable=True)
    closed_by: str | None = Field(default=None, max_length=ACTOR_MAX)


class Assignment(TenantScoped, table=True):
    """One assignee, a user or a role, of one open record or task: what a dashboard reads.

    It repeats what a dashboard shows, so that a page is one range of one index.
    `task` is empty for the record itself; `incidents` counts the record's open ones.
    `due_sort` is `due_at` with a far future in place of none.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        sa.Index(
            "ix_assignments_since", "tenant", "kind", "assignee", "since", "instance", "record"
        ),
        sa.Index(
            "ix_assignments_due", "tenant", "kind", "assignee", "due_sort", "instance", "record"
        ),
    )

    instance: str = _key(ID_MAX, primary_key=True)
    record: str = _key(RECORD_MAX, primary_key=True)
    task: str = _key(ID_MAX, primary_key=True)
    kind: str = _key(8, primary_key=True)
    assignee: str = _key(ACTOR_MAX, primary_key=True)
    entity: str = Field(max_length=NAME_MAX)
    definition: str = _key(WORKFLOW_ID_MAX)
    version: str = Field(max_length=NAME_MAX)
    stage: str | None = _optional_key(NAME_MAX)
    subject_type: str = _key(WORKFLOW_ID_MAX)
    subject_id: str = _key(WORKFLOW_ID_MAX)
    pending: bool
    title: str | None = Field(default=None, max_length=TITLE_MAX)
    incidents: int
    since: datetime = _column(UtcDateTime)
    due_at: datetime | None = _column(UtcDateTime, nullable=True)
    due_sort: datetime = _column(UtcDateTime)


class Contact(TenantScoped, table=True):
    """A lead or contact (R31)."""

    __tablename__ = "contacts"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(RECORD_MAX, primary_key=True)
    name: str | None = Field(default=None, max_length=VALUE_MAX)
    email: str | None = Field(default=None, max_length=VALUE_MAX)
    status: str | None = Field(default=None, max_length=VALUE_MAX)
    score: float | None = _column(sa.Double, nullable=True)


class Opportunity(TenantScoped, table=True):
    """An opportunity or deal (R31); `contact_id` is a record of the same instance."""

    __tablename__ = "opportunities"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(RECORD_MAX, primary_key=True)
    contact_id: str | None = _optional_key(RECORD_MAX)
    stage: str | None = Field(default=None, max_length=VALUE_MAX)
    value: float | None = _column(sa.Double, nullable=True)
    close_date: date | None = _column(sa.Date, nullable=True)


class Campaign(TenantScoped, table=True):
    """A campaign (R31)."""

    __tablename__ = "campaigns"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(RECORD_MAX, primary_key=True)
    name: str | None = Field(default=None, max_length=VALUE_MAX)
    type: str | None = Field(default=None, max_length=VALUE_MAX)
    channel: str | None = Field(default=None, max_length=VALUE_MAX)
    status: str | None = Field(default=None, max_length=VALUE_MAX)
    budget: float | None = _column(sa.Double, nullable=True)
    start: datetime | None = _column(UtcDateTime, nullable=True)
    end: datetime | None = _column(UtcDateTime, nullable=True)
    metrics: dict[str, Any] | None = _column(JSON, nullable=True)


class Pricing(TenantScoped, table=True):
    """A pricing (R31); `campaign_id` is a record of the same instance."""

    __tablename__ = "pricings"

    instance: str = _key(ID_MAX, primary_key=True)
    id: str = _key(RECORD_MAX, primary_key=True)
    campaign_id: str | None = _optional_key(RECORD_MAX)
    type: str | None = Field(default=None, max_length=VALUE_MAX)
    value: float | None = _column(sa.Double, nullable=True)
    discount: float | None = _column(sa.Double, nullable=True)


class IdempotencyKey(TenantScoped, table=True):
    """What was answered under an Idempotency-Key (R26); `status` is None until answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index("ix_idempotency_created", "tenant", "created_at"),)

    tenant: str = _key(TENANT_MAX, primary_key=True)
    actor: str = _key(ACTOR_MAX, primary_key=True)
    route: str = _key(VALUE_MAX, primary_key=True)
    key: str = _key(255, primary_key=True)
    fingerprint: str = Field(max_length=64)
    status: int | None = Field(default=None)
    body: str | None = _column(sa.Text, nullable=True)
    created_at: datetime = _column(UtcDateTime)


TENANT_TABLES: tuple[type[TenantScoped], ...] = (
    Definition,
    Instance,
    Record,
    History,
    Timer,
    Task,
    Incident,
    Assignment,
    Contact,
    Opportunity,
    Campaign,
    Pricing,
    IdempotencyKey,
)


def columns_of(model: type[TenantScoped]) -> Any:
    """A model as queries see it: its attributes are columns, which their annotations cannot say."""
    return model


def table_of(model: type[TenantScoped]) -> sa.Table:
    """The Core table behind a model."""
    table: sa.Table = model.__table__  # type: ignore[attr-defined]
    return table

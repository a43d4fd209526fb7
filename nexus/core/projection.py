"""The rows that a decision becomes: the contract of core, workflow, storage and API.

The workflow hands a `Projection` to one local activity, which writes all of it
in one transaction; an update is answered with a `Snapshot`; reading from SQL
gives the same dataclasses back. So what a user is told after an action and
what they read a moment later are made of the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nexus.core.state import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One instance as it stands.

    Attributes:
        id: First execution run id of its workflow.
        stage: Stage of its first staged record; None without one.
        seq: Number of the last event that is in this row.
        updated_at: When that event happened.
    """

    id: str
    tenant: str
    workflow_id: str
    definition: str
    version: str
    domain: str | None
    subject_type: str
    subject_id: str
    status: str
    stage: str | None
    data: Data
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    seq: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One record as it stands.

    Attributes:
        id: Unique in its instance, such as `lead-1`.
        position: Order of creation in its instance, from 1.
        table: Typed table that follows it (R31): `contacts`, `opportunities`,
            `campaigns`, `pricings`; None for none.
        data: The record's own data.
        pending: It waits for a person: open, staged, and nothing is running.
        running: The run of its stage has not joined.
        since: When it entered its stage.
        due_at: When its next clock comes due.
    """

    id: str
    position: int
    entity: str
    table: str | None
    stage: str | None
    status: str
    data: Data
    users: Sequence[str]
    roles: Sequence[str]
    pending: bool
    running: bool
    parent: str | None
    created_at: datetime
    since: datetime | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerRow:
    """One clock that is running."""

    id: str
    record: str
    kind: str
    name: str
    trigger_at: datetime
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One open task.

    Attributes:
        id: Unique in its instance, such as `task-17`.
        step: Static path of its step.
        users, roles: Who may complete it: its own assignees, else those of the record.
    """

    id: str
    record: str
    step: str
    title: str
    users: Sequence[str]
    roles: Sequence[str]
    since: datetime


IncidentStatus = Literal["open", "retrying", "resolved", "skipped", "dropped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """One incident, open or settled.

    Attributes:
        id: Unique in its instance, such as `incident-17`.
        seq: Number of the event that raised it.
        record: None where it is about the whole instance.
        stage, step, channel: Of the call that failed; None where none did.
        retryable: There is a call that can be tried again.
        attempts: How often that was tried in all.
        closed_at, closed_by: When it was settled, and who did; None while it is open.
    """

    id: str
    seq: int
    record: str | None
    code: str
    message: str
    stage: str | None
    step: str | None
    channel: str | None
    retryable: bool
    attempts: int
    status: IncidentStatus
    raised_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One event, as the audit trail keeps it.

    Attributes:
        seq: Number in its instance, from 1, without gaps.
        at: When it happened, timezone-aware.
        event: Name such as `stage_entered`.
        before: What stood there, if something changed.
        after: What stands there now.
        payload: Everything else about it.
        command: Id of the update that caused it; None for clocks.
    """

    seq: int
    at: datetime
    event: str
    actor: str
    on_behalf_of: str | None
    record: str | None
    before: object
    after: object
    comment: str | None
    payload: Mapping[str, object]
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """All rows of one or several decisions, written in one transaction.

    Attributes:
        instance: The instance after the last event.
        records: The records that changed; a writer replaces them, their
            assignments and their typed rows.
        timers: All clocks of the changed records; a writer replaces what
            stood there for these records.
        tasks: All open tasks of the changed records; replaced likewise.
        incidents: All open incidents of the changed records and of the instance as a
            whole, and those that were settled by these events; a writer keeps the others.
        history: The new events, in order.
        complete: `records`, `timers`, `tasks` and open `incidents` are all that the instance
            has, so a writer also removes what it finds beyond them.
    """

    instance: InstanceRow
    records: Sequence[RecordRow]
    timers: Sequence[TimerRow]
    history: Sequence[HistoryRow]
    tasks: Sequence[TaskRow] = ()
    incidents: Sequence[IncidentRow] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole of an instance as it stands; what an update is answered with."""

    instance: InstanceRow
    records: Sequence[RecordRow]
    timers: Sequence[TimerRow]
    tasks: Sequence[TaskRow] = ()
    incidents: Sequence[IncidentRow] = ()

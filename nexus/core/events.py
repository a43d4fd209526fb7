"""The facts that a decision leaves behind, one frozen class each.

`name` is the event's name in the history. Whoever reads history sees the same
values that `evolve` applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from nexus.core.state import NOBODY, Assignees, Data, Subject, Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event says.

    Attributes:
        seq: Number in the instance, from 1, without gaps.
        at: When it happened, timezone-aware.
        actor: Id of who caused it.
        on_behalf_of: Id of the one acted for, where somebody else acted.
        record: Id of the record concerned; None for the whole instance.
        comment: What the actor said about it.
    """

    name: ClassVar[str]

    seq: int
    at: datetime
    actor: str
    on_behalf_of: str | None = None
    record: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStarted(Event):
    """An instance began; `data` belongs to the instance (R1)."""

    name: ClassVar[str] = "instance_started"
    definition: str
    version: str
    subject: Subject
    data: Data


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCreated(Event):
    """A record came into being; `parent` is the record whose transition created it."""

    name: ClassVar[str] = "record_created"
    entity: str
    data: Data = field(default_factory=dict)
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Event):
    """Somebody took an action, whatever followed from it.

    Attributes:
        action: Its name.
        input: Data that came with it.
        override: The actor was admin and would not have been entitled otherwise (R11).
    """

    name: ClassVar[str] = "action_taken"
    action: str
    input: Data = field(default_factory=dict)
    override: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntered(Event):
    """A record entered a stage: its former visit is over, with the clocks of it.

    Attributes:
        stage: Where it stands now.
        previous: Where it came from; None where it was created.
        transition: The transition that was taken; None at creation and for `convert`
            without a declared transition.
        trigger: What took it.
        final: Nothing leads on from here.
        assignees: Who owes the next step.
        timers: The clocks of this visit.
    """

    name: ClassVar[str] = "stage_entered"
    stage: str
    previous: str | None = None
    transition: str | None = None
    trigger: Literal["start", "action", "auto", "event", "after"] = "action"
    final: bool = False
    assignees: Assignees = NOBODY
    timers: tuple[Timer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned(Event):
    """The assignees were replaced (R12)."""

    name: ClassVar[str] = "assigned"
    assignees: Assignees
    previous: Assignees = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChanged(Event):
    """Values were merged into a record's data, or the instance's where `record` is None.

    Attributes:
        changes: The new values by key.
        previous: What stood under these keys; a missing key was absent.
    """

    name: ClassVar[str] = "data_changed"
    changes: Data
    previous: Data = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentAdded(Event):
    """Somebody said something about the record or the instance."""

    name: ClassVar[str] = "comment_added"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordClosed(Event):
    """A record was ended where it stands."""

    name: ClassVar[str] = "record_closed"
    stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceived(Event):
    """Something happened outside.

    Attributes:
        event: Its type.
        takes: The transitions that it takes, each as `record: transition`; empty
            where nobody listens, or no condition holds.
        why: The conditions of those that listen and do not take it, with the values they saw.
    """

    name: ClassVar[str] = "event_received"
    event: str
    data: Data = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    why: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Event):
    """A clock came due.

    Attributes:
        timer: Its id.
        transition: The transition that it was to take.
        outcome: `taken`, or why not.
        why: The conditions with the values they saw, where they did not hold.
    """

    name: ClassVar[str] = "timer_fired"
    timer: str
    transition: str
    outcome: Literal["taken", "condition_not_met", "invalid_data", "too_large"]
    why: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRaised(Event):
    """Something needs a person; nothing was changed by it.

    Attributes:
        code: Stable code, such as `auto_loop`.
        message: What a person should read.
        details: JSON-serialisable facts.
    """

    name: ClassVar[str] = "incident_raised"
    code: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRefused(Event):
    """A signal could not be read, or was refused."""

    name: ClassVar[str] = "signal_refused"
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceEnded(Event):
    """Nothing can change it any more."""

    name: ClassVar[str] = "instance_ended"
    status: Literal["completed", "cancelled", "failed"]


AnyEvent = (
    InstanceStarted
    | RecordCreated
    | ActionTaken
    | StageEntered
    | Assigned
    | DataChanged
    | CommentAdded
    | RecordClosed
    | EventReceived
    | TimerFired
    | IncidentRaised
    | SignalRefused
    | InstanceEnded
)

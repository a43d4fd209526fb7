"""The facts that a decision leaves behind, one frozen class each.

`name` is the event's name in the history. Whoever reads history sees the same
values that `evolve` applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal

from msgspec import Struct, field

from nexus.core.state import (
    NOBODY,
    Assignees,
    Call,
    Data,
    EndOfStep,
    Incident,
    Subject,
    Task,
    Timer,
)


class Event(Struct, frozen=True, kw_only=True):
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


class InstanceStarted(Event, frozen=True, kw_only=True):
    """An instance began; `data` belongs to the instance (R1)."""

    name: ClassVar[str] = "instance_started"
    definition: str
    version: str
    subject: Subject
    data: Data


class CarriedOver(Event, frozen=True, kw_only=True):
    """An instance that began elsewhere goes on here.

    Attributes:
        origin: Its id where it began.
        events: How many events came along: those that stand before this one.
    """

    name: ClassVar[str] = "carried_over"
    origin: str
    events: int


class RecordCreated(Event, frozen=True, kw_only=True):
    """A record came into being; `parent` is the record whose transition created it."""

    name: ClassVar[str] = "record_created"
    entity: str
    data: Data = field(default_factory=dict)
    parent: str | None = None


class ActionTaken(Event, frozen=True, kw_only=True):
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


class StageEntered(Event, frozen=True, kw_only=True):
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


class Assigned(Event, frozen=True, kw_only=True):
    """The assignees were replaced (R12)."""

    name: ClassVar[str] = "assigned"
    assignees: Assignees
    previous: Assignees = NOBODY


class DataChanged(Event, frozen=True, kw_only=True):
    """Values were merged into a record's data, or the instance's where `record` is None.

    Attributes:
        changes: The new values by key.
        previous: What stood under these keys; a missing key was absent.
    """

    name: ClassVar[str] = "data_changed"
    changes: Data
    previous: Data = field(default_factory=dict)


class CommentAdded(Event, frozen=True, kw_only=True):
    """Somebody said something about the record or the instance."""

    name: ClassVar[str] = "comment_added"


class RecordClosed(Event, frozen=True, kw_only=True):
    """A record was ended where it stands."""

    name: ClassVar[str] = "record_closed"
    stage: str | None = None


class EventReceived(Event, frozen=True, kw_only=True):
    """Something happened outside.

    Attributes:
        event: Its type.
        takes: The transitions that it takes, each as `record: transition`; empty
            where nobody listens, or no condition holds.
        consumed: The steps that waited for it and end by it, each as `record: path`.
        kept: The records that keep it until a step, or a transition after the join, takes it (R8).
        why: The conditions of those that listen and do not take it, with the values they saw.
    """

    name: ClassVar[str] = "event_received"
    event: str
    data: Data = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    consumed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    why: tuple[Mapping[str, object], ...] = ()


class EventApplied(Event, frozen=True, kw_only=True):
    """An event that was kept has had its turn after the join (R7).

    Attributes:
        event: Its type.
        transition: The transition that it takes; None where no condition holds.
        why: The conditions that kept it from taking one, with the values they saw.
    """

    name: ClassVar[str] = "event_applied"
    event: str
    transition: str | None = None
    why: tuple[Mapping[str, object], ...] = ()


class TimerFired(Event, frozen=True, kw_only=True):
    """A clock that takes a transition came due, or its turn came after the join (R7).

    Attributes:
        timer: Its id.
        transition: The transition that it was to take.
        outcome: `taken`, `awaits_join` while the stage's run is going on, or why not.
        due: When it was due, where it has to wait for the join.
        why: The conditions with the values they saw, where they did not hold.
    """

    name: ClassVar[str] = "timer_fired"
    timer: str
    transition: str
    outcome: Literal["taken", "awaits_join", "condition_not_met", "invalid_data", "too_large"]
    due: datetime | None = None
    why: tuple[Mapping[str, object], ...] = ()


class StepStarted(Event, frozen=True, kw_only=True):
    """A step began that neither calls a channel nor opens a task: a block, or waiting.

    Attributes:
        step: Its static path; `run` is the stage's whole run.
        kind: The key that makes it what it is, such as `sequence`.
        timers: The clock that ends it, if there is one.
    """

    name: ClassVar[str] = "step_started"
    step: str
    kind: str
    timers: tuple[Timer, ...] = ()


class StepEnded(Event, frozen=True, kw_only=True):
    """A step ended by itself; that of path `run` means that the stage's run has joined.

    Attributes:
        step: Its static path.
        kind: The key that makes it what it is.
        outcome: How it ended.
        event: The event that it waited for, as `{"type", "data"}`.
        why: The conditions that kept it from running, with the values they saw.
    """

    name: ClassVar[str] = "step_ended"
    step: str
    kind: str
    outcome: EndOfStep
    event: Mapping[str, object] | None = None
    why: tuple[Mapping[str, object], ...] = ()


class RunStopped(Event, frozen=True, kw_only=True):
    """What is left of a run was stopped: its waits and tasks are dropped, its calls cancelled.

    Attributes:
        steps: The paths of the steps that were running.
    """

    name: ClassVar[str] = "run_stopped"
    steps: tuple[str, ...] = ()


class ChannelRequested(Event, frozen=True, kw_only=True):
    """A channel is to be called."""

    name: ClassVar[str] = "channel_requested"
    call: Call


class ChannelSucceeded(Event, frozen=True, kw_only=True):
    """A channel call succeeded.

    Attributes:
        call: Its effect id.
        step: Static path of its step.
        channel: As the step names it.
        response: What the channel answered; JSON.
        dropped: Why the answer was not kept, where it was not.
        attempts: How often it was tried.
    """

    name: ClassVar[str] = "channel_succeeded"
    call: str
    step: str
    channel: str
    response: object = None
    dropped: str | None = None
    attempts: int = 1


class ChannelFailed(Event, frozen=True, kw_only=True):
    """A channel call did not succeed: it failed, ran out of time, or was cancelled.

    Attributes:
        call: Its effect id.
        step: Static path of its step.
        channel: As the step names it.
        outcome: How it ended.
        code: Stable code of the failure.
        message: What went wrong.
        attempts: How often it was tried.
    """

    name: ClassVar[str] = "channel_failed"
    call: str
    step: str
    channel: str
    outcome: Literal["failed", "timed_out", "cancelled"]
    code: str
    message: str
    attempts: int = 1


class TaskOpened(Event, frozen=True, kw_only=True):
    """A person has something to do."""

    name: ClassVar[str] = "task_opened"
    task: Task


class TaskCompleted(Event, frozen=True, kw_only=True):
    """Somebody did it.

    Attributes:
        task: Its id.
        step: Static path of its step.
        title: What was to be done.
        data: What came with the completion.
        override: The actor was admin and would not have been entitled otherwise (R11).
    """

    name: ClassVar[str] = "task_completed"
    task: str
    step: str
    title: str
    data: Data = field(default_factory=dict)
    override: bool = False


class IncidentRaised(Event, frozen=True, kw_only=True):
    """Something needs a person; nothing was changed by it.

    Attributes:
        code: Stable code, such as `auto_loop`.
        message: What a person should read.
        details: JSON-serialisable facts.
        incident: Its id. A call that fails again raises the incident that it had.
        cause: What it is about: the same cause raises no second one while one is open.
        call: The call that failed and can be tried again.
        attempts: How often that was tried in all.
    """

    name: ClassVar[str] = "incident_raised"
    code: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)
    incident: str
    cause: str = ""
    call: Call | None = None
    attempts: int = 0


class IncidentRetried(Event, frozen=True, kw_only=True):
    """Somebody has the call of an incident tried again."""

    name: ClassVar[str] = "incident_retried"
    incident: str
    call: Call


class IncidentClosed(Event, frozen=True, kw_only=True):
    """An incident needs nobody any more.

    Attributes:
        incident: As it stood.
        outcome: `resolved`: another try succeeded, or what was missing happened;
            `skipped` by a person; `dropped`, as the instance was cancelled or begun anew.
    """

    name: ClassVar[str] = "incident_closed"
    incident: Incident
    outcome: Literal["resolved", "skipped", "dropped"]


class SignalRefused(Event, frozen=True, kw_only=True):
    """A signal could not be read, or was refused."""

    name: ClassVar[str] = "signal_refused"
    code: str
    message: str


class InstanceEnding(Event, frozen=True, kw_only=True):
    """It is being stopped, and ends once the calls under way have settled."""

    name: ClassVar[str] = "instance_ending"
    status: Literal["completed", "cancelled"]


class InstanceEnded(Event, frozen=True, kw_only=True):
    """Nothing can change it any more."""

    name: ClassVar[str] = "instance_ended"
    status: Literal["completed", "cancelled", "failed"]


AnyEvent = (
    InstanceStarted
    | CarriedOver
    | RecordCreated
    | ActionTaken
    | StageEntered
    | Assigned
    | DataChanged
    | CommentAdded
    | RecordClosed
    | EventReceived
    | EventApplied
    | TimerFired
    | StepStarted
    | StepEnded
    | RunStopped
    | ChannelRequested
    | ChannelSucceeded
    | ChannelFailed
    | TaskOpened
    | TaskCompleted
    | IncidentRaised
    | IncidentRetried
    | IncidentClosed
    | SignalRefused
    | InstanceEnding
    | InstanceEnded
)

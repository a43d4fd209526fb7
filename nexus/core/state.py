"""What is true of one instance at a moment: frozen values, replaced and never changed.

Effects are state, not events: `State.timers` holds the clocks that are wanted
and `State.calls` the channel calls. A shell starts what is missing and cancels
what is surplus, so continuing as new, cancelling and undoing need no code of
their own.

An effect's id is `record/visit/path`: the record's id, the number of its stage
visit, and the static path that the compiler gave to the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

InstanceStatus = Literal["new", "active", "completed", "cancelled", "failed"]
RecordStatus = Literal["open", "final", "closed"]
EndOfStep = Literal["done", "failed", "skipped", "cancelled", "timed_out"]
RunOutcome = Literal["running", "done", "failed", "skipped", "cancelled", "timed_out"]

Data = Mapping[str, object]

OPEN: RecordStatus = "open"
RUN_ROOT = "run"  # path of a run's outermost step; how it ended is how the run joined


class Subject(Struct, frozen=True):
    """What an instance is about: a user, an account, a product of the caller's own system."""

    type: str
    id: str


class Assignees(Struct, frozen=True):
    """Who owes the next step of a record. Both empty means nobody in particular."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.users or self.roles)


NOBODY = Assignees()


class Timer(Struct, frozen=True):
    """One clock that is running.

    Attributes:
        id: `record/visit/path`, stable across replays and continue-as-new.
        record: Id of the record whose stage visit it belongs to.
        kind: What its coming due means: `transition` takes a transition, `wait`
            ends a step of the stage's run.
        name: The transition that it takes, or the path of the step.
        due: Absolute, timezone-aware.
        summary: One line for a person.
    """

    id: str
    record: str
    kind: Literal["transition", "wait"]
    name: str
    due: datetime
    summary: str


class Call(Struct, frozen=True):
    """One channel call that is wanted, by its effect id.

    Attributes:
        id: `record/visit/path`; also the activity id, and with the instance's id
            the idempotency key.
        record: Id of the record whose stage visit it belongs to.
        visit: Number of that visit.
        stage: The stage of it, which the record may have left since.
        path: Static path of the step in that stage.
        channel: Kind of channel, or named settings, as the step has it.
        cancelling: The visit is being stopped; its outcome is awaited.
        compensates: Id of the call that this one undoes.
        incident: Id of the incident that it tries again; None for a first request.
    """

    id: str
    record: str
    visit: int
    stage: str
    path: str
    channel: str
    cancelling: bool = False
    compensates: str | None = None
    incident: str | None = None


class Task(Struct, frozen=True):
    """Work for a person that a run waits for.

    Attributes:
        id: `task-n`, where n is the number of the event that opened it.
        record: Id of the record whose stage visit it belongs to.
        path: Static path of its step.
        title: What is to be done.
        assignees: Who may complete it; nobody means those of the record.
    """

    id: str
    record: str
    path: str
    title: str
    assignees: Assignees
    opened_at: datetime


class Incident(Struct, frozen=True):
    """Something that needs a person, and is open until it is settled.

    Attributes:
        id: `incident-n`, where n is the number of the event that raised it.
        record: Id of the record concerned; None for the whole instance.
        code: Stable code, such as `auto_loop`, or that of a channel's failure.
        message: What a person should read.
        cause: What it is about; the same cause raises no second one while one is open.
        raised_at: When it was raised first.
        call: The failed call, which can be tried again; None where there is nothing to try.
        attempts: How often the call was tried in all.
        retrying: It is being tried again.
    """

    id: str
    record: str | None
    code: str
    message: str
    cause: str
    raised_at: datetime
    call: Call | None = None
    attempts: int = 0
    retrying: bool = False


class Awaiting(Struct, frozen=True):
    """An event, or a clock, that has come and waits for the stage's run (R7, R8).

    Attributes:
        kind: `event` from outside, or `after`, the clock of a transition.
        name: Type of the event; name of the transition.
        at: When it came, or was due.
        data: What came with the event.
    """

    kind: Literal["event", "after"]
    name: str
    at: datetime
    data: Data = field(default_factory=dict)


class Record(Struct, frozen=True):
    """One lead, opportunity, campaign … that an instance owns.

    Attributes:
        id: `entity-n`, unique in its instance.
        entity: Name of its entity.
        created_at: Timezone-aware.
        stage: The stage it stands in; None for a record of plain data.
        status: `open`, `final` (reached a final stage) or `closed` (by `close`).
        data: Its own data; conditions see it over the instance's (R1).
        assignees: Who owes its next step.
        visit: Number of the stage visit, counted from 1 in its life.
        entered_at: When this visit began.
        previous: The stage that it came from; None in its first.
        parent: Id of the record whose transition created it.
        run: What each step of this visit's run has come to, by static path:
            `running` or how it ended; empty where nothing runs.
        steps: What ended steps left behind, by static path: `outcome`, and
            `response`, `event`, `data`; what `steps.<name>` shows.
        awaiting: What has come and waits for a step or for the join.
    """

    id: str
    entity: str
    created_at: datetime
    stage: str | None = None
    status: RecordStatus = OPEN
    data: Data = field(default_factory=dict)
    assignees: Assignees = NOBODY
    visit: int = 0
    entered_at: datetime | None = None
    previous: str | None = None
    parent: str | None = None
    run: Mapping[str, RunOutcome] = field(default_factory=dict)
    steps: Mapping[str, Data] = field(default_factory=dict)
    awaiting: tuple[Awaiting, ...] = ()

    @property
    def running(self) -> bool:
        """The run of its stage has not joined."""
        return self.run.get(RUN_ROOT) == "running"


class State(Struct, frozen=True):
    """One instance.

    Attributes:
        seq: Number of the last event; events count from 1 without gaps.
        status: `new` until started, then `active` until ended.
        subject: What it is about; None while new.
        data: The instance's data (R1).
        started_by: Id of the actor who started it.
        records: By id, in order of creation.
        timers: The clocks wanted, by id.
        calls: The channel calls wanted, by id.
        tasks: The open tasks, by id.
        incidents: The open incidents, by id.
        ending: How it will have ended once what still runs has settled; None
            unless it is being stopped.
        origin: Id of the instance elsewhere that was carried over; "" for one that began here.
    """

    seq: int = 0
    status: InstanceStatus = "new"
    subject: Subject | None = None
    data: Data = field(default_factory=dict)
    started_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    records: Mapping[str, Record] = field(default_factory=dict)
    timers: Mapping[str, Timer] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    ending: Literal["completed", "cancelled"] | None = None
    origin: str = ""

    @property
    def ended(self) -> bool:
        """No command can change it any more."""
        return self.status in ("completed", "cancelled", "failed")

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
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

InstanceStatus = Literal["new", "active", "completed", "cancelled", "failed"]
RecordStatus = Literal["open", "final", "closed"]

Data = Mapping[str, object]

OPEN: RecordStatus = "open"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an instance is about: a user, an account, a product of the caller's own system."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Assignees:
    """Who owes the next step of a record. Both empty means nobody in particular."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.users or self.roles)


NOBODY = Assignees()


@dataclass(frozen=True, slots=True)
class Timer:
    """One clock that is running.

    Attributes:
        id: `record/visit/path`, stable across replays and continue-as-new.
        record: Id of the record whose stage visit it belongs to.
        kind: What its coming due means; `transition` takes `name`.
        name: The transition that it takes.
        due: Absolute, timezone-aware.
        summary: One line for a person.
    """

    id: str
    record: str
    kind: Literal["transition"]
    name: str
    due: datetime
    summary: str


@dataclass(frozen=True, slots=True)
class Call:
    """One channel call that is wanted, by its effect id.

    Attributes:
        id: `record/visit/path`; also the activity id and the idempotency key.
        record: Id of the record whose stage visit it belongs to.
        channel: Name of the channel.
        cancelling: The visit is being stopped; its outcome is awaited.
        compensates: Id of the call that this one undoes.
    """

    id: str
    record: str
    channel: str
    cancelling: bool = False
    compensates: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
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
        run: Outcome of each node of the stage's run, by static path; empty
            where nothing runs.
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
    run: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
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

    @property
    def ended(self) -> bool:
        """No command can change it any more."""
        return self.status in ("completed", "cancelled", "failed")

"""What the core decides, applied to what a column keeps. Pure: nothing is read or written here."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from nexus.core.actions import unknown_action
from nexus.core.commands import Act, Actor, AddRecord, Command, GiveUp, NewRecord, Start, TimerDue
from nexus.core.decide import admitted, can, step
from nexus.core.errors import Rejected
from nexus.core.incidents import lingers
from nexus.core.program import BUILT_IN_ACTIONS, OTHER_ABILITIES, Program
from nexus.core.projection import HistoryRow, Snapshot
from nexus.core.rows import Identity, history_row, snapshot
from nexus.core.state import State, Subject
from nexus.local.kept import NOTHING, Kept, Past
from nexus.local.views import Incident, Permission, Record, Task, View

TENANT = "local"
MOST_DUE = 1_000
"""Clocks that come due in one look; what is left comes due in the next."""


def decided(program: Program, kept: Kept, command: Command, now: datetime) -> Kept:
    """What is kept once a command was decided on.

    Raises:
        Rejected: The command is refused; nothing has changed.
    """
    # A clock that was set back must not have things happen before what came before them.
    now = max(now, kept.state.updated_at) if kept.state.updated_at else now
    events, state = step(program, kept.state, command, now)
    if not events:
        return kept
    rows = tuple(history_row(event) for event in events)
    tries = {id_: tried for id_, tried in kept.tries.items() if id_ in state.calls}
    return replace(kept, state=state, history=kept.history + rows, tries=tries)


def caught_up(program: Program, kept: Kept, now: datetime) -> Kept:
    """What is kept once all clocks that came due by now had their effect, each at its own time."""
    for _ in range(MOST_DUE):
        timers = kept.state.timers
        if not timers:
            return kept
        first = min(timers.values(), key=lambda timer: (timer.due, timer.id))
        if first.due > now:
            return kept
        kept = decided(program, kept, TimerDue(timer=first.id), first.due)
    return kept


def opened(program: Program, kept: Kept, start: Start, now: datetime) -> Kept:
    """What is kept once an instance was started; a former one, which has ended, becomes past.

    Raises:
        Rejected: It is refused; nothing has changed.
    """
    if lingers(kept.state):
        # What is left of the former one is told as given up, as on the platform.
        kept = decided(program, kept, GiveUp(actor=start.actor), now)
    past = kept.past
    if kept.instance:
        past = (*past, Past(instance=kept.instance, history=kept.history))
    fresh = Kept(revision=kept.revision, instance=uuid.uuid4().hex, past=past)
    return decided(program, fresh, start, now)


class Applied(Struct, frozen=True):
    """A command and what it led to.

    Attributes:
        before: What was kept right before it, its instance begun and its clocks looked at.
        after: What is kept now.
        rows: All that is new, from the clocks that came due to the command's own.
        record: Id of the record that it was about, or that it created; None for the whole.
    """

    before: Kept
    after: Kept
    rows: tuple[HistoryRow, ...]
    record: str | None

    def record_ahead(self, program: Program) -> Record | None:
        """The record as it stood before; one that the command creates, as it begins."""
        before = record_view(program, self.before.state, self.record)
        return before or record_view(program, self.after.state, self.record)


def applied(
    program: Program, kept: Kept, command: Command, subject: Subject, now: datetime
) -> Applied:
    """Apply a command, to an instance that is begun if there is none.

    Adding a record to one that has ended begins another.

    Raises:
        Rejected: It is refused; nothing has changed.
    """
    before = caught_up(program, kept, now)
    begins = isinstance(command, AddRecord | Start)
    if before.state.status == "new" or (begins and before.state.ended):
        require_known(program, command)
        after = opened(program, before, start_for(command, subject), now)
        if not begins:
            before, after = after, decided(program, after, command, now)
    else:
        after = decided(program, before, command, now)
    same = after.instance == kept.instance
    rows = after.history[len(kept.history) :] if same else after.history
    own = after.history[len(before.history) :] if after.instance == before.instance else rows
    return Applied(before, after, rows, concerned(command, own))


def concerned(command: Command, rows: Iterable[HistoryRow]) -> str | None:
    """Id of the record that a command was about, from what it led to."""
    name = "action_taken" if isinstance(command, Act) else "record_created"
    return next((row.record for row in rows if row.event == name), None)


def require_known(program: Program, command: Command) -> None:
    """Refuse an action that there is not, before anything is said of what it would begin.

    Raises:
        Rejected: `not_found`.
    """
    if isinstance(command, Act):
        known = (*program.transitions, *BUILT_IN_ACTIONS, *OTHER_ABILITIES)
        if command.action not in known:
            raise unknown_action(program, command.action)


def start_for(command: Command, subject: Subject) -> Start:
    """The start that a first command implies: with the record that it adds, else by default.

    Raises:
        Rejected: `not_found`, where the command names what only an instance that has begun has.
    """
    if isinstance(command, Start):
        return command
    for kind in ("record", "task", "incident"):
        named = getattr(command, kind, None)
        if named is not None:
            raise Rejected("not_found", f"No {kind} {named!r}: nothing has begun here yet.")
    actor: Actor = getattr(command, "actor")  # noqa: B009 - only commands of people come here
    if isinstance(command, AddRecord):
        record = NewRecord(command.entity, command.data)
        return Start(actor=actor, subject=subject, records=(record,))
    return Start(actor=actor, subject=subject)


def view_of(program: Program, state: State) -> View:
    """The instance as a handle shows it."""
    if state.status == "new":
        return View(status="new", stage=None, data={}, records=(), tasks=(), incidents=())
    taken = snapshot(Identity("", TENANT, ""), program, state)
    return View(
        status=state.status,
        stage=taken.instance.stage,
        data=state.data,
        records=tuple(filter(None, (record_view(program, state, id_) for id_ in state.records))),
        tasks=_tasks(taken),
        incidents=_incidents(taken),
    )


def record_view(program: Program, state: State, id_: str | None) -> Record | None:
    """A record of an instance as a handle shows it; None where there is none of this id."""
    record = None if id_ is None else state.records.get(id_)
    if record is None:
        return None
    return Record(
        id=record.id,
        entity=record.entity,
        stage=record.stage,
        status="closed" if record.status == "open" and state.ended else record.status,
        data=record.data,
        users=record.assignees.users,
        roles=record.assignees.roles,
        created_at=record.created_at,
        since=record.entered_at,
        fields=closed_fields(program, record.entity),
    )


def closed_fields(program: Program, entity: str) -> tuple[str, ...] | None:
    """The only names that an entity's data may have; None where any may."""
    found = program.entities.get(entity)
    fields = found.fields if found is not None else None
    return fields.properties or () if fields is not None and fields.closed else None


class Asking(Struct, frozen=True):
    """What is asked about an action beside whether it could be taken.

    Attributes:
        record: On which record it would be taken.
        why: What a person should read, and each condition with the values that it saw.
    """

    record: bool = False
    why: bool = False


Allowed = tuple[Permission, Record | None]
"""Whether an action could be taken, and on which record if that was asked."""

_YES = Permission(allowed=True, code=None, message="")


def permission(program: Program, state: State, act: Act, now: datetime, asking: Asking) -> Allowed:
    """Whether an action could be taken now."""
    if asking.why:
        told = Permission(**can(program, state, act, now))  # type: ignore[arg-type]
        if not (asking.record and told.allowed):
            return told, None
    try:
        admission = admitted(program, state, act, now)
    except Rejected as refusal:
        return refused(refusal), None
    record = admission.record if admission is not None else None
    found = record_view(program, state, record.id) if asking.record and record else None
    return (told if asking.why else _YES), found


def refused(refusal: Rejected) -> Permission:
    """The permission that a refusal is."""
    why = refusal.details.get("why", [])
    assert isinstance(why, list)
    return Permission(allowed=False, code=refusal.code, message=refusal.message, why=why)


def permission_when_new(
    program: Program, act: Act, subject: Subject, now: datetime, asking: Asking
) -> Allowed:
    """The same of an instance that nothing was done with: the action would begin it."""
    try:
        require_known(program, act)
        begun = opened(program, NOTHING, start_for(act, subject), now)
    except Rejected as refusal:
        return refused(refusal), None
    return permission(program, begun.state, act, now, asking)


def _tasks(taken: Snapshot) -> tuple[Task, ...]:
    return tuple(
        Task(
            id=row.id,
            record=row.record,
            title=row.title,
            users=tuple(row.users),
            roles=tuple(row.roles),
            since=row.since,
        )
        for row in taken.tasks
    )


def _incidents(taken: Snapshot) -> tuple[Incident, ...]:
    return tuple(
        Incident(
            id=row.id,
            record=row.record,
            code=row.code,
            message=row.message,
            attempts=row.attempts,
            retryable=row.retryable,
            since=row.raised_at,
        )
        for row in taken.incidents
    )

"""What a handle shows: values that never change, the same in process and on the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec
from msgspec import Struct, field

from nexus.core.errors import nearest
from nexus.core.projection import HistoryRow

_OWN = ("id", "entity", "stage", "data", "users", "roles", "created_at", "since")


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed, and is written as JSON, shown and compared as any other."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("What has happened cannot be changed.")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


_SCALARS = frozenset({str, int, float, bool})


def frozen(value: Any) -> Any:
    """JSON that cannot be changed by whoever reads it."""
    if value is None or type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value


class Record:
    """A contact, a lead, a campaign … as it stands.

    What its data holds can be read as attributes: `contact.email`, `campaign.budget`. A field
    that its definition names and that nothing was said of is None. Where a field has the name
    of one of the attributes below, `record["id"]` gives the field.

    Attributes:
        id: Unique in its instance, such as `contact-1`.
        entity: What it is.
        stage: Where it stands; None for a record of plain data.
        data: All of its data, read-only.
        users, roles: Who owes its next step.
        created_at: When it was created; timezone-aware.
        since: When it entered its stage; None without one.
        is_open: It can still change.
    """

    __slots__ = (*_OWN, "_fields", "_status")

    id: str
    entity: str
    stage: str | None
    data: Mapping[str, Any]
    users: Sequence[str]
    roles: Sequence[str]
    created_at: datetime
    since: datetime | None

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the name that users see
        entity: str,
        stage: str | None,
        status: str,
        data: Mapping[str, Any],
        users: Sequence[str],
        roles: Sequence[str],
        created_at: datetime,
        since: datetime | None,
        fields: Iterable[str] | None = None,
    ) -> None:
        """A record as it stands.

        Args:
            id: Of the record, as are all others that the class names.
            entity: What it is.
            stage: Where it stands.
            status: `open`, `final` or `closed`.
            data: All of its data.
            users: Who owes its next step.
            roles: The same, by role.
            created_at: When it was created.
            since: When it entered its stage.
            fields: The only names that its data may have; None where any may.
        """
        own = {
            "id": id,
            "entity": entity,
            "stage": stage,
            "data": frozen(data),
            "users": tuple(users),
            "roles": tuple(roles),
            "created_at": created_at,
            "since": since,
            "_status": status,
            "_fields": None if fields is None else frozenset(fields),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def is_open(self) -> bool:
        """It can still change."""
        status: str = self._status
        return status == "open"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        if self._fields is not None and name in self._fields:
            return None
        if name == "status":  # a field of many a contact; where it is none, the record's own
            return self._status
        if self._fields is None:
            return None
        near = nearest(name, [*self._fields, *_OWN, "is_open"])
        hint = f" Did you mean {near!r}?" if near else ""
        raise AttributeError(f"{self.id!r} has no field {name!r}.{hint}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A record shows how things stand and cannot be set: take the action 'update' with "
            f"{{{name!r}: …}}."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A record shows how things stand and cannot be changed.")

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def to_dict(self) -> dict[str, Any]:
        """It as JSON has it: what is listed above, `status`, and `data`."""
        own = {name: getattr(self, name) for name in _OWN}
        told: dict[str, Any] = msgspec.to_builtins({**own, "status": self._status})
        return told

    def _values(self) -> tuple[object, ...]:
        own = tuple(getattr(self, name) for name in _OWN if name != "data")
        return (*own, self._status, dict(self.data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.id, self.entity, self.created_at))

    def __repr__(self) -> str:
        stands = f" in {self.stage!r}" if self.stage is not None else ""
        return f"<{self.id}{stands} {dict(self.data)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        own = {name: getattr(self, name) for name in _OWN}
        own |= {"data": dict(self.data), "status": self._status, "fields": self._fields}
        return _record, (own,)


def _record(own: dict[str, Any]) -> Record:
    return Record(**own)


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One thing that happened. Entries are only ever added, and never changed.

    Attributes:
        seq: Its number in its instance, from 1 without gaps.
        at: When; timezone-aware.
        event: What, such as `record_created`, `stage_entered`, `data_changed`.
        actor: Who; `system` for what happened by itself.
        on_behalf_of: For whom, where somebody acted for somebody else.
        record: Id of the record concerned; None for the whole.
        before, after: What it was and what it became, where something changed.
        comment: What was said.
        payload: The event's own facts; JSON.
    """

    seq: int
    at: datetime
    event: str
    actor: str
    record: str | None = None
    before: Any = None
    after: Any = None
    comment: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    on_behalf_of: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """It as JSON has it."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told

    @classmethod
    def of(cls, row: HistoryRow) -> HistoryEntry:
        """The entry of a row of the audit trail."""
        return cls(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            record=row.record,
            before=frozen(row.before),
            after=frozen(row.after),
            comment=row.comment,
            payload=frozen(row.payload),
            on_behalf_of=row.on_behalf_of,
        )


class Task(Struct, frozen=True, kw_only=True):
    """Work for a person that a stage waits for.

    Attributes:
        id: Such as `task-17`.
        record: Id of the record whose stage waits for it.
        title: What is to be done.
        users, roles: Who may complete it.
        since: When it was opened; timezone-aware.
    """

    id: str
    record: str
    title: str
    users: Sequence[str]
    roles: Sequence[str]
    since: datetime


class Incident(Struct, frozen=True, kw_only=True):
    """Something that needs a person, and is open.

    Attributes:
        id: What `retry` and `skip` take.
        record: Id of the record concerned; None for the whole.
        code: Stable code, such as `unreachable`.
        message: What a person should read.
        attempts: How often the call behind it was tried; 0 where there is none.
        retryable: There is a call that can be tried again; else only `skip` settles it.
        since: When it was raised; timezone-aware.
    """

    id: str
    record: str | None
    code: str
    message: str
    attempts: int
    retryable: bool
    since: datetime


class Permission(Struct, frozen=True, kw_only=True):
    """Whether an action could be taken, and why or why not. It is true where it could.

    Attributes:
        allowed: It could.
        code: Why not: a stable code such as `condition_not_met`; None where it could.
        message: One sentence for a person.
        why: Each condition that was looked at, with the values that it saw; JSON.
    """

    allowed: bool
    code: str | None
    message: str
    why: Sequence[Mapping[str, Any]] = ()

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        return self.message


class View(Struct, frozen=True, kw_only=True):
    """An instance as it stands.

    Attributes:
        status: `active`, `completed`, `cancelled` or `failed`; `new` before anything was done.
        stage: The stage of its first record that has one.
        data: Data of the instance itself.
        records, tasks, incidents: What belongs to it; of tasks and incidents those that are open.
    """

    status: str
    stage: str | None
    data: Mapping[str, Any]
    records: tuple[Record, ...]
    tasks: tuple[Task, ...]
    incidents: tuple[Incident, ...]

    def record(self, id_: str) -> Record | None:
        """The record of this id."""
        return next((record for record in self.records if record.id == id_), None)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

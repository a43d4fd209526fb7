"""What can happen to an instance, and the form in which it travels.

On the wire a command is an object with a `type`; `parse_command` reads it and
refuses what it does not know, with the place of the fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct, field

from nexus.core.errors import Rejected, nearest
from nexus.core.json_text import check_data
from nexus.core.state import Data, Subject

SYSTEM = "system"
ADMIN = "admin"

MOST_NAME = 200  # characters of an actor, a role, a subject, an event
MOST_COMMENT = 10_000


class Actor(Struct, frozen=True):
    """Who does something.

    Attributes:
        id: User id; `system` for clocks and automatic transitions,
            `system:signal` for an unsigned signal.
        roles: The roles held now; `admin` may do everything in its tenant.
    """

    id: str
    roles: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        """Holds the role `admin`."""
        return ADMIN in self.roles


SYSTEM_ACTOR = Actor(SYSTEM)


class NewRecord(Struct, frozen=True):
    """A record that a start asks for."""

    entity: str
    data: Data = field(default_factory=dict)


class Start(Struct, frozen=True, kw_only=True):
    """Begin an instance. Its `data` belongs to the instance (R1)."""

    actor: Actor
    subject: Subject
    data: Data = field(default_factory=dict)
    entity: str | None = None
    records: tuple[NewRecord, ...] = ()


class CarryOver(Struct, frozen=True, kw_only=True):
    """An instance that began elsewhere goes on here.

    Attributes:
        origin: Id of the instance where it began: the calls of channels keep their keys.
        history: Its rows in order, each a `HistoryRow` as JSON, without the command.
    """

    actor: Actor
    subject: Subject
    origin: str
    history: tuple[Mapping[str, object], ...]


class Act(Struct, frozen=True, kw_only=True):
    """A person, or another system, takes an action: a transition's name or a built-in one."""

    actor: Actor
    action: str
    record: str | None = None
    data: Data = field(default_factory=dict)
    comment: str | None = None


class AddRecord(Struct, frozen=True, kw_only=True):
    """Add a record of an entity to a running instance."""

    actor: Actor
    entity: str
    data: Data = field(default_factory=dict)


class ReceiveEvent(Struct, frozen=True, kw_only=True):
    """Something happened outside, such as `email.opened`."""

    actor: Actor
    event: str
    data: Data = field(default_factory=dict)
    record: str | None = None


class CompleteTask(Struct, frozen=True, kw_only=True):
    """Somebody has done the work of a task."""

    actor: Actor
    task: str
    data: Data = field(default_factory=dict)
    comment: str | None = None


class RetryIncident(Struct, frozen=True, kw_only=True):
    """The call behind an incident is to be tried again, under the same key (R10)."""

    actor: Actor
    incident: str
    comment: str | None = None


class SkipIncident(Struct, frozen=True, kw_only=True):
    """An incident is settled as it is: nothing is tried again (R10)."""

    actor: Actor
    incident: str
    comment: str | None = None


class GiveUp(Struct, frozen=True, kw_only=True):
    """An ended instance gives up what it is kept for, so that the next one can start (BR-007)."""

    actor: Actor


class CallEnded(Struct, frozen=True, kw_only=True):
    """A channel call ended. One that is no longer wanted changes nothing.

    Attributes:
        call: Its effect id.
        outcome: How it ended.
        response: What the channel answered; JSON.
        code, message: What went wrong, where it did not succeed.
        attempts: How often it was tried.
    """

    call: str
    outcome: Literal["done", "failed", "timed_out", "cancelled"]
    response: object = None
    code: str = ""
    message: str = ""
    attempts: int = 1


class TimerDue(Struct, frozen=True, kw_only=True):
    """A clock came due. One that is no longer wanted changes nothing."""

    timer: str


class Stop(Struct, frozen=True, kw_only=True):
    """The run itself was cancelled, by an operator; the instance ends as cancelled."""

    actor: Actor = SYSTEM_ACTOR


class RefusedSignal(Struct, frozen=True, kw_only=True):
    """A signal could not be read or was refused. Nobody waits for an answer: history keeps it."""

    actor: Actor
    code: str
    message: str


WireCommand = (
    Start
    | CarryOver
    | Act
    | AddRecord
    | ReceiveEvent
    | CompleteTask
    | RetryIncident
    | SkipIncident
    | GiveUp
)
Command = WireCommand | CallEnded | TimerDue | Stop | RefusedSignal

WIRE_TYPES: Mapping[str, type[WireCommand]] = {
    "start": Start,
    "carry_over": CarryOver,
    "act": Act,
    "add_record": AddRecord,
    "event": ReceiveEvent,
    "complete_task": CompleteTask,
    "retry_incident": RetryIncident,
    "skip_incident": SkipIncident,
    "give_up": GiveUp,
}
_NAMES = {cls: name for name, cls in WIRE_TYPES.items()}


def dump_command(command: WireCommand) -> dict[str, object]:
    """The wire form of a command from outside: a JSON-serialisable object with `type`."""
    wire: dict[str, object] = msgspec.to_builtins(command)
    wire["type"] = _NAMES[type(command)]
    return wire


def parse_command(wire: object) -> WireCommand:
    """Read a command from its wire form.

    Raises:
        Rejected: `invalid_data`, naming the place and what was expected there.
    """
    if not isinstance(wire, dict):
        raise Rejected("invalid_data", "A command is an object with a 'type'.")
    name = wire.get("type")
    kind = WIRE_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Rejected(
            "invalid_data",
            f"No command of type {name!r}; there are: {', '.join(WIRE_TYPES)}.",
        )
    body = {key: value for key, value in wire.items() if key != "type"}
    known = list(kind.__struct_fields__)
    for key in body:
        if key not in known:
            near = nearest(str(key), known)
            hint = f" Did you mean {near!r}?" if near else ""
            raise Rejected("invalid_data", f"A {name!r} command has no {key!r}.{hint}")
    try:
        command = msgspec.convert(body, type=kind)
    except msgspec.ValidationError as error:
        raise Rejected("invalid_data", f"The {name!r} command cannot be read: {error}.") from None
    check_texts(command)
    return command


def check_texts(command: WireCommand) -> None:
    """Refuse a command whose texts no database would keep: names, and what is said.

    Raises:
        Rejected: `invalid_data`, naming the text.
    """
    for place, text, most in _texts(command):
        fault = _fault(text, most)
        if fault is not None:
            name = _NAMES[type(command)]
            raise Rejected("invalid_data", f"The {name!r} command's {place} {fault}.")


def _texts(command: WireCommand) -> Iterator[tuple[str, str, int]]:
    """The texts of a command that are kept, each with its place and its greatest length.

    Its data is not among them: `decide` looks at that.
    """
    yield "actor.id", command.actor.id, MOST_NAME
    for role in command.actor.roles:
        yield "actor.roles", role, MOST_NAME
    match command:
        case Start() | CarryOver():
            yield "subject.type", command.subject.type, MOST_NAME
            yield "subject.id", command.subject.id, MOST_NAME
            if isinstance(command, CarryOver):
                yield "origin", command.origin, MOST_NAME
        case ReceiveEvent():
            yield "event", command.event, MOST_NAME
        case CompleteTask():
            yield "task", command.task, MOST_NAME
        case RetryIncident() | SkipIncident():
            yield "incident", command.incident, MOST_NAME
    comment = getattr(command, "comment", None)
    if comment:
        yield "comment", comment, MOST_COMMENT


def _fault(text: str, most: int) -> str | None:
    """What keeps a text out of a database: emptiness, length, NUL, half a surrogate pair."""
    if not 0 < len(text) <= most:
        return f"has to have 1 to {most:,} characters"
    findings = check_data(text)
    return findings[0][1].removeprefix("the text ") if findings else None

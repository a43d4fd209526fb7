"""From history rows back to events, and to the state that they tell."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec

from nexus.core.commands import MOST_COMMENT, MOST_NAME
from nexus.core.errors import Rejected, escape_pointer, nearest
from nexus.core.events import (
    AnyEvent,
    Event,
    IncidentClosed,
    IncidentRaised,
    RecordCreated,
    TaskOpened,
)
from nexus.core.evolve import evolve
from nexus.core.json_text import check_data
from nexus.core.projection import HistoryRow
from nexus.core.rows import history_row
from nexus.core.state import State

_KINDS: Mapping[str, type[Event]] = {kind.name: kind for kind in get_args(AnyEvent)}
_COMMON = frozenset(Event.__struct_fields__)
# Facts that a row shows as what stood there and what stands there.
_SHOWN = {"previous": "before", "changes": "after"}
_ABSENT: Mapping[str, object] = {
    **dict.fromkeys(("on_behalf_of", "record", "before", "after", "comment")),
    "payload": {},
}
_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")
_NUMBERED = re.compile(r"[1-9][0-9]{0,17}")

# What tables have room for. Names of stages and entities are a program's, which has them.
_MOST = {
    "actor": MOST_NAME,
    "on_behalf_of": MOST_NAME,
    "comment": MOST_COMMENT,
    "users": MOST_NAME,
    "roles": MOST_NAME,
    "parent": 250,
    "id": 1_000,
    "path": 1_000,
    "title": 1_000,
    "summary": 500,
    "code": 200,
    "channel": 200,
}


def rows_of(history: Sequence[Mapping[str, object]], place: str = "/history") -> list[HistoryRow]:
    """Read rows as they travel: a row's own fields as JSON, without the command.

    Raises:
        Rejected: `invalid_data`, naming the row and the field.
    """
    known = [field.name for field in dataclasses.fields(HistoryRow) if field.name != "command"]
    rows = []
    for index, row in enumerate(history):
        where = f"{place}/{index}"
        for pointer, message in check_data(row, where):
            raise _unreadable(pointer, message)
        for name in row:
            if name not in known:
                raise _unreadable(f"{where}/{escape_pointer(name)}", _unknown(name, known))
        whole: dict[str, object] = {**_ABSENT, **row}
        try:
            rows.append(msgspec.convert(whole, type=HistoryRow))
        except msgspec.ValidationError as error:
            pointer, message = _located(error)
            raise _unreadable(where + pointer, message) from None
    return rows


def event_of(row: HistoryRow, place: str | None = None) -> AnyEvent:
    """The event that a row tells: the inverse of `history_row`.

    Args:
        row: As it was written.
        place: Where it stands, for messages; by default in a history that is complete.

    Raises:
        Rejected: `invalid_data`, with the place of what cannot be read.
    """
    place = f"/history/{row.seq - 1}" if place is None else place
    kind = _KINDS.get(row.event)
    if kind is None:
        raise _unreadable(f"{place}/event", f"there is no event {row.event!r}")
    names = set(kind.__struct_fields__) - _COMMON
    own = sorted(names - _SHOWN.keys())
    for name in row.payload:
        if name not in own:
            raise _unreadable(f"{place}/payload/{escape_pointer(name)}", _unknown(name, own))
    facts = {name: getattr(row, name) for name in _COMMON}
    facts |= {name: getattr(row, shown) for name, shown in _SHOWN.items() if name in names}
    try:
        event = msgspec.convert({**row.payload, **facts}, type=kind)
    except msgspec.ValidationError as error:
        pointer, message = _located(error)
        first = pointer[1:].partition("/")[0]
        if first in _SHOWN:
            pointer = f"/{_SHOWN[first]}{pointer.removeprefix(f'/{first}')}"
        elif first not in _COMMON:
            pointer = f"/payload{pointer}"
        raise _unreadable(place + pointer, message) from None
    _check(event, place)
    told = history_row(event)  # type: ignore[arg-type]
    for shown in ("before", "after"):
        if getattr(told, shown) != getattr(row, shown):
            raise _unreadable(f"{place}/{shown}", f"is not what the payload of {row.event!r} says")
    return event  # type: ignore[return-value]


def restore(rows: Iterable[HistoryRow], place: str = "/history") -> State:
    """The state that a whole history tells.

    Raises:
        Rejected: `invalid_data`, naming the row that cannot be read, or does not follow from
            those before it.
    """
    state = State()
    for index, event in enumerate(events_of(rows, place)):
        state = apply(state, event, f"{place}/{index}")
    return state


def events_of(rows: Iterable[HistoryRow], place: str = "/history") -> Iterator[AnyEvent]:
    """The events that rows tell, in order.

    Raises:
        Rejected: `invalid_data`, with the place of what cannot be read.
    """
    for index, row in enumerate(rows):
        yield event_of(row, f"{place}/{index}")


def apply(state: State, event: AnyEvent, place: str) -> State:
    """`evolve`, for an event that nobody has decided here; `place` is that of its row.

    Raises:
        Rejected: `invalid_data`, if it cannot have happened to this state.
    """
    try:
        return evolve(state, event)
    except (LookupError, AssertionError, TypeError, ValueError):
        raise _unreadable(place, f"{event.name!r} cannot follow what stands before it") from None


def _check(event: Event, place: str) -> None:
    """What types cannot say: zones of times, lengths of texts, the form of ids."""
    for pointer, value in _values(event, ""):
        names = [part for part in pointer.split("/") if part and not part.isdecimal()]
        where = f"{place}{pointer}" if names[0] in _COMMON else f"{place}/payload{pointer}"
        if isinstance(value, datetime) and value.tzinfo is None:
            raise _unreadable(where, "a time needs its zone, such as Z")
        most = _MOST.get(names[-1])
        if isinstance(value, str) and most is not None and len(value) > most:
            raise _unreadable(where, f"the text is longer than {most:,} characters")
    if not event.actor:
        raise _unreadable(f"{place}/actor", "is empty")
    match event:
        case RecordCreated():
            _require_numbered(event.entity, event.record or "", f"{place}/record")
        case IncidentRaised():
            _require_numbered("incident", event.incident, f"{place}/payload/incident")
        case IncidentClosed():
            _require_numbered("incident", event.incident.id, f"{place}/payload/incident/id")
        case TaskOpened():
            _require_numbered("task", event.task.id, f"{place}/payload/task/id")


def _values(value: object, pointer: str) -> Iterator[tuple[str, object]]:
    """Texts and times of an event, each with its place; not what is in the data of users."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _values(getattr(value, name), f"{pointer}/{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _values(item, f"{pointer}/{index}")
    elif isinstance(value, str | datetime):
        yield pointer, value


def _require_numbered(kind: str, name: str, place: str) -> None:
    start, dash, number = name.rpartition("-")
    if start != kind or not dash or not _NUMBERED.fullmatch(number):
        raise _unreadable(place, f"{name!r} is not of the form {kind}-1")


def _located(error: msgspec.ValidationError) -> tuple[str, str]:
    """Pointer and message of what msgspec found."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return "", _in_words(text)
    steps = [first or second for first, second in _STEP.findall(found[1])]
    pointer = "".join(f"/{escape_pointer(step)}" for step in steps)
    return pointer, _in_words(text[: found.start()])


def _in_words(text: str) -> str:
    return text[:1].lower() + text[1:].replace("`", "'")


def _unknown(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f"{name!r} is not known here" + (f"; did you mean {near!r}?" if near else "")


def _unreadable(pointer: str, message: str) -> Rejected:
    errors: list[dict[str, Any]] = [{"pointer": pointer, "message": message}]
    return Rejected(
        "invalid_data", f"The history cannot be read: {pointer}: {message}.", {"errors": errors}
    )

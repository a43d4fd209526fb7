"""What one column of a model holds: an instance with its history, or where it has gone.

The value of the column is a JSON object of a few keys:

    {"nexus": 1, "revision": 3, "due": 1767603600.0, "kept": "{…}"}

`revision` goes up by one with each change: who writes says which one was read, so that of two
writers one is told. `due` is when something has to be looked at next, in seconds since 1970,
so that a query can find it. `kept` is all the rest, as text: records and fields have an order,
which a database that takes JSON apart does not keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from nexus.core.errors import NexusError
from nexus.core.projection import HistoryRow
from nexus.core.state import State

FORMAT = 1
NEW = State()


class ColumnError(NexusError):
    """A column holds something that Nexus has not written, or a later version of it has."""


class Tried(Struct, frozen=True, kw_only=True):
    """A channel call that was tried and is to be tried again.

    Attributes:
        attempts: How often it was tried.
        again_at: When it may be tried next; None where its answer is awaited from outside.
    """

    attempts: int
    again_at: datetime | None = None


class Past(Struct, frozen=True, kw_only=True):
    """A former instance of the same model: it has ended, and another one was begun."""

    instance: str
    history: tuple[HistoryRow, ...]


class Pointer(Struct, frozen=True, kw_only=True):
    """Where the instance has gone.

    Attributes:
        url: Of the platform.
        tenant: Whose it is there.
        definition: Id of its definition there.
        instance: Id of the instance there.
        subject: Id of the object whose instance that is: a copy of the object, which has another
            id, has an instance of its own.
    """

    url: str
    tenant: str
    definition: str
    instance: str
    subject: str = ""


class Kept(Struct, frozen=True, kw_only=True):
    """All that is kept of one model.

    Attributes:
        revision: How often it was changed.
        instance: Its own id, opaque; "" before it is started, and once it has gone elsewhere.
        definition, version, digest: The definition that it was last decided by.
        state: The instance as it stands.
        history: All that happened to it.
        tries: Channel calls that were tried and have not ended, by id.
        past: Former instances, the oldest first.
        platform: Where it has gone; None while it is here.
    """

    revision: int = 0
    instance: str = ""
    definition: str = ""
    version: str = ""
    digest: str = ""
    state: State = NEW
    history: tuple[HistoryRow, ...] = ()
    tries: Mapping[str, Tried] = field(default_factory=dict)
    past: tuple[Past, ...] = ()
    platform: Pointer | None = None

    @property
    def due(self) -> datetime | None:
        """When a clock comes due or a call is to be tried again; None where nothing does."""
        dues = [timer.due for timer in self.state.timers.values()]
        dues += [tried.again_at for tried in self.tries.values() if tried.again_at is not None]
        return min(dues, default=None)


NOTHING = Kept()
_decoder = msgspec.json.Decoder(Kept)


def encode(kept: Kept) -> dict[str, Any]:
    """The value of the column, JSON."""
    text = msgspec.json.encode(kept).decode()
    value: dict[str, Any] = {"nexus": FORMAT, "revision": kept.revision, "kept": text}
    if kept.due is not None:
        # Left out where there is none: databases differ in how they compare null with a number.
        value["due"] = kept.due.timestamp()
    return value


def revision_of(value: object) -> int:
    """The revision of a column's value; 0 for none."""
    if isinstance(value, Kept):
        return value.revision
    found = value.get("revision", 0) if isinstance(value, Mapping) else 0
    return found if isinstance(found, int) else 0


def decode(value: object, place: str) -> Kept:
    """What a column's value says.

    Args:
        value: None, what `encode` made, or a `Kept` as plain objects hold it.
        place: Class and column, for messages.

    Raises:
        ColumnError: It is neither.
    """
    if value is None:
        return NOTHING
    if isinstance(value, Kept):
        return value
    if not isinstance(value, Mapping) or "nexus" not in value:
        raise ColumnError(
            f"{place} holds something that Nexus has not written ({type(value).__name__}): give "
            "it a column of its own."
        )
    if value["nexus"] != FORMAT:
        raise ColumnError(
            f"{place} was written by another version of Nexus (format {value['nexus']!r}; this one "
            f"reads {FORMAT})."
        )
    try:
        return _decoder.decode(value["kept"])
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        raise ColumnError(f"{place} cannot be read: {error}.") from None

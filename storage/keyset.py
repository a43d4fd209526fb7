"""Pages by key: a cursor names the last row seen, and the next page begins after it.

Unlike an offset, it costs the same on every page, and rows that come and go
meanwhile neither repeat nor vanish.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from storage.errors import InvalidCursor

Item = TypeVar("Item")

CURSOR_MAX = 4096


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some rows, and the cursor of the next page; None at the end."""

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key: its column, and the kind of value that a cursor holds for it."""

    column: Any
    kind: type[str] | type[int] | type[datetime]


@dataclass(frozen=True, slots=True)
class Order:
    """A total order of a list.

    Attributes:
        name: Written into cursors, so that one list's cursor is refused by another.
        keys: From the most significant; together they are unique.
        descending: All keys descend.
    """

    name: str
    keys: tuple[Key, ...]
    descending: bool = False

    def clauses(self) -> list[Any]:
        """The terms of ORDER BY."""
        return [key.column.desc() if self.descending else key.column.asc() for key in self.keys]

    def after(self, cursor: str | None) -> list[Any]:
        """Conditions for the rows after a cursor; none without one.

        Written as `a >= x AND (a > x OR (b >= y AND (b > y OR …)))`: databases
        find the first term in an index, which they do not with a plain OR.

        Raises:
            InvalidCursor: It cannot be read, or is another list's.
        """
        if cursor is None:
            return []
        return [self._beyond(list(zip(self.keys, self.read(cursor), strict=True)))]

    def _beyond(self, pairs: list[tuple[Key, Any]]) -> Any:
        (key, value), rest = pairs[0], pairs[1:]
        column = key.column
        beyond = column < value if self.descending else column > value
        if not rest:
            return beyond
        level = column <= value if self.descending else column >= value
        return sa.and_(level, sa.or_(beyond, self._beyond(rest)))

    def cursor(self, values: Sequence[Any]) -> str:
        """The cursor of a row, from the values of its keys."""
        plain = [
            value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
            for value in values
        ]
        text = msgspec.json.encode([self._tag(), *plain])
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    def read(self, cursor: str) -> list[Any]:
        """The values of the keys in a cursor.

        Raises:
            InvalidCursor: It cannot be read, or is another list's.
        """
        try:
            padded = cursor[:CURSOR_MAX].encode("ascii") + b"=" * (-len(cursor) % 4)
            tag, *values = msgspec.json.decode(
                base64.b64decode(padded, altchars=b"-_", validate=True), type=list[str | int]
            )
            if tag == self._tag():
                pairs = zip(self.keys, values, strict=True)
                return [_value(key.kind, value) for key, value in pairs]
        except (ValueError, OverflowError, binascii.Error, msgspec.DecodeError):
            raise InvalidCursor(
                "The cursor cannot be read; take it from a page's 'next'."
            ) from None
        raise InvalidCursor("The cursor belongs to a list that is sorted differently.")

    def _tag(self) -> str:
        return f"-{self.name}" if self.descending else self.name

    def page(
        self, rows: Sequence[Any], limit: int, values: Callable[[Any], Sequence[Any]]
    ) -> tuple[Sequence[Any], str | None]:
        """Cut one row too many off, which only says that there is a next page."""
        if len(rows) <= limit:
            return rows, None
        kept = rows[:limit]
        return kept, self.cursor(values(kept[-1]))


def _value(kind: type, value: Any) -> Any:
    if kind is datetime:
        if not isinstance(value, str):
            raise ValueError(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment.astimezone(UTC)
    # An integer beyond 64 bits is an error of the database's driver otherwise.
    if not isinstance(value, kind) or (isinstance(value, int) and abs(value) >= 1 << 63):
        raise ValueError(value)
    if isinstance(value, str) and "\0" in value:
        raise ValueError(value)
    return value

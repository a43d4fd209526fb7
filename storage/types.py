"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

JSON: TypeEngine[Any] = sa.JSON(none_as_null=True).with_variant(
    JSONB(none_as_null=True), "postgresql"
)

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
decode_json = msgspec.json.Decoder().decode


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: refused without a time zone, stored as UTC, read back with UTC.

    SQLite keeps no zone, so it is attached on reading; PostgreSQL answers in
    the session's zone, so it is converted.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; without the zone for SQLite, whose text form would carry it along."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; storage keeps moments in UTC.")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To an aware moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def key(length: int) -> TypeEngine[str]:
    """Text that is compared byte by byte on both databases.

    PostgreSQL would otherwise sort by the locale of its cluster: pages merged
    in Python would then come in another order, and indexes would be slower.
    """
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def dump_json(value: object) -> str:
    """JSON text of a value, for a JSON column.

    JSONB knows no NUL character, so one that has come this far is replaced by
    U+FFFD rather than holding its instance up for ever.
    """
    text = _dump(value)
    return _dump(_without_nul(value)) if "\\u0000" in text else text


def canonical_json(value: object) -> str:
    """JSON text with sorted keys: equal values give equal text."""
    try:
        return _encode_sorted(value).decode()
    except (OverflowError, TypeError):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _dump(value: object) -> str:
    try:
        return _encode(value).decode()
    except OverflowError:  # an integer beyond 64 bits, which msgspec reads and does not write
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value

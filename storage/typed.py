"""The typed tables that follow records (R31): key fields of a record's data as columns.

Data is JSON that an author may type loosely. A value that does not fit its
column is absent there (NULL) and still whole in `records.data`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from storage.tables import VALUE_MAX, Campaign, Contact, Opportunity, Pricing, table_of


@dataclass(frozen=True, slots=True)
class Source:
    """What a typed row is made from: a record, and its data over its instance's (R1)."""

    stage: str | None
    parent: str | None
    data: Mapping[str, Any]


Columns = Callable[[Source], dict[str, Any]]


def contact(source: Source) -> dict[str, Any]:
    """Columns of `contacts`."""
    data = source.data
    return {
        "name": _text(data.get("name")),
        "email": _text(data.get("email")),
        "status": _text(data.get("status")) or source.stage,
        "score": _number(data.get("score")),
    }


def opportunity(source: Source) -> dict[str, Any]:
    """Columns of `opportunities`; the contact is the record that it grew out of."""
    data = source.data
    moment = _moment(data.get("close_date"))
    return {
        "contact_id": source.parent or _text(data.get("contact_id"), 250),
        "stage": source.stage or _text(data.get("stage")),
        "value": _number(data.get("value")),
        "close_date": moment.date() if moment else None,
    }


def campaign(source: Source) -> dict[str, Any]:
    """Columns of `campaigns`."""
    data = source.data
    metrics = data.get("metrics")
    return {
        "name": _text(data.get("name")),
        "type": _text(data.get("type")),
        "channel": _text(data.get("channel")),
        "status": _text(data.get("status")) or source.stage,
        "budget": _number(data.get("budget")),
        "start": _moment(data.get("start")),
        "end": _moment(data.get("end")),
        "metrics": metrics if isinstance(metrics, dict) else None,
    }


def pricing(source: Source) -> dict[str, Any]:
    """Columns of `pricings`; the campaign is the record that it grew out of."""
    data = source.data
    return {
        "campaign_id": source.parent or _text(data.get("campaign_id"), 250),
        "type": _text(data.get("type")),
        "value": _number(data.get("value")),
        "discount": _number(data.get("discount")),
    }


TYPED: Mapping[str, tuple[sa.Table, Columns]] = {
    "contacts": (table_of(Contact), contact),
    "opportunities": (table_of(Opportunity), opportunity),
    "campaigns": (table_of(Campaign), campaign),
    "pricings": (table_of(Pricing), pricing),
}


def _text(value: Any, limit: int = VALUE_MAX) -> str | None:
    return value if isinstance(value, str) and len(value) <= limit else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _moment(value: Any) -> datetime | None:
    """An ISO 8601 date or moment; without a zone it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == len("2026-11-21"):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None

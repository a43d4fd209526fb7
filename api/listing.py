"""What all lists share: page size, cursor, moments, and filters on data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote

from fastapi import Query, Request

from api.problems import bad_parameter
from api.routing import DATA_FILTER

LARGEST_PAGE = 200
MOST_DATA_FILTERS = 10

Limit = Annotated[
    int, Query(ge=1, le=LARGEST_PAGE, description="Items of one page.", examples=[50])
]
Cursor = Annotated[
    str | None,
    Query(max_length=4000, description="`next` of the page before; it holds for the same sort."),
]
Filter = Annotated[str | None, Query(min_length=1, max_length=1000)]
Subject = Annotated[
    str | None,
    Query(
        description="`type:id` of a subject, instead of both parts; each part may be"
        " percent-encoded, and a colon in the type or a percent sign in either has to be.",
        examples=["account:acme"],
        max_length=2000,
    ),
]


def subject_parts(
    subject: str | None, subject_type: str | None, subject_id: str | None
) -> tuple[str | None, str | None]:
    """Type and id of the subject that is asked for, in whichever way it is given.

    `type:id` is split at its first colon, and each part is percent-decoded after that, so that
    `a%3Ab:c` is the subject `c` of the type `a:b`.

    Raises:
        Problem: `subject` has no colon, or says something else than the others.
    """
    if subject is None:
        return subject_type, subject_id
    kind, colon, identity = subject.partition(":")
    if not colon or not kind or not identity:
        raise bad_parameter("subject", "is not of the form type:id")
    try:
        kind, identity = (unquote(part, errors="strict") for part in (kind, identity))
    except UnicodeDecodeError:
        raise bad_parameter("subject", "is percent-encoded, and not of UTF-8") from None
    if "\x00" in kind + identity:
        raise bad_parameter("subject", "holds a NUL character")
    if subject_type not in (None, kind) or subject_id not in (None, identity):
        raise bad_parameter("subject", "contradicts subject_type or subject_id")
    return kind, identity


def data_filters(request: Request) -> dict[str, str]:
    """The `data.<key>=value` parameters, by key.

    Raises:
        Problem: One has no key, or there are too many.
    """
    found = {
        name.removeprefix(DATA_FILTER): value
        for name, value in request.query_params.multi_items()
        if name.startswith(DATA_FILTER)
    }
    if "" in found:
        raise bad_parameter(DATA_FILTER, "needs a key, such as data.region=EU")
    if len(found) > MOST_DATA_FILTERS:
        raise bad_parameter(DATA_FILTER, f"at most {MOST_DATA_FILTERS} filters on data")
    return found


def moment(name: str, value: datetime | None) -> datetime | None:
    """A moment in UTC; one without a zone is taken for UTC.

    Raises:
        Problem: It lies outside of what can be said in UTC.
    """
    if value is None:
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise bad_parameter(name, "is no moment that can be said in UTC") from None

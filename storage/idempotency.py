"""Idempotency keys (R26): what was answered under a key is answered again, for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage.errors import KeyReused
from storage.scope import TenantSession
from storage.tables import IdempotencyKey, columns_of

KEY = columns_of(IdempotencyKey)

LIFETIME = timedelta(hours=24)
# Old keys go a few at a time, with the new ones that come, so that no request waits for a purge.
PRUNE_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where a key holds; its tenant is the session's."""

    actor: str
    route: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A key's place is taken for one body.

    Attributes:
        created: This call took it.
        status: HTTP status of the answer; None while there is none yet.
        body: The answer's body; None while there is none yet.
    """

    created: bool
    status: int | None = None
    body: str | None = None


def reserve(
    session: TenantSession, place: KeyPlace, fingerprint: str, now: datetime
) -> Reservation:
    """Take a key's place for a body, or find what was answered there.

    Two at once both get a reservation: the key makes their update one.

    Args:
        session: A writing session.
        place: The key and where it holds.
        fingerprint: Digest of the body, at most 64 characters.
        now: Timezone-aware.

    Raises:
        KeyReused: The key holds for another body.
    """
    _prune(session, now)
    session.change(sa.delete(IdempotencyKey).where(*_at(place), KEY.created_at <= now - LIFETIME))
    created = session.insert(
        IdempotencyKey,
        {
            "actor": place.actor,
            "route": place.route,
            "key": place.key,
            "fingerprint": fingerprint,
            "created_at": now,
        },
        skip_existing=True,
    )
    if created:
        return Reservation(created=True)
    found = find(session, place, fingerprint, now)
    if found is None:
        raise LookupError(f"The place of key {place.key!r} is taken and cannot be read.")
    return found


def find(
    session: TenantSession, place: KeyPlace, fingerprint: str, now: datetime
) -> Reservation | None:
    """What a key holds; None where it was never used, or more than a day ago.

    Raises:
        KeyReused: The key holds for another body.
    """
    statement: sa.Select[Any] = sa.select(KEY.fingerprint, KEY.status, KEY.body).where(
        *_at(place), KEY.created_at > now - LIFETIME
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise KeyReused(place.key)
    return Reservation(created=False, status=row.status, body=row.body)


def complete(session: TenantSession, place: KeyPlace, status: int, body: str) -> None:
    """Keep the answer; the first one stays."""
    session.change(
        sa.update(IdempotencyKey)
        .where(*_at(place), KEY.status.is_(None))
        .values(status=status, body=body)
    )


def _prune(session: TenantSession, now: datetime) -> None:
    old: sa.Select[Any] = (
        sa.select(KEY.actor, KEY.route, KEY.key)
        .where(KEY.created_at <= now - LIFETIME)
        .order_by(KEY.created_at)
        .limit(PRUNE_AT_ONCE)
    )
    for row in session.execute(old).all():
        session.change(
            sa.delete(IdempotencyKey).where(
                *_at(KeyPlace(actor=row.actor, route=row.route, key=row.key)),
                KEY.created_at <= now - LIFETIME,
            )
        )


def _at(place: KeyPlace) -> list[Any]:
    return [
        KEY.actor == place.actor,
        KEY.route == place.route,
        KEY.key == place.key,
    ]

"""Definitions by tenant, version and revision (R23).

A version's content is fixed over the API; the folder may change it, which makes
a new revision. Of all versions of a definition that a tenant has, one is
active: the newest activated. Definitions of the folder belong to every tenant,
and a tenant's own of the same id wins. A version that is retired takes no new
instances: where it was the active one, what all tenants share is live again,
or nothing is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from storage.errors import VersionExists
from storage.keyset import Key, Order, Page
from storage.scope import TenantSession
from storage.tables import EVERY_TENANT, Definition, columns_of

DEFINITION = columns_of(Definition)

Origin = Literal["api", "folder"]
OnConflict = Literal["refuse", "revise"]
PutOutcome = Literal["created", "unchanged", "revised", "activated"]

_COLUMNS = (
    DEFINITION.tenant,
    DEFINITION.id,
    DEFINITION.version,
    DEFINITION.revision,
    DEFINITION.label,
    DEFINITION.domain,
    DEFINITION.text,
    DEFINITION.sha256,
    DEFINITION.active,
    DEFINITION.source,
    DEFINITION.uploaded_by,
    DEFINITION.uploaded_at,
    DEFINITION.activated_at,
    DEFINITION.activated_by,
    DEFINITION.retired_at,
    DEFINITION.retired_by,
    DEFINITION.warnings,
)
_ORDER = Order("definitions", (Key(DEFINITION.id, str), Key(DEFINITION.tenant, str)))
_BY_UPLOAD = Order(
    "versions",
    (
        Key(DEFINITION.uploaded_at, datetime),
        Key(DEFINITION.version, str),
        Key(DEFINITION.tenant, str),
        Key(DEFINITION.revision, int),
    ),
    descending=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDefinition:
    """One revision of a definition.

    Attributes:
        tenant: Its owner; `*` for what all tenants share.
        text: The document as it was given, byte for byte.
        sha256: Of the text in UTF-8, in hex.
        active: New instances take this one, among the owner's.
        activated_at: When it was made active last.
        activated_by: Who made it so.
        retired_at: Since when it takes no new instances.
        retired_by: Who retired it.
        warnings: What the compiler remarked, as JSON objects.
    """

    tenant: str
    id: str
    version: str
    revision: int
    label: str | None
    domain: str | None
    text: str
    sha256: str
    active: bool
    source: Origin
    uploaded_by: str
    uploaded_at: datetime
    activated_at: datetime | None
    activated_by: str | None
    retired_at: datetime | None
    retired_by: str | None
    warnings: Sequence[Any]

    @property
    def shared(self) -> bool:
        """It came from the folder and serves every tenant."""
        return self.tenant == EVERY_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDefinition:
    """A definition to be stored; see `StoredDefinition`."""

    id: str
    version: str
    text: str
    source: Origin
    by: str
    at: datetime
    label: str | None = None
    domain: str | None = None
    warnings: Sequence[Any] = ()


def put(
    session: TenantSession,
    new: NewDefinition,
    *,
    on_conflict: OnConflict,
    activate_unchanged: bool = False,
) -> tuple[StoredDefinition, PutOutcome]:
    """Store a definition and make it the active one of its owner.

    Args:
        session: A writing session of the owner.
        new: What to store.
        on_conflict: What to do if the version is there with other content.
        activate_unchanged: If it is there with the same content and another
            version is active, make it active again (a file saved back to an
            older version is live as well).

    Returns:
        What is stored now, and what had to be done for it.

    Raises:
        VersionExists: The version has other content, and `refuse` was asked for.
    """
    session.serialise(f"definition {new.id}")
    digest = hashlib.sha256(new.text.encode()).hexdigest()
    latest = get_own(session, new.id, new.version)
    if latest and latest.sha256 == digest:
        if not activate_unchanged or latest.active:
            return latest, "unchanged"
        return _activate(session, latest, new.by, new.at), "activated"
    if latest and on_conflict == "refuse":
        raise VersionExists(new.id, new.version)
    _deactivate(session, new.id)
    session.insert(
        Definition,
        {
            "id": new.id,
            "version": new.version,
            "revision": latest.revision + 1 if latest else 1,
            "label": new.label,
            "domain": new.domain,
            "text": new.text,
            "sha256": digest,
            "active": True,
            "source": new.source,
            "uploaded_by": new.by,
            "uploaded_at": new.at,
            "activated_at": new.at,
            "activated_by": new.by,
            "warnings": list(new.warnings),
        },
    )
    return _stored(session, new.id, new.version), "revised" if latest else "created"


def activate(
    session: TenantSession, definition: str, version: str, *, by: str, at: datetime
) -> StoredDefinition:
    """Make a version live for new instances, also one that was retired.

    Args:
        session: A writing session of the owner.
        definition: Id of the definition.
        version: Its version; of several revisions the newest is meant.
        by: Who activates it.
        at: When.

    Returns:
        It as it is now; as it was before, if it was live already.

    Raises:
        LookupError: The owner has no such version; none is ever deleted.
    """
    session.serialise(f"definition {definition}")
    latest = _stored(session, definition, version)
    return latest if latest.active else _activate(session, latest, by, at)


def retire(
    session: TenantSession, definition: str, version: str | None = None, *, by: str, at: datetime
) -> tuple[StoredDefinition, ...]:
    """Take no new instances of a version, or of any; running ones keep theirs.

    Args:
        session: A writing session of the owner.
        definition: Id of the definition.
        version: Its version, with all its revisions; all of the owner's where None.
        by: Who retires it.
        at: When.

    Returns:
        The owner's versions that are meant, as they are now, newest first; none if there are
        none. What was retired before stays as it was.
    """
    session.serialise(f"definition {definition}")
    meant = [DEFINITION.id == definition, DEFINITION.tenant == session.tenant]
    if version is not None:
        meant.append(DEFINITION.version == version)
    session.change(
        sa.update(Definition)
        .where(*meant, DEFINITION.retired_at.is_(None))
        .values(active=False, retired_at=at, retired_by=by)
    )
    statement = sa.select(*_COLUMNS).where(*meant).order_by(*_BY_UPLOAD.clauses())
    return tuple(_definition(row) for row in session.execute(statement))


def get_live(session: TenantSession, definition: str) -> StoredDefinition | None:
    """What a new instance takes: the tenant's own active one, else the shared one."""
    return _first(session, DEFINITION.id == definition, DEFINITION.active.is_(True))


def get(
    session: TenantSession, definition: str, version: str | None = None
) -> StoredDefinition | None:
    """A version's newest revision; the live one without a version.

    What is not retired comes first, then what is the tenant's own: so this is also what a start
    of the version takes, unless it is retired.
    """
    if version is None:
        return get_live(session, definition)
    return _first(session, DEFINITION.id == definition, DEFINITION.version == version)


def get_own(session: TenantSession, definition: str, version: str) -> StoredDefinition | None:
    """The newest revision that the session's own tenant has of a version.

    A version is retired with all of its revisions, so the first one is the newest.
    """
    return _first(
        session,
        DEFINITION.tenant == session.tenant,
        DEFINITION.id == definition,
        DEFINITION.version == version,
    )


def list_versions(session: TenantSession, definition: str) -> tuple[StoredDefinition, ...]:
    """Each version and revision of a definition that the tenant can see, newest first."""
    statement = (
        sa.select(*_COLUMNS)
        .where(DEFINITION.id == definition)
        .order_by(sa.desc(DEFINITION.uploaded_at), sa.desc(DEFINITION.revision))
    )
    return tuple(_definition(row) for row in session.execute(statement))


def list_ids(session: TenantSession, *, most: int = 1_000) -> tuple[str, ...]:
    """The ids of the definitions that the tenant can see, in order, up to a number."""
    statement = sa.select(DEFINITION.id).distinct().order_by(DEFINITION.id).limit(most)
    return tuple(session.execute(statement).scalars())


def list_definitions(
    session: TenantSession,
    *,
    domain: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[StoredDefinition]:
    """A page of the live definitions by id; a tenant's own hides the shared one of its id.

    Raises:
        InvalidCursor: The cursor cannot be read.
    """
    own: Any = aliased(Definition)
    hidden = (
        sa.select(own.id)
        .where(
            DEFINITION.tenant == EVERY_TENANT,
            own.id == DEFINITION.id,
            own.tenant == session.tenant,
            own.active.is_(True),
        )
        .exists()
    )
    conditions = [DEFINITION.active.is_(True), ~hidden, *_ORDER.after(cursor)]
    if domain is not None:
        conditions.append(DEFINITION.domain == domain)
    statement = sa.select(*_COLUMNS).where(*conditions).order_by(*_ORDER.clauses()).limit(limit + 1)
    found = [_definition(row) for row in session.execute(statement)]
    rows, following = _ORDER.page(found, limit, lambda row: [row.id, row.tenant])
    return Page(tuple(rows), following)


def page_of_versions(
    session: TenantSession, definition: str, *, limit: int = 50, cursor: str | None = None
) -> Page[StoredDefinition]:
    """A page of the versions and revisions that the tenant can see, the newest upload first.

    Raises:
        InvalidCursor: The cursor cannot be read.
    """
    statement = (
        sa.select(*_COLUMNS)
        .where(DEFINITION.id == definition, *_BY_UPLOAD.after(cursor))
        .order_by(*_BY_UPLOAD.clauses())
        .limit(limit + 1)
    )
    found = [_definition(row) for row in session.execute(statement)]
    rows, following = _BY_UPLOAD.page(
        found, limit, lambda row: [row.uploaded_at, row.version, row.tenant, row.revision]
    )
    return Page(tuple(rows), following)


def _first(session: TenantSession, *conditions: Any) -> StoredDefinition | None:
    retired = sa.case((DEFINITION.retired_at.is_(None), 0), else_=1)
    shared = sa.case((DEFINITION.tenant == EVERY_TENANT, 1), else_=0)
    statement = (
        sa.select(*_COLUMNS)
        .where(*conditions)
        .order_by(retired, shared, sa.desc(DEFINITION.revision))
        .limit(1)
    )
    row = session.execute(statement).one_or_none()
    return _definition(row) if row else None


def _stored(session: TenantSession, definition: str, version: str) -> StoredDefinition:
    stored = get_own(session, definition, version)
    if stored is None:
        raise LookupError(f"{session.tenant!r} has no {definition!r} in version {version!r}.")
    return stored


def _activate(
    session: TenantSession, stored: StoredDefinition, by: str, at: datetime
) -> StoredDefinition:
    _deactivate(session, stored.id)
    session.change(
        sa.update(Definition)
        .where(
            DEFINITION.id == stored.id,
            DEFINITION.version == stored.version,
            DEFINITION.revision == stored.revision,
        )
        .values(active=True, activated_at=at, activated_by=by, retired_at=None, retired_by=None)
    )
    return _stored(session, stored.id, stored.version)


def _deactivate(session: TenantSession, definition: str) -> None:
    session.change(
        sa.update(Definition)
        .where(DEFINITION.id == definition, DEFINITION.active.is_(True))
        .values(active=False)
    )


def _definition(row: Any) -> StoredDefinition:
    return StoredDefinition(**row._mapping)  # noqa: SLF001 - its public name

"""Which stored version of a definition a request means, and why none will do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from api.problems import Problem
from nexus.core.errors import nearest
from storage import definitions
from storage.definitions import StoredDefinition
from storage.scope import TenantSession

_MOST_TOLD = 10


def no_definition(session: TenantSession, definition: str, version: str | None) -> Problem:
    """A 404 for a definition, or a version of it, that the tenant does not have.

    It names the versions there are, or the definition that was perhaps meant.
    """
    there = _names(definitions.list_versions(session, definition)) if version else []
    if there:
        shown = ", ".join(there[:_MOST_TOLD]) + (", …" if len(there) > _MOST_TOLD else "")
        return Problem(
            "not_found",
            f"There is no definition {definition!r} in version {version!r}. There are: {shown}.",
            {"versions": there},
        )
    near = nearest(definition, definitions.list_ids(session))
    hint = f" Did you mean {near!r}?" if near else ""
    return Problem(
        "not_found",
        f"There is no definition {definition!r}.{hint}",
        {"suggestion": near} if near else None,
    )


def not_own(definition: str, version: str | None, done: str) -> Problem:
    """A 403 for changing what all tenants share."""
    named = f"Version {version} of {definition!r}" if version else f"{definition!r}"
    return Problem(
        "forbidden",
        f"{named} comes from the folder and serves every tenant; it cannot be {done} for one."
        " A version of your own goes before it.",
    )


def to_read(session: TenantSession, definition: str, version: str | None) -> StoredDefinition:
    """The version that is asked for, or the live one.

    Raises:
        Problem: `not_found`, with the versions that can be named where none is live.
    """
    stored = definitions.get(session, definition, version)
    if stored is not None:
        return stored
    others = definitions.list_versions(session, definition) if version is None else ()
    if not others:
        raise no_definition(session, definition, version)
    raise Problem(
        "not_found",
        f"{_all_retired(definition, others)} Name one to read it, with ?version=.",
        {"versions": _names(others)},
    )


def to_start(session: TenantSession, definition: str, version: str | None) -> StoredDefinition:
    """The version that a new instance takes: the one that is named, or the live one.

    Raises:
        Problem: `not_found`; `conflict`, if it was retired.
    """
    stored = definitions.get(session, definition, version)
    if stored is None:
        others = definitions.list_versions(session, definition) if version is None else ()
        if not others:
            raise no_definition(session, definition, version)
        raise Problem(
            "conflict",
            f"{_all_retired(definition, others)} It takes no new instances until one is activated.",
            {"versions": _names(others)},
        )
    if stored.retired_at is not None:
        raise Problem(
            "conflict",
            f"Version {stored.version} of {definition!r} was retired"
            f"{_by(stored.retired_by, stored.retired_at)}; it takes no new instances.",
            {"retired_at": stored.retired_at, "retired_by": stored.retired_by},
        )
    return stored


def _all_retired(definition: str, versions: Sequence[StoredDefinition]) -> str:
    last = max(versions, key=lambda stored: stored.retired_at or stored.uploaded_at)
    if last.retired_at is None:
        return f"No version of {definition!r} is active."
    return (
        f"No version of {definition!r} is active: {last.version} was retired"
        f"{_by(last.retired_by, last.retired_at)}."
    )


def _by(who: str | None, when: datetime) -> str:
    return f" by {who!r} on {when:%Y-%m-%d at %H:%M} UTC"


def _names(versions: Sequence[StoredDefinition]) -> list[str]:
    return list(dict.fromkeys(stored.version for stored in versions))

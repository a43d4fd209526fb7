"""For whom a request acts: the user of its token, or the one whom `Nexus-Actor` names.

A service with a token of its own can have what a person does recorded as theirs, and
judged by their roles. That takes the role `admin`, which may do everything anyway; any
other token may only lay down roles of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from starlette.datastructures import Headers

from api.authentication import Caller
from api.problems import Problem, invalid_data, located
from nexus.core.commands import ADMIN
from nexus.core.identity import wrong_role, wrong_user

ACTOR_HEADER = "Nexus-Actor"
ROLES_HEADER = "Nexus-Roles"


def acting(caller: Caller, headers: Headers) -> Caller:
    """The caller as whom a request acts.

    Args:
        caller: The user of the token.
        headers: Of the request.

    Raises:
        Problem: `invalid_data` for headers that cannot be read, `forbidden` where the token may
            not act so.
    """
    actors, listed = headers.getlist(ACTOR_HEADER), headers.getlist(ROLES_HEADER)
    if not actors and not listed:
        return caller
    if not actors:
        raise _unreadable(ROLES_HEADER, f"takes {ACTOR_HEADER} as well: whose roles these are")
    if len(actors) > 1:
        raise _unreadable(ACTOR_HEADER, "is given twice")
    user = _name(ACTOR_HEADER, actors[0], wrong_user)
    roles = _roles(", ".join(listed)) if listed else None
    if caller.is_admin:
        own = caller.roles if user == caller.user else ()
        return replace(caller, user=user, roles=own if roles is None else roles)
    if user != caller.user:
        raise Problem(
            "forbidden",
            f"{ACTOR_HEADER}: only a token with the role {ADMIN!r} acts as somebody else; this one "
            f"is of {caller.user!r} and cannot act as {user!r}.",
        )
    lacking = [role for role in roles or () if role not in caller.roles]
    if lacking:
        raise Problem(
            "forbidden",
            f"{ROLES_HEADER}: the token of {user!r} does not have the role "
            f"{' or '.join(map(repr, lacking))}.",
        )
    return caller if roles is None else replace(caller, roles=roles)


def _roles(listed: str) -> tuple[str, ...]:
    parts = [part.strip() for part in listed.split(",")]
    if parts == [""]:
        return ()
    return tuple(dict.fromkeys(_name(ROLES_HEADER, part, wrong_role) for part in parts))


def _name(header: str, encoded: str, wrong: Callable[[object], str | None]) -> str:
    try:
        encoded.encode("ascii")
        name = unquote(encoded, errors="strict")
    except UnicodeError:
        raise _unreadable(header, "is not percent-encoded UTF-8") from None
    if reason := wrong(name):
        raise _unreadable(header, reason)
    return name


def _unreadable(header: str, message: str) -> Problem:
    return invalid_data(
        f"{header} {message}.",
        located("", message, "invalid", parameter=header, **{"in": "header"}),
    )

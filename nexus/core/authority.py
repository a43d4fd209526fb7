"""Who may do what (R11). The core refuses, whatever a shell has let through (SR-001)."""

from __future__ import annotations

from collections.abc import Collection

from nexus.core.commands import SYSTEM, Actor
from nexus.core.errors import Rejected
from nexus.core.program import Program, Transition
from nexus.core.state import Assignees, Record


def authorize(
    program: Program,
    actor: Actor,
    action: str,
    records: Collection[Record],
    transition: Transition | None = None,
) -> bool:
    """Refuse an actor who may not take this action on these records.

    The definition's `roles` are looked at first, then `by`, else who is
    assigned. The role `admin` passes everything, and the system's own acts
    are not asked.

    Returns:
        True if the actor passed only because of being admin (an override).

    Raises:
        Rejected: `forbidden`, saying what would have been needed.
    """
    if actor.id == SYSTEM:
        return False
    reason = _lacking_role(program, actor, action)
    if reason is None and transition is not None and transition.users is not None:
        reason = _not_among_takers(actor, transition)
    elif reason is None:
        reason = next(filter(None, (_not_assigned(actor, record) for record in records)), None)
    if reason is None:
        return False
    if actor.is_admin:
        return True
    raise Rejected("forbidden", f"{actor.id!r} may not take {action!r}: {reason}.")


def authorize_opening(program: Program, actor: Actor, action: str) -> None:
    """Refuse who may not `start` an instance, `add` a record or send an `event`.

    All are open to every user of the tenant, unless some role of the
    definition lists the action: then it takes such a role.

    Raises:
        Rejected: `forbidden`.
    """
    listed = program.can is not None and any(action in can for can in program.can.values())
    if listed and not actor.is_admin and (reason := _lacking_role(program, actor, action)):
        raise Rejected("forbidden", f"{actor.id!r} may not {action!r}: {reason}.")


def is_assigned(actor: Actor, assignees: Assignees) -> bool:
    """The actor is named, or holds a role that is."""
    return actor.id in assignees.users or any(role in assignees.roles for role in actor.roles)


def _lacking_role(program: Program, actor: Actor, action: str) -> str | None:
    if program.can is None:
        return None
    for role in actor.roles:
        can = program.can.get(role)
        if can and (action in can or "*" in can):
            return None
    able = sorted(role for role, can in program.can.items() if action in can or "*" in can)
    if not able:
        return "no role of this definition can, only 'admin'"
    return f"it takes the role {' or '.join(map(repr, able))}"


def _not_among_takers(actor: Actor, transition: Transition) -> str | None:
    users, roles = transition.users or frozenset(), transition.roles or frozenset()
    if actor.id in users or any(role in roles for role in actor.roles):
        return None
    return f"it is for {_names(sorted(users), sorted(roles))}"


def _not_assigned(actor: Actor, record: Record) -> str | None:
    if not record.assignees or is_assigned(actor, record.assignees):
        return None
    who = _names(record.assignees.users, record.assignees.roles)
    return f"{record.id!r} is assigned to {who}"


def _names(users: Collection[str], roles: Collection[str]) -> str:
    named = [repr(user) for user in users] + [f"the role {role!r}" for role in roles]
    return ", ".join(named) or "nobody"

"""Which tenants, users and roles a token may name: one rule for who issues and who reads them."""

from __future__ import annotations

from nexus.core.commands import MOST_NAME, SYSTEM

SHARED_TENANT = "*"
"""Owner of what all tenants share; nobody's token may name it."""


def wrong_tenant(value: object) -> str | None:
    """What keeps a value from being a tenant, as the end of a sentence; None if nothing does."""
    if value == SHARED_TENANT:
        return f"is {SHARED_TENANT!r}, which is reserved: it owns what all tenants share"
    return _wrong_name(value)


def wrong_user(value: object) -> str | None:
    """What keeps a value from being a user's id, as the end of a sentence; None if nothing does."""
    if isinstance(value, str) and (value == SYSTEM or value.startswith(f"{SYSTEM}:")):
        return f"is {value!r}, which is reserved: it stands for what happens by itself"
    return _wrong_name(value)


def wrong_role(value: object) -> str | None:
    """What keeps a value from being a role, as the end of a sentence; None if nothing does."""
    return _wrong_name(value)


def _wrong_name(value: object) -> str | None:
    if not isinstance(value, str) or not value or len(value) > MOST_NAME:
        return f"is not a text of 1 to {MOST_NAME} characters"
    if not value.isprintable():
        return "holds characters that cannot be printed"
    return "is blank" if value.isspace() else None

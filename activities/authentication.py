"""Who sent a signal: the token it carries is checked outside of the workflow (R27)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypedDict

import jwt
from temporalio import activity
from temporalio.exceptions import ApplicationError

from nexus.core.commands import SYSTEM

ALGORITHM = "HS256"
EVERY_TENANT = "*"


class Identity(TypedDict):
    """Whom a token names."""

    id: str
    roles: list[str]
    tenant: str


class AuthenticationActivities:
    """Checks tokens against one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    @activity.defn(name="authenticate")
    def authenticate(self, token: str) -> Identity:
        """Whom a signed token names.

        Args:
            token: A JWT, HS256, with `exp`, `sub`, `tenant` and perhaps `roles`.

        Raises:
            ApplicationError: `unauthenticated`, never tried again: forged,
                expired, or without what a token has to say.
        """
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub", "tenant"]},
            )
        except jwt.InvalidTokenError as error:
            _refuse(f"The token is not valid: {error}.")
        return _identity(claims)


def _identity(claims: Mapping[str, Any]) -> Identity:
    subject, tenant, roles = claims["sub"], claims["tenant"], claims.get("roles", [])
    if not isinstance(subject, str) or not subject:
        _refuse("The token's 'sub' has to be a user's id.")
    if subject.partition(":")[0] == SYSTEM:
        _refuse("No token can name the system as its user.")
    if not isinstance(tenant, str) or not tenant or tenant == EVERY_TENANT:
        _refuse("The token's 'tenant' has to be a tenant's id.")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        _refuse("The token's 'roles' have to be a list of names.")
    return Identity(id=subject, roles=roles, tenant=tenant)


def _refuse(message: str) -> NoReturn:
    raise ApplicationError(message, type="unauthenticated", non_retryable=True)

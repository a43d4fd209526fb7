"""Who sent a signal: the token it carries is checked outside of the workflow (R27)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypedDict

import jwt
from temporalio import activity
from temporalio.exceptions import ApplicationError

from nexus.core.identity import wrong_role, wrong_tenant, wrong_user

ALGORITHM = "HS256"


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
    for claim, reason in (("sub", wrong_user(subject)), ("tenant", wrong_tenant(tenant))):
        if reason:
            _refuse(f"The token's {claim!r} {reason}.")
    if not isinstance(roles, list) or any(map(wrong_role, roles)):
        _refuse("The token's 'roles' have to be a list of names.")
    return Identity(id=subject, roles=roles, tenant=tenant)


def _refuse(message: str) -> NoReturn:
    raise ApplicationError(message, type="unauthenticated", non_retryable=True)

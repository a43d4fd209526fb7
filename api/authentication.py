"""Who calls: a JSON Web Token, signed with HS256, that names user, tenant and roles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from api.problems import Problem
from nexus.core.commands import ADMIN, Actor
from nexus.core.identity import wrong_role, wrong_tenant, wrong_user

_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a request.

    Attributes:
        tenant: Whose data they may see at all.
        user: Their id.
        roles: The roles held in this request.
        token_user: Whose token it came with; another one than `user` where a service with the
            role `admin` acts for a person.
    """

    tenant: str
    user: str
    roles: tuple[str, ...]
    token_user: str

    @property
    def actor(self) -> Actor:
        """The same person, as the core knows them."""
        return Actor(self.user, self.roles)

    @property
    def is_admin(self) -> bool:
        """Holds the role `admin`."""
        return ADMIN in self.roles

    def require_admin(self, what: str) -> None:
        """Refuse anybody without the role `admin`.

        Raises:
            Problem: `forbidden`.
        """
        if not self.is_admin:
            raise Problem("forbidden", f"{what} needs the role {ADMIN!r}.")


def _refused(message: str) -> Problem:
    return Problem(
        "unauthenticated",
        message,
        headers={"WWW-Authenticate": 'Bearer realm="nexus", error="invalid_token"'},
    )


class Authentication:
    """Reads bearer tokens.

    Args:
        secret: What they are signed with.
    """

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("the API needs a secret to verify tokens with: set NEXUS_JWT_SECRET")
        self._secret = secret
        # Verifying costs more than anything else of a request; a token stays what it is.
        self._verified: dict[str, tuple[Caller, float]] = {}

    def caller(self, authorization: str | None) -> Caller:
        """The user whom an `Authorization` header names.

        Raises:
            Problem: `unauthenticated`, with what is wrong with it.
        """
        if not authorization:
            raise Problem(
                "unauthenticated",
                "Send 'Authorization: Bearer <token>': a JSON Web Token, signed with the platform's"
                " secret (HS256), that names the user (sub), the tenant (tenant), the roles (roles,"
                " a list) and its end (exp). `nexus dev` prints one, and the command that makes"
                " others.",
                headers={"WWW-Authenticate": 'Bearer realm="nexus"'},
            )
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _refused("The Authorization header is not of the form 'Bearer <token>'.")
        token = token.strip()
        known = self._verified.get(token)
        if known is not None and time.time() < known[1]:
            return known[0]
        claims = self._claims(token)
        user = _name("sub", claims["sub"], wrong_user)
        caller = Caller(
            tenant=_name("tenant", claims["tenant"], wrong_tenant),
            user=user,
            roles=_roles(claims),
            token_user=user,
        )
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[token] = (caller, float(claims["exp"]))
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                options={"require": ["exp", "sub", "tenant"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("The token has expired.") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"The token lacks the claim {error.claim!r}.") from None
        except (jwt.InvalidTokenError, UnicodeError, ValueError):
            # UnicodeError: a header that is not ASCII; ValueError: odd numbers in claims.
            raise _refused("The token is not valid.") from None
        return claims


def _name(claim: str, value: object, wrong: Callable[[object], str | None]) -> str:
    if reason := wrong(value):
        raise _refused(f"The token's {claim!r} {reason}.")
    return str(value)


def _roles(claims: dict[str, Any]) -> tuple[str, ...]:
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or any(map(wrong_role, roles)):
        raise _refused("The token's 'roles' is not a list of texts.")
    return tuple(dict.fromkeys(roles))

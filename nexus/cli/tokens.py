"""Bearer tokens: JSON Web Tokens, HS256, always with an end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nexus.cli.failures import CommandFailed, platform_module
from nexus.core.identity import wrong_role, wrong_tenant, wrong_user

DEFAULT_LIFETIME = timedelta(hours=12)


def issue_token(
    secret: str,
    *,
    tenant: str,
    user: str,
    roles: Sequence[str] = (),
    lifetime: timedelta = DEFAULT_LIFETIME,
    now: datetime | None = None,
) -> str:
    """A token that the API accepts.

    Args:
        secret: The platform's signing key.
        tenant: Whose data the token opens.
        user: The actor (`sub`).
        roles: The actor's roles; `admin` may do everything in its tenant.
        lifetime: How long it holds.
        now: Instead of the clock.

    Raises:
        CommandFailed: The API would refuse it; the option that is at fault is named.
    """
    checked = [("--tenant", wrong_tenant(tenant)), ("--user", wrong_user(user))]
    checked += [("--role", wrong_role(role)) for role in roles]
    for option, reason in checked:
        if reason:
            raise CommandFailed(f"{option} {reason}")
    jwt = platform_module("jwt")
    issued = now or datetime.now(UTC)
    claims = {
        "sub": user,
        "tenant": tenant,
        "roles": list(roles),
        "iat": issued,
        "exp": issued + lifetime,
    }
    return str(jwt.encode(claims, secret, algorithm="HS256"))

"""Whom a signal's token names (R27)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.authentication import AuthenticationActivities

SECRET = "a secret that is long enough for HS256"
GOOD: dict[str, Any] = {
    "sub": "ann",
    "tenant": "acme",
    "roles": ["sales"],
    "exp": datetime(2999, 1, 1, tzinfo=UTC),
}


def authenticate(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> Any:
    token = jwt.encode(claims, secret, algorithm=algorithm)
    return ActivityEnvironment().run(AuthenticationActivities(SECRET).authenticate, token)


def test_a_good_token_names_its_user_roles_and_tenant() -> None:
    assert authenticate(GOOD) == {"id": "ann", "roles": ["sales"], "tenant": "acme"}


def test_a_token_without_roles_holds_none() -> None:
    claims = {name: value for name, value in GOOD.items() if name != "roles"}
    assert authenticate(claims)["roles"] == []


BAD: list[dict[str, Any]] = [
    {"exp": datetime.now(UTC) - timedelta(seconds=5)},
    {"exp": None},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": "system"},
    {"sub": "system:signal"},
    {"tenant": None},
    {"tenant": ""},
    {"tenant": "*"},
    {"tenant": ["acme"]},
    {"roles": "admin"},
    {"roles": [1]},
    {"nbf": datetime(2998, 1, 1, tzinfo=UTC)},
]


@pytest.mark.parametrize("change", BAD)
def test_a_token_that_does_not_say_enough_is_refused_for_good(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ApplicationError) as caught:
        authenticate(claims)
    assert caught.value.type == "unauthenticated"
    assert caught.value.non_retryable


def test_a_forged_token_is_refused() -> None:
    with pytest.raises(ApplicationError, match="not valid"):
        authenticate(GOOD, secret="another secret that is long enough")
    with pytest.raises(ApplicationError, match="not valid"):
        authenticate(GOOD, secret="", algorithm="none")
    with pytest.raises(ApplicationError, match="not valid"):
        ActivityEnvironment().run(AuthenticationActivities(SECRET).authenticate, "no token")

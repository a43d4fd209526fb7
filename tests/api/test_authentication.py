"""Who gets in, and what they are told who do not (design 6: 401 `unauthenticated`)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from api.authentication import Authentication
from api.problems import Problem
from tests.api.serving import SECRET, ServedApi, token

NO_KEY: Any = None  # whatever PyJWT makes of it where `cryptography` is installed
UNSIGNED = jwt.encode({"sub": "a", "tenant": "t", "exp": 9999999999}, NO_KEY, "none")
WRONG = {
    "no header": None,
    "another scheme": "Basic YTpi",
    "no token": "Bearer",
    "not a token": "Bearer abc.def.ghi",
    "another secret": f"Bearer {token(secret='another secret of thirty-two characters')}",
    "expired": f"Bearer {token(lives=timedelta(seconds=-1))}",
    "no exp": f"Bearer {token(exp=None)}",
    "no tenant": f"Bearer {token(tenant=None)}",
    "no sub": f"Bearer {token(sub=None)}",
    "unsigned": f"Bearer {UNSIGNED}",
    "empty tenant": f"Bearer {token(tenant='')}",
    "shared tenant": f"Bearer {token(tenant='*')}",
    "tenant is a number": f"Bearer {token(tenant=7)}",
    "NUL in the user": f"Bearer {token(user=chr(0))}",
    "the system itself": f"Bearer {token(user='system')}",
    "a system actor": f"Bearer {token(user='system:signal')}",
    "roles is a text": f"Bearer {token(roles='admin')}",
    "roles of numbers": f"Bearer {token(roles=[1])}",
    "endless user": f"Bearer {token(user='x' * 201)}",
}


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
def test_a_bad_token_is_refused_before_anything_else(api: ServedApi, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    answer = httpx.post(f"{api.url}/v1/instances", content=b"{not json", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"


def test_what_is_wrong_with_a_token_is_said() -> None:
    authentication = Authentication(SECRET)
    with pytest.raises(Problem, match="expired"):
        authentication.caller(f"Bearer {token(lives=timedelta(minutes=-5))}")
    with pytest.raises(Problem, match="'tenant'"):
        authentication.caller(f"Bearer {token(tenant=None)}")
    with pytest.raises(Problem, match="reserved"):
        authentication.caller(f"Bearer {token(user='system')}")


def test_without_a_token_it_is_said_what_one_needs(api: ServedApi) -> None:
    detail = httpx.get(f"{api.url}/v1/instances").json()["detail"]
    for word in ("Bearer", "sub", "tenant", "roles", "exp", "HS256"):
        assert word in detail


def test_a_token_names_user_tenant_and_roles() -> None:
    caller = Authentication(SECRET).caller(f"bearer {token('bob', 'acme', ('sales', 'sales'))}")
    assert (caller.user, caller.tenant, caller.roles) == ("bob", "acme", ("sales",))
    assert not caller.is_admin
    assert caller.actor.id == "bob"


def test_a_token_that_was_good_is_refused_once_it_has_expired() -> None:
    authentication = Authentication(SECRET)
    header = f"Bearer {token(lives=timedelta(seconds=1.2))}"
    assert authentication.caller(header) == authentication.caller(header)
    time.sleep(1.3)
    with pytest.raises(Problem, match="expired"):
        authentication.caller(header)


def test_only_so_many_tokens_are_remembered() -> None:
    authentication = Authentication(SECRET)
    for number in range(1_001):
        assert authentication.caller(f"Bearer {token(f'u{number}')}").user == f"u{number}"
    assert len(authentication._verified) == 1


def test_roles_may_be_absent() -> None:
    assert Authentication(SECRET).caller(f"Bearer {token(roles=None)}").roles == ()


def test_an_api_without_a_secret_does_not_start() -> None:
    with pytest.raises(ValueError, match="NEXUS_JWT_SECRET"):
        Authentication("")


def test_health_and_metrics_need_no_token(api: ServedApi) -> None:
    assert httpx.get(f"{api.url}/healthz").json() == {"status": "ok"}
    assert "nexus_http_requests_total" in httpx.get(f"{api.url}/metrics").text
    assert httpx.get(f"{api.url}/openapi.json").status_code == 200

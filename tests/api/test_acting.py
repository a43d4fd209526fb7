"""A request that acts as somebody: `Nexus-Actor` and `Nexus-Roles`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from structlog.testing import capture_logs

from api.acting import acting
from api.authentication import Caller
from api.problems import Problem
from tests.api.serving import Platform, ServedApi

SERVICE = Caller("acme", "service", ("admin",), "service")
BOB = Caller("acme", "bob", ("rep", "manager"), "bob")


def became(caller: Caller, **headers: str) -> Caller:
    return acting(caller, Headers({f"nexus-{name}": value for name, value in headers.items()}))


def refusal(caller: Caller, headers: Headers) -> Problem:
    with pytest.raises(Problem) as caught:
        acting(caller, headers)
    return caught.value


def test_without_the_headers_it_is_the_user_of_the_token() -> None:
    assert became(BOB) is BOB


def test_an_admin_acts_as_anybody_with_exactly_these_roles() -> None:
    found = became(SERVICE, actor="ann", roles="manager, rep,manager")
    assert found == Caller("acme", "ann", ("manager", "rep"), "service")
    assert not found.is_admin
    assert became(SERVICE, actor="ann").roles == ()
    assert became(SERVICE, actor="ann", roles="").roles == ()
    assert became(SERVICE, actor="ann", roles="admin").is_admin


def test_an_admin_who_names_oneself_keeps_the_roles_of_the_token() -> None:
    assert became(SERVICE, actor="service") == SERVICE
    assert became(SERVICE, actor="service", roles="rep").roles == ("rep",)


def test_names_are_percent_encoded() -> None:
    found = became(SERVICE, actor="J%C3%BCrgen%2C%20M.", roles="a%2Cb, c%25")
    assert (found.user, found.roles) == ("Jürgen, M.", ("a,b", "c%"))


def test_anybody_else_lays_down_roles_at_most() -> None:
    assert became(BOB, actor="bob") == BOB
    assert became(BOB, actor="bob", roles="rep") == Caller("acme", "bob", ("rep",), "bob")
    assert became(BOB, actor="bob", roles="").roles == ()
    other = refusal(BOB, Headers({"nexus-actor": "ann"}))
    assert other.code == "forbidden"
    assert "'bob'" in other.message
    assert "'ann'" in other.message
    for role in ("boss", "admin"):
        lacking = refusal(BOB, Headers({"nexus-actor": "bob", "nexus-roles": f"rep, {role}"}))
        assert lacking.code == "forbidden"
        assert f"'{role}'" in lacking.message


@pytest.mark.parametrize(
    "headers",
    [
        [(b"nexus-roles", b"rep")],
        [(b"nexus-actor", b"")],
        [(b"nexus-actor", b"system")],
        [(b"nexus-actor", b"system%3Asignal")],
        [(b"nexus-actor", b"a%00b")],
        [(b"nexus-actor", b"%FF")],
        [(b"nexus-actor", "Jürgen".encode())],
        [(b"nexus-actor", b"x" * 201)],
        [(b"nexus-actor", b"ann"), (b"nexus-actor", b"bob")],
        [(b"nexus-actor", b"ann"), (b"nexus-roles", b"rep,,manager")],
        [(b"nexus-actor", b"ann"), (b"nexus-roles", b"%20")],
    ],
)
def test_headers_that_cannot_be_meant_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    problem = refusal(SERVICE, Headers(raw=headers))
    assert problem.code == "invalid_data"
    assert problem.extensions["errors"][0]["in"] == "header"  # type: ignore[index]


def test_one_is_told_as_whom_a_request_acts(api: ServedApi) -> None:
    with api.client("service", roles=("admin",)) as client:
        own = client.get("/v1/me").json()
        assert own == {"tenant": "acme", "user": "service", "roles": ["admin"]}
        headers = {"Nexus-Actor": "ann", "Nexus-Roles": "manager, rep"}
        as_ann = client.get("/v1/me", headers=headers).json()
        assert as_ann == {"tenant": "acme", "user": "ann", "roles": ["manager", "rep"]}
    with api.client("bob") as client:
        assert client.get("/v1/me", headers={"Nexus-Actor": "ann"}).status_code == 403
        assert client.get("/v1/me", headers={"Nexus-Roles": "rep"}).status_code == 422
    assert httpx.get(f"{api.url}/v1/me", headers={"Nexus-Actor": "ann"}).status_code == 401


def test_what_only_an_admin_may_do_is_refused_to_whom_it_acts_for(api: ServedApi) -> None:
    with api.client("service", roles=("admin",)) as client:
        headers = {"Nexus-Actor": "ann", "Nexus-Roles": "rep"}
        answer = client.post("/v1/definitions", json={"id": "d"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_the_log_has_both(api: ServedApi) -> None:
    with capture_logs() as logs, api.client("service", roles=("admin",)) as client:
        client.get("/v1/me", headers={"Nexus-Actor": "ann"})
        client.get("/v1/me", headers={"Nexus-Actor": "system"})
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert [(one["user"], one["token_user"]) for one in requests] == [
        ("ann", "service"),
        ("service", "service"),
    ]


def test_what_a_person_does_through_a_service_is_theirs(platform: Platform) -> None:
    definition: dict[str, Any] = {
        "id": "acted",
        "version": "1.0.0",
        "roles": {"manager": {"can": ["start", "win"]}},
        "entities": {"lead": {"stages": ["new", {"id": "won", "final": True}]}},
        "transitions": {"win": {"from": "new", "to": "won"}},
    }
    platform.define(definition)
    ann = {"Nexus-Actor": "ann", "Nexus-Roles": "manager"}
    rep = {"Nexus-Actor": "rob", "Nexus-Roles": "rep"}
    body = {"definition": "acted", "subject": {"type": "t", "id": "acted"}}
    with platform.api.client("service", roles=("admin",)) as client:
        assert client.post("/v1/instances", json=body, headers=rep).status_code == 403
        key = {"Idempotency-Key": "acted"}
        started = client.post("/v1/instances", json=body, headers={**ann, **key})
        assert started.status_code == 201, started.text
        assert started.json()["started_by"] == "ann"
        path = f"/v1/instances/{started.json()['id']}"
        # The key is ann's: the service itself starts another time, and is told that it stands.
        assert client.post("/v1/instances", json=body, headers=key).status_code == 409
        assert client.get(f"{path}/can/win", headers=rep).json()["allowed"] is False
        assert client.post(f"{path}/actions/win", headers=rep).status_code == 403
        assert client.post(f"{path}/actions/win", headers=ann).json()["status"] == "completed"
        history = client.get(f"{path}/history").json()["items"]
    taken = [row for row in history if row["event"] == "action_taken"]
    assert [row["actor"] for row in taken] == ["ann"]
    assert taken[0]["payload"]["override"] is False

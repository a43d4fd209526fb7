"""The FastAPI application: over real HTTP, by itself and on the platform."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import SECRET
from tests.examples.conftest import Example, converse
from tests.promotion.conftest import Promotion

APP = {"X-User": "app", "X-Roles": ""}
ANN = {"X-User": "ann", "X-Roles": "sales"}
MAX = {"X-User": "max", "X-Roles": "sales, manager"}
LEAD = {"name": "John", "email": "john@acme.example", "score": 60}


@pytest.fixture
def client(fastapi_example: Example) -> Iterator[httpx.Client]:
    """A client of the application, which runs as the README has it."""
    server = fastapi_example.server(fastapi_example.command("server"))
    with httpx.Client(base_url=fastapi_example.url, timeout=60) as client:
        yield client
    server.stop()


def test_the_readme_is_true(fastapi_example: Example, client: httpx.Client) -> None:
    converse(fastapi_example)


def test_what_is_refused_becomes_an_answer(client: httpx.Client) -> None:
    client.post("/accounts", json={"name": "ACME"})
    client.post("/accounts/1/leads", json=LEAD)
    before = client.get("/accounts/1/history").json()
    refused = [
        (ANN, "/leads", {"name": "John"}, 409, "condition_not_met"),
        (ANN, "/leads", {**LEAD, "nme": "John"}, 422, "invalid_data"),
        (ANN, "/actions/qualify", {"record": "lead-9"}, 404, "not_found"),
        (APP, "/actions/qualify", {}, 403, "forbidden"),
        (ANN, "/actions/pay", {}, 409, "wrong_stage"),
    ]
    for who, path, body, status, code in refused:
        answer = client.post(f"/accounts/1{path}", json=body, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["message"]
    assert client.get("/accounts/1/history").json() == before
    assert client.post("/accounts/9/leads", json=LEAD).status_code == 404
    nobody = client.get("/accounts", headers={"X-User": "system"})
    assert nobody.status_code == 400, nobody.text
    assert "Who acts" in nobody.json()["detail"]


def test_a_request_that_fails_leaves_nothing(
    fastapi_example: Example, client: httpx.Client
) -> None:
    """BR-002: what stands in the account's own columns and what its CRM holds are one."""
    client.post("/accounts", json={"name": "ACME"})
    client.post("/accounts/1/leads", json=LEAD)
    client.post("/accounts/1/actions/qualify", json={}, headers=ANN)
    before = client.get("/accounts/1/crm").json()
    with closing(sqlite3.connect(fastapi_example.folder / "accounts.db")) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF revenue ON account "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        database.commit()
        # The win itself is written by then; the account's revenue is not. The server ends the
        # connection of what it did not expect, so this one is of its own.
        win = f"{fastapi_example.url}/accounts/1/actions/win"
        won = httpx.post(win, json={"data": {"value": 9}}, headers=MAX, timeout=60)
        assert won.status_code == 500
        database.execute("DROP TRIGGER full")
        database.commit()
    assert client.get("/accounts/1/crm").json() == before
    won = client.post("/accounts/1/actions/win", json={"data": {"value": 9}}, headers=MAX)
    assert won.json()["stage"] == "won"
    assert client.get("/accounts/1").json()["revenue"] == 9


def test_requests_at_the_same_time_lose_nothing(
    fastapi_example: Example, database_url: str
) -> None:
    """REL-003: on one account, leads and the revenue that a hook adds up."""
    command = fastapi_example.command("server")
    server = fastapi_example.server(command, DATABASE_URL=database_url)
    with httpx.Client(base_url=fastapi_example.url, timeout=60) as client:
        _sell_at_once(client)
    server.stop()


def test_promoted_requests_at_the_same_time_lose_nothing_either(
    fastapi_example: Example, promotion: Promotion
) -> None:
    """Also where each of them would be the first, and would begin the instance."""
    server = fastapi_example.server(
        on_platform(fastapi_example, promotion), NEXUS_JWT_SECRET=SECRET
    )
    with httpx.Client(base_url=fastapi_example.url, timeout=60) as client:
        _sell_at_once(client)
    server.stop()


def _sell_at_once(client: httpx.Client) -> None:
    client.post("/accounts", json={"name": "ACME"})

    def sell(number: int) -> None:
        lead = {**LEAD, "name": f"lead {number}"}
        added = client.post("/accounts/1/leads", json=lead, headers=ANN)
        assert added.status_code == 201, added.text
        for action, body in (("qualify", {}), ("win", {"data": {"value": number}})):
            todo = {"record": added.json()["id"], **body}
            taken = client.post(f"/accounts/1/actions/{action}", json=todo, headers=MAX)
            assert taken.status_code == 200, taken.text

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(sell, range(12)))
    records = client.get("/accounts/1/crm").json()["records"]
    leads = [record for record in records if record["entity"] == "lead"]
    assert {lead["data"]["name"] for lead in leads} == {f"lead {number}" for number in range(12)}
    assert {lead["stage"] for lead in leads} == {"won"}
    assert client.get("/accounts/1").json()["revenue"] == sum(range(12))
    history = client.get("/accounts/1/history").json()
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1))


# --- promoted ----------------------------------------------------------------------------------

STORY: list[tuple[str, str, dict[str, str], Any]] = [
    ("POST", "/accounts", ANN, {"name": "ACME"}),
    ("GET", "/accounts/1/crm", ANN, None),
    ("GET", "/accounts/1/can/qualify", ANN, None),
    ("GET", "/accounts/1/can/add_lead", ANN, None),
    ("POST", "/accounts/1/actions/qualify", ANN, {}),
    ("POST", "/accounts/1/actions/qualify", ANN, {"record": "lead-1"}),
    ("POST", "/accounts/1/leads", ANN, {"name": "Nobody"}),
    ("POST", "/accounts/1/leads", ANN, {**LEAD, "nme": "John"}),
    ("POST", "/accounts/1/leads", ANN, {**LEAD, "email": "nowhere"}),
    ("GET", "/accounts/1/crm", ANN, None),
    ("POST", "/accounts/1/leads", ANN, {**LEAD, "score": 20}),
    ("GET", "/accounts/1/can/qualify", ANN, None),
    ("POST", "/accounts/1/actions/qualify", ANN, {}),
    ("POST", "/accounts/1/actions/update", ANN, {"data": {"score": 70}}),
    ("POST", "/accounts/1/actions/comment", ANN, {"comment": "Called him."}),
    ("GET", "/accounts/1/can/qualify", ANN, None),
    ("GET", "/accounts/1/can/qualify", APP, None),
    ("POST", "/accounts/1/actions/qualify", APP, {}),
    ("POST", "/accounts/1/actions/qualify", ANN, {"comment": "He is one."}),
    ("POST", "/accounts/1/actions/win", ANN, {"data": {"value": 5}}),
    ("POST", "/accounts/1/actions/win", MAX, {"data": {}}),
    ("POST", "/accounts/1/actions/win", MAX, {"data": {"value": 5}}),
    ("POST", "/accounts/1/actions/qualify", ANN, {}),
    ("POST", "/accounts/1/actions/qualify", ANN, {"record": "lead-9"}),
    ("POST", "/accounts/1/actions/qualfy", ANN, {}),
    ("POST", "/accounts/1/leads", ANN, {**LEAD, "name": "Jane"}),
    ("POST", "/accounts/1/actions/lose", ANN, {}),
    ("POST", "/accounts/1/actions/update", ANN, {"data": {"score": 1}}),
    ("GET", "/accounts/1/can/pay?record=opportunity-1", ANN, None),
    ("POST", "/accounts/1/actions/pay", ANN, {"record": "opportunity-1"}),
    ("GET", "/accounts/1", ANN, None),
    ("GET", "/accounts/1/crm", ANN, None),
    ("GET", "/accounts/1/history", ANN, None),
]


def told(client: httpx.Client, story: list[tuple[str, str, dict[str, str], Any]]) -> list[Any]:
    """The answers to requests, without what time it was."""
    answers: list[Any] = []
    for method, path, who, body in story:
        answer = client.request(method, path, headers=who, json=body)
        value = answer.json()
        if path.endswith("/history"):
            for entry in value:
                assert entry.pop("at")
        answers.append((method, path, body, answer.status_code, value))
    return answers


def on_platform(example: Example, promotion: Promotion) -> str:
    """What the README has one type to go to the platform: this one, in a tenant of its own."""
    replace = {"http://localhost:8000": promotion.platform.api.url, "acme": promotion.tenant}
    return example.command("platform", replace)


def test_promoted_it_answers_the_same(
    fastapi_example: Example, client: httpx.Client, promotion: Promotion, tmp_path: Path
) -> None:
    """US-010, BR-006: two variables, and not a line of the program."""
    promoted = Example("fastapi-sqlmodel", tmp_path / "promoted")
    server = promoted.server(on_platform(promoted, promotion), NEXUS_JWT_SECRET=SECRET)
    with httpx.Client(base_url=promoted.url, timeout=60) as other:
        there = told(other, STORY)
    server.stop()
    here = told(client, STORY)
    for one, another in zip(here, there, strict=True):
        assert one == another
    assert "Traceback" not in server.output()


def test_what_an_account_holds_goes_along(
    fastapi_example: Example, client: httpx.Client, promotion: Promotion, tmp_path: Path
) -> None:
    """BR-007: and its own columns stay where they are."""
    rest = next(at for at, (_, path, _, _) in enumerate(STORY) if path.endswith("/win"))
    told(client, STORY[:rest])
    before = client.get("/accounts/1/history").json()
    promoted = Example("fastapi-sqlmodel", tmp_path / "promoted")
    shutil.copy(fastapi_example.folder / "accounts.db", promoted.folder)
    server = promoted.server(on_platform(promoted, promotion), NEXUS_JWT_SECRET=SECRET)
    with httpx.Client(base_url=promoted.url, timeout=60) as other:
        for path in ("/accounts", "/accounts/1/crm"):
            assert other.get(path).json() == client.get(path).json()
        history = other.get("/accounts/1/history").json()
        carried = history[len(before) :]
        there = told(other, STORY[rest:-1])
    server.stop()
    here = told(client, STORY[rest:-1])
    assert history[: len(before)] == before
    assert [entry["event"] for entry in carried] == ["carried_over"]
    assert there == here

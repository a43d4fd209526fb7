"""An instance that began elsewhere goes on here, over HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.schemas import Instance
from storage.scope import writing
from storage.tables import IdempotencyKey
from tests.api.serving import Platform, ServedApi
from tests.api.test_problems import check

DEFINITION: dict[str, Any] = {
    "id": "carried",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "seen", {"id": "won", "final": True}]}},
    "transitions": {
        "see": {"from": "new", "to": "seen"},
        "win": {"from": "seen", "to": "won"},
        "expire": {"from": "seen", "to": "won", "on": {"after": "9 days"}},
    },
}
OTHER: dict[str, Any] = {
    "id": "carried",
    "version": "2.0.0",
    "entities": {"lead": {"stages": ["new", {"id": "won", "final": True}]}},
    "transitions": {"win": {"from": "new", "to": "won"}},
}
_numbers = itertools.count(1)

Body = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _definitions(platform: Platform) -> None:
    platform.define(OTHER)
    for tenant in ("acme", "elsewhere"):
        platform.define(DEFINITION, tenant)


@pytest.fixture
def root(platform: Platform) -> Iterator[httpx.Client]:
    with platform.api.client("root", roles=("admin",)) as client:
        yield client


@pytest.fixture
def body(platform: Platform) -> Body:
    """What another tenant's instance is carried over with: its history as it is shown."""
    subject = {"type": "account", "id": f"carried-{next(_numbers)}"}
    with platform.api.client("ann", "elsewhere") as client:
        given = {"definition": "carried", "subject": subject, "data": {"score": 7}}
        path = f"/v1/instances/{client.post('/v1/instances', json=given).json()['id']}"
        client.post(f"{path}/actions/comment", json={"comment": "Grüße"})
        client.post(f"{path}/actions/see")
        history = client.get(f"{path}/history?limit=200").json()["items"]
    return {"definition": "carried", "subject": subject, "origin": "i-1", "history": history}


def carry(client: httpx.Client, body: Body, key: str | None = None, **changes: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/instances/import", json={**body, **changes}, headers=headers)


def history(client: httpx.Client, instance: str) -> list[Body]:
    found: list[Body] = client.get(f"/v1/instances/{instance}/history?limit=200").json()["items"]
    return found


def test_it_goes_on_with_its_history(root: httpx.Client, body: Body) -> None:
    answer = carry(root, body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    Instance.model_validate(made)
    assert made == root.get(f"/v1/instances/{made['id']}").json()
    assert (made["status"], made["state"], made["started_by"]) == ("active", "seen", "ann")
    assert (made["data"], made["tenant"]) == ({"score": 7}, "acme")
    (timer,) = made["records"][0]["timers"]
    entered = body["history"][-1]
    assert timer["trigger_at"] == entered["payload"]["timers"][0]["due"].replace("+00:00", "Z")
    *before, last = history(root, made["id"])
    assert before == body["history"]
    assert (last["event"], last["actor"]) == ("carried_over", "root")
    assert last["payload"] == {"origin": "i-1", "events": len(before)}
    won = root.post(f"/v1/instances/{made['id']}/actions/win").json()
    assert won["status"] == "completed"


def test_only_an_admin_carries_over(platform: Platform, root: httpx.Client, body: Body) -> None:
    with platform.api.client("ann") as ann:
        check(carry(ann, body), 403, "forbidden")
    for_ann = {"Nexus-Actor": "ann"}
    check(root.post("/v1/instances/import", json=body, headers=for_ann), 403, "forbidden")


def test_a_subject_has_one_instance(root: httpx.Client, body: Body) -> None:
    first = carry(root, body, "one").json()
    problem = check(carry(root, body), 409, "instance_exists")
    assert problem["existing"] == first["id"]
    again = carry(root, body, "one")
    assert again.json() == first
    assert again.headers["Idempotency-Replayed"] == "true"
    root.post(f"/v1/instances/{first['id']}/cancel")
    assert carry(root, body, "one").json() == first
    assert carry(root, body, "two").json()["id"] != first["id"]


def test_a_lost_answer_is_found_though_others_started_later(
    platform: Platform, root: httpx.Client, body: Body
) -> None:
    """The process dies after Temporal has answered and before the answer is kept."""
    first: Body = {}
    for number in range(8):
        given = {"definition": "carried", "version": "1.0.0", "subject": body["subject"]}
        if number == 6:
            first = made = carry(root, body, "lost").json()
        else:
            made = root.post("/v1/instances", json=given).json()
        root.post(f"/v1/instances/{made['id']}/cancel")
    with writing(platform.api.app.state.services.engine, "acme") as session:
        session.execute(sa.update(IdempotencyKey).values(status=None, body=None))
    again = carry(root, body, "lost")
    assert (again.status_code, again.json()["id"]) == (201, first["id"])


def test_two_processes_that_carry_it_over_at_once_get_one(
    platform: Platform, root: httpx.Client, body: Body
) -> None:
    second = ServedApi(platform.api.settings)
    second.start()
    try:
        with (
            second.client("root", roles=("admin",)) as other,
            ThreadPoolExecutor(6) as threads,
        ):
            clients = [root, other] * 3
            answers = list(threads.map(lambda client: carry(client, body, "at-once"), clients))
    finally:
        second.stop()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_what_does_not_fit_is_told_and_nothing_is_left(root: httpx.Client, body: Body) -> None:
    problem = check(carry(root, body, "unfit", version="2.0.0"), 409, "conflict")
    text = "lead-1 stands in 'seen', and 'lead' has no such stage."
    assert problem["misfits"] == [text]
    assert text in str(problem["detail"])
    listed = root.get("/v1/instances", params={"subject_id": body["subject"]["id"]}).json()
    assert listed["items"] == []
    assert carry(root, body, "fits").status_code == 201


def test_it_may_go_on_under_another_version(root: httpx.Client, body: Body) -> None:
    early = body["history"][:-2]
    assert early[-1]["event"] == "comment_added"
    made = carry(root, body, version="2.0.0", history=early).json()
    assert made["definition"] == {"id": "carried", "version": "2.0.0"}
    assert made["state"] == "new"
    assert history(root, made["id"])[0]["payload"]["version"] == "1.0.0"


def test_one_that_has_ended_comes_along(root: httpx.Client, body: Body) -> None:
    made = carry(root, body).json()
    root.post(f"/v1/instances/{made['id']}/actions/win")
    ended = history(root, made["id"])
    again = carry(root, body, history=ended)
    assert again.status_code == 201, again.text
    assert again.json()["status"] == "completed"
    assert again.json()["id"] != made["id"]
    assert history(root, again.json()["id"])[-1]["event"] == "carried_over"


def test_a_history_that_is_not_whole_is_refused_with_its_place(
    root: httpx.Client, body: Body
) -> None:
    rows = body["history"]
    problem = check(carry(root, body, history=[rows[0], *rows[2:]]), 422, "invalid_data")
    assert problem["errors"][0]["pointer"] == "/history/1/seq"  # type: ignore[index]
    odd = [*rows[:-1], {**rows[-1], "payload": {**rows[-1]["payload"], "stage": 7}}]
    problem = check(carry(root, body, history=odd), 422, "invalid_data")
    pointer = f"/history/{len(rows) - 1}/payload/stage"
    assert problem["errors"][0]["pointer"] == pointer  # type: ignore[index]
    odd = [{**rows[0], "at": 7}, *rows[1:]]
    problem = check(carry(root, body, history=odd), 422, "invalid_data")
    assert problem["errors"][0]["pointer"] == "/history/0/at"  # type: ignore[index]
    check(carry(root, body, history=[]), 422, "invalid_data")
    check(carry(root, body, subject={"type": "account", "id": "other"}), 422, "invalid_data")
    check(carry(root, body, definition="nothing"), 404, "not_found")
    assert carry(root, body).status_code == 201


def test_the_example_in_the_documentation_can_be_carried_over(platform: Platform) -> None:
    platform.define(
        {
            "id": "sales-pipeline",
            "version": "1.0.0",
            "entities": {"lead": {"stages": ["new", "qualified"]}},
            "transitions": {"qualify": {"from": "new", "to": "qualified"}},
        },
        "shown",
    )
    schema = platform.api.app.openapi()["components"]["schemas"]["ImportBody"]
    with platform.api.client("root", "shown", ("admin",)) as client:
        answer = carry(client, schema["examples"][0])
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "new"

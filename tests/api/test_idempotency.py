"""The same key brings the first answer again (R26)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa

from storage.idempotency import KEY
from storage.scope import writing
from storage.tables import IdempotencyKey
from tests.api.serving import Platform
from tests.api.test_problems import check

DEFINITION: dict[str, object] = {
    "id": "keyed",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "done"]}, "note": {"fields": ["text"]}},
    "transitions": {"finish": {"from": "new", "to": "done", "condition": "data.ready == true"}},
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def _definition(platform: Platform) -> None:
    platform.define(DEFINITION)


@pytest.fixture
def ann(platform: Platform) -> Iterator[httpx.Client]:
    with platform.api.client("ann") as client:
        yield client


def fresh() -> tuple[dict[str, object], dict[str, str]]:
    """A start of a new subject, and a new key."""
    number = next(_numbers)
    subject = {"type": "keyed", "id": f"k{number}"}
    return {"definition": "keyed", "subject": subject}, {"Idempotency-Key": f"key-{number}"}


def comments(client: httpx.Client, instance: str) -> int:
    """How many comments an instance has."""
    entries = client.get(f"/v1/instances/{instance}/history").json()["items"]
    return sum(entry["event"] == "comment_added" for entry in entries)


def test_a_repeated_start_brings_the_first_answer(ann: httpx.Client) -> None:
    body, key = fresh()
    first = ann.post("/v1/instances", json=body, headers=key)
    again = ann.post("/v1/instances", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_a_repeated_start_does_not_start_an_ended_instance_again(ann: httpx.Client) -> None:
    body, key = fresh()
    first = ann.post("/v1/instances", json=body, headers=key).json()
    ann.post(f"/v1/instances/{first['id']}/cancel")
    assert ann.post("/v1/instances", json=body, headers=key).json()["id"] == first["id"]


def test_a_lost_answer_is_found_by_the_commands_id(ann: httpx.Client, platform: Platform) -> None:
    """The process dies after Temporal has answered and before the answer is kept."""
    body, key = fresh()
    first = ann.post("/v1/instances", json=body, headers=key).json()
    commented = {"comment": "once"}
    path = f"/v1/instances/{first['id']}/actions/comment"
    ann.post(path, json=commented, headers=key)
    ann.post(f"/v1/instances/{first['id']}/cancel", headers=key)
    _forget_answers(platform)
    started = ann.post("/v1/instances", json=body, headers=key)
    assert (started.status_code, started.json()["id"]) == (201, first["id"])
    assert ann.post(path, json=commented, headers=key).status_code == 200
    assert ann.post(f"/v1/instances/{first['id']}/cancel", headers=key).status_code == 200
    assert comments(ann, first["id"]) == 1


def _forget_answers(platform: Platform) -> None:
    services = platform.api.app.state.services
    with writing(services.engine, "acme") as session:
        session.execute(sa.update(IdempotencyKey).values(status=None, body=None))


def test_an_action_is_applied_once_however_often_it_is_sent(ann: httpx.Client) -> None:
    body, key = fresh()
    instance = ann.post("/v1/instances", json=body).json()["id"]
    path = f"/v1/instances/{instance}/actions/comment"

    def send(_: int) -> httpx.Response:
        return ann.post(path, json={"comment": "once"}, headers=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == 1
    assert comments(ann, instance) == 1


def test_the_same_key_with_another_body_is_refused(ann: httpx.Client) -> None:
    body, key = fresh()
    ann.post("/v1/instances", json=body, headers=key)
    other, _ = fresh()
    check(ann.post("/v1/instances", json=other, headers=key), 422, "key_reused")


def test_the_same_json_written_otherwise_is_the_same_body(ann: httpx.Client) -> None:
    _, key = fresh()
    text = '{"definition":"keyed", "subject": {"id": "s%s", "type": "x"}}'
    name = key["Idempotency-Key"]
    first = ann.post("/v1/instances", content=text % name, headers=key)
    other = '{"subject":{"type":"x","id":"s%s"},"definition":"keyed"}'
    again = ann.post("/v1/instances", content=other % name, headers=key)
    assert again.content == first.content


def test_a_key_holds_for_one_user_route_and_tenant(ann: httpx.Client, platform: Platform) -> None:
    body, key = fresh()
    instance = ann.post("/v1/instances", json=body, headers=key).json()["id"]
    path = f"/v1/instances/{instance}/actions/comment"
    assert ann.post(path, json={"comment": "a"}, headers=key).status_code == 200
    with platform.api.client("bob") as bob:
        answer = bob.post(path, json={"comment": "b"}, headers=key)
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers
    assert comments(ann, instance) == 2


def test_what_was_refused_may_succeed_when_repeated(ann: httpx.Client) -> None:
    """A refusal has changed nothing, so it is not kept."""
    body, key = fresh()
    instance = ann.post("/v1/instances", json=body).json()["id"]
    path = f"/v1/instances/{instance}/actions/finish"
    check(ann.post(path, headers=key), 409, "condition_not_met")
    ann.patch(f"/v1/instances/{instance}/records/lead-1", json={"data": {"ready": True}})
    finished = ann.post(path, headers=key)
    assert (finished.status_code, finished.json()["status"]) == (200, "completed")
    assert ann.post(path, headers=key).content == finished.content


def test_a_repeated_record_is_the_first_one(ann: httpx.Client, platform: Platform) -> None:
    body, key = fresh()
    instance = ann.post("/v1/instances", json=body).json()["id"]
    path, note = f"/v1/instances/{instance}/records", {"entity": "note", "data": {"text": "a"}}
    first = ann.post(path, json=note, headers=key).json()
    ann.post(path, json=note)
    _forget_answers(platform)
    assert ann.post(path, json=note, headers=key).json()["id"] == first["id"] == "note-1"


def test_a_key_is_forgotten_after_a_day(ann: httpx.Client, platform: Platform) -> None:
    body, key = fresh()
    ann.post("/v1/instances", json=body, headers=key)
    services = platform.api.app.state.services
    with writing(services.engine, "acme") as session:
        session.execute(
            sa.update(IdempotencyKey)
            .where(KEY.key == key["Idempotency-Key"])
            .values(created_at=datetime.now(UTC) - timedelta(hours=25))
        )
    other, _ = fresh()
    assert ann.post("/v1/instances", json=other, headers=key).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\u00e9"])
def test_a_key_that_cannot_be_one_is_refused(ann: httpx.Client, key: str) -> None:
    body, _ = fresh()
    headers = [(b"Idempotency-Key", key.encode())]
    check(ann.post("/v1/instances", json=body, headers=headers), 422, "invalid_data")


def test_a_definition_is_stored_once_under_its_key(platform: Platform) -> None:
    _, key = fresh()
    with platform.api.client("root", roles=("admin",)) as root:
        first = root.post("/v1/definitions", json={**DEFINITION, "id": "once"}, headers=key)
        again = root.post("/v1/definitions", json={**DEFINITION, "id": "once"}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"

"""Idempotency keys (R26)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage import idempotency
from storage.errors import KeyReused
from storage.idempotency import PRUNE_AT_ONCE, KeyPlace, Reservation
from storage.scope import reading, writing
from tests.storage.conftest import raw
from tests.storage.making import at

PLACE = KeyPlace(actor="ann", route="POST /v1/instances", key="k-1")


def reserve(
    engine: Engine,
    place: KeyPlace = PLACE,
    body: str = "body",
    seconds: float = 0,
    tenant: str = "acme",
) -> Reservation:
    with writing(engine, tenant) as session:
        return idempotency.reserve(session, place, body, at(seconds))


def test_a_key_is_taken_once_and_answers_the_same_again(engine: Engine) -> None:
    assert reserve(engine) == Reservation(created=True)
    assert reserve(engine) == Reservation(created=False)
    with writing(engine, "acme") as session:
        idempotency.complete(session, PLACE, 201, '{"id":"ä"}')
        idempotency.complete(session, PLACE, 500, "late")
    answered = Reservation(created=False, status=201, body='{"id":"ä"}')
    assert reserve(engine) == answered
    with reading(engine, "acme") as session:
        assert idempotency.find(session, PLACE, "body", at(1)) == answered


def test_a_key_with_another_body_is_refused(engine: Engine) -> None:
    reserve(engine)
    with pytest.raises(KeyReused, match="k-1"):
        reserve(engine, body="other")


@pytest.mark.parametrize(
    "place",
    [
        KeyPlace(actor="bob", route=PLACE.route, key=PLACE.key),
        KeyPlace(actor=PLACE.actor, route="POST /v1/definitions", key=PLACE.key),
        KeyPlace(actor=PLACE.actor, route=PLACE.route, key="k-2"),
    ],
)
def test_a_key_holds_for_its_actor_and_route_alone(engine: Engine, place: KeyPlace) -> None:
    reserve(engine)
    assert reserve(engine, place, body="other").created


def test_a_key_holds_for_its_tenant_alone(engine: Engine) -> None:
    reserve(engine)
    assert reserve(engine, body="other", tenant="umbrella").created


def test_a_key_is_free_again_after_a_day(engine: Engine) -> None:
    reserve(engine)
    almost = timedelta(hours=24).total_seconds() - 1
    with pytest.raises(KeyReused):
        reserve(engine, body="other", seconds=almost)
    with reading(engine, "acme") as session:
        assert idempotency.find(session, PLACE, "other", at(almost + 1)) is None
    assert reserve(engine, body="other", seconds=almost + 1).created


def test_old_keys_go_a_few_at_a_time(engine: Engine) -> None:
    for n in range(PRUNE_AT_ONCE + 5):
        reserve(engine, KeyPlace(actor="ann", route="r", key=f"old-{n}"), seconds=n)
    reserve(engine, seconds=10**6)
    with raw(engine, "acme") as connection:
        left = connection.execute(sa.text("SELECT key FROM idempotency_keys")).scalars().all()
    assert sorted(left) == ["k-1", *(f"old-{PRUNE_AT_ONCE + n}" for n in range(5))]


def test_one_of_many_at_once_takes_the_key(engine: Engine) -> None:
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda: taken.append(reserve(engine).created)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]

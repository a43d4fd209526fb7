"""Definitions over HTTP (design 6, R23)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.schemas import Definition, DefinitionEntry, StoredDefinition
from tests.api.serving import ServedApi
from tests.api.test_problems import check

_numbers = itertools.count(1)


@pytest.fixture
def root(api: ServedApi) -> Iterator[httpx.Client]:
    with api.client("root", roles=("admin",)) as client:
        yield client


def definition(**more: object) -> dict[str, object]:
    """A definition of its own id."""
    return {
        "id": f"d{next(_numbers)}",
        "version": "1.0.0",
        "entities": {"lead": {"stages": ["new", "done"]}},
        **more,
    }


@pytest.mark.parametrize(
    "name", ["sales-pipeline", "promo-funnel", "enterprise-crm", "enterprise-sm"]
)
def test_every_sample_is_stored_byte_for_byte(root: httpx.Client, samples: Path, name: str) -> None:
    text = (samples / f"{name}.json").read_bytes()
    answer = root.post("/v1/definitions", content=text)
    assert answer.status_code == 201, answer.text
    StoredDefinition.model_validate(answer.json())
    assert answer.json()["id"] == name
    for warning in answer.json()["warnings"]:
        assert warning["line"] > 0
        assert warning["message"]
    stored = root.get(f"/v1/definitions/{name}")
    Definition.model_validate(stored.json())
    assert stored.json()["document"] == json.loads(text)
    assert text.strip() in stored.content
    assert stored.json()["shared"] is False


def test_the_same_again_is_accepted_and_other_content_is_not(root: httpx.Client) -> None:
    first = definition()
    assert root.post("/v1/definitions", json=first).status_code == 201
    assert root.post("/v1/definitions", json=first).status_code == 200
    changed = {**first, "label": "Changed"}
    check(root.post("/v1/definitions", json=changed), 409, "version_exists")


def test_the_newest_version_is_live_and_older_ones_can_be_read(root: httpx.Client) -> None:
    first = definition()
    path = f"/v1/definitions/{first['id']}"
    root.post("/v1/definitions", json=first)
    root.post("/v1/definitions", json={**first, "version": "1.1.0", "label": "Next"})
    live = root.get(path).json()
    assert (live["version"], live["label"], live["active"]) == ("1.1.0", "Next", True)
    assert live["versions"] == ["1.1.0", "1.0.0"]
    old = root.get(f"{path}?version=1.0.0").json()
    assert (old["version"], old["active"]) == ("1.0.0", False)
    check(root.get(f"{path}?version=9.9.9"), 404, "not_found")
    check(root.get("/v1/definitions/no-such"), 404, "not_found")


def test_what_cannot_run_is_refused_with_places(root: httpx.Client) -> None:
    broken = (
        '{\n  "id": "broken",\n  "entities": {"lead": {"stages": ["new", "won"]}},\n'
        '  "transitions": {"win": {"from": "nwe", "to": "won", "condition": "data.x >"}}\n}'
    )
    for path in ("/v1/definitions", "/v1/definitions/validate"):
        problem = check(root.post(path, content=broken), 422, "invalid_definition")
        errors = problem["errors"]
        assert isinstance(errors, list)
        assert {error["line"] for error in errors} == {4}
        stage = next(error for error in errors if error["pointer"] == "/transitions/win/from")
        assert stage["suggestion"] == "new"
        assert all(error["column"] > 0 and error["code"] for error in errors)
    check(root.get("/v1/definitions/broken"), 404, "not_found")


def test_what_is_not_json_is_refused_with_its_place(root: httpx.Client) -> None:
    problem = check(root.post("/v1/definitions", content=b'{"id": }'), 422, "invalid_json")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert (errors[0]["line"], errors[0]["column"]) == (1, 8)
    check(root.post("/v1/definitions", content=b""), 422, "invalid_json")
    check(root.post("/v1/definitions", content=b" " * (1 << 21)), 413, "too_large")


def test_validating_stores_nothing(root: httpx.Client) -> None:
    first = definition()
    answer = root.post("/v1/definitions/validate", json=first)
    assert (answer.status_code, answer.json()["valid"]) == (200, True)
    check(root.get(f"/v1/definitions/{first['id']}"), 404, "not_found")


def test_only_an_admin_stores(api: ServedApi) -> None:
    with api.client("ann") as ann:
        check(ann.post("/v1/definitions", json=definition()), 403, "forbidden")
        assert ann.post("/v1/definitions/validate", json=definition()).status_code == 200


def test_another_tenants_definition_does_not_exist(root: httpx.Client, api: ServedApi) -> None:
    first = definition()
    root.post("/v1/definitions", json=first)
    with api.client("root", "other", ("admin",)) as stranger:
        check(stranger.get(f"/v1/definitions/{first['id']}"), 404, "not_found")
        listed = stranger.get("/v1/definitions?limit=200").json()["items"]
        assert first["id"] not in [entry["id"] for entry in listed]
        other = {**first, "label": "Theirs"}
        assert stranger.post("/v1/definitions", json=other).status_code == 201


def test_a_list_is_paged(root: httpx.Client) -> None:
    made = []
    for _ in range(5):
        first = definition(domain="crm")
        root.post("/v1/definitions", json=first)
        made.append(first["id"])
    seen: list[str] = []
    cursor, last = "", ""
    while True:
        answer = root.get(f"/v1/definitions?domain=crm&limit=2{cursor}").json()
        for entry in answer["items"]:
            DefinitionEntry.model_validate(entry)
        seen += [entry["id"] for entry in answer["items"]]
        if answer["next"] is None:
            break
        last = str(answer["next"])
        cursor = f"&cursor={last}"
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)
    check(root.get(f"/v1/instances?cursor={last}"), 422, "invalid_data")

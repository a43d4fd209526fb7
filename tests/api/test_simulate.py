"""Definitions tried out over HTTP: nothing is stored, nothing is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.serving import ServedApi
from tests.api.test_problems import check
from tests.core.playing import DEFINITIONS

PATH = "/v1/definitions/simulate"
LEAD = json.loads((DEFINITIONS / "inbound-lead.json").read_text())
OUTREACH = json.loads((DEFINITIONS / "lead-outreach.json").read_text())


def simulated(api: ServedApi, **body: Any) -> dict[str, Any]:
    with api.client() as ann:
        answer = ann.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_the_scenarios_that_ship_pass_over_http_as_well(api: ServedApi) -> None:
    scenarios = json.loads((DEFINITIONS / "inbound-lead.scenarios.json").read_text())
    told = simulated(api, definition=LEAD, scenarios=scenarios)
    assert told["passed"] is True
    assert len(told["scenarios"]) == 8
    assert told["coverage"]["stages"] == {"covered": 11, "of": 11, "missing": []}
    assert told["definition"] == "inbound-lead"


def test_a_failure_says_where_what_and_when(api: ServedApi) -> None:
    then = {"stage": "contacted"}
    one = {"name": "too soon", "when": [{"at": "24h", "then": then}]}
    given = {"data": {"name": "Cleo", "email": "cleo@example.com"}, "people": {"ann": ["sales"]}}
    told = simulated(api, definition=LEAD, scenarios={"given": given, "scenarios": [one]})
    assert told["passed"] is False
    [failure] = told["scenarios"][0]["failures"]
    assert failure["pointer"] == "/scenarios/0/when/0/then"
    assert failure["differences"] == [
        {"what": "stage", "expected": "contacted", "actual": "overdue"}
    ]
    assert failure["at"] == "2026-01-06T09:00:00+00:00"


@pytest.mark.usefixtures("samples_loaded")
def test_a_stored_definition_is_run_by_its_id(api: ServedApi) -> None:
    told = simulated(api, definition="sales-pipeline", data={"score": 80}, people={"ann": []})
    assert told["instance"]["status"] == "active"
    assert told["instance"]["records"][0]["stage"] == "qualified"
    assert {entry["who"] for entry in told["timeline"]} == {"ann"}
    assert told["calls"] == []


def test_calls_are_shown_as_they_would_be_made(api: ServedApi) -> None:
    data = {"name": "Cleo", "email": "cleo@example.com", "crm_url": "https://crm.example"}
    body = {"definition": OUTREACH, "data": data, "people": {"ann": []}}
    told = next(told for seed in range(20) if (told := simulated(api, **body, seed=seed))["calls"])
    mail = next(call for call in told["calls"] if call["channel"] == "welcome")
    assert mail["kind"] == "email"
    assert mail["with"]["to"] == "Cleo <cleo@example.com>"
    assert mail["outcome"] == "done"


def test_what_cannot_be_simulated_is_refused_with_the_place(api: ServedApi) -> None:
    with api.client() as ann:
        check(ann.post(PATH, json={"definition": "nowhere"}), 404, "not_found")
        broken = {"id": "x", "entities": {"lead": {"stages": ["a"]}}, "transitions": {"t": {}}}
        check(ann.post(PATH, json={"definition": broken}), 422, "invalid_definition")
        check(ann.post(PATH, json={"definition": LEAD, "until": "soon"}), 422, "invalid_data")
        check(ann.post(PATH, json={"definition": LEAD, "data": {"name": 1}}), 422, "invalid_data")
        refused = ann.post(PATH, json={"definition": LEAD, "scenarios": {"scenarios": [{}]}})
        check(refused, 422, "invalid_data")
        assert refused.json()["errors"][0]["pointer"] == "/scenarios/scenarios/0/name"


def test_a_definition_that_goes_in_circles_is_not_run_for_ever(api: ServedApi) -> None:
    circling = {
        "id": "circling",
        "entities": {"lead": {"stages": ["new", "old", {"id": "won", "final": True}]}},
        "transitions": {
            "there": {"from": "new", "to": "old", "on": {"after": "1s"}},
            "back": {"from": "old", "to": "new", "on": {"after": "1s"}},
            "win": {"from": "old", "to": "won", "condition": "has(data.never)"},
        },
    }
    with api.client() as ann:
        answer = ann.post(PATH, json={"definition": circling})
        check(answer, 422, "invalid_data")
        assert "in circles" in answer.json()["detail"]
    one = {"name": "a", "when": [{"at": "90 days", "then": {}}]}
    told = simulated(api, definition=circling, scenarios={"scenarios": [one, {**one, "name": "b"}]})
    assert [scenario["passed"] for scenario in told["scenarios"]] == [False, False]


def test_data_that_is_large_is_left_out_of_the_answer(api: ServedApi) -> None:
    definition = {"id": "x", "entities": {"lead": {"stages": ["new"]}}}
    told = simulated(api, definition=definition, data={"text": "x" * 50_000}, people={"ann": []})
    assert told["timeline"][0]["details"] == {"dropped": "50,047 bytes"}
    asking = {**definition, "dataSchema": {"text": {"type": "string", "minLength": 10**9}}}
    asking["dataSchema"]["text"]["required"] = True  # type: ignore[index]
    with api.client() as ann:
        check(ann.post(PATH, json={"definition": asking}), 422, "invalid_data")


def test_nothing_is_stored(api: ServedApi) -> None:
    simulated(api, definition={**LEAD, "id": "only-tried"})
    with api.client("root", roles=("admin",)) as root:
        check(root.get("/v1/definitions/only-tried"), 404, "not_found")

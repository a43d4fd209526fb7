"""Instances over HTTP, on a real Temporal (design 6)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest

from api.schemas import DashboardEntry, HistoryEntry, Instance, Permission, Record
from tests.api.serving import Platform
from tests.api.test_problems import check

PIPELINE: dict[str, object] = {
    "id": "pipeline",
    "version": "1.0.0",
    "entities": {
        "lead": {"stages": ["new", "qualified", {"id": "won", "final": True}]},
        "note": {"fields": ["text"]},
    },
    "transitions": {
        "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
        "win": {"entity": "lead", "from": "qualified", "to": "won"},
        "open": {
            "entity": "lead",
            "from": "new",
            "to": "qualified",
            "on": {"event": "mail.opened"},
        },
        "expire": {"entity": "lead", "from": "qualified", "to": "won", "on": {"after": "3 days"}},
    },
}

_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def _pipeline(platform: Platform) -> None:
    platform.define(PIPELINE)
    platform.define(PIPELINE, "other")


@pytest.fixture
def ann(platform: Platform) -> Iterator[httpx.Client]:
    with platform.api.client("ann") as client:
        yield client


def start(client: httpx.Client, **more: object) -> dict[str, object]:
    """Start an instance for a new subject."""
    body = {
        "definition": "pipeline",
        "subject": {"type": "account", "id": f"a{next(_numbers)}"},
        **more,
    }
    answer = client.post("/v1/instances", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


def act(client: httpx.Client, instance: object, action: str, **body: object) -> httpx.Response:
    """Take an action."""
    return client.post(f"/v1/instances/{instance}/actions/{action}", json=body)


def test_an_instance_is_answered_as_it_stands(ann: httpx.Client, platform: Platform) -> None:
    made = start(ann, data={"score": 40})
    Instance.model_validate(made)
    assert set(made) == set(Instance.model_fields)
    assert made["tenant"] == "acme"
    assert made["definition"] == {"id": "pipeline", "version": "1.0.0"}
    assert (made["status"], made["state"], made["data"]) == ("active", "new", {"score": 40})
    assert made["ended_at"] is None
    records = made["records"]
    assert isinstance(records, list)
    assert [record["id"] for record in records] == ["lead-1"]
    assert set(records[0]) == set(Record.model_fields)
    assert records[0]["assignees"] == {"users": [], "roles": []}
    workflow = f"acme%3Apipeline%3Aaccount%3A{made['subject']['id']}"  # type: ignore[index]
    link = f"http://ui.test/namespaces/default/workflows/{workflow}/{made['id']}/history"
    assert made["web_ui"] == link


def test_what_is_answered_and_what_is_read_are_the_same(ann: httpx.Client) -> None:
    """A user reads what they wrote."""
    made = start(ann, data={"score": 60})
    assert ann.get(f"/v1/instances/{made['id']}").json() == made
    after = act(ann, made["id"], "qualify").json()
    assert after["state"] == "qualified"
    assert len(after["records"][0]["timers"]) == 1
    assert ann.get(f"/v1/instances/{made['id']}").json() == after


def test_a_condition_that_does_not_hold_says_why(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 40})
    problem = check(act(ann, made["id"], "qualify"), 409, "condition_not_met")
    assert "40" in str(problem["why"])
    asked = ann.get(f"/v1/instances/{made['id']}/can/qualify").json()
    Permission.model_validate(asked)
    assert (asked["allowed"], asked["code"]) == (False, "condition_not_met")
    assert "40" in str(asked["why"])
    changed = ann.patch(f"/v1/instances/{made['id']}/records/lead-1", json={"data": {"score": 60}})
    assert changed.status_code == 200
    assert changed.json()["data"] == {"score": 60}
    assert ann.get(f"/v1/instances/{made['id']}/can/qualify?record=lead-1").json()["allowed"]
    assert act(ann, made["id"], "qualify", record="lead-1").status_code == 200


def test_refusals_have_their_codes(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 60}, records=[{"entity": "lead"}, {"entity": "lead"}])
    check(act(ann, made["id"], "qualify"), 422, "ambiguous")
    check(act(ann, made["id"], "win", record="lead-1"), 409, "wrong_stage")
    check(act(ann, made["id"], "no-such"), 404, "not_found")
    check(act(ann, made["id"], "qualify", record="lead-9"), 404, "not_found")
    check(act(ann, made["id"], "update", record="lead-1"), 422, "invalid_data")
    again = {"definition": "pipeline", "subject": made["subject"]}
    problem = check(ann.post("/v1/instances", json=again), 409, "instance_exists")
    assert problem["existing"] == made["id"]
    assert str(made["id"]) in str(problem["detail"])
    unknown = {"definition": "no-such", "subject": made["subject"]}
    check(ann.post("/v1/instances", json=unknown), 404, "not_found")
    check(act(ann, "no-such-instance", "qualify"), 404, "not_found")
    entity = {**again, "subject": {"type": "x", "id": "refused"}, "entity": "no-such"}
    problem = check(ann.post("/v1/instances", json=entity), 422, "invalid_data")
    assert "lead" in str(problem)
    # What was refused at its start leaves nothing behind.
    assert ann.get("/v1/instances?subject=x:refused").json()["items"] == []


def test_a_subject_whose_names_are_too_long_together_is_refused(ann: httpx.Client) -> None:
    """Temporal takes workflow ids of up to a thousand bytes."""
    long = {"definition": "pipeline", "subject": {"type": "\u20ac" * 60, "id": "\u20ac" * 60}}
    problem = check(ann.post("/v1/instances", json=long), 422, "invalid_data")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors[0]["pointer"] == "/subject"
    fits = {"definition": "pipeline", "subject": {"type": "x\ny", "id": "\u20ac" * 100}}
    assert ann.post("/v1/instances", json=fits).status_code == 201


def test_a_subject_can_be_started_again_at_once(ann: httpx.Client) -> None:
    made = start(ann)
    again = {"definition": "pipeline", "subject": made["subject"]}
    instances = {made["id"]}
    for _ in range(8):
        last = made["id"]
        assert ann.post(f"/v1/instances/{last}/cancel").status_code == 200
        answer = ann.post("/v1/instances", json=again)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        instances.add(made["id"])
    assert len(instances) == 9


def test_records_are_added_and_answered(ann: httpx.Client) -> None:
    made = start(ann)
    answer = ann.post(
        f"/v1/instances/{made['id']}/records", json={"entity": "note", "data": {"text": "hi"}}
    )
    assert answer.status_code == 201
    assert answer.json()["id"] == "note-1"
    assert answer.json()["data"] == {"text": "hi"}
    refused = ann.post(
        f"/v1/instances/{made['id']}/records", json={"entity": "note", "data": {"txt": "hi"}}
    )
    check(refused, 422, "invalid_data")


def test_an_event_from_outside_is_taken(ann: httpx.Client) -> None:
    made = start(ann)
    answer = ann.post(
        f"/v1/instances/{made['id']}/events", json={"type": "mail.opened", "data": {"n": 1}}
    )
    assert answer.status_code == 200
    assert answer.json()["state"] == "qualified"


def test_history_tells_all_in_order(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 60})
    act(ann, made["id"], "qualify", comment="looks good")
    answer = ann.get(f"/v1/instances/{made['id']}/history").json()
    for entry in answer["items"]:
        HistoryEntry.model_validate(entry)
        assert set(entry) == set(HistoryEntry.model_fields)
    assert [entry["seq"] for entry in answer["items"]] == list(range(1, len(answer["items"]) + 1))
    events = [entry["event"] for entry in answer["items"]]
    assert events[0] == "instance_started"
    taken = next(entry for entry in answer["items"] if entry["event"] == "action_taken")
    assert (taken["actor"], taken["comment"]) == ("ann", "looks good")
    assert taken["payload"]["action"] == "qualify"
    assert answer["next"] is None


def test_an_ended_instance_takes_no_commands(ann: httpx.Client) -> None:
    made = start(ann)
    ended = ann.post(f"/v1/instances/{made['id']}/cancel", json={"comment": "lost"})
    assert ended.status_code == 200
    assert ended.json()["status"] == "cancelled"
    assert ended.json()["ended_at"] is not None
    check(act(ann, made["id"], "comment", comment="x"), 409, "wrong_stage")
    asked = ann.get(f"/v1/instances/{made['id']}/can/qualify").json()
    assert (asked["allowed"], asked["code"]) == (False, "wrong_stage")
    # The subject is free again, and the ended instance stays what it was.
    second = ann.post(
        "/v1/instances", json={"definition": "pipeline", "subject": made["subject"]}
    ).json()
    assert second["id"] != made["id"]
    check(act(ann, made["id"], "comment", comment="x"), 409, "wrong_stage")
    assert ann.get(f"/v1/instances/{second['id']}").json()["status"] == "active"


def test_another_tenants_instance_does_not_exist(ann: httpx.Client, platform: Platform) -> None:
    """SR-003"""
    made = start(ann)
    with platform.api.client("ann", "other", ("admin",)) as stranger:
        check(stranger.get(f"/v1/instances/{made['id']}"), 404, "not_found")
        check(stranger.get(f"/v1/instances/{made['id']}/history"), 404, "not_found")
        check(stranger.get(f"/v1/instances/{made['id']}/can/qualify"), 404, "not_found")
        check(act(stranger, made["id"], "comment", comment="x"), 404, "not_found")
        check(stranger.post(f"/v1/instances/{made['id']}/cancel"), 404, "not_found")
        listed = stranger.get("/v1/instances?limit=200").json()["items"]
        assert made["id"] not in [item["id"] for item in listed]
        same = {"definition": "pipeline", "subject": made["subject"]}
        assert stranger.post("/v1/instances", json=same).status_code == 201


def test_two_users_taking_one_transition_at_once_exactly_one_wins(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 60})

    def take(_: int) -> int:
        return act(ann, made["id"], "qualify").status_code

    with ThreadPoolExecutor(12) as pool:
        answers = sorted(pool.map(take, range(12)))
    assert answers == [200] + [409] * 11


def test_the_dashboard_shows_what_is_assigned(ann: httpx.Client, platform: Platform) -> None:
    """R17"""
    user = f"bob{next(_numbers)}"
    first, second = start(ann, data={"score": 60}), start(ann)
    act(ann, first["id"], "assign", data={"users": [user]})
    act(ann, second["id"], "assign", data={"roles": ["closers"]})
    with platform.api.client(user, roles=("closers",)) as bob:
        answer = bob.get(f"/v1/dashboard/{user}/pending?definition=pipeline").json()
        mine = [row for row in answer["items"] if row["instance"] in (first["id"], second["id"])]
        for domain in ("crm", "sales_marketing"):  # it is in both, as it names none
            narrowed = bob.get(f"/v1/dashboard/{user}/active?domain={domain}").json()["items"]
            assert first["id"] in [row["instance"] for row in narrowed]
        check(bob.get(f"/v1/dashboard/{user}/pending?domain=hr"), 422, "invalid_data")
        check(bob.get("/v1/dashboard/ann/pending"), 403, "forbidden")
        check(bob.get(f"/v1/dashboard/{user}/other"), 404, "not_found")
    assert [(row["instance"], row["assigned_as"]) for row in mine] == [
        (first["id"], "user"),
        (second["id"], "role"),
    ]
    for row in mine:
        DashboardEntry.model_validate(row)
        assert set(row) == set(DashboardEntry.model_fields)
    assert mine[0]["definition"] == {"id": "pipeline", "version": "1.0.0"}
    with platform.api.client("root", roles=("admin",)) as admin:
        rows = admin.get(f"/v1/dashboard/{user}/active").json()["items"]
    assert [row["instance"] for row in rows] == [first["id"]]


def test_clocks_are_listed_by_when_they_come_due(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 60})
    act(ann, made["id"], "qualify")
    listed = ann.get("/v1/timers?limit=200").json()["items"]
    assert made["id"] in [timer["instance"] for timer in listed]
    moments = [timer["trigger_at"] for timer in listed]
    assert moments == sorted(moments)
    assert ann.get("/v1/timers?due_before=2001-01-01T00:00:00Z").json()["items"] == []
    check(ann.get("/v1/timers?due_before=0001-01-01T00:00:00%2B14:00"), 422, "invalid_data")


def test_pages_hold_each_instance_once(ann: httpx.Client) -> None:
    made = [start(ann, data={"batch": "pages"}) for _ in range(7)]
    for sort in ("started_at", "-started_at", "updated_at", "-updated_at", "id", "-id"):
        seen: list[str] = []
        cursor = ""
        while True:
            query = f"/v1/instances?data.batch=pages&limit=3&sort={sort}{cursor}"
            answer = ann.get(query).json()
            seen += [item["id"] for item in answer["items"]]
            if answer["next"] is None:
                break
            cursor = f"&cursor={answer['next']}"
        assert sorted(seen) == sorted(str(item["id"]) for item in made)
        if sort == "started_at":
            assert seen == [item["id"] for item in made]


def test_instances_are_found_by_what_they_are(ann: httpx.Client) -> None:
    made = start(ann, data={"score": 60, "region": "EU", "n": 5})
    act(ann, made["id"], "qualify")
    subject = made["subject"]
    assert isinstance(subject, dict)

    def found(query: str) -> bool:
        items = ann.get(f"/v1/instances?limit=200&{query}").json()["items"]
        return made["id"] in [item["id"] for item in items]

    assert found("definition=pipeline&stage=qualified&status=active")
    assert found(f"subject=account:{subject['id']}")
    assert found(f"subject_type=account&subject_id={subject['id']}")
    assert found("data.region=EU&data.n=5")
    assert not found("data.region=US")
    assert not found("stage=new")
    assert not found("status=completed")
    assert not found("definition=other")


def test_a_subject_with_colons_is_found_by_its_encoded_parts(ann: httpx.Client) -> None:
    subject = {"type": "crm:account", "id": "50%:ü/x"}
    made = start(ann, subject=subject)

    def found(text: str) -> list[object]:
        answer = ann.get("/v1/instances", params={"subject": text})
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert found(f"{quote(subject['type'], safe='')}:{quote(subject['id'], safe='')}") == [
        made["id"]
    ]
    assert found("crm%3Aaccount:50%25:ü/x") == [made["id"]]
    assert found("crm:account:50%25:ü/x") == []
    check(ann.get("/v1/instances", params={"subject": "a:%ff"}), 422, "invalid_data")
    check(ann.get("/v1/instances", params={"subject": "a:%00"}), 422, "invalid_data")


def test_an_action_needs_no_database_to_find_its_instance(
    ann: httpx.Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start(ann, data={"score": 60})
    database = platform.api.app.state.services.database

    async def away(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(database, "read", away)
    assert act(ann, made["id"], "qualify").status_code == 200

"""Tasks and incidents over HTTP, on a whole platform (R7, R9, R10)."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from nexus.channels.mail_catcher import MailFolder
from nexus.settings import sqlite_url
from tests.api.serving import Platform, ServedApi, make_settings
from tests.support.processes import wait_until

DEFINITION: dict[str, Any] = {
    "id": "outreach",
    "dataSchema": {"broken": {"type": "boolean"}},
    "entities": {
        "lead": {
            "stages": [
                "new",
                {
                    "id": "contacted",
                    "run": [
                        {"channel": "log", "name": "hello", "with": {"message": "Hello"}},
                        {
                            "channel": "log",
                            "name": "tell",
                            "with": {"message": "{{ data.name }}", "fail": "{{ data.broken }}"},
                        },
                        {
                            "name": "call",
                            "task": {"title": "Call them", "assign": {"users": ["bob"]}},
                        },
                    ],
                },
                "won",
            ]
        }
    },
    "transitions": {
        "reach_out": {"from": "new", "to": "contacted"},
        "win": {"from": "contacted", "to": "won"},
    },
}


@pytest.fixture(scope="module")
def running(platform: Platform) -> Platform:
    platform.define(DEFINITION)
    return platform


@pytest.fixture
def ann(running: Platform) -> httpx.Client:
    return running.api.client("ann")


def contacted(client: httpx.Client, **data: object) -> dict[str, Any]:
    """An instance whose stage runs."""
    subject = {"type": "lead", "id": secrets.token_hex(4)}
    body = {
        "definition": "outreach",
        "subject": subject,
        "data": {"name": "Lea", "broken": False, **data},
    }
    started = client.post("/v1/instances", json=body)
    assert started.status_code == 201, started.text
    acted = client.post(f"/v1/instances/{started.json()['id']}/actions/reach_out")
    assert acted.status_code == 200, acted.text
    found: dict[str, Any] = acted.json()
    return found


def settled(client: httpx.Client, instance: str) -> dict[str, Any]:
    """The instance once its two calls have ended."""
    shown: dict[str, Any] = {}

    def both_ended() -> bool:
        history = client.get(f"/v1/instances/{instance}/history").json()["items"]
        shown.update(client.get(f"/v1/instances/{instance}").json())
        ended = ("channel_succeeded", "channel_failed")
        return sum(row["event"] in ended for row in history) >= 2

    wait_until(both_ended, seconds=30, what="both calls")
    return shown


def test_actions_wait_until_the_stage_has_joined(ann: httpx.Client, running: Platform) -> None:
    """R7."""
    instance = contacted(ann)
    place = f"/v1/instances/{instance['id']}"
    (record,) = instance["records"]
    assert record["running"]
    refused = ann.post(f"{place}/actions/win")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_in_progress")
    assert "'Call them'" in refused.json()["detail"]
    assert ann.get(f"{place}/can/win").json()["code"] == "run_in_progress"
    (task,) = settled(ann, instance["id"])["tasks"]
    assert task == {
        "id": task["id"],
        "record": "lead-1",
        "title": "Call them",
        "assignees": {"users": ["bob"], "roles": []},
        "since": task["since"],
    }
    with running.api.client("bob") as bob:
        done = bob.post(
            f"{place}/tasks/{task['id']}/complete",
            json={"comment": "She is in.", "data": {"reached": True}},
        )
    assert done.status_code == 200, done.text
    assert done.json()["tasks"] == []
    assert not done.json()["records"][0]["running"]
    assert ann.get(place).json() == done.json()
    assert ann.post(f"{place}/actions/win").json()["status"] == "completed"


def test_a_task_is_on_the_dashboard_of_whoever_it_is_for(
    ann: httpx.Client, running: Platform
) -> None:
    """R17."""
    instance = contacted(ann)
    (task,) = instance["tasks"]
    with running.api.client("bob") as bob:
        rows = bob.get("/v1/dashboard/bob/pending").json()["items"]
        (row,) = [row for row in rows if row["instance"] == instance["id"]]
        assert (row["task"], row["title"], row["record"]) == (task["id"], "Call them", "lead-1")
        assert (row["stage"], row["assigned_as"], row["incidents"]) == ("contacted", "user", 0)
        bob.post(f"/v1/instances/{instance['id']}/tasks/{task['id']}/complete")
        rows = bob.get("/v1/dashboard/bob/pending").json()["items"]
        assert not [row for row in rows if row["instance"] == instance["id"]]


def test_a_task_is_refused_to_others_and_when_it_is_done(
    ann: httpx.Client, running: Platform
) -> None:
    instance = contacted(ann)
    path = f"/v1/instances/{instance['id']}/tasks/{instance['tasks'][0]['id']}/complete"
    refused = ann.post(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    unknown = ann.post(f"/v1/instances/{instance['id']}/tasks/nothing/complete")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    malformed = ann.post(path, json={"dat": {}})
    assert (malformed.status_code, malformed.json()["code"]) == (422, "invalid_data")
    with running.api.client("bob") as bob:
        key = {"Idempotency-Key": secrets.token_hex(8)}
        first = bob.post(path, headers=key)
        again = bob.post(path, headers=key)
        assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", first.json())
        late = bob.post(path)
    assert (late.status_code, late.json()["code"]) == (409, "wrong_stage")


def failed(client: httpx.Client) -> tuple[str, dict[str, Any]]:
    """An instance with one open incident."""
    instance = contacted(client, broken=True)["id"]
    (incident,) = settled(client, instance)["incidents"]
    return instance, incident


def test_an_incident_is_retried_to_success(ann: httpx.Client) -> None:
    """R10: the instance, the list and the incident itself tell the same."""
    instance, incident = failed(ann)
    assert (incident["code"], incident["channel"]) == ("failed_on_purpose", "log")
    assert (incident["step"], incident["attempts"], incident["status"]) == ("run/1", 1, "open")
    (listed,) = ann.get("/v1/incidents", params={"instance": instance}).json()["items"]
    assert listed.items() >= incident.items()
    assert listed["definition"] == {"id": "outreach", "version": "0.0.0"}
    place = f"/v1/incidents/{incident['id']}"
    assert ann.get(place).json() == listed
    ann.post(f"/v1/instances/{instance}/actions/update", json={"data": {"broken": False}})
    retried = ann.post(f"{place}/retry", json={"comment": "mended"})
    assert retried.status_code == 200, retried.text
    assert retried.json()["status"] in ("retrying", "resolved")
    wait_until(lambda: ann.get(place).json()["status"] == "resolved", seconds=30, what="the retry")
    assert ann.get(place).json()["closed_by"] == "system"
    assert ann.get(f"/v1/instances/{instance}").json()["incidents"] == []
    assert not ann.get("/v1/incidents", params={"instance": instance}).json()["items"]
    everything = ann.get("/v1/incidents", params={"instance": instance, "status": "all"})
    assert len(everything.json()["items"]) == 1
    history = ann.get(f"/v1/instances/{instance}/history", params={"limit": 200}).json()["items"]
    told = [row["event"] for row in history]
    assert told.count("incident_raised") == told.count("incident_closed") == 1
    (asked,) = [row for row in history if row["event"] == "incident_retried"]
    assert (asked["actor"], asked["comment"]) == ("ann", "mended")


def test_a_retry_that_fails_leaves_it_open_with_all_attempts(ann: httpx.Client) -> None:
    _, incident = failed(ann)
    place = f"/v1/incidents/{incident['id']}"
    ann.post(f"{place}/retry")
    wait_until(lambda: ann.get(place).json()["attempts"] == 2, seconds=30, what="the retry")
    assert ann.get(place).json()["status"] == "open"


def test_an_incident_is_skipped_once(ann: httpx.Client) -> None:
    _, incident = failed(ann)
    place = f"/v1/incidents/{incident['id']}"
    skipped = ann.post(f"{place}/skip", json={"comment": "not worth it"})
    assert (skipped.json()["status"], skipped.json()["closed_by"]) == ("skipped", "ann")
    for path in ("skip", "retry"):
        late = ann.post(f"{place}/{path}")
        assert (late.status_code, late.json()["code"]) == (409, "wrong_stage")


def test_incidents_of_nobody_and_of_other_tenants_are_not_found(
    ann: httpx.Client, running: Platform
) -> None:
    """SR-003."""
    instance, incident = failed(ann)
    for unknown in ("x", f"{instance}-999999", instance, f"{instance}-x"):
        for answer in (
            ann.get(f"/v1/incidents/{unknown}"),
            ann.post(f"/v1/incidents/{unknown}/retry"),
            ann.post(f"/v1/incidents/{unknown}/skip"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), unknown
    with running.api.client("eve", "other") as eve:
        assert eve.get(f"/v1/incidents/{incident['id']}").status_code == 404
        assert eve.post(f"/v1/incidents/{incident['id']}/skip").status_code == 404
        assert not eve.get("/v1/incidents", params={"status": "all"}).json()["items"]


def test_what_failed_last_is_retried_after_the_end(ann: httpx.Client, running: Platform) -> None:
    """An instance that has completed keeps its workflow for what can still be tried again."""
    instance, incident = failed(ann)
    with running.api.client("bob") as bob:
        (task,) = ann.get(f"/v1/instances/{instance}").json()["tasks"]
        bob.post(f"/v1/instances/{instance}/tasks/{task['id']}/complete")
    ann.post(f"/v1/instances/{instance}/actions/update", json={"data": {"broken": False}})
    ended = ann.post(f"/v1/instances/{instance}/actions/win").json()
    assert (ended["status"], len(ended["incidents"])) == ("completed", 1)
    late = ann.post(f"/v1/instances/{instance}/actions/comment", json={"comment": "x"})
    assert late.json()["code"] == "wrong_stage"
    place = f"/v1/incidents/{incident['id']}"
    assert ann.post(f"{place}/retry").status_code == 200
    wait_until(lambda: ann.get(place).json()["status"] == "resolved", seconds=30, what="the retry")


def test_a_new_start_gives_up_what_the_former_instance_left(
    ann: httpx.Client, running: Platform
) -> None:
    """BR-007."""
    instance, incident = failed(ann)
    ann.post(f"/v1/instances/{instance}/actions/close")
    shown = ann.get(f"/v1/instances/{instance}").json()
    assert (shown["status"], len(shown["incidents"])) == ("completed", 1)
    body = {"definition": "outreach", "subject": shown["subject"]}
    again = ann.post("/v1/instances", json=body)
    assert again.status_code == 201, again.text
    assert again.json()["id"] != instance
    assert ann.get(f"/v1/incidents/{incident['id']}").json()["status"] == "dropped"


def test_open_incidents_are_a_metric(ann: httpx.Client, running: Platform) -> None:
    failed(ann)
    text = httpx.get(f"{running.api.url}/metrics").text
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith('nexus_incidents{code="failed_on_purpose",status="open"}')
    ]
    assert float(line.split()[-1]) >= 1


def test_definitions_are_checked_against_the_channels_there_are(running: Platform) -> None:
    run: list[Any] = [
        {"channel": "emial", "with": {}},
        {"channel": "email", "with": {"subjct": "x"}},
    ]
    document: dict[str, Any] = {
        "id": "checked",
        "channels": {"mine": {"channel": "email", "host": "evil.example"}},
        "entities": {"lead": {"stages": [{"id": "new", "run": run}, "won"]}},
    }
    with running.api.client("root", roles=("admin",)) as root:
        answer = root.post("/v1/definitions/validate", json=document)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_definition")
    found = {(one["code"], one["pointer"]) for one in answer.json()["errors"]}
    assert ("not_for_definitions", "/channels/mine/host") in found
    del document["channels"]
    run[1]["with"] = {"to": "{{ data.email }}", "text": "x", "subjct": "x"}
    with running.api.client("root", roles=("admin",)) as root:
        answer = root.post("/v1/definitions/validate", json=document)
    assert answer.status_code == 200, answer.text
    found = {(one["code"], one["pointer"]) for one in answer.json()["warnings"]}
    run_at = "/entities/lead/stages/0/run"
    assert ("unknown_key", f"{run_at}/1/with/subjct") in found
    assert ("unknown_channel", f"{run_at}/0/channel") in found


# --- mails ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def catching(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An API that knows where mails are caught."""
    import dataclasses

    folder = tmp_path_factory.mktemp("mails")
    settings = make_settings(folder, database_url=sqlite_url(folder))
    served = ServedApi(dataclasses.replace(settings, mail_folder=folder / "mails"))
    served.start()
    yield served, MailFolder(folder / "mails")
    served.stop()


def caught(folder: MailFolder, number: int, to: str = "ann@example.com") -> str:
    content = (
        f"From: a@x.example\r\nTo: {to}\r\nSubject: =?utf-8?q?H=C3=A4llo?= {number}\r\n"
        f"Message-ID: <{secrets.token_hex(4)}@x>\r\n\r\nText {number}\r\n"
    )
    return folder.keep("a@x.example", [to], content.encode()).id


def test_caught_mails_are_listed_and_read(catching: tuple[ServedApi, MailFolder]) -> None:
    api, folder = catching
    ids = [caught(folder, number) for number in range(3)]
    other = caught(folder, 9, "bob@example.com")
    with api.client("root", roles=("admin",)) as root:
        page = root.get("/v1/mails", params={"limit": 2}).json()
        assert [mail["id"] for mail in page["items"]] == [other, ids[2]]
        rest = root.get("/v1/mails", params={"cursor": page["next"]}).json()
        assert ([mail["id"] for mail in rest["items"]], rest["next"]) == ([ids[1], ids[0]], None)
        (mail,) = root.get("/v1/mails", params={"to": "bob@example.com"}).json()["items"]
        assert (mail["from"], mail["subject"], mail["times"]) == ("a@x.example", "Hällo 9", 1)
        detail = root.get(f"/v1/mails/{other}").json()
        assert detail.items() >= mail.items()
        assert (detail["text"], detail["html"], detail["attachments"]) == ("Text 9\r\n", None, [])
        assert {"name": "Subject", "value": "Hällo 9"} in detail["headers"]
        source = root.get(f"/v1/mails/{other}/source")
        assert source.headers["content-type"] == "message/rfc822"
        assert b"Text 9" in source.content
        for unknown in ("x", "..%2f..%2fsecret", "20261121T060548409070-c70c0c0e9618"):
            for path in (unknown, f"{unknown}/source"):
                assert root.get(f"/v1/mails/{path}").status_code == 404


def test_caught_mails_are_for_admins_where_any_are_caught(
    catching: tuple[ServedApi, MailFolder], api: ServedApi
) -> None:
    with catching[0].client("ann") as ann:
        assert ann.get("/v1/mails").json()["code"] == "forbidden"
    with api.client("root", roles=("admin",)) as root:
        answer = root.get("/v1/mails")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "NEXUS_MAIL_FOLDER" in answer.json()["detail"]

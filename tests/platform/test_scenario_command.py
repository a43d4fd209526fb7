"""`nexus scenario`: what an instance lived on the platform passes as a scenario."""

from __future__ import annotations

import json
from pathlib import Path

from tests.platform.company import PATIENCE, SECRET, Company, webhook
from tests.support import receiver as web
from tests.support.commands import assert_one_clear_line, nexus
from tests.support.processes import wait_until
from tests.support.receiver import Receiver


def patient(receiver: Receiver, name: str) -> dict[str, object]:
    """A step that calls a webhook and has the time of a busy machine."""
    return {**webhook(receiver, name), "timeout": "30s"}


def test_what_was_lived_is_told_and_passes(
    company: Company, receiver: Receiver, tmp_path: Path
) -> None:
    company.configure({"webhook": {"secrets": [SECRET]}})
    call = {"name": "call", "task": {"title": "Call {{ data.name }}"}}
    company.define(
        {
            "sequence": [
                {"parallel": [patient(receiver, "one"), patient(receiver, "two")]},
                patient(receiver, "gone"),
                {"wait": "1s"},
                call,
            ]
        }
    )
    receiver.on("/one", web.answer(503), web.answer(body={"owner": "Cleo Miller"}))
    receiver.on("/gone", web.answer(410), web.answer())
    instance = company.reach(name="Cleo Miller", email="cleo@corp.com", size=7)
    wait_until(company.incidents, seconds=PATIENCE, what="the incident")
    (incident,) = company.incidents()
    company.settle(incident["id"], "retry", comment="Cleo is back")
    path = f"/v1/instances/{instance}"
    wait_until(lambda: company.client.get(path).json()["tasks"], seconds=PATIENCE, what="the task")
    environment = company.platform.environment
    arguments = ("scenario", instance, "--tenant", company.tenant)

    running = nexus(*arguments, environment=environment)
    assert running.returncode == 0, running.stderr
    (scenario,) = json.loads(running.stdout)["scenarios"]
    assert scenario["then"]["tasks"] == [{"step": "call", "record": "lead-1"}]

    (task,) = company.client.get(path).json()["tasks"]
    done = company.client.post(f"{path}/tasks/{task['id']}/complete", json={"data": {"ok": True}})
    assert done.status_code == 200, done.text
    company.joined(instance)
    file = tmp_path / "outreach.scenarios.json"
    ended = nexus(*arguments, "-o", str(file), environment=environment)
    assert ended.returncode == 0, ended.stderr
    assert "passes" in ended.stderr
    text = file.read_text()
    (scenario,) = json.loads(text)["scenarios"]
    assert scenario["then"]["status"] == "completed"
    assert [one["step"] for one in scenario["given"]["answers"]].count("gone") == 2
    for personal in ("Cleo", "Miller", "cleo@", '"ann"'):
        assert personal not in text

    (tmp_path / "outreach.json").write_text(
        json.dumps(company.client.get("/v1/definitions/outreach").json()["document"])
    )
    tested = nexus("test", str(file))
    assert tested.returncode == 0, tested.stdout


def test_one_that_was_cancelled_amid_a_call_passes(company: Company, receiver: Receiver) -> None:
    company.configure({"webhook": {"secrets": [SECRET]}})
    company.define([patient(receiver, "slow")])
    receiver.on("/slow", web.hang())
    instance = company.reach(name="Cleo")
    receiver.wait_until(lambda one: bool(one.to("/slow")))
    answer = company.client.post(f"/v1/instances/{instance}/cancel", json={"comment": "Enough"})
    assert answer.status_code == 200, answer.text
    wait_until(
        lambda: company.client.get(f"/v1/instances/{instance}").json()["status"] == "cancelled",
        seconds=PATIENCE,
        what="its end",
    )
    told = nexus(
        "scenario",
        instance,
        "--tenant",
        company.tenant,
        environment=company.platform.environment,
    )
    assert told.returncode == 0, told.stderr
    (scenario,) = json.loads(told.stdout)["scenarios"]
    assert scenario["then"]["status"] == "cancelled"


def test_one_that_other_words_lead_elsewhere_is_written_and_does_not_pass(
    company: Company, tmp_path: Path
) -> None:
    transitions = {"reach": {"from": "new", "to": "reached", "condition": "data.code < 'ab'"}}
    company.define({"wait": "1h"}, transitions=transitions)
    instance = company.reach(code="aa")
    file = tmp_path / "outreach.scenarios.json"
    told = nexus(
        "scenario",
        instance,
        "--tenant",
        company.tenant,
        "-o",
        str(file),
        environment=company.platform.environment,
    )
    assert told.returncode == 1
    assert "condition_not_met" in told.stderr
    assert "does not pass" in told.stderr
    assert json.loads(file.read_text())["scenarios"]


def test_an_instance_of_nobody_is_one_clear_line(company: Company) -> None:
    told = nexus(
        "scenario", "none", "--tenant", company.tenant, environment=company.platform.environment
    )
    assert_one_clear_line(told, "has no instance 'none'")

"""Both clients on a whole platform, over HTTP and a real Temporal."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexus import Rejected
from nexus.client import (
    ConditionNotMet,
    Conflict,
    Forbidden,
    Incident,
    InstanceExists,
    InvalidData,
    InvalidDefinition,
    InvalidJson,
    KeyReused,
    Me,
    NexusClient,
    NotFound,
    Subject,
    Unauthenticated,
    VersionExists,
)
from nexus.client.requests import LARGEST_PAGE
from tests.api.serving import Platform, token
from tests.client.calling import MakeClient
from tests.support.processes import wait_until

PIPELINE: dict[str, Any] = {
    "id": "pipeline",
    "version": "1.0.0",
    "domain": "crm",
    "entities": {
        "lead": {
            "stages": [
                "new",
                "qualified",
                {
                    "id": "contacted",
                    "run": [
                        {
                            "channel": "log",
                            "name": "tell",
                            "with": {"message": "Hello", "fail": "{{ data.broken }}"},
                        },
                        {
                            "name": "call",
                            "task": {"title": "Call them", "assign": {"users": ["bob"]}},
                        },
                    ],
                },
                {"id": "won", "final": True},
            ]
        }
    },
    "dataSchema": {"broken": {"type": "boolean"}, "score": {"type": "integer"}},
    "transitions": {
        "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
        "contact": {"entity": "lead", "from": "qualified", "to": "contacted"},
        "open": {
            "entity": "lead",
            "from": "new",
            "to": "qualified",
            "on": {"event": "mail.opened"},
        },
        "expire": {"entity": "lead", "from": "qualified", "to": "won", "on": {"after": "3 days"}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _pipeline(platform: Platform) -> None:
    platform.define(PIPELINE)


@pytest.fixture
def ann(client: MakeClient, platform: Platform) -> NexusClient:
    return client(platform.api.url, token("ann"))


@pytest.fixture
def root(client: MakeClient, platform: Platform) -> NexusClient:
    return client(platform.api.url, token("root", roles=("admin",)))


def new() -> str:
    """Id of a subject that no other test has, which is no plain word either."""
    return f"ä/{secrets.token_hex(4)} &?"


def contacted(nexus: NexusClient, *, broken: bool) -> str:
    """Id of an instance whose stage runs a call and a task."""
    made = nexus.start("pipeline", "account", new(), data={"score": 60, "broken": broken})
    nexus.act(made.id, "qualify")
    nexus.act(made.id, "contact")
    return made.id


def failed(nexus: NexusClient) -> tuple[str, Incident]:
    """An instance with one open incident, and that."""
    instance = contacted(nexus, broken=True)
    wait_until(lambda: nexus.instance(instance).incidents, seconds=30, what="the incident")
    (incident,) = nexus.instance(instance).incidents
    return instance, incident


def test_a_lead_from_start_to_end(ann: NexusClient) -> None:
    subject = new()
    made = ann.start("pipeline", "account", subject, data={"score": 40})
    assert made.subject == Subject(type="account", id=subject)
    assert (made.status, made.state, made.data) == ("active", "new", {"score": 40})
    assert made.started_at.tzinfo is not None
    with pytest.raises(ConditionNotMet) as refused:
        ann.act(made.id, "qualify")
    assert refused.value.details["why"][0]["expression"] == "data.score > 50"
    assert refused.value.correlation_id
    allowed = ann.can(made.id, "qualify", record="lead-1")
    assert not allowed
    assert allowed.code == "condition_not_met"
    assert ann.update_record(made.id, "lead-1", {"score": 70}).data == {"score": 70}
    assert ann.can(made.id, "qualify")
    acted = ann.act(made.id, "qualify", comment="Very interested.")
    assert acted.state == "qualified"
    assert acted.records[0].timers[0].name == "expire"
    assert ann.instance(made.id) == acted
    added = ann.add_record(made.id, "lead", {"score": 1})
    assert (added.id, added.stage) == ("lead-2", "new")
    opened = ann.send_event(made.id, "mail.opened", record="lead-2", data={"n": 1})
    assert [record.stage for record in opened.records] == ["qualified", "qualified"]
    ended = ann.cancel(made.id, comment="Asked us to stop.")
    assert (ended.status, ended.ended_at is None) == ("cancelled", False)
    rows = list(ann.history(made.id))
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert (rows[0].event, rows[0].actor, rows[-1].event) == (
        "instance_started",
        "ann",
        "instance_ended",
    )


def test_a_refusal_is_the_rejection_that_it_is_in_process(ann: NexusClient) -> None:
    made = ann.start("pipeline", "account", new())
    with pytest.raises(Rejected) as refused:
        ann.act(made.id, "contact")
    assert (refused.value.code, bool(refused.value.message)) == ("wrong_stage", True)


def test_a_second_start_names_the_open_instance(ann: NexusClient) -> None:
    subject = new()
    made = ann.start("pipeline", "account", subject, records=[("lead", {"score": 1}), ("lead", {})])
    assert [record.data for record in made.records] == [{"score": 1}, {}]
    with pytest.raises(InstanceExists) as refused:
        ann.start("pipeline", "account", subject)
    assert refused.value.details["existing"] == made.id


def test_the_same_key_does_a_thing_once(ann: NexusClient) -> None:
    subject, key = new(), secrets.token_hex(8)
    made = ann.start("pipeline", "account", subject, key=key)
    assert ann.start("pipeline", "account", subject, key=key) == made
    with pytest.raises(KeyReused):
        ann.start("pipeline", "account", subject, data={"score": 1}, key=key)


def test_an_instance_is_carried_over_with_all_that_happened(
    client: MakeClient, platform: Platform, ann: NexusClient
) -> None:
    """From one tenant to another, which is as strange to it as another platform."""
    subject, key = new(), secrets.token_hex(8)
    made = ann.start("pipeline", "account", subject, data={"score": 60})
    ann.act(made.id, "qualify", comment="Wow.")
    before = list(ann.history(made.id))
    platform.define(PIPELINE, "carried")
    there = client(platform.api.url, token("root", "carried", ("admin",)))
    carried = there.carry_over(
        "pipeline", "account", subject, origin=made.id, history=before, key=key
    )
    assert (carried.tenant, carried.state, carried.data) == ("carried", "qualified", {"score": 60})
    after = list(there.history(carried.id))
    assert after[: len(before)] == before
    assert after[len(before)].event == "carried_over"
    again = there.carry_over(
        "pipeline", "account", subject, origin=made.id, history=before, key=key
    )
    assert again == carried
    with pytest.raises(Forbidden):
        there.acting("bob").carry_over("pipeline", "account", new(), origin=made.id, history=before)


def test_instances_are_listed_by_what_is_asked(ann: NexusClient) -> None:
    subjects = [new(), new()]
    kind = secrets.token_hex(4)
    made = [
        ann.start("pipeline", kind, subject, data={"score": number}).id
        for number, subject in enumerate(subjects)
    ]
    ann.cancel(made[1])

    def ids(**asked: Any) -> list[str]:
        return [one.id for one in ann.instances(subject_type=kind, **asked)]

    assert ids() == made[::-1]
    assert ids(sort="started_at", definition="pipeline") == made
    assert ids(status="cancelled") == made[1:]
    assert ids(subject_id=subjects[0], stage="new") == made[:1]
    assert ids(data={"score": 1}) == made[1:]
    assert ids(data={"score": True}) == []
    with pytest.raises(InvalidData):
        ids(status="asleep")


def test_pages_are_put_together(ann: NexusClient) -> None:
    made = ann.start("pipeline", "account", new())
    for number in range(110):
        ann.update_record(made.id, "lead-1", {"score": number})
    seen = [row.seq for row in ann.history(made.id)]
    assert len(seen) > LARGEST_PAGE
    assert seen == list(range(1, len(seen) + 1))


def test_a_task_is_found_and_completed(ann: NexusClient, root: NexusClient) -> None:
    instance = contacted(ann, broken=False)
    (task,) = ann.instance(instance).tasks
    bob = root.acting("bob")
    (entry,) = [row for row in bob.pending("bob", domain="crm") if row.instance == instance]
    assert (entry.task, entry.title, entry.assigned_as) == (task.id, "Call them", "user")
    assert instance in [row.instance for row in bob.active("bob", definition="pipeline")]
    assert instance not in [
        row.instance for row in bob.pending("bob", domain="sales_marketing", sort="-since")
    ]
    with pytest.raises(Forbidden):
        ann.complete_task(instance, task.id)
    done = bob.complete_task(instance, task.id, comment="Reached.", data={"reached": True})
    assert done.tasks == ()
    (row,) = [row for row in ann.history(instance) if row.event == "task_completed"]
    assert (row.actor, row.payload["data"]) == ("bob", {"reached": True})
    with pytest.raises(Forbidden):
        next(iter(ann.pending("bob")))


def test_incidents_are_found_retried_and_skipped(ann: NexusClient) -> None:
    instance, incident = failed(ann)
    (listed,) = ann.incidents(instance=instance, definition="pipeline", channel="log")
    assert (listed.id, listed.instance, listed.definition.id) == (incident.id, instance, "pipeline")
    assert ann.incident(incident.id) == listed
    ann.update_record(instance, "lead-1", {"broken": False})
    ann.act(instance, "update", data={"broken": False})
    assert ann.retry_incident(incident.id, comment="Mended.").status == "retrying"
    wait_until(
        lambda: ann.incident(incident.id).status == "resolved", seconds=30, what="the retried call"
    )
    assert list(ann.incidents(instance=instance)) == []
    _, other = failed(ann)
    assert ann.skip_incident(other.id, comment="Never mind.").status == "skipped"
    with pytest.raises(Rejected) as refused:
        ann.retry_incident(other.id)
    assert refused.value.code == "wrong_stage"


def test_running_clocks_are_listed(ann: NexusClient) -> None:
    made = ann.start("pipeline", "account", new(), data={"score": 60})
    ann.act(made.id, "qualify")
    soon, late = (datetime.now(UTC) + timedelta(days=days) for days in (2, 4))
    assert made.id not in [timer.instance for timer in ann.timers(due_before=soon)]
    (timer,) = [timer for timer in ann.timers(due_before=late) if timer.instance == made.id]
    assert (timer.record, timer.name) == ("lead-1", "expire")
    assert soon < timer.trigger_at < late


def test_definitions_live_and_retire(root: NexusClient, ann: NexusClient) -> None:
    id_ = f"life-{secrets.token_hex(4)}"
    document = {**PIPELINE, "id": id_}
    assert root.validate_definition(document).id == id_
    with pytest.raises(NotFound):
        root.definition(id_)
    with pytest.raises(Forbidden):
        ann.store_definition(document)
    assert root.store_definition(document).active
    assert root.store_definition({**document, "version": "2.0.0"}).version == "2.0.0"
    with pytest.raises(VersionExists):
        root.store_definition({**document, "label": "Other"})
    assert id_ in [entry.id for entry in ann.definitions()]
    read = ann.definition(id_)
    assert (read.version, set(read.versions)) == ("2.0.0", {"1.0.0", "2.0.0"})
    assert ann.definition(id_, version="1.0.0").document == document
    assert root.activate(id_, "1.0.0").live
    assert {entry.version: entry.live for entry in ann.versions(id_)} == {
        "1.0.0": True,
        "2.0.0": False,
    }
    retired = root.retire(id_, "1.0.0")
    assert [entry.version for entry in retired.retired] == ["1.0.0"]
    emptied = root.retire(id_)
    assert {entry.version for entry in emptied.retired} == {"1.0.0", "2.0.0"}
    assert emptied.live is None
    with pytest.raises(Conflict):
        ann.start(id_, "account", new())
    with pytest.raises(NotFound):
        ann.start(f"{id_}-none", "account", new())


def test_what_is_wrong_with_a_definition_is_located(root: NexusClient) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        root.store_definition({**PIPELINE, "transitions": {"x": {"from": "nwe", "to": "won"}}})
    assert any(error["suggestion"] == "new" for error in refused.value.details["errors"])
    with pytest.raises(InvalidJson):
        root.validate_definition('{"id": ')


def test_a_definition_is_tried_out(ann: NexusClient) -> None:
    found = ann.simulate("pipeline", seed=3, until="1 day")
    assert found["definition"] == "pipeline"
    assert found["timeline"]
    refused = {"do": "qualify", "then": {"refused": "condition_not_met"}}
    scenario = {"name": "too low", "given": {"data": {"score": 1}}, "when": [refused]}
    assert ann.simulate(PIPELINE, scenarios={"scenarios": [scenario]})["passed"] is True


def test_who_one_is(ann: NexusClient, root: NexusClient) -> None:
    assert ann.me() == Me(tenant="acme", user="ann", roles=())
    assert root.me().roles == ("admin",)
    assert root.acting("Jürgen, M.", ["a,b", "c%"]).me() == Me(
        tenant="acme", user="Jürgen, M.", roles=("a,b", "c%")
    )
    assert root.acting("bob").me().roles == ()
    with pytest.raises(Forbidden):
        ann.acting("bob").me()
    with pytest.raises(Forbidden):
        root.acting("bob").store_definition(PIPELINE)


def test_a_dashboard_of_somebody_with_odd_characters_can_be_asked_for(root: NexusClient) -> None:
    for user in ("..", ".", "a b?#%2F;=&+", "ü"):
        assert list(root.pending(user)) == []


def test_a_platform_that_works_is_ready(ann: NexusClient) -> None:
    assert ann.ready()["checks"]["worker"] == "ok"


def test_a_bad_token_opens_nothing(client: MakeClient, platform: Platform) -> None:
    with pytest.raises(Unauthenticated):
        client(platform.api.url, "nonsense").me()


def test_another_tenant_sees_nothing(
    client: MakeClient, platform: Platform, ann: NexusClient
) -> None:
    made = ann.start("pipeline", "account", new())
    with pytest.raises(NotFound):
        client(platform.api.url, token("ann", "other")).instance(made.id)

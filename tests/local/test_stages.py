"""Stages, clocks and channels at Level 1: all that the core decides works in a column, too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import nexus
from nexus import Rejected
from nexus.local import (
    ConfigurationError,
    Level1Warning,
    run_due,
)
from tests.local.conftest import Clock
from tests.local.homes import DjangoHome, Home, PlainHome, SqlAlchemyHome

PIPELINE = {
    "roles": {"sales": {"can": ["qualify", "win", "update"]}, "boss": {"can": ["*"]}},
    "entities": {
        "lead": {"stages": ["new", "qualified", {"id": "won", "final": True}, "cold"]},
        "opportunity": {"stages": ["open", {"id": "closed", "final": True}]},
    },
    "transitions": {
        "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
        "win": {"from": "qualified", "to": "won", "creates": {"entity": "opportunity"}},
        "cool": {"from": "new", "to": "cold", "on": {"after": "3 days"}},
    },
}
NURTURE = {
    "entities": {
        "lead": {
            "stages": [
                {"id": "new", "run": [{"channel": "mail", "with": {"to": "{{ data.email }}"}}]},
                {"id": "done", "final": True},
            ]
        }
    },
    "transitions": {"finish": {"from": "new", "to": "done"}},
}


@pytest.fixture(autouse=True)
def known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        yield


def test_conditions_roles_and_what_a_transition_creates(home: Home) -> None:
    """SR-001: the same decisions as on the platform, with the actor that is named."""
    user = home.new(home.model(PIPELINE))
    ann = nexus.Actor("ann", ("sales",))
    with nexus.acting(ann):
        user.crm().add("lead", {"score": 40})
        assert user.crm().why("qualify").code == "condition_not_met"
        assert "data.score > 50" in user.crm().why("qualify").message
        user.crm().act("edit", data={"score": 60})
        assert user.crm().act("qualify").stage == "qualified"
    with pytest.raises(Rejected, match="it takes the role 'boss' or 'sales'") as refused:
        user.crm(actor="eve").act("win")
    assert refused.value.code == "forbidden"
    user.crm(actor=ann).act("win", "lead-1", comment="Signed.")
    home.commit()
    again = home.again(user).crm()
    assert [(record.id, record.stage) for record in again.records()] == [
        ("lead-1", "won"),
        ("opportunity-1", "open"),
    ]
    assert (again.status, again.state) == ("active", "won")


def test_a_first_action_begins_the_instance(home: Home) -> None:
    """R4: with a record of the first entity that has stages; refused, it leaves nothing behind."""
    user = home.new(home.model(NURTURE))
    nexus.configure(channels=lambda _: None)
    assert user.crm().can("finish") is False  # what its first stage runs has not ended then
    with pytest.raises(Rejected) as refused:
        user.crm().act("finish")
    assert refused.value.code == "run_in_progress"
    assert user.crm().status == "new"
    user.crm().start({"email": "j@example.com"})
    assert user.crm().act("finish").stage == "done"
    assert user.crm().status == "completed"
    with pytest.raises(Rejected, match="has ended"):
        user.crm().act("finish")


def test_what_names_a_record_begins_nothing(home: Home) -> None:
    """Where nothing has begun there is none, whatever else a start would lack."""
    fields = {"name": {"type": "string", "required": True}}
    stages = ["new", "won"]
    definition = {
        "entities": {"lead": {"fields": fields, "stages": stages}},
        "transitions": {"win": {"from": "new", "to": "won"}},
    }
    crm = home.new(home.model(definition)).crm()
    assert (crm.why("win").code, crm.why("win", "lead-1").code) == ("invalid_data", "not_found")
    refused: list[Callable[[], object]] = [
        lambda: crm.act("win", "lead-1"),
        lambda: crm.send_event("mail.opened", record="lead-1"),
        lambda: crm.complete("task-1"),
        lambda: crm.retry("incident-1"),
        lambda: crm.skip("incident-1"),
    ]
    for call in refused:
        with pytest.raises(Rejected, match="nothing has begun here yet") as refusal:
            call()
        assert refusal.value.code == "not_found"
    assert (crm.status, crm.history()) == ("new", [])


def test_an_ended_instance_makes_room_for_the_next(home: Home) -> None:
    """Nothing of the former one is lost."""
    nexus.configure(channels=lambda _: None)
    user = home.new(home.model(NURTURE))
    user.crm().add("lead", {"email": "first"})
    user.crm().act("finish")
    user.crm().add("lead", {"email": "second"})
    home.commit()
    crm = home.again(user).crm()
    assert (crm.status, [record.email for record in crm.records()]) == ("active", ["second"])
    starts = [entry for entry in crm.history() if entry.event == "instance_started"]
    assert len(starts) == 2
    with pytest.raises(Rejected) as refused:
        user.crm().start()
    assert refused.value.code == "instance_exists"


def test_clocks_are_looked_at_when_the_model_is_touched(home: Home, clock: Clock) -> None:
    """At the time at which they were due, whenever that is noticed."""
    user = home.new(home.model(PIPELINE))
    with nexus.acting("ann", ["sales"]):
        user.crm().add("lead", {"score": 60})
        clock.advance(timedelta(days=5))
        assert user.crm().can("qualify") is False
        assert user.crm().state == "cold"
    home.commit()
    fired = [entry for entry in home.again(user).crm().history() if entry.event == "timer_fired"]
    assert [entry.at.astimezone(UTC) for entry in fired] == [datetime(2026, 1, 8, 9, 0, tzinfo=UTC)]


def test_asking_keeps_nothing_of_the_clocks(clock: Clock) -> None:
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    with nexus.acting("ann", ["sales"]):
        user.crm().add("lead", {"score": 60})
        kept = user.crm_data
        clock.advance(timedelta(days=5))
        assert user.crm().can("qualify") is False
    assert user.crm_data is kept


def test_run_due_finds_what_has_come_due(database_home: Home, clock: Clock) -> None:
    """FR-L3-006 without a platform: whoever calls it says how often."""
    cls = database_home.model(PIPELINE)
    users = [database_home.new(cls) for _ in range(3)]
    with nexus.acting("ann", ["boss"]):
        users[0].crm().add("lead", {"score": 60})
        clock.advance(timedelta(days=2))
        users[1].crm().add("lead", {"score": 60})
    database_home.commit()
    clock.advance(timedelta(days=1))
    found = _due(database_home, cls, clock())
    assert [one.id for one in found] == [users[0].id]
    looked = run_due(found)
    database_home.commit()
    assert (looked.models, looked.happened > 0, looked.failed) == (1, True, [])
    assert database_home.again(users[0]).crm().state == "cold"
    assert _due(database_home, cls, clock()) == []


def _due(home: Home, cls: type[Any], moment: datetime) -> list[Any]:
    if isinstance(home, DjangoHome):
        from nexus.local.django import due_before as due_in_django

        return list(cls._base_manager.using(home.alias).filter(due_in_django(moment)))
    import sqlalchemy as sa

    from nexus.local.sqlalchemy import due_before

    assert isinstance(home, SqlAlchemyHome)
    return list(home.session.scalars(sa.select(cls).where(due_before(cls, moment))))


def test_one_that_fails_keeps_no_other_from_its_clocks(clock: Clock) -> None:
    home = PlainHome()
    cls = home.model(PIPELINE)
    broken, well = home.new(cls), home.new(cls)
    with nexus.acting("ann", ["boss"]):
        well.crm().add("lead", {})
    broken.crm_data = {"not": "ours"}
    clock.advance(timedelta(days=4))
    looked = run_due([broken, well])
    assert [type(error).__name__ for _, error in looked.failed] == ["ColumnError"]
    assert well.crm().state == "cold"
    with pytest.raises(ConfigurationError, match="has neither HasCrm nor HasSalesMarketing"):
        run_due([object()])


def test_listeners_hear_of_clocks(clock: Clock) -> None:
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    heard: list[str] = []
    with nexus.acting("ann", ["boss"]):
        user.crm().add("lead", {})
    user.crm().on("stage_entered", lambda entry: heard.append(entry.after))
    clock.advance(timedelta(days=4))
    run_due([user])
    assert heard == ["cold"]


def test_what_a_model_cannot_do_by_itself_is_said() -> None:
    """A warning the first time, never silence: clocks without a caller."""
    home = PlainHome()
    with pytest.warns(Level1Warning, match=r"'cool' is taken after 3 days.*run_due"):
        home.new(home.model(PIPELINE)).crm()
    run = [{"wait": "1 day"}, {"waitFor": {"event": "mail.opened", "timeout": "2 days"}}]
    waiting = {"entities": {"lead": {"stages": [{"id": "new", "run": run}, "done"]}}}
    with pytest.warns(Level1Warning, match="the stage 'new' waits in its run .* and 1 more"):
        home.new(home.model(waiting)).crm()


def test_tasks_events_and_waiting(home: Home, clock: Clock) -> None:
    run = {
        "sequence": [
            {"task": {"title": "Call Ann"}, "name": "call"},
            {"waitFor": {"event": "mail.opened", "timeout": "2 days"}, "name": "opened"},
        ]
    }
    definition = {"entities": {"lead": {"stages": [{"id": "new", "run": run}, "done"]}}}
    user = home.new(home.model(definition))
    user.crm().start()
    (task,) = user.crm().tasks()
    assert task.title == "Call Ann"
    user.crm().complete(task, comment="Reached her.")
    assert user.crm().tasks() == []
    user.crm().send_event("mail.opened", {"at": "home"})
    assert user.crm().act("convert").stage == "done"
    home.commit()
    assert home.again(user).crm().status == "completed"


def test_a_misspelt_first_action_is_told_of_before_anything_else() -> None:
    """Not what the instance lacks that it would have begun."""
    home = PlainHome()
    lead = {"fields": {"email": {"type": "string"}}, "stages": ["new", "done"]}
    user = home.new(home.model({"entities": {"lead": lead}, "dataSchema": {"required": ["email"]}}))
    assert user.crm().why("convrt").message.startswith("No action 'convrt'. Did you mean 'convert'")
    with pytest.raises(Rejected, match=r"No action 'convrt'\. Did you mean 'convert'"):
        user.crm().act("convrt")
    assert user.crm().why("convert").code == "invalid_data"


def test_records_and_entries_can_be_written_as_json() -> None:
    import json

    home = PlainHome()
    user = home.new(home.model(NURTURE))
    nexus.configure(channels=lambda _: None)
    record = user.crm().add("lead", {"name": "Ann", "tags": ["a"]})
    told = json.loads(json.dumps(record.to_dict()))
    assert (told["id"], told["stage"], told["status"]) == ("lead-1", "new", "open")
    assert told["data"] == {"name": "Ann", "tags": ["a"]}
    entry = json.loads(json.dumps(user.crm().history()[0].to_dict()))
    assert (entry["seq"], entry["event"], entry["actor"]) == (1, "instance_started", "app")


def test_who_acts_can_be_asked() -> None:
    assert nexus.current_actor() is None
    with nexus.acting("ann", "sales"):
        assert nexus.current_actor() == nexus.Actor("ann", ("sales",))

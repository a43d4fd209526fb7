"""A CRM on a model, whatever the model is (US-001 to US-005, FR-L1-001 to FR-L1-005)."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

import nexus
from nexus import Rejected
from tests.local.conftest import Clock
from tests.local.homes import Home, PlainHome

CONTACTS = {"entities": {"contact": {"fields": ["name", "email"]}}}
CAMPAIGNS = {"entities": {"campaign": {"fields": ["name", "budget"]}}}
JOHN = {"name": "John", "email": "j@example.com"}


def test_a_mixin_on_a_model_gives_it_contacts(home: Home) -> None:
    """US-001, FR-L1-001: the class says what it keeps, and objects keep it at once."""
    user = home.new(home.model(CONTACTS))
    contact = user.crm().add_contact(JOHN)
    assert (contact.id, contact.entity, contact.name, contact.email) == (
        "contact-1",
        "contact",
        "John",
        "j@example.com",
    )
    home.commit()
    assert [one.name for one in home.again(user).crm().records("contact")] == ["John"]


def test_a_mixin_on_a_model_gives_it_campaigns(home: Home) -> None:
    """US-001 and US-003 of sales and marketing: both mixins work side by side on one class."""
    user = home.new(home.model(CONTACTS, CAMPAIGNS))
    campaign = user.sm().launch_campaign({"name": "Summer Sale", "budget": 1000})
    user.crm().add_contact(JOHN)
    home.commit()
    again = home.again(user)
    assert (campaign.id, campaign.budget) == ("campaign-1", 1000)
    assert [record.id for record in again.sm().records()] == ["campaign-1"]
    assert [record.id for record in again.crm().records()] == ["contact-1"]


def test_everything_is_kept_in_one_column(home: Home) -> None:
    """US-002, FR-L1-002: no table of its own, and JSON where the model is written anywhere."""
    user = home.new(home.model(CONTACTS))
    user.crm().add_contact(JOHN)
    value = user.crm_data
    if home.persistent:
        assert json.loads(json.dumps(value))["nexus"] == 1
    assert user.crm().records()[0].data == JOHN


def test_adding_a_contact_checks_it(home: Home) -> None:
    """US-003, FR-L1-003: it is validated, and nothing is kept of what is refused."""
    user = home.new(home.model(CONTACTS))
    with pytest.raises(Rejected, match=r"unknown field 'emial'; did you mean 'email'\?") as refused:
        user.crm().add_contact({"name": "John", "emial": "j@example.com"})
    assert refused.value.code == "invalid_data"
    home.commit()
    assert home.again(user).crm().records() == []
    assert home.again(user).crm().history() == []


def test_whether_an_action_may_be_taken_is_asked_without_effects(home: Home) -> None:
    """US-004, FR-L1-004: a boolean; `edit` is `update`; asking changes nothing."""
    user = home.new(home.model(CONTACTS))
    assert user.crm().can("edit") is True
    assert user.crm().status == "new"
    user.crm().add_contact(JOHN)
    before = user.crm().history()
    assert user.crm().can("edit") is True
    assert user.crm().can("add_contact") is True
    assert user.crm().can("edit", "contact-9") is False
    assert user.crm().why("edit", "contact-9").code == "not_found"
    assert user.crm().can("edt") is False
    assert "Did you mean" in str(user.crm().why("updat"))
    assert user.crm().history() == before


def test_history_tells_what_happened_when_and_by_whom(home: Home, clock: Clock) -> None:
    """US-005, FR-L1-005: a list of changes, with times and actors, that nobody can change."""
    user = home.new(home.model(CONTACTS))
    with nexus.acting("ann"):
        user.crm().add_contact(JOHN)
    clock.advance(timedelta(hours=1))
    user.crm(actor="max").act("edit", "contact-1", {"email": "john@example.com"}, "He has moved.")
    home.commit()
    history = home.again(user).crm().history()
    assert [(entry.seq, entry.event, entry.actor) for entry in history] == [
        (1, "instance_started", "ann"),
        (2, "record_created", "ann"),
        (3, "action_taken", "max"),
        (4, "data_changed", "max"),
    ]
    assert history[0].at.tzinfo is not None
    assert history[3].at.astimezone(UTC) == clock.now
    assert (history[3].before, history[3].after) == (
        {"email": "j@example.com"},
        {"email": "john@example.com"},
    )
    assert history[2].comment == "He has moved."
    with pytest.raises(AttributeError):
        history[0].actor = "nobody"
    with pytest.raises(TypeError):
        history[3].after["email"] = "forged"


def test_who_acts_is_the_application_unless_somebody_is_named(home: Home) -> None:
    """By argument, else by context, else `app`."""
    user = home.new(home.model(CONTACTS))
    user.crm().add_contact({"name": "1"})
    with nexus.acting("ann"):
        user.crm().add_contact({"name": "2"})
        user.crm(actor="max").add_contact({"name": "3"})
        user.crm(actor="max").add_contact({"name": "4"}, actor="eve")
    created = [entry for entry in user.crm().history() if entry.event == "record_created"]
    assert [entry.actor for entry in created] == ["app", "ann", "max", "eve"]


def test_records_show_their_fields_and_cannot_be_set(home: Home) -> None:
    user = home.new(home.model(CONTACTS))
    contact = user.crm().add_contact({"name": "John"})
    assert contact.email is None
    assert contact["name"] == "John"
    assert contact.is_open
    with pytest.raises(AttributeError, match=r"no field 'nam'\. Did you mean 'name'"):
        _ = contact.nam
    with pytest.raises(AttributeError, match="take the action 'update'"):
        contact.name = "Jim"
    assert user.crm().record("contact-1") == contact
    with pytest.raises(Rejected, match="No record 'contact-2'; there are: contact-1"):
        user.crm().record("contact-2")


def test_listeners_hear_what_happens_to_their_object_alone(home: Home) -> None:
    """FR-L1-003: events."""
    cls = home.model(CONTACTS)
    user, other = home.new(cls), home.new(cls)
    heard: list[Any] = []
    end = user.crm().on("record_created", heard.append)
    everything: list[str] = []
    user.crm().on("*", lambda entry: everything.append(entry.event))
    user.crm().add_contact(JOHN)
    other.crm().add_contact(JOHN)
    assert [entry.record for entry in heard] == ["contact-1"]
    assert everything == ["instance_started", "record_created"]
    end()
    user.crm().add_contact({"name": "Jane"})
    assert len(heard) == 1
    with pytest.raises(nexus.NexusError, match="Did you mean 'record_created'"):
        user.crm().on("record_craeted", heard.append)


def test_a_listener_that_raises_undoes_what_it_heard_of(home: Home) -> None:
    user = home.new(home.model(CONTACTS))

    def refuse(_: object) -> None:
        raise LookupError("no")

    end = user.crm().on("record_created", refuse)
    with pytest.raises(LookupError):
        user.crm().add_contact(JOHN)
    end()
    home.commit()
    assert user.crm().records() == []
    assert home.again(user).crm().records() == []


def test_what_one_command_brings_has_the_bounds_of_the_platform() -> None:
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    with pytest.raises(Rejected, match="larger than 1,048,576 bytes") as refused:
        user.crm().add_contact({"name": "x" * 1_100_000})
    assert refused.value.code == "too_large"
    user.crm().add_contact(JOHN)
    with pytest.raises(Rejected, match="comment has to have 1 to 10,000 characters"):
        user.crm().act("edit", data={"name": "Jim"}, comment="x" * 10_001)
    assert user.crm().records()[0].name == "John"

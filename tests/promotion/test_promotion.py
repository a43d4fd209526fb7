"""The same calls on the same classes, on the platform (US-010, BR-006, BR-007)."""

from __future__ import annotations

import pytest

from nexus import Rejected
from tests.local.homes import PlainHome
from tests.promotion.conftest import Promotion

CONTACTS = {"entities": {"contact": {"fields": ["name", "email"]}}}


def test_contacts_go_to_the_platform(promotion: Promotion) -> None:
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    contact = user.crm().add_contact({"name": "John"})
    assert contact.name == "John"
    print(user.crm().records(), user.crm().history(), user.crm_data)
    assert user.crm().can("edit")
    assert user.crm().act("edit", data={"email": "x"}).email == "x"
    with pytest.raises(Rejected, match="unknown field"):
        user.crm().add_contact({"nam": 1})
    promotion.off()
    other = home.new(home.model(CONTACTS))
    other.id = 2
    other.crm().add_contact({"name": "early"})
    promotion.on()
    assert [r.name for r in other.crm().records()] == ["early"]
    print(other.crm_data)
    assert [e.event for e in other.crm().history()] == [
        "instance_started",
        "record_created",
        "carried_over",
    ]

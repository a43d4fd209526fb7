"""Sales and marketing on a model (US-001 to US-005, FR-L1-001 to FR-L1-007 of that package)."""

from __future__ import annotations

from typing import Any

import pytest

from nexus import Rejected
from nexus.sales_marketing import HasSalesMarketing, SmHandle
from tests.local.homes import Home

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}
CAMPAIGNS = {
    "entities": {
        "campaign": {
            "fields": {"name": {"type": "string"}, "budget": {"type": "number"}},
            "stages": ["plan", "active", {"id": "closed", "final": True}],
        }
    },
    "transitions": {
        "activate": {"from": "plan", "to": "active", "condition": "data.budget > 100"},
        "end": {"from": "active", "to": "closed"},
    },
}
SUMMER = {"name": "Summer Sale", "budget": 1000}


class Product(HasSalesMarketing):
    """As the requirements spell it."""

    def __init__(self) -> None:
        self.id = 7

    def sm(self) -> Any:  # type: ignore[override]
        return {"entities": {"campaign": {"fields": ["name", "budget"]}}}


def test_the_requirements_own_example() -> None:
    """US-001, US-002, US-003: a mixin, a definition in the model, `launch_campaign`."""
    product = Product()
    campaign = product.sm().launch_campaign(SUMMER)
    assert isinstance(product.sm(), SmHandle)
    assert (campaign.name, campaign.budget) == ("Summer Sale", 1000)
    assert product.sm()._spec.program.id == "product"
    assert product.sm()._spec.program.domain == "sales_marketing"


def test_a_campaign_is_launched_into_its_first_stage(home: Home) -> None:
    """FR-L1-003: validated, with events, in a transaction."""
    user = home.new(home.model(CONTACTS, CAMPAIGNS))
    heard: list[Any] = []
    user.sm().on("stage_entered", lambda entry: heard.append(entry.after))
    with pytest.raises(Rejected, match="budget") as refused:
        user.sm().launch_campaign({"name": "x", "budget": "much"})
    assert refused.value.code == "invalid_data"
    campaign = user.sm().launch_campaign(SUMMER)
    assert campaign.stage == "plan"
    assert heard == ["plan"]
    home.commit()
    assert home.again(user).sm().records("campaign") == [campaign]


def test_who_may_do_what_is_asked_without_effects(home: Home) -> None:
    """US-004, FR-L1-004."""
    user = home.new(home.model(CONTACTS, CAMPAIGNS))
    user.sm().launch_campaign({"name": "small", "budget": 10})
    before = user.sm().history()
    assert user.sm().can("edit") is True
    assert user.sm().can("launch_campaign") is True
    assert user.sm().can("activate") is False
    assert "data.budget > 100" in user.sm().why("activate").message
    assert user.sm().history() == before


def test_history_tells_both_sides_apart(home: Home) -> None:
    """US-005, FR-L1-005: each side has a history of its own."""
    user = home.new(home.model(CONTACTS, CAMPAIGNS))
    user.sm(actor="max").launch_campaign(SUMMER)
    user.sm(actor="ann").act("activate", comment="Go!")
    user.crm(actor="eve").add_contact({"name": "John"})
    home.commit()
    again = home.again(user)
    assert [(entry.event, entry.actor) for entry in again.sm().history()] == [
        ("instance_started", "max"),
        ("record_created", "max"),
        ("stage_entered", "max"),
        ("action_taken", "ann"),
        ("stage_entered", "ann"),
    ]
    assert {entry.actor for entry in again.crm().history()} == {"eve"}
    assert again.sm().history()[-1].before == "plan"


def test_two_sides_without_ids_have_different_ones(home: Home) -> None:
    """Both would be called after the model; one instance per definition and subject (BR-007)."""
    user = home.new(home.model(CONTACTS, CAMPAIGNS))
    crm, sm = user.crm()._spec.program.id, user.sm()._spec.program.id
    assert sm == f"{crm}-sales-marketing"

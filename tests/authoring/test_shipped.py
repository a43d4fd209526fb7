"""The pipelines that a company can use as they are, walked through the core."""

from __future__ import annotations

import re

import pytest

from nexus.authoring.fmt import formatted
from nexus.authoring.picture import draw
from nexus.cli.definition_files import definition_files
from tests.authoring.walking import MAX, ROOT, SHIPPED, SUE, shipped
from tests.core.playing import DEFINITIONS, Play, refused

JO = {"name": "Jo", "email": "jo@example.com"}
ACME = {**JO, "company": "Acme", "expected": 12_000}
OFFER = {"amount": 10_000, "discount": 10, "valid_until": "2026-12-31"}


def inbound(**data: object) -> Play:
    play = Play(shipped("inbound-lead").program)
    play.start({**JO, **data})
    return play


def opportunity() -> Play:
    play = Play(shipped("opportunity").program)
    play.start(ACME)
    play.act("discover", actor=SUE, data={"need": "a new roof"})
    return play


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_definition_has_nothing_odd_and_uses_only_what_has_an_effect(name: str) -> None:
    compiled = shipped(name)
    assert compiled.warnings == ()
    assert formatted(compiled.text) == compiled.text


@pytest.mark.parametrize("name", SHIPPED)
def test_its_diagram_in_the_docs_is_up_to_date(name: str) -> None:
    drawn = (ROOT / "docs" / "diagrams" / f"{name}.svg").read_text(encoding="utf-8")
    again = f"nexus diagram definitions/{name}.json -o docs/diagrams/{name}.svg"
    assert drawn == draw(shipped(name).program), f"draw it again: {again}"


def test_every_definition_that_is_no_sample_is_walked_here() -> None:
    samples = {"sales-pipeline", "promo-funnel", "enterprise-crm", "enterprise-sm"}
    assert {path.stem for path in definition_files([DEFINITIONS])} - samples == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_transition_of_a_shipped_definition_is_walked_here(name: str) -> None:
    told = (ROOT / "tests" / "authoring" / "test_shipped.py").read_text(encoding="utf-8")
    words = set(re.findall(r'"(\w+)"', told))
    named = [t.name for t in shipped(name).program.transitions.values()]
    automatic = {"drop_spam", "remind", "reply", "silence", "click", "forget"}
    automatic |= {"send", "ask", "view", "stall", "give_up"}
    assert {name for name in named if name not in words | automatic} == set()


# --- inbound lead ------------------------------------------------------------------------------


def test_a_lead_becomes_an_opportunity_and_is_won() -> None:
    play = inbound(budget=5_000, need="a website")
    assert play.lead.assignees.roles == ("sales",)
    play.act("contact", actor=SUE, data={"channel": "phone"})
    assert play.lead.data["channel"] == "phone"
    play.event("email.replied")
    play.act("book", actor=SUE, data={"at": "2026-12-01T10:00:00Z"})
    play.act("qualify", actor=SUE)
    assert play.stages() == {"lead-1": "qualified", "opportunity-1": "open"}
    created = play.state.records["opportunity-1"].data
    assert created == {**JO, "value": 5_000, "need": "a website"}
    play.act("win", actor=SUE, data={"value": 4_800})
    assert play.state.records["opportunity-1"].data["value"] == 4_800
    assert play.status() == "completed"


def test_a_lead_without_a_budget_is_not_qualified_and_the_refusal_says_why() -> None:
    play = inbound(need="a website")
    play.act("contact", actor=SUE, data={"channel": "email"})
    play.event("email.replied")
    refused("condition_not_met", lambda: play.act("qualify", actor=SUE), "data.budget is missing")
    play.act("update", actor=SUE, data={"budget": 1_000})
    play.act("qualify", actor=SUE)
    play.act("lose", actor=SUE, data={"reason": "too dear"})
    assert play.status() == "completed"


def test_nobody_answers_for_a_day_and_the_managers_see_it() -> None:
    play = inbound()
    play.wait(1)
    assert play.stages() == {"lead-1": "overdue"}
    assert play.lead.assignees.roles == ("sales", "manager")
    play.act("contact", actor=MAX, data={"channel": "phone"})
    assert play.stages() == {"lead-1": "contacted"}


def test_a_silent_lead_is_kept_warm_comes_back_and_is_parked_again() -> None:
    play = inbound()
    play.act("contact", actor=SUE, data={"channel": "email"})
    play.wait(14)
    assert play.stages() == {"lead-1": "nurturing"}
    play.event("email.clicked")
    assert play.stages() == {"lead-1": "engaged"}
    play.act("park", actor=SUE)
    play.act("return", actor=SUE)
    assert play.stages() == {"lead-1": "contacted"}


def test_a_lead_is_forgotten_after_a_year() -> None:
    play = inbound()
    play.act("contact", actor=SUE, data={"channel": "email"})
    play.wait(14 + 365)
    assert play.stages() == {"lead-1": "disqualified"}
    assert play.lead.data["reason"] == "a year without a sign"
    assert play.status() == "completed"


def test_spam_is_dropped_at_once() -> None:
    play = inbound(spam=True)
    assert play.stages() == {"lead-1": "disqualified"}
    assert play.lead.data["reason"] == "spam"


def test_disqualifying_takes_a_reason_and_somebody_of_sales() -> None:
    play = inbound()
    refused("invalid_data", lambda: play.act("disqualify", actor=SUE), "reason")
    refused("forbidden", lambda: play.act("disqualify", data={"reason": "no need"}), "role")
    play.act("disqualify", actor=SUE, data={"reason": "no need"})
    assert play.lead.data["reason"] == "no need"


def test_who_is_assigned_a_lead_keeps_it() -> None:
    play = inbound()
    play.act("assign", actor=SUE, data={"users": ["sue"]})
    play.act("contact", actor=SUE, data={"channel": "visit"})
    assert play.lead.assignees.users == ("sue",)
    play.event("email.replied")
    refused("forbidden", lambda: play.act("park", actor=MAX), "'sue'")


def test_a_lead_needs_a_name_and_an_address() -> None:
    play = Play(shipped("inbound-lead").program)
    refused("invalid_data", lambda: play.start({"name": "Jo"}), "email")


# --- opportunity -------------------------------------------------------------------------------


def test_a_deal_is_signed_and_leaves_a_customer_behind() -> None:
    play = opportunity()
    play.act("propose", actor=SUE, data=OFFER)
    assert play.stages() == {"opportunity-1": "proposal"}, "a small discount is sent at once"
    play.event("proposal.viewed")
    play.act("agree", actor=SUE)
    play.act("sign", actor=SUE)
    assert play.stages() == {"opportunity-1": "won", "customer-1": "onboarding"}
    assert play.state.records["customer-1"].data["company"] == "Acme"
    assert play.status() == "active"
    play.act("welcome", actor=SUE)
    assert play.status() == "completed"


def test_a_large_discount_waits_for_a_manager() -> None:
    play = opportunity()
    play.act("propose", actor=SUE, data={**OFFER, "discount": 25})
    assert play.stages() == {"opportunity-1": "approval"}
    refused("forbidden", lambda: play.act("approve", actor=SUE), "manager")
    play.act("approve", actor=MAX)
    assert play.state.records["opportunity-1"].data["approved_by"] == "max"
    assert play.stages() == {"opportunity-1": "proposal"}


def test_a_reckless_discount_can_only_be_refused_and_offered_anew() -> None:
    play = opportunity()
    play.act("propose", actor=SUE, data={**OFFER, "discount": 60})
    refused("condition_not_met", lambda: play.act("approve", actor=MAX), "data.discount is 60")
    play.act("reject", actor=MAX)
    assert play.stages() == {"opportunity-1": "discovery"}
    play.act("propose", actor=SUE, data=OFFER)
    play.act("negotiate", actor=SUE)
    play.act("propose", actor=SUE, data={**OFFER, "amount": 9_000})
    assert play.state.records["opportunity-1"].data["amount"] == 9_000
    assert play.stages() == {"opportunity-1": "proposal"}


def test_silence_stalls_a_deal_and_ends_it_after_a_quarter() -> None:
    play = opportunity()
    play.act("propose", actor=SUE, data=OFFER)
    play.wait(14)
    assert play.stages() == {"opportunity-1": "stalled"}
    play.act("revive", actor=SUE)
    play.wait(14)
    assert play.stages() == {"opportunity-1": "stalled"}
    play.wait(90)
    assert play.stages() == {"opportunity-1": "lost"}
    assert play.state.records["opportunity-1"].data["reason"] == "silence"
    assert play.status() == "completed"


def test_a_deal_is_lost_for_one_of_the_known_reasons() -> None:
    play = opportunity()
    refused("invalid_data", lambda: play.act("lose", actor=SUE, data={"reason": "?"}), "reason")
    play.act("lose", actor=SUE, data={"reason": "price"})
    assert play.status() == "completed"


# --- lead-outreach --------------------------------------------------------------------------


def contacted(**urls: str) -> Play:
    play = Play(shipped("lead-outreach").program)
    play.start({"name": "Lea", "email": "lea@example.com", **urls})
    play.act("reach_out")
    return play


def test_a_lead_is_written_to_and_told_of_all_at_once() -> None:
    play = contacted(crm_url="https://crm.example", newsletter_url="https://news.example")
    assert play.calls() == ["run/0", "run/1", "run/2"]
    refused("run_in_progress", lambda: play.act("hand_over"))
    play.ends("run/1")
    play.ends("run/2", "failed")
    play.ends("run/0")
    play.act("hand_over")
    assert play.lead.stage == "calling"


def test_only_systems_that_there_are_are_told() -> None:
    play = contacted()
    assert play.calls() == ["run/0"]


def test_a_lead_without_an_address_is_not_written_to() -> None:
    play = Play(shipped("lead-outreach").program)
    play.start({"name": "Lea"})
    refused("condition_not_met", lambda: play.act("reach_out"))


@pytest.mark.parametrize("reached", [True, False])
def test_a_lead_is_won_once_somebody_has_reached_them(reached: bool) -> None:
    play = contacted()
    play.ends("run/0")
    play.act("hand_over")
    refused("run_in_progress", lambda: play.act("win"))
    play.complete(next(iter(play.state.tasks)), data={"reached": reached})
    if reached:
        play.act("win")
        assert play.status() == "completed"
    else:
        refused("condition_not_met", lambda: play.act("win"))


def test_a_lead_is_lost_whatever_still_runs() -> None:
    play = contacted()
    play.act("lose")
    assert play.lead.stage == "lost"
    play.ends("run/0", "cancelled")
    assert play.status() == "completed"

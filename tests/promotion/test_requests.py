"""How many requests each use of a handle makes on the platform, as `docs/promotion.md` has it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.local.homes import PlainHome
from tests.promotion.conftest import Promotion

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "promotion.md").read_text()
CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}
GUARDED = {**CONTACTS, "guards": {"edit": bool, "add": bool}}

USES: dict[str, Callable[[Any], object]] = {
    "user.crm()": lambda crm: crm,
    "records": lambda crm: crm.records(),
    "record": lambda crm: crm.record("contact-1"),
    "status": lambda crm: crm.status,
    "state": lambda crm: crm.state,
    "data": lambda crm: crm.data,
    "tasks": lambda crm: crm.tasks(),
    "incidents": lambda crm: crm.incidents(),
    "can": lambda crm: crm.can("edit", "contact-1"),
    "why": lambda crm: crm.why("edit", "contact-1"),
    "act": lambda crm: crm.act("edit", "contact-1", {"name": "Jim"}),
    "send_event": lambda crm: crm.send_event("mail.opened"),
    "add": lambda crm: crm.add("contact", {"name": "Jane"}),
    "add_contact": lambda crm: crm.add_contact({"name": "Jane"}),
    "history": lambda crm: crm.history(),
}
GUARDS_ASKED = ("can", "why", "act", "add", "add_contact")


def told() -> dict[str, int]:
    """What the page says, by the name of what is used."""
    table = PAGE.partition("| | requests |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ((?:`[^`]+`,? ?)+) \| (\d).*\|$", table, re.MULTILINE)
    return {name: int(count) for names, count in rows for name in re.findall("`(.*?)`", names)}


class Counting:
    """Counts what the HTTP client says that it has sent."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="httpx")
        self._log = caplog

    def __call__(self, use: Callable[[Any], object], crm: Any) -> int:
        self._log.clear()
        use(crm)
        return sum(record.name == "httpx" for record in self._log.records)


def test_each_use_makes_as_many_requests_as_the_page_says(
    promotion: Promotion, caplog: pytest.LogCaptureFixture
) -> None:
    count, home = Counting(caplog), PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    user.crm().add_contact({"name": "John"})
    said = told()
    made = {name: count(use, user.crm()) for name, use in USES.items()}
    # One instance; marketing and work for people take the same ways as the others of their rows.
    others = {"launch_campaign": said["add"], "complete": said["act"]}
    assert {**made, "history": made["history"] - 1, **others} == said


def test_guards_and_listeners_make_as_many_more_as_the_page_says(
    promotion: Promotion, caplog: pytest.LogCaptureFixture
) -> None:
    count, home = Counting(caplog), PlainHome()
    user = home.new(home.model(GUARDED))
    promotion.on()
    user.crm().add_contact({"name": "John"})
    said = told()
    assert "| with a guard or hook on the action | 1 more" in PAGE
    made = {name: count(USES[name], user.crm()) for name in GUARDS_ASKED}
    # Whether something may be added is asked of its own guard; here it is about a change.
    assert made == {name: said[name] + 1 for name in GUARDS_ASKED}
    assert "| with a listener on the object | 2 more" in PAGE
    user.crm().on("*", lambda entry: None)
    assert count(USES["act"], user.crm()) == said["act"] + 3


def test_what_has_to_be_found_costs_one_more(
    promotion: Promotion, caplog: pytest.LogCaptureFixture
) -> None:
    count, home = Counting(caplog), PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    user.crm().add_contact({"name": "John"})
    user.crm().add_contact({"name": "Jane"})
    said = told()
    assert "| an object whose column does not point there yet | 1 more" in PAGE
    assert count(USES["records"], home.new(type(user)).crm()) == said["records"] + 1
    assert "| `act` without a record, where there are several | 1 more" in PAGE
    assert count(lambda crm: crm.act("close"), user.crm()) == said["act"] + 1

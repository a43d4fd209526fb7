"""Functions around actions: guards, hooks before and after (FR-L1-006, FR-L1-007)."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import pytest

from nexus import DefinitionError, Rejected
from nexus.crm import HasCrm
from nexus.local import ConfigurationError
from nexus.local.around import Action
from tests.local.homes import Home, PlainHome

FIELDS = {"contact": {"fields": ["name", "status"]}}


def test_a_guard_decides_whether_an_action_may_be_taken(home: Home) -> None:
    """FR-L1-006: a callable, such as `lambda contact: contact.status == "active"`."""
    definition = {
        "entities": FIELDS,
        "guards": {"edit": lambda contact: contact.status == "active"},
    }
    user = home.new(home.model(definition))
    user.crm().add_contact({"name": "John"})
    assert user.crm().can("edit") is False
    assert user.crm().why("edit").code == "condition_not_met"
    with pytest.raises(Rejected, match="does not let 'update' be taken on 'contact-1'"):
        user.crm().act("edit", data={"name": "Jim"})
    assert user.crm().records()[0].name == "John"
    user.crm().add_contact({"name": "Ann", "status": "active"})
    assert user.crm().can("edit", "contact-2") is True
    assert user.crm().act("edit", "contact-2", {"name": "Anna"}).name == "Anna"


def test_a_guard_of_adding_sees_what_would_be_added(home: Home) -> None:
    definition = {
        "entities": {"contact": {"fields": ["name"]}, "note": {}},
        "guards": {"add_contact": lambda contact: contact.name != "Nobody", "add": [bool]},
    }
    user = home.new(home.model(definition))
    with pytest.raises(Rejected, match="'add_contact'"):
        user.crm().add_contact({"name": "Nobody"})
    assert user.crm().records() == []
    assert user.crm().add_contact({"name": "Somebody"}).id == "contact-1"


def test_guards_and_hooks_of_a_campaign(home: Home) -> None:
    """FR-L1-006, FR-L1-007 of sales and marketing: `lambda campaign: campaign.budget > 0`."""
    told: list[str] = []
    campaigns = {
        "entities": {"campaign": {"fields": ["name", "budget"]}},
        "guards": {"launch_campaign": lambda campaign: campaign.budget > 0},
        "hooks": {"after": {"launch_campaign": lambda campaign: told.append(campaign.name)}},
    }
    user = home.new(home.model({"entities": FIELDS}, campaigns))
    with pytest.raises(Rejected, match="add_campaign"):
        user.sm().launch_campaign({"name": "Free", "budget": 0})
    user.sm().launch_campaign({"name": "Summer", "budget": 10})
    assert told == ["Summer"]


def test_hooks_run_before_and_after(home: Home) -> None:
    """FR-L1-007: with the record, and with the action where they take two arguments."""
    told: list[Any] = []

    def before(contact: Any, action: Action) -> None:
        told.append(("before", action.name, action.actor, dict(action.data), contact.name))

    def after(contact: Any) -> None:
        told.append(("after", contact.id, contact.name))

    definition = {
        "entities": FIELDS,
        "hooks": {
            "before": {"add_contact": before, "update": [before]},
            "after": {"add_contact": after, "update": (after,)},
        },
    }
    user = home.new(home.model(definition))
    user.crm(actor="ann").add_contact({"name": "John"})
    user.crm(actor="max").act("edit", data={"name": "Jim"})
    assert told == [
        ("before", "add_contact", "ann", {"name": "John"}, "John"),
        ("after", "contact-1", "John"),
        ("before", "update", "max", {"name": "Jim"}, "John"),
        ("after", "contact-1", "Jim"),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hook_that_raises_leaves_everything_as_it_was(home: Home, when: str) -> None:
    """FR-L1-003, BR-002: memory and database."""
    failing = [True]

    def hook(_: object) -> None:
        if failing:
            raise LookupError("no")

    definition = {"entities": FIELDS, "hooks": {when: {"add_contact": hook}}}
    user = home.new(home.model(definition))
    with pytest.raises(LookupError):
        user.crm().add_contact({"name": "John"})
    home.commit()
    assert user.crm().records() == []
    assert home.again(user).crm().history() == []
    failing.clear()
    user.crm().add_contact({"name": "Jane"})
    failing.append(True)
    with pytest.raises(LookupError):
        user.crm().add_contact({"name": "John"})
    home.commit()
    for model in (user, home.again(user)):
        assert [record.name for record in model.crm().records()] == ["Jane"]
        assert len(model.crm().history()) == 2


def test_a_before_hook_forbids_by_returning_false(home: Home) -> None:
    def working_hours(_: object) -> bool:
        return False

    definition = {"entities": FIELDS, "hooks": {"before": {"add": working_hours}}}
    user = home.new(home.model(definition))
    with pytest.raises(Rejected, match="'working_hours' forbids 'add_contact' on 'contact-1'"):
        user.crm().add_contact({"name": "John"})
    assert user.crm().records() == []


def test_transitions_have_guards_and_hooks_of_their_own() -> None:
    told: list[str] = []
    definition = {
        "entities": {"lead": {"stages": ["new", "qualified", "won"]}},
        "transitions": {
            "qualify": {
                "from": "new",
                "to": "qualified",
                "guard": lambda lead: (lead.score or 0) > 50,
                "before": lambda lead: told.append(lead.stage),
                "after": lambda lead: told.append(lead.stage),
            },
            "win": {"from": "qualified", "to": "won", "condition": lambda lead: lead.score > 90},
        },
    }
    home = PlainHome()
    user = home.new(home.model(definition))
    user.crm().add("lead", {"score": 60})
    assert user.crm().can("qualify")
    assert user.crm().act("qualify").stage == "qualified"
    assert told == ["new", "qualified"]
    assert not user.crm().can("win")
    assert user.crm().can("win", "lead-9") is False


def test_a_guard_that_breaks_is_seen() -> None:
    """Its exception is the caller's: a mistake in it must not pass for a refusal."""
    home = PlainHome()
    definition = {"entities": FIELDS, "guards": {"edit": lambda contact: contact.statsu == 1}}
    user = home.new(home.model(definition))
    user.crm().add_contact({"name": "John"})
    with pytest.raises(AttributeError, match="Did you mean 'status'"):
        user.crm().can("edit")
    with pytest.raises(AttributeError, match="Did you mean 'status'"):
        user.crm().act("edit", data={"name": "x"})


def _anything(_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (
            {"guards": {"edti": _anything}},
            r"no action 'edti'. Did you mean 'edit'.*guards/edti",
        ),
        (
            {"guards": {"edit": "yes"}},
            r"A function is wanted, not str \('yes'\).*/guards/edit",
        ),
        ({"guards": [_anything]}, "An object is wanted here.*/guards"),
        ({"hooks": {"during": {}}}, "Hooks run 'before' or 'after' an action"),
        ({"label": _anything}, "A function can stand as 'guard'.*at /label"),
        ({"dataSchema": {"a": {1, 2}}}, "is nothing that JSON has.*at /dataSchema/a"),
        ({"transitions": {"go": {"to": "x", "guard": _anything}}}, "transitions/go"),
    ],
)
def test_a_definition_that_cannot_run_says_where(extra: dict[str, Any], expected: str) -> None:
    home = PlainHome()
    user = home.new(home.model({"entities": FIELDS, **extra}))
    with pytest.raises(DefinitionError, match=expected):
        user.crm()


def test_a_guard_of_what_nobody_takes_by_hand_is_refused() -> None:
    home = PlainHome()
    definition = {
        "entities": {"lead": {"stages": ["new", "old"]}},
        "transitions": {
            "age": {"from": "new", "to": "old", "on": {"after": "1 day"}, "guard": _anything}
        },
    }
    with pytest.raises(DefinitionError, match="'age' is not taken by anybody's hand"):
        home.new(home.model(definition)).crm()


async def _later(_: object) -> bool:
    return False


def _one_by_one(_: object) -> Any:
    yield False


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_later, r"_later.* is 'async', and nobody would wait for it.*/guards/edit"),
        (_one_by_one, "_one_by_one.* is a generator"),
        (lambda: True, "takes neither one argument, the record, nor two"),
        (lambda contact, action, more: True, "takes neither one argument"),
        (lambda contact, *, action: True, "takes neither one argument"),
    ],
)
def test_a_function_that_could_not_be_asked_is_refused(function: Any, expected: str) -> None:
    """What it gave would always be true, or it would break once it is asked."""
    home = PlainHome()
    user = home.new(home.model({"entities": FIELDS, "guards": {"edit": function}}))
    with pytest.raises(DefinitionError, match=expected):
        user.crm()


def test_a_guard_whose_answer_has_to_be_awaited_lets_nothing_pass() -> None:
    home = PlainHome()
    definition = {"entities": FIELDS, "guards": {"add_contact": lambda contact: _later(contact)}}
    user = home.new(home.model(definition))
    with pytest.raises(ConfigurationError, match="gave something to be awaited"):
        user.crm().add_contact({"name": "John"})
    assert user.crm().records() == []


class Limited(HasCrm):
    """Its guards speak of the object itself."""

    def __init__(self, most: int) -> None:
        self.most = most

    def has_room(self, _: Any) -> bool:
        return len(self.crm().records()) < self.most

    def crm(self) -> Any:  # type: ignore[override]
        return {
            "entities": {"contact": {}, "note": {}},
            "guards": {"add_contact": self.has_room, "add_note": lambda _: self.most > 0},
        }


def test_self_in_a_definition_is_the_object_that_the_action_is_taken_on() -> None:
    """And not the one from which the class's definition was read."""
    first, other = Limited(1), Limited(0)
    first.crm().add_contact()
    first.crm().add("note")
    with pytest.raises(Rejected, match="'has_room' does not let"):
        first.crm().add_contact()
    for entity in ("contact", "note"):
        with pytest.raises(Rejected, match="does not let"):
            other.crm().add(entity)
    known = weakref.ref(first)
    del first
    gc.collect()
    assert known() is None


def test_a_method_named_in_a_class_attribute_is_the_objects() -> None:
    class User(HasCrm):
        name = "Ann"

        def knows(self, contact: Any) -> bool:
            return bool(self.name == contact.name)

        crm_definition: ClassVar[Any] = {"entities": FIELDS, "guards": {"add": knows}}

    User().crm().add_contact({"name": "Ann"})
    with pytest.raises(Rejected, match="'knows' does not let"):
        User().crm().add_contact({"name": "John"})


def test_a_guard_may_say_itself_why_not() -> None:
    def guard(_: Any) -> bool:
        raise Rejected("condition_not_met", "Not on Sundays.")

    home = PlainHome()
    user = home.new(home.model({"entities": FIELDS, "guards": {"edit": guard}}))
    user.crm().add_contact({"name": "John"})
    assert user.crm().can("edit") is False
    assert str(user.crm().why("edit")) == "Not on Sundays."
    with pytest.raises(Rejected, match="Not on Sundays"):
        user.crm().act("edit", data={"name": "Jim"})


def test_an_action_gives_the_record_as_hooks_have_left_it(home: Home) -> None:
    def complete(contact: Any, action: Action) -> None:
        action.model.crm().act("edit", contact, {"status": "active"})

    definition = {"entities": FIELDS, "hooks": {"after": {"add_contact": complete}}}
    user = home.new(home.model(definition))
    assert user.crm().add_contact({"name": "John"}).status == "active"


def test_a_hook_changes_no_data_of_an_action() -> None:
    def change(_: Any, action: Any) -> None:
        action.data["name"] = "Jim"

    home = PlainHome()
    definition = {"entities": FIELDS, "hooks": {"before": {"add_contact": change}}}
    user = home.new(home.model(definition))
    with pytest.raises(TypeError, match="cannot be changed"):
        user.crm().add_contact({"name": "John"})
    assert user.crm().records() == []

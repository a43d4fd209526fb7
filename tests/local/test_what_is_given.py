"""What callers hand over: data, actors, records, names; refused clearly, and nothing is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

import nexus
from nexus import Actor, Rejected
from nexus.local import ConfigurationError
from tests.local.homes import Home, PlainHome

NOBODY = r"Who acts|A role of"
ANY: dict[str, Any] = {"entities": {"contact": {}, "note": {}}}
WRONG = [datetime.now(UTC), Decimal(1), {1}, float("nan"), b"x", 2**70, {1: 2}, "\ud800", object()]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
def test_data_that_is_no_json_is_refused_with_its_place(home: Home, value: object) -> None:
    user = home.new(home.model(ANY))
    with pytest.raises(Rejected) as refused:
        user.crm().add_contact({"a": [{"b": value}]})
    assert refused.value.code == "invalid_data"
    errors: Any = refused.value.details["errors"]
    assert errors[0]["pointer"] == "/a/0/b"
    assert user.crm().status == "new"


@pytest.mark.parametrize("data", [{1: "x"}, {None: "x"}, {"": {1: 2}}, [("a", 1)], "text"])
def test_keys_that_are_no_text_are_refused(data: Any) -> None:
    home = PlainHome()
    user = home.new(home.model(ANY))
    with pytest.raises(Rejected, match=r"is a (int|NoneType), not text|is a dict, not"):
        user.crm().add_contact(data)
    assert user.crm().records() == []


def test_data_that_holds_itself_is_refused() -> None:
    home = PlainHome()
    user = home.new(home.model(ANY))
    data: dict[str, Any] = {}
    data["again"] = data
    with pytest.raises(Rejected, match="nested deeper"):
        user.crm().add_contact(data)


def test_what_is_done_to_data_afterwards_changes_nothing(home: Home) -> None:
    user = home.new(home.model(ANY))
    data = {"tags": ["a"]}
    user.crm().add_contact(data)
    data["tags"].append("b")
    assert user.crm().records()[0].tags == ("a",)
    assert user.crm().history()[-1].payload["data"] == {"tags": ("a",)}


def test_any_mapping_is_data(home: Home) -> None:
    user = home.new(home.model(ANY))
    user.crm().add_contact(MappingProxyType({"a": MappingProxyType({"b": ("ä", "日本")})}))
    home.commit()
    assert home.again(user).crm().records()[0].a == {"b": ("ä", "日本")}


@pytest.mark.parametrize(
    "who",
    [5, "", " ", "system", "system:x", "x" * 300, Actor("system"), Actor(""), Actor("a", ("",))],
)
def test_nobody_acts_under_a_name_that_nobody_has(who: Any) -> None:
    home = PlainHome()
    user = home.new(home.model(ANY))
    with pytest.raises(ConfigurationError, match=NOBODY):
        user.crm(actor=who)
    with pytest.raises(ConfigurationError, match=NOBODY):
        user.crm().add_contact({}, actor=who)
    with pytest.raises(ConfigurationError, match=NOBODY), nexus.acting(who):
        user.crm().add_contact({})
    assert user.crm().status == "new"


def test_roles_are_names() -> None:
    wrong: Any
    for wrong in (5, None, [5], [["sales"]], ["sales", ""]):
        with pytest.raises(ConfigurationError, match="role"), nexus.acting("ann", wrong):
            pass
    one: Any = "sales"
    with nexus.acting("ann", one) as ann:
        assert ann == Actor("ann", ("sales",))
    with nexus.acting(Actor("ann", one)) as ann:
        assert ann == Actor("ann", ("sales",))
    nobody: Any = None
    with pytest.raises(ConfigurationError, match="Who acts is None"), nexus.acting(nobody):
        pass


def test_data_in_the_place_of_the_record_says_so() -> None:
    home = PlainHome()
    user = home.new(home.model(ANY))
    user.crm().add_contact({"name": "John"})
    wrong: Any = {"name": "Jim"}
    with pytest.raises(TypeError, match="data is given by name"):
        user.crm().act("edit", wrong)
    with pytest.raises(TypeError, match="data is given by name"):
        user.crm().can("edit", wrong)


def test_records_of_an_entity_that_there_is_not() -> None:
    home = PlainHome()
    user = home.new(home.model(ANY))
    assert user.crm().records("note") == []
    with pytest.raises(Rejected, match="no entity 'contcat'; there are: contact, note"):
        user.crm().records("contcat")


async def _later(_: object = None) -> Any:
    return {}


def test_what_is_configured_is_looked_at() -> None:
    """An `async` function would make no call, and what it gave would pass for an answer."""
    wrong: dict[str, Any]
    for wrong, expected in (
        ({"channels": _later}, "'channels' is a plain function, not an 'async' one"),
        ({"channels": 5}, "'channels' is a function, not 5"),
        ({"clock": datetime.now}, "a datetime with its timezone"),
        ({"models": [1]}, "'models' is a function"),
        ({"url": 5}, "'url' is a text"),
    ):
        with pytest.raises(ConfigurationError, match=expected):
            nexus.configure(**wrong)
    home = PlainHome()
    user = home.new(home.model(ANY))
    with pytest.raises(ConfigurationError, match="'async' function"):
        user.crm().on("*", _later)


def test_a_guard_of_the_whole_is_asked_as_well() -> None:
    home = PlainHome()
    definition = {**ANY, "guards": {"cancel": lambda _: False}}
    user = home.new(home.model(definition))
    user.crm().add_contact({})
    assert user.crm().can("cancel") is False
    with pytest.raises(Rejected, match="does not let 'cancel' be taken"):
        user.crm().act("cancel")

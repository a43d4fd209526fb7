"""What a class says, where it inherits from another that says something too."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from nexus.crm import HasCrm
from nexus.local import ConfigurationError

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}


class User(HasCrm):
    def crm(self) -> Any:  # type: ignore[override]
        return CONTACTS


def test_a_definition_may_add_to_what_its_base_says() -> None:
    class Partner(User):
        def crm(self) -> Any:  # type: ignore[override]
            said = super().crm()
            return {**said, "entities": {**said["entities"], "note": {}}}

    class Reseller(Partner):
        def crm(self) -> Any:  # type: ignore[override]
            said = super().crm()
            return {**said, "entities": {**said["entities"], "order": {}}}

    reseller, user = Reseller(), User()
    for entity in ("contact", "note", "order"):
        reseller.crm().add(entity)
    assert [record.id for record in reseller.crm().records()] == ["contact-1", "note-1", "order-1"]
    assert [record.id for record in (user.crm().add_contact(),)] == ["contact-1"]


def test_a_definition_that_adds_to_nothing_says_so() -> None:
    class Alone(HasCrm):
        def crm(self) -> Any:  # type: ignore[override]
            return super().crm()

    with pytest.raises(ConfigurationError, match="does not say what it keeps"):
        Alone().crm()


def test_a_class_that_says_it_twice_is_refused() -> None:
    class Twice(HasCrm):
        crm_definition: ClassVar[Any] = CONTACTS

        def crm(self) -> Any:  # type: ignore[override]
            return CONTACTS

    with pytest.raises(ConfigurationError, match="says twice what it keeps"):
        Twice().crm()

"""What is Django's own: abstract bases, inheritance, proxies, fields of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import connections, models

from nexus.crm import HasCrm
from nexus.local import ConfigurationError
from tests.local.homes import DjangoHome, opened

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}
_numbers = count(1)


@pytest.fixture
def home() -> Iterator[DjangoHome]:
    with opened(DjangoHome("sqlite:///:memory:")) as found:
        assert isinstance(found, DjangoHome)
        yield found


def model(home: DjangoHome, name: str, *bases: type, **own: Any) -> type[Any]:
    """A model of an app of its own, with its table."""
    label = f"own{next(_numbers)}"
    meta = type("Meta", (), {"app_label": label, **own.pop("meta", {})})
    cls = type(name, bases, {"__module__": __name__, "Meta": meta, **own})
    options = cls._meta  # type: ignore[attr-defined]
    if not options.abstract and not options.proxy:
        with connections[home.alias].schema_editor() as editor:
            editor.create_model(cls)
    return cls


def names(found: Any) -> list[str]:
    return [record.name for record in found.crm().records()]


def subject(found: Any) -> Any:
    return found.crm().history()[0].payload["subject"]


def test_models_of_one_abstract_base_are_told_apart(home: DjangoHome) -> None:
    """Each has ids of its own, from 1: on the platform they must not be taken for each other."""
    own = {"crm_definition": CONTACTS, "meta": {"abstract": True}}
    base = model(home, "Owned", HasCrm, models.Model, **own)
    kinds = [model(home, name, base) for name in ("Shop", "Depot")]
    made = [home.new(kind) for kind in kinds]
    for found in made:
        found.crm().add_contact({"name": "a"})
    assert [subject(found) for found in made] == [
        {"type": "shop", "id": "1"},
        {"type": "depot", "id": "1"},
    ]


def test_models_that_inherit_share_the_row_and_its_contacts(home: DjangoHome) -> None:
    place = model(home, "Place", HasCrm, models.Model, crm_definition=CONTACTS)
    cafe = model(home, "Cafe", place)
    bistro = model(home, "Bistro", cafe)
    proxy = model(home, "Proxy", place, meta={"proxy": True})
    made = home.new(bistro)
    made.crm().add_contact({"name": "a"})
    for kind in (place, cafe, proxy):
        found = kind._base_manager.using(home.alias).get(pk=made.pk)
        assert names(found) == ["a"]
        assert subject(found) == {"type": "place", "id": "1"}
    kept = [field.name for field in bistro._meta.get_fields() if field.name == "crm_data"]
    assert kept == ["crm_data"]


def test_a_proxy_has_no_column_of_its_own(home: DjangoHome) -> None:
    place = model(home, "Place", models.Model)
    with pytest.raises(FieldError, match=r"Late is a proxy, .* give Place the mixin"):
        model(home, "Late", HasCrm, place, crm_definition=CONTACTS, meta={"proxy": True})


def test_a_field_of_ones_own_must_not_be_written_by_saving(home: DjangoHome) -> None:
    own = {"crm_definition": CONTACTS, "crm_data": models.JSONField(null=True)}
    cls = model(home, "Own", HasCrm, models.Model, **own)
    with pytest.raises(ConfigurationError, match=r"crm_data is a JSONField, .*NexusField"):
        home.new(cls).crm()

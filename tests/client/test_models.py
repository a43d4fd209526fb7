"""The models are those of the contract, and bear what a newer platform adds."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pydantic import BaseModel

import nexus.client
from api import schemas
from nexus.client import HistoryEntry, Me, models

# The contract's names for what has another one here.
_OTHER = {
    "Incident": "OwnIncident",
    "ListedIncident": "Incident",
    "DefinitionDocument": "Definition",
}
MODELS = [
    found
    for found in vars(models).values()
    if isinstance(found, type)
    and issubclass(found, models.Model)
    and found not in (models.Model, models.Page)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_has_the_members_of_the_contract(model: type[msgspec.Struct]) -> None:
    schema: type[BaseModel] = getattr(schemas, _OTHER.get(model.__name__, model.__name__))
    # `valid` is always true: where it is not, there is an exception.
    assert set(model.__struct_fields__) == set(schema.model_fields) - {"valid"}


def test_what_a_newer_platform_adds_is_ignored_and_times_are_aware() -> None:
    text = (
        b'{"seq": 1, "at": "2026-01-02T03:04:05Z", "event": "x", "actor": "ann", "payload": {},'
        b' "new": [1]}'
    )
    entry = msgspec.json.decode(text, type=HistoryEntry)
    assert entry.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert entry.at.utcoffset() == timedelta(0)


def test_models_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Me(tenant="a", user="b").user = "c"  # type: ignore[misc]


def test_a_permission_is_as_true_as_it_allows() -> None:
    assert nexus.client.Permission(allowed=True)
    assert not nexus.client.Permission(allowed=False, code="forbidden", message="No.")


def test_all_that_is_exported_is_there() -> None:
    for name in nexus.client.__all__:
        assert getattr(nexus.client, name).__name__ == name
    assert nexus.client.__all__ == sorted(nexus.client.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Absent'"):
        _ = nexus.client.Absent


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("nexus.client.models", "httpx"),
        ("nexus.client", "httpx"),
        ("nexus.client.exchange, nexus.client.requests", "httpx"),
    ],
)
def test_models_and_requests_bring_no_http_along(imported: str, absent: str) -> None:
    program = f"import sys, {imported}; print({absent!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_requests_are_plain_values() -> None:
    assert dataclasses.is_dataclass(nexus.client.requests.me())

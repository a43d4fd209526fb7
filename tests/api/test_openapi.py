"""The OpenAPI document tells the truth, and nothing that fits it makes the API break."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.examples import EXAMPLES
from nexus.settings import sqlite_url
from tests.api.serving import Platform, make_settings, token

PIPELINE: dict[str, object] = {
    "id": "sales-pipeline",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "qualified"]}},
    "transitions": {"qualify": {"from": "new", "to": "qualified"}},
}


_folder = Path(tempfile.mkdtemp(prefix="nexus-openapi-"))
_app = create_app(make_settings(_folder, database_url=sqlite_url(_folder)))
_schema = schemathesis.openapi.from_dict(_app.openapi())
_operations = {
    found.ok().label: found.ok() for found in _schema.get_all_operations() if isinstance(found, Ok)
}
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return _app.openapi()


@pytest.fixture(scope="module")
def instance(platform: Platform) -> str:
    """An instance to read and to command, so that not everything is a 404."""
    platform.define(PIPELINE)
    with platform.api.client() as client:
        body = {"definition": "sales-pipeline", "subject": {"type": "fuzzed", "id": "f"}}
        answer = client.post("/v1/instances", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize("label", [label for label in _operations if label != "GET /readyz"])
def test_whatever_fits_the_document_is_answered_as_it_says(
    platform: Platform, instance: str, label: str
) -> None:
    headers = {"Authorization": f"Bearer {token('root', roles=('admin',))}"}
    operation = _operations[label]

    @given(case=operation.as_strategy(), known=booleans(), for_others=booleans())
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: Any, known: bool, for_others: bool) -> None:
        if not for_others:  # whoever has no roles is refused most of it
            for name in ("Nexus-Actor", "Nexus-Roles"):
                (case.headers or {}).pop(name, None)
        if known and "instance" in (case.path_parameters or {}):
            case.path_parameters["instance"] = instance
        answer = case.call(base_url=platform.api.url, headers=headers)
        assert answer.status_code not in (500, 503), answer.text
        case.validate_response(answer, checks=_CHECKS)

    answered()


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["description"], place
            for status, response in operation["responses"].items():
                assert response["description"], f"{place} {status}"
            # The language's schema is open: editors fetch it, and have no token.
            if path.startswith("/v1/") and path != "/v1/schema":
                assert operation["security"] == [{"bearer": []}], place
                assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), place
                named = {parameter["name"] for parameter in operation["parameters"]}
                assert {"Nexus-Actor", "Nexus-Roles"} <= named, place
            if method in ("post", "patch") and not path.endswith(("/validate", "/simulate")):
                names = [parameter["name"] for parameter in operation["parameters"]]
                assert "Idempotency-Key" in names, place


def test_errors_are_problems_everywhere(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for kind, body in content.items():
                schema = body.get("schema", {})
                named = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
                shown = [
                    document["components"]["schemas"][name.rpartition("/")[2]] for name in named
                ]
                has_one = "example" in body or any("examples" in one for one in shown)
                assert has_one, f"{method} {path} {kind}"


def test_what_is_answered_is_shown_whole(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in EXAMPLES:
        assert set(schemas[name]["example"]) == set(schemas[name]["properties"]), name


def test_what_the_main_answer_looks_like_is_shown(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Instance"]["example"]["records"][0]["id"] == "lead-1"
    assert set(schemas["Instance"]["example"]) == set(schemas["Instance"]["properties"])
    assert schemas["StartBody"]["examples"][0]["definition"] == "sales-pipeline"

"""GET /v1/schema: what editors complete and check definitions with."""

from __future__ import annotations

import httpx

from nexus.schema import definition_schema
from tests.api.serving import ServedApi


def test_the_schema_is_open_and_the_one_that_ships(api: ServedApi) -> None:
    """Design 3: editors fetch it, and have no token."""
    answer = httpx.get(f"{api.url}/v1/schema")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/schema+json")
    assert answer.text == definition_schema()

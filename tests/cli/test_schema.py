"""`nexus schema` prints the JSON Schema of definitions."""

from __future__ import annotations

import json

from nexus.core.language import SCHEMA_ID
from nexus.schema import definition_schema
from tests.support.commands import nexus


def test_the_schema_is_all_that_is_printed() -> None:
    done = nexus("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == definition_schema()
    assert json.loads(done.stdout)["$id"] == SCHEMA_ID

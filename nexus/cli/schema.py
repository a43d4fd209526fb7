"""The JSON Schema of the definition language, on standard output."""

from __future__ import annotations

import sys

from nexus.schema import definition_schema


def run_schema() -> None:
    """Prints the schema and nothing else, so that it can be saved beside definitions."""
    sys.stdout.write(definition_schema())

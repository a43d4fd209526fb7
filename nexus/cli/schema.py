"""The JSON Schemas of the files that authors write, on standard output."""

from __future__ import annotations

import sys
from typing import Literal

from nexus.schema import definition_schema, population_schema, scenarios_schema

Kind = Literal["definition", "scenarios", "population"]


def run_schema(kind: Kind) -> None:
    """Prints a schema and nothing else, so that it can be saved beside definitions."""
    schemas = {
        "definition": definition_schema,
        "scenarios": scenarios_schema,
        "population": population_schema,
    }
    sys.stdout.write(schemas[kind]())

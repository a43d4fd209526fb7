"""The JSON Schemas of definitions, their scenarios and populations, for editors and other tools.

That of definitions says what form a definition has; what names refer to, and what conditions
mean, only the compiler knows. A test holds the two equal.
"""

from importlib import resources

__all__ = ["MEDIA_TYPE", "definition_schema", "population_schema", "scenarios_schema"]

MEDIA_TYPE = "application/schema+json"


def definition_schema() -> str:
    """The schema of definitions as JSON text, JSON Schema draft 2020-12."""
    return _text("definition")


def scenarios_schema() -> str:
    """The schema of `*.scenarios.json` files as JSON text, JSON Schema draft 2020-12."""
    return _text("scenarios")


def population_schema() -> str:
    """The schema of population files as JSON text, JSON Schema draft 2020-12."""
    return _text("population")


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")

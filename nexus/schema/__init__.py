"""The JSON Schema of the definition language, for editors and other tools.

It says what form a definition has; what names refer to, and what conditions
mean, only the compiler knows. A test holds the two equal.
"""

from importlib import resources

__all__ = ["MEDIA_TYPE", "definition_schema"]

MEDIA_TYPE = "application/schema+json"


def definition_schema() -> str:
    """The schema as JSON text, JSON Schema draft 2020-12."""
    return resources.files(__name__).joinpath("definition.schema.json").read_text(encoding="utf-8")

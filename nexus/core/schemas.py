"""Schemas of data: what `dataSchema`, `fields` and `input` demand, checked fast.

A validator is built once, when its definition is compiled. Nothing is ever
fetched: a reference that leaves its schema is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NoReturn

from nexus.core.errors import Report, escape_pointer
from nexus.core.schema_messages import findings, sentence
from nexus.core.schema_reading import (
    DIALECT,
    Schema,
    SchemaReader,
    is_whole_schema,
    unknown_field,
)

if TYPE_CHECKING:
    import jsonschema_rs

MAX_FINDINGS = 50
"""Most findings of one validation."""


@dataclass(frozen=True, slots=True)
class DataSchema:
    """A schema that data can be checked against.

    Attributes:
        properties: Names that it knows, in the order of the document; None where it names none.
        closed: Whether other names are refused.
        schema: The JSON Schema 2020-12 that it amounts to; not to be changed.
    """

    properties: tuple[str, ...] | None
    closed: bool
    schema: Schema = field(repr=False)
    _validator: jsonschema_rs.Draft202012Validator | None = field(repr=False, compare=False)

    def validate(self, data: Mapping[str, object]) -> list[tuple[str, str]]:
        """What is wrong with data, which `check_data` has found to be JSON.

        Returns:
            (JSON pointer, message) for each finding, at most 50, sorted by
            pointer; empty when the data is valid.
        """
        found: list[tuple[str, str]] = []
        known = self.properties or ()
        if self.closed:
            found = [
                (f"/{escape_pointer(str(name))}", unknown_field(str(name), known))
                for name in data
                if name not in known
            ]
        if self._validator is None:
            return sorted(found)[:MAX_FINDINGS]
        plain = data if isinstance(data, dict) else dict(data)
        try:
            if not self._validator.is_valid(plain):
                errors = islice(self._validator.iter_errors(plain), MAX_FINDINGS)
                found += [
                    finding
                    for error in errors
                    if not (self.closed and _is_unknown_field(error))
                    for finding in findings(error)
                ]
        except ValueError as error:
            # What is no JSON cannot be read by the validator at all.
            found.append(("", f"the data cannot be checked: {str(error)[:200]}"))
        return sorted(found)[:MAX_FINDINGS]


def _is_unknown_field(error: jsonschema_rs.ValidationError) -> bool:
    """Whether an error says what was said already, with the nearest name."""
    return not error.instance_path and error.kind.name == "additionalProperties"


def compile_data_schema(doc: object, pointer: str, report: Report) -> DataSchema | None:
    """Read a `dataSchema` or an `input`: a property map (open), or a whole JSON Schema.

    Args:
        doc: As it stands in the document.
        pointer: Its JSON pointer.
        report: Takes every problem: `invalid_schema`, and the warnings
            `schema_dialect`, `unknown_keyword`, `unknown_format`.

    Returns:
        None where the schema cannot be used.
    """
    reader = SchemaReader(report)
    if not isinstance(doc, dict):
        reader.refuse(
            pointer,
            "a schema of data is an object",
            expected='{"score": {"type": "number"}}, or a JSON Schema',
            found=doc,
        )
        return None
    if is_whole_schema(doc):
        return _built(reader, reader.whole(doc, pointer), pointer, ())
    return _built(reader, reader.property_map(doc, pointer), pointer, ("properties",))


def compile_fields(doc: object, pointer: str, report: Report) -> DataSchema | None:
    """Read the `fields` of an entity: names, or a property map; closed either way.

    Args:
        doc: As it stands in the document.
        pointer: Its JSON pointer.
        report: Takes every problem, as in `compile_data_schema`.

    Returns:
        None where the fields cannot be used.
    """
    reader = SchemaReader(report)
    if isinstance(doc, list):
        names: dict[str, object] = {}
        for index, name in enumerate(doc):
            here = f"{pointer}/{index}"
            if not isinstance(name, str) or not name:
                reader.refuse(here, "a field is a name", expected='"email"', found=name)
            elif name in names:
                reader.refuse(here, f"the field {name!r} is named twice", found=name)
            else:
                names[name] = True
        if not reader.is_sound:
            return None
        # Names alone need no validator, which costs more to make than all else of a definition.
        schema: Schema = {"type": "object", "properties": names}
        return DataSchema(tuple(names) or None, closed=True, schema=schema, _validator=None)
    if isinstance(doc, dict):
        schema = reader.property_map(doc, pointer)
    else:
        reader.refuse(
            pointer,
            "fields are a list of names or a map of properties",
            expected='["name", "email"]',
            found=doc,
        )
        return None
    return _built(reader, schema, pointer, ("properties",), closed=True)


def _built(
    reader: SchemaReader,
    schema: Schema,
    pointer: str,
    added: tuple[str, ...],
    *,
    closed: bool = False,
) -> DataSchema | None:
    """Check a schema against the metaschema, and build its validator.

    Args:
        reader: Takes what is wrong.
        schema: The JSON Schema.
        pointer: JSON pointer of the document that it was made of.
        added: Keys of `schema` that lead to what stands at `pointer`.
        closed: Whether names beyond the schema's are refused.
    """
    told: set[tuple[str, str]] = set()
    for error in islice(_metaschema().iter_errors(schema), MAX_FINDINGS):
        path = list(error.instance_path)
        inside = path[len(added) :] if tuple(path[: len(added)]) == added else path
        here = pointer + "".join("/" + escape_pointer(str(step)) for step in inside)
        message = sentence(error)
        # The metaschema consists of several, and each may say the same.
        if (here, message) not in told:
            told.add((here, message))
            reader.refuse(here, f"this is no JSON Schema: {message}")
    if not reader.is_sound:
        return None
    validator = _validator(reader, schema, pointer)
    if validator is None:
        return None
    properties = schema.get("properties")
    names = tuple(properties) if isinstance(properties, dict) and properties else None
    shut = schema.get("additionalProperties") is False and "patternProperties" not in schema
    return DataSchema(names, closed or shut, schema, validator)


def _validator(
    reader: SchemaReader, schema: Schema, pointer: str
) -> jsonschema_rs.Draft202012Validator | None:
    import jsonschema_rs

    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, retriever=_fetch_nothing
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        first = str(error).partition("\n")[0][:200]
        reader.refuse(pointer, f"the schema cannot be used: {first}")
        return None


@lru_cache(maxsize=1)
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    # Imported here and above, since it costs more than all of the core.
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, validate_formats=True)


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} stands elsewhere, and schemas are never fetched")

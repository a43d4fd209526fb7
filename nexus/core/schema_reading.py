"""`dataSchema`, `fields` and `input` documents → JSON Schema 2020-12.

Two ways to write one are understood: a property map, which is what most people
want, and a whole JSON Schema. Both know the types `date` and `datetime`, which
JSON Schema spells as formats of strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexus.core.errors import Report, escape_pointer, nearest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_DEPTH = 64

Schema = dict[str, object]

_MOMENTS = {"date": "date", "datetime": "date-time"}
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null", *_MOMENTS)
_OTHER_TYPES = {
    **dict.fromkeys(("str", "text", "varchar"), "string"),
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal", "numeric", "money"), "number"),
    **dict.fromkeys(("list", "tuple"), "array"),
    **dict.fromkeys(("map", "dict"), "object"),
    **dict.fromkeys(("timestamp", "date-time", "date_time"), "datetime"),
    **dict.fromkeys(("bool",), "boolean"),
    **dict.fromkeys(("none",), "null"),
}
_ONE = frozenset(
    [
        "additionalProperties",
        "items",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    ]
)
_MANY = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
_PLAIN = frozenset(
    [
        "$schema",
        "$id",
        "$ref",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$comment",
        "$vocabulary",
        "type",
        "enum",
        "const",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxContains",
        "minContains",
        "maxProperties",
        "minProperties",
        "required",
        "dependentRequired",
        "format",
        "contentEncoding",
        "contentMediaType",
        "title",
        "description",
        "default",
        "deprecated",
        "readOnly",
        "writeOnly",
        "examples",
        "label",
    ]
)
_KEYWORDS = sorted(_ONE | _MANY | _NAMED | _PLAIN)
_FORMATS = sorted(
    [
        "date",
        "time",
        "date-time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uri-template",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ]
)


def is_whole_schema(doc: Mapping[str, object]) -> bool:
    """Whether an object is a JSON Schema, and not a map of properties.

    A property may be called `type` or `required`; what is described by an
    object is a property, what has the form of the keyword is the keyword.
    """
    properties = doc.get("properties")
    return (
        "$schema" in doc
        or isinstance(doc.get("type"), str | list)
        or isinstance(doc.get("$ref"), str)
        or isinstance(doc.get("additionalProperties"), bool)
        or any(isinstance(doc.get(key), list) for key in ("allOf", "anyOf", "oneOf", "required"))
        or (
            isinstance(properties, dict)
            and all(isinstance(schema, dict | bool) for schema in properties.values())
            and not isinstance(properties.get("type"), str)
        )
    )


class SchemaReader:
    """Reads one document, and reports all that is wrong with it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.is_sound = True

    def refuse(
        self,
        pointer: str,
        message: str,
        *,
        expected: str | None = None,
        found: object = None,
        suggestion: str | None = None,
    ) -> None:
        """Report an `invalid_schema`, and remember that there was one."""
        self.is_sound = False
        self._report(
            "invalid_schema",
            pointer,
            message,
            expected=expected,
            found=found,
            suggestion=suggestion,
        )

    def property_map(self, doc: Mapping[str, object], pointer: str) -> Schema:
        """The schema of an object with these properties, open to others."""
        properties: dict[str, object] = {}
        required: list[str] = []
        for name, described in doc.items():
            here = f"{pointer}/{escape_pointer(name)}"
            if not isinstance(described, dict | bool):
                self.refuse(
                    here,
                    f"the property {name!r} is described by an object",
                    expected='{"type": "string"}',
                    found=described,
                )
                continue
            schema = self.schema(described, here, 1)
            marked = schema.get("required") if isinstance(schema, dict) else None
            if isinstance(schema, dict) and isinstance(marked, bool):
                # Not JSON Schema's way, which lists the names beside the properties.
                del schema["required"]
                required += [name] if marked else []
            properties[name] = schema
        whole: Schema = {"type": "object", "properties": properties}
        if required:
            whole["required"] = required
        return whole

    def whole(self, doc: Mapping[str, object], pointer: str) -> Schema:
        """A JSON Schema, which must be one of objects."""
        kinds = doc.get("type", "object")
        if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
            self.refuse(
                pointer + "/type",
                "data is always an object, so its schema has the type object",
                expected='"object", or a map of properties',
                found=kinds,
            )
        dialect = doc.get("$schema", DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            self._report(
                "schema_dialect",
                pointer + "/$schema",
                "the schema is read as JSON Schema 2020-12, whatever it names",
                expected=DIALECT,
                found=dialect,
            )
        schema = self.schema(doc, pointer, 1)
        assert isinstance(schema, dict)
        schema.pop("$schema", None)
        return schema

    def schema(self, doc: object, pointer: str, depth: int) -> object:
        """One schema and all below it, with our types in JSON Schema's words."""
        if not isinstance(doc, dict):
            # `true` and `false` are schemas; all else is for the metaschema to refuse.
            return doc
        if depth > MAX_DEPTH:
            self.refuse(pointer, f"the schema is nested deeper than {MAX_DEPTH}")
            return True
        out: Schema = {}
        for key, value in doc.items():
            here = f"{pointer}/{escape_pointer(str(key))}"
            if key in _ONE:
                out[key] = self.schema(value, here, depth + 1)
            elif key in _MANY and isinstance(value, list):
                out[key] = [
                    self.schema(item, f"{here}/{index}", depth + 1)
                    for index, item in enumerate(value)
                ]
            elif key in _NAMED and isinstance(value, dict):
                out[key] = {
                    name: self.schema(item, f"{here}/{escape_pointer(str(name))}", depth + 1)
                    for name, item in value.items()
                }
            else:
                out[key] = value
                self._keyword(key, value, here)
        self._type(out, pointer)
        return out

    def _keyword(self, key: str, value: object, pointer: str) -> None:
        if key not in _KEYWORDS:
            suggestion = nearest(key, _KEYWORDS)
            if suggestion is not None:
                self._report(
                    "unknown_keyword",
                    pointer,
                    f"JSON Schema has no keyword {key!r}, so it checks nothing",
                    found=key,
                    suggestion=suggestion,
                )
        elif key == "format" and isinstance(value, str) and value not in _FORMATS:
            self._report(
                "unknown_format",
                pointer,
                f"there is no format {value!r}, so it checks nothing",
                expected="one of " + ", ".join(_FORMATS),
                found=value,
                suggestion=nearest(value, _FORMATS),
            )
        elif key in ("$ref", "$dynamicRef") and isinstance(value, str) and _is_remote(value):
            self.refuse(
                pointer,
                "a schema is never fetched from elsewhere: refer to a part of this one",
                expected='"#/$defs/…"',
                found=value,
            )

    def _type(self, schema: Schema, pointer: str) -> None:
        """Check the names of types, and put formats in the place of our own."""
        if "type" not in schema:
            return
        kinds = schema["type"]
        listed = kinds if isinstance(kinds, list) else [kinds]
        wrong = [kind for kind in listed if kind not in _TYPES]
        for kind in wrong:
            self.refuse(
                pointer + "/type",
                f"there is no type {kind!r}",
                expected="one of " + ", ".join(_TYPES),
                found=kind,
                suggestion=_meant(kind),
            )
        if wrong:
            del schema["type"]
            return
        moments = [kind for kind in listed if kind in _MOMENTS]
        if not moments:
            return
        others = [kind for kind in listed if kind not in _MOMENTS]
        if len(moments) == 1 and "string" not in others and "format" not in schema:
            schema["type"] = [*others, "string"] if others else "string"
            schema["format"] = _MOMENTS[moments[0]]
            return
        # Several kinds of strings: each is an alternative of its own.
        del schema["type"]
        alternatives = [
            {"type": "string", "format": _MOMENTS[kind]} if kind in _MOMENTS else {"type": kind}
            for kind in listed
        ]
        before = schema.get("allOf")
        schema["allOf"] = [*(before if isinstance(before, list) else []), {"anyOf": alternatives}]


def _is_remote(reference: str) -> bool:
    return "://" in reference or reference.startswith(("//", "urn:", "file:"))


def _meant(kind: object) -> str | None:
    if not isinstance(kind, str):
        return None
    lowered = kind.lower()
    return _OTHER_TYPES.get(lowered) or nearest(lowered, _TYPES)


def unknown_field(name: str, known: Iterable[str] = ()) -> str:
    """The refusal of a field that a closed schema does not name."""
    names = list(known)
    close = nearest(name, names)
    message = f"unknown field {name[:100]!r}"
    if close is not None:
        return f"{message}; did you mean {close!r}?"
    return f"{message}; there are: {', '.join(names)}" if names else message

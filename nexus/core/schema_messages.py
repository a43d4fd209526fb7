"""What a JSON Schema violation is, in words that a person likes to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nexus.core.errors import escape_pointer
from nexus.core.schema_reading import unknown_field

if TYPE_CHECKING:
    import jsonschema_rs

_SHOWN = 60
_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_FORMATS = {
    "date": "a date like 2026-11-21",
    "date-time": "a date and time with its zone, like 2026-11-21T09:30:00Z",
    "time": "a time with its zone, like 09:30:00Z",
    "duration": "a duration like P2D",
    "email": "an email address",
    "idn-email": "an email address",
    "hostname": "a host name",
    "uri": "a URI",
    "uuid": "a UUID",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "regex": "a regular expression",
}

_Facts = Mapping[str, object]
# Each gives what follows the value: "'abc' is not a number".
_SENTENCES: dict[str, Callable[[_Facts], str]] = {
    "type": lambda facts: "is not " + _types(facts["types"]),
    "format": lambda facts: (
        "is not " + _FORMATS.get(str(facts["format"]), f"of the format {facts['format']}")
    ),
    "enum": lambda facts: "is not one of " + _options(facts["options"]),
    "const": lambda facts: f"is not {written(facts['expected_value'])}",
    "minimum": lambda facts: f"is less than {facts['limit']}",
    "maximum": lambda facts: f"is more than {facts['limit']}",
    "exclusiveMinimum": lambda facts: f"is not more than {facts['limit']}",
    "exclusiveMaximum": lambda facts: f"is not less than {facts['limit']}",
    "multipleOf": lambda facts: f"is not a multiple of {facts['multiple_of']}",
    "minLength": lambda facts: f"is shorter than {_count(facts, 'character')}",
    "maxLength": lambda facts: f"is longer than {_count(facts, 'character')}",
    "minItems": lambda facts: f"has fewer than {_count(facts, 'element')}",
    "maxItems": lambda facts: f"has more than {_count(facts, 'element')}",
    "minProperties": lambda facts: f"has fewer than {_count(facts, 'field')}",
    "maxProperties": lambda facts: f"has more than {_count(facts, 'field')}",
    "uniqueItems": lambda _facts: "holds something twice",
    "pattern": lambda facts: f"does not match {facts['pattern']}",
    "anyOf": lambda _facts: "has none of the allowed forms",
    "oneOf": lambda facts: (
        "has none of the allowed forms"
        if _is_each_refused(facts["context"])
        else "has several of the allowed forms at once"
    ),
    "falseSchema": lambda _facts: "is not allowed here",
}


def findings(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    """One or more (pointer, message) of a violation; each message names its field.

    Args:
        error: As the validator gave it.
    """
    path = error.instance_path
    pointer = "".join("/" + escape_pointer(str(step)) for step in path)
    inside = f"{_label(path)}: " if path else ""
    kind, facts = error.kind.name, error.kind.as_dict()
    if kind == "required":
        name = str(facts["property"])
        yield f"{pointer}/{escape_pointer(name)}", f"{_label([*path, name])} is required"
    elif kind in ("additionalProperties", "unevaluatedProperties"):
        for name in facts["unexpected"]:
            yield f"{pointer}/{escape_pointer(name)}", inside + unknown_field(name)
    else:
        yield pointer, inside + sentence(error)


def sentence(error: jsonschema_rs.ValidationError) -> str:
    """What is wrong with the value, without its name: "'abc' is not a number"."""
    said = _SENTENCES.get(error.kind.name)
    if said is None:
        return error.message[:200]
    return f"{written(error.instance)} {said(error.kind.as_dict())}"


def written(value: object) -> str:
    """A value as it stands in a sentence, cut where it is long."""
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        return f"'{text}'"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _label(path: Sequence[str | int]) -> str:
    label = ""
    for step in path:
        label += f"[{step}]" if isinstance(step, int) else f".{step}" if label else step
    return label


def _types(types: object) -> str:
    assert isinstance(types, list)
    return " or ".join(_TYPES.get(kind, kind) for kind in sorted(types, key=list(_TYPES).index))


def _options(options: object) -> str:
    assert isinstance(options, list)
    shown = ", ".join(written(option) for option in options[:10])
    return shown + (", …" if len(options) > 10 else "")


def _is_each_refused(context: object) -> bool:
    """Whether each of the alternatives has found something."""
    assert isinstance(context, list)
    return all(context)


def _count(facts: _Facts, unit: str) -> str:
    limit = facts["limit"]
    return f"{limit} {unit}" if limit == 1 else f"{limit} {unit}s"

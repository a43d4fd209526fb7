"""What FastAPI and pydantic find wrong with a request, in words for whoever sent it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from api.problems import Problem, and_more, invalid_data, located
from nexus.core.errors import escape_pointer, nearest
from nexus.core.schema_messages import written

_MOMENT = "a date and time like 2026-11-21T09:30:00Z"
_OPTION = re.compile(r"'([^']*)'")

_Facts = Mapping[str, object]
# What should have been there, by the start of pydantic's name for the fault; first match counts.
_EXPECTED: tuple[tuple[str, Callable[[_Facts], str]], ...] = (
    ("model_", lambda _: "an object"),
    ("dict_", lambda _: "an object"),
    ("list_", lambda _: "a list"),
    ("string_type", lambda _: "text"),
    ("string_too_short", lambda facts: f"at least {_count(facts['min_length'], 'character')}"),
    ("string_too_long", lambda facts: f"at most {_count(facts['max_length'], 'character')}"),
    ("too_long", lambda facts: f"at most {_count(facts['max_length'], 'element')}"),
    ("int_", lambda _: "a whole number"),
    ("float_", lambda _: "a number"),
    ("bool_", lambda _: "true or false"),
    ("date", lambda _: _MOMENT),
    ("timezone", lambda _: _MOMENT),
    ("literal_error", lambda facts: "one of " + ", ".join(_options(facts))),
    ("greater_than_equal", lambda facts: f"at least {facts['ge']}"),
    ("less_than_equal", lambda facts: f"at most {facts['le']}"),
)


# Our own codes for pydantic's names, which are many and change with it; first match counts.
_CODES: tuple[tuple[str, str], ...] = (
    ("missing", "missing"),
    ("extra_forbidden", "unknown_field"),
    ("literal_error", "not_one_of"),
    ("string_too_", "out_of_range"),
    ("too_long", "out_of_range"),
    ("greater_than", "out_of_range"),
    ("less_than", "out_of_range"),
    ("value_error", "invalid"),
)


def _code(kind: str) -> str:
    return next((code for start, code in _CODES if kind.startswith(start)), "wrong_type")


def from_validation(request: Request, error: RequestValidationError) -> Problem:
    """What is wrong with path, query and body, all of it at once, as a problem."""
    entries = [_entry(request, found) for found in error.errors()]
    first = entries[0] if entries else located("", "The request is not valid.")
    place = first.get("parameter") or first["pointer"] or "the body"
    return invalid_data(and_more(f"{place}: {first['message']}", len(entries)), *entries)


def _entry(request: Request, fault: Mapping[str, object]) -> dict[str, object]:
    location = fault.get("loc", ())
    tokens = list(location) if isinstance(location, Sequence) else []
    origin, rest = (str(tokens[0]), tokens[1:]) if tokens else ("body", [])
    kind = str(fault.get("type", "invalid"))
    more: dict[str, object] = {}
    if kind == "missing":
        message = "is missing" if rest else "a JSON body is needed"
    elif kind == "extra_forbidden":
        known = _known(request, rest[:-1])
        more["suggestion"] = near = nearest(str(rest[-1]), known)
        message = "is not known here"
        if near:
            message += f"; did you mean {near!r}?"
        elif known:
            message += f"; it takes {', '.join(known)}"
    else:
        message, more = _comparison(kind, fault)
    if origin == "body":
        pointer = "".join(f"/{escape_pointer(str(token))}" for token in rest)
        return located(pointer, message, _code(kind), **more)
    parameter = ".".join(map(str, rest))
    return located("", message, _code(kind), parameter=parameter, **{"in": origin}, **more)


def _comparison(kind: str, fault: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """What was found against what was expected, in one sentence and as members."""
    value, context = fault.get("input"), fault.get("ctx")
    facts = context if isinstance(context, Mapping) else {}
    for start, say in _EXPECTED:
        if not kind.startswith(start):
            continue
        expected, found = say(facts), _found(kind, value)
        near = None
        if kind == "literal_error" and isinstance(value, str):
            near = nearest(value, _options(facts))
        hint = f"; did you mean {near!r}?" if near else ""
        return (
            f"is {found}, and should be {expected}{hint}"
            if not kind.endswith(("too_long", "too_short"))
            else f"has {found}, and should have {expected}"
        ), {"expected": expected, "found": found, "suggestion": near}
    return str(fault.get("msg", "is not valid")).removeprefix("Value error, "), {}


def _found(kind: str, value: object) -> str:
    if kind.endswith(("too_long", "too_short")) and isinstance(value, str | Sequence):
        return _count(len(value), "character" if isinstance(value, str) else "element")
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return written(value)


def _count(number: object, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _options(facts: _Facts) -> list[str]:
    """The phrase of pydantic names them: 'a', 'b' or 'c'."""
    return _OPTION.findall(str(facts.get("expected", "")))


def _known(request: Request, path: Sequence[object]) -> list[str]:
    """The fields that the body of this route has at a place."""
    route = request.scope.get("route")
    field = getattr(route, "body_field", None)
    annotation = field.field_info.annotation if field is not None else None
    for token in path:
        if isinstance(token, int):
            continue  # an element of a list: `_models` looks through lists
        models = list(_models(annotation))
        annotation = models[0].model_fields[str(token)].annotation if models else None
    return [name for model in _models(annotation) for name in model.model_fields]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models(argument)

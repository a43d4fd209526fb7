"""What settings and parameters of channels look like, asked of their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from nexus.channels.operator_settings import references
from nexus.channels.rendering import is_template
from nexus.core.channel_kinds import Finding
from nexus.core.errors import escape_pointer, nearest


def html_keys(model: type[BaseModel]) -> frozenset[str]:
    """The keys of parameters that are HTML."""
    return frozenset(
        key
        for name, field in model.model_fields.items()
        for key in _keys(name, field)
        if _marked(field, "html")
    )


@lru_cache
def secret_fields(model: type[BaseModel]) -> frozenset[str]:
    """The fields of settings that hold secrets."""
    return frozenset(
        name for name, field in model.model_fields.items() if _holds_secret(field.annotation)
    )


def by_field(model: type[BaseModel], given: Mapping[str, object]) -> dict[str, object]:
    """Settings by the names of their fields, whichever of its spellings each was given in."""
    names = {key: name for name, field in model.model_fields.items() for key in _keys(name, field)}
    return {names.get(key, key): value for key, value in given.items()}


def not_for_definitions(model: type[BaseModel], settings: Mapping[str, object]) -> list[Finding]:
    """The settings of a definition that belong to the operator's file."""
    found = []
    for key, value in settings.items():
        name = _operators(model).get(key)
        if name is not None or any(references(value)):
            what = "a secret is" if name is None else f"{key!r} is"
            found.append(
                Finding(
                    "not_for_definitions",
                    f"/{escape_pointer(key)}",
                    f"In a definition, {what} out of place: the operator sets it, in the channels' "
                    "settings file",
                )
            )
    return found


def check_settings(model: type[BaseModel], settings: Mapping[str, object]) -> list[Finding]:
    """What is wrong in a definition's settings; what is missing, the operator's file may have."""
    found = not_for_definitions(model, settings)
    told = {finding.pointer for finding in found}
    try:
        model.model_validate(settings)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            finding = _finding(model, problem)
            if problem["type"] != "missing" and finding.pointer not in told:
                found.append(finding)
    return found


def wrong_for_operators(model: type[BaseModel], settings: Mapping[str, object]) -> Finding | None:
    """What is wrong in an entry of the operator's file.

    What is missing, another entry may have; and where references lead, only calls find out.
    """
    known = {key: value for key, value in settings.items() if not any(references(value))}
    known.pop("channel", None)
    keys = [key for name, field in model.model_fields.items() for key in _keys(name, field)]
    for key in settings:
        if key != "channel" and key not in keys and model.model_config.get("extra") == "forbid":
            listed = ", ".join(field.alias or name for name, field in model.model_fields.items())
            pointer = f"/{escape_pointer(key)}"
            said = "there is no such setting"
            return Finding("unknown_key", pointer, said, listed, nearest(key, keys))
    try:
        model.model_validate(known)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            if problem["type"] != "missing" and problem["loc"]:
                return _finding(model, problem)
    return None


def check_given(model: type[BaseModel], given: Mapping[str, object]) -> list[Finding]:
    """What is wrong in a step's `with`, as far as it does not depend on templates."""
    try:
        model.model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        return [_finding(model, one) for one in problems if not _depends(given, one)]
    return []


def told(error: ValidationError) -> str:
    """What is wrong, in a line that repeats no value."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said = [
        f"{'/'.join(map(str, one['loc']))}: {_sentence(one)}" if one["loc"] else _sentence(one)
        for one in problems[:5]
    ]
    return "; ".join(said)


def _sentence(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such key"
    if problem["type"] == "missing" and problem["loc"]:
        return "it is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _finding(model: type[BaseModel], problem: Any) -> Finding:
    place = problem["loc"]
    pointer = "".join(f"/{escape_pointer(str(part))}" for part in place)
    if problem["type"] == "missing":
        parent, _, key = pointer.rpartition("/")
        said = f"It needs {key!r}" if key else _sentence(problem)
        return Finding("missing_key", parent, said, expected=repr(key) if key else None)
    if problem["type"] == "extra_forbidden":
        keys = [field.alias or name for name, field in model.model_fields.items()]
        near = nearest(str(place[-1]), keys) if len(place) == 1 else None
        listed = ", ".join(keys) if len(place) == 1 else None
        return Finding("unknown_key", pointer, f"No key {place[-1]!r} here", listed, near)
    return Finding("wrong_type", pointer, _sentence(problem))


def _depends(given: object, problem: Any) -> bool:
    """Whether templates may yet make right what is wrong."""
    if problem["type"] in ("missing", "extra_forbidden"):
        return False
    value: Any = given
    for part in problem["loc"]:
        if isinstance(value, Mapping):
            inside = part in value
        else:
            inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not inside:
            break  # the rest names a branch of the model, not a place in the data
        value = value[part]
    return _has_template(value)


def _has_template(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_template, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_template, value))
    return is_template(value)


def _keys(name: str, field: FieldInfo) -> Sequence[str]:
    return (name, field.alias) if field.alias else (name,)


def _marked(field: FieldInfo, mark: str) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get(mark) is True


@lru_cache
def _operators(model: type[BaseModel]) -> Mapping[str, str]:
    """The keys of settings that no definition may give → their fields."""
    return {
        key: name
        for name, field in model.model_fields.items()
        if _marked(field, "operator") or _holds_secret(field.annotation)
        for key in _keys(name, field)
    }


def _holds_secret(annotation: object) -> bool:
    if annotation in (SecretStr, SecretBytes):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(field.annotation) for field in annotation.model_fields.values())
    return any(map(_holds_secret, get_args(annotation)))

"""The definition that a model class brings along: read, named and compiled once per class.

What stands in a class may hold more than JSON can: functions, as guards and hooks. They are
taken out before the rest is compiled as any other definition is:

    {
        "entities": {"contact": {"fields": ["name", "status"]}},
        "guards": {"edit": lambda contact: contact.status == "active"},
        "hooks": {"before": {"add_contact": look_twice}, "after": {"add_contact": notify}},
        "transitions": {"qualify": {"from": "new", "to": "won", "guard": is_rich, "after": tell}},
    }
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, field

from nexus.core.compiler import load_definition
from nexus.core.errors import DefinitionError, Problem, escape_pointer, nearest
from nexus.core.json_text import load
from nexus.core.program import BUILT_IN_ACTIONS, Program
from nexus.local.called import Called, CannotBeCalled, Function

ALIASES: Mapping[str, str] = {"edit": "update", "launch_campaign": "add_campaign"}
"""Other names of actions, as the requirements spell them."""

_OPENING = ("add", "start", "event", "complete")
_OF_TRANSITIONS = {"guard": "guard", "condition": "guard", "before": "before", "after": "after"}
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")


class Functions(Struct, frozen=True):
    """What runs around actions, by the action's name.

    Attributes:
        guards: Each is given the record, and forbids the action unless what it returns is true.
        before: Each may forbid it by raising, or by returning False.
        after: Each runs once it is done.
    """

    guards: Mapping[str, tuple[Called, ...]] = field(default_factory=dict)
    before: Mapping[str, tuple[Called, ...]] = field(default_factory=dict)
    after: Mapping[str, tuple[Called, ...]] = field(default_factory=dict)


class ModelDefinition(Struct, frozen=True):
    """The definition of a model class, compiled.

    Attributes:
        program: What it compiles to.
        document: It, as JSON has it: without the functions, with `id` and `domain`.
        digest: Of the document; the same for the same content.
        functions: Its guards and hooks.
        warnings: What is odd about it.
    """

    program: Program
    document: Mapping[str, Any]
    digest: str
    functions: Functions
    warnings: tuple[Problem, ...]


def model_name(cls: type) -> str:
    """The name of a model class as ids have it: `CustomerAccount` is `customer-account`."""
    return _WORDS.sub("-", cls.__name__).strip("-").lower()


def canonical(action: str) -> str:
    """The action's own name: `edit` is `update`."""
    return ALIASES.get(action, action)


def digest_of(document: Mapping[str, Any]) -> str:
    """A fingerprint of a definition's content; the order of keys, which has a meaning, counts."""
    import hashlib  # not before a class is used: importing it takes longer than all of this

    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def compile_model(
    given: object, *, id_: str, domain: str, source: str, model: object = None
) -> ModelDefinition:
    """Compile what a class says.

    Args:
        given: A mapping, or the path of a JSON file.
        id_: Its id, where it says none.
        domain: Its domain, where it says none.
        source: For messages: where it stands.
        model: The object that was asked for it; none of its functions keeps hold of that.

    Raises:
        DefinitionError: It cannot run; carries every problem.
    """
    if isinstance(given, Path):
        source, given = str(given), _read(given)
    if not isinstance(given, Mapping):
        raise _error("wrong_type", source, "", f"A definition is a dict, not {_shown(given)}.")
    taking = _Taking(source, model)
    document = taking.document(given)
    document = {"id": id_, "domain": domain, **document}
    try:
        compiled = load_definition(json.dumps(document, ensure_ascii=False), source)
    except DefinitionError as error:
        raise DefinitionError(list(map(_without_place, error.problems))) from None
    functions = Functions(
        *(
            {action: tuple(found) for action, found in taking.found[kind].items()}
            for kind in ("guard", "before", "after")
        )
    )
    _check_actions(compiled.program, taking, source)
    return ModelDefinition(
        program=compiled.program,
        document=document,
        digest=digest_of(document),
        functions=functions,
        warnings=tuple(_without_place(problem) for problem in compiled.warnings),
    )


def _read(path: Path) -> object:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _error("invalid_json", str(path), "", f"It cannot be read: {error}.") from None
    document = load(text, str(path))
    if isinstance(document, dict) and "id" in document:
        load_definition(text, str(path))  # once more as it stands: its problems have lines then
    return document


def _without_place(problem: Problem) -> Problem:
    """Lines and columns are those of JSON that nobody wrote; the pointer says where it is."""
    return Problem(
        code=problem.code,
        message=problem.message,
        pointer=problem.pointer,
        severity=problem.severity,
        expected=problem.expected,
        found=problem.found,
        suggestion=problem.suggestion,
        source=problem.source,
    )


class _Taking:
    """Takes the functions out of what a class says, and looks at what is left."""

    def __init__(self, source: str, model: object) -> None:
        self._source = source
        self._model = model
        self.found: dict[str, dict[str, list[Called]]] = {"guard": {}, "before": {}, "after": {}}
        self.places: dict[str, str] = {}

    def document(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is left once guards and hooks are taken out."""
        left = dict(given)
        self._section("guard", left.pop("guards", {}), "/guards")
        hooks = left.pop("hooks", {})
        self._object(hooks, "/hooks", "'hooks' has 'before' and 'after'")
        for when, functions in hooks.items():
            if when not in ("before", "after"):
                raise self._wrong(f"/hooks/{when}", "Hooks run 'before' or 'after' an action.")
            self._section(when, functions, f"/hooks/{when}")
        transitions = left.get("transitions")
        if isinstance(transitions, Mapping):
            left["transitions"] = {
                name: self._transition(str(name), body) for name, body in transitions.items()
            }
        plain = {key: self._plain(value, f"/{_token(key)}") for key, value in left.items()}
        return {str(key): value for key, value in plain.items()}

    def _section(self, kind: str, functions: object, pointer: str) -> None:
        self._object(functions, pointer, "it has functions by the names of actions")
        assert isinstance(functions, Mapping)
        for action, given in functions.items():
            self._take(kind, str(action), given, f"{pointer}/{_token(action)}")

    def _transition(self, name: str, body: object) -> object:
        if not isinstance(body, Mapping):
            return body
        left = dict(body)
        for key, kind in _OF_TRANSITIONS.items():
            value = left.get(key)
            if value is not None and (key != "condition" or callable(value)):
                self._take(kind, name, left.pop(key), f"/transitions/{_token(name)}/{key}")
        return left

    def _take(self, kind: str, action: str, given: object, pointer: str) -> None:
        functions: Iterable[Any] = given if isinstance(given, list | tuple) else [given]
        name = canonical(action)
        self.found[kind].setdefault(name, []).extend(
            self._called(function, pointer) for function in functions
        )
        self.places.setdefault(name, pointer)

    def _called(self, function: Any, pointer: str) -> Called:
        if not callable(function):
            raise self._wrong(pointer, f"A function is wanted, not {_shown(function)}.")
        try:
            return Called.of(cast("Function", function), self._model)
        except CannotBeCalled as reason:
            raise self._wrong(pointer, f"{_shown(function)} {reason}.") from None

    def _plain(self, value: object, pointer: str) -> object:
        if isinstance(value, Mapping):
            return {
                str(key): self._plain(item, f"{pointer}/{_token(key)}")
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._plain(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        if value is None or isinstance(value, str | int | float | bool):
            return value
        if callable(value):
            raise self._wrong(
                pointer,
                "A function can stand as 'guard', 'before' or 'after' of a transition, or under "
                "'guards' and 'hooks'; not here.",
            )
        raise self._wrong(pointer, f"{_shown(value)} is nothing that JSON has.")

    def _object(self, value: object, pointer: str, what: str) -> None:
        if not isinstance(value, Mapping):
            raise self._wrong(pointer, f"An object is wanted here: {what}; not {_shown(value)}.")

    def _wrong(self, pointer: str, message: str) -> DefinitionError:
        return _error("wrong_type", self._source, pointer, message)


def _check_actions(program: Program, taking: _Taking, source: str) -> None:
    """Refuse a guard or a hook of an action that there is not: it would never run."""
    added = [f"add_{entity}" for entity in program.entities]
    by_hand = [t.name for t in program.transitions.values() if t.trigger.kind == "action"]
    known: Sequence[str] = [*by_hand, *BUILT_IN_ACTIONS, *_OPENING, *added]
    for action, pointer in taking.places.items():
        if action in known:
            continue
        if action in program.transitions:
            message = f"{action!r} is not taken by anybody's hand, so nothing runs around it."
            raise _error("unknown_action", source, pointer, message)
        raise _error(
            "unknown_action",
            source,
            pointer,
            f"There is no action {action!r}.",
            expected=", ".join([*known, *ALIASES]),
            suggestion=nearest(action, [*known, *ALIASES]),
        )


def _error(
    code: str,
    source: str,
    pointer: str,
    message: str,
    *,
    expected: str | None = None,
    suggestion: str | None = None,
) -> DefinitionError:
    problem = Problem(
        code, message, pointer, source=source, expected=expected, suggestion=suggestion
    )
    return DefinitionError([problem])


def _token(key: object) -> str:
    return escape_pointer(str(key))


def _shown(value: object) -> str:
    return f"{type(value).__name__} ({value!r:.60})"

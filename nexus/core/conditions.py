"""Conditions: an expression, or an object with one key that says what to check.

    "data.score > 50"
    {"role_check": "manager"}
    {"any": [{"segment_check": ["gold", "silver"]}, "data.score > 90"]}

All of them answer with true, false or Unknown, and the connectives keep
Kleene's rules, as `and`, `or` and `not` do inside of an expression.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

from msgspec import Struct

from nexus.core.errors import Report, escape_pointer
from nexus.core.expressions import (
    DEFAULT_NAMES,
    Expression,
    ExpressionError,
    Room,
    Unknown,
    because,
    merge,
    parse,
    shown,
    shown_reason,
)
from nexus.core.expressions.errors import closest
from nexus.core.expressions.values import MAX_ELEMENTS

Scope = Mapping[str, object]

MAX_DEPTH = 32
"""Deepest nesting of `all`, `any` and `not`."""

MAX_PARTS = 500
"""Most parts of one condition, with those of its expressions: a bound on the work of asking it."""

_SHOWN = 200

Explained = dict[str, object]


class Condition(Protocol):
    """Something that holds, does not hold, or cannot be said of a scope."""

    @property
    def names(self) -> frozenset[str]:
        """Names of the scope that it looks at."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Dotted paths that it reads."""
        ...

    def holds(self, scope: Scope) -> bool | Unknown:
        """Whether it holds; never raises."""
        ...

    @property
    def size(self) -> int:
        """How many parts it has, itself included."""
        ...

    def explain(self, scope: Scope) -> Explained:
        """What it gives and what it saw, as `Expression.explain` has it."""
        ...

    def tell(self, scope: Scope, room: Room) -> tuple[bool | Unknown, Explained]:
        """Whether it holds, and the explanation, as far as there is room."""
        ...


class Membership(Struct, frozen=True):
    """`role_check` and `segment_check`: one of the wanted values stands at a path.

    Attributes:
        text: The condition as JSON.
        wanted: Values of which one suffices.
        paths: Where to look; a list there is searched, and one path suffices.
    """

    text: str
    wanted: frozenset[str | int | float]
    paths: tuple[str, ...]
    _lookups: tuple[Expression, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of the scope that it looks at."""
        return frozenset[str]().union(*(lookup.names for lookup in self._lookups))

    def holds(self, scope: Scope) -> bool | Unknown:
        """Unknown only where none of the paths leads to anything that can be searched."""
        there = False
        too_long: Unknown | None = None
        for lookup in self._lookups:
            value = lookup.evaluate(scope)
            if isinstance(value, Unknown) or value is None:
                continue
            there = True
            items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
            if len(items) > MAX_ELEMENTS:
                too_long = because(f"{lookup.text} has more than {MAX_ELEMENTS:,} elements")
            elif any(_is_one(item, self.wanted) for item in items):
                return True
        if too_long is not None:
            return too_long
        return False if there else Unknown(missing=self.paths)

    @property
    def size(self) -> int:
        """How many parts it has."""
        return 1

    def explain(self, scope: Scope) -> Explained:
        """What it gives and what it saw."""
        return self.tell(scope, Room())[1]

    def tell(self, scope: Scope, room: Room) -> tuple[bool | Unknown, Explained]:
        """Whether it holds, and the explanation, as far as there is room."""
        values: dict[str, object] = {}
        missing: list[str] = []
        for lookup in self._lookups:
            value = lookup.evaluate(scope)
            if isinstance(value, Unknown):
                missing.append(lookup.text)
            else:
                values[lookup.text] = shown(value)
        result = self.holds(scope)
        room.left -= len(self.text) + len(str(values)) + len(str(missing))
        return result, _explained(self.text, result, values, missing)


def _is_one(item: object, wanted: frozenset[str | int | float]) -> bool:
    # 1 and True are one thing to Python, and two in JSON; none of those wanted is a boolean.
    return isinstance(item, str | int | float) and not isinstance(item, bool) and item in wanted


class Connective(Struct, frozen=True):
    """`all`, `any` and `not`.

    Attributes:
        text: The condition as JSON.
        connective: Which of them.
        parts: What it connects; one part for `not`.
    """

    text: str
    connective: Literal["all", "any", "not"]
    parts: tuple[Condition, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of the scope that it looks at."""
        return frozenset[str]().union(*(part.names for part in self.parts))

    @property
    def paths(self) -> tuple[str, ...]:
        """Dotted paths that it reads."""
        return tuple(dict.fromkeys(path for part in self.parts for path in part.paths))

    @property
    def size(self) -> int:
        """How many parts it has, itself included."""
        return 1 + sum(part.size for part in self.parts)

    def holds(self, scope: Scope) -> bool | Unknown:
        """Kleene's `and`, `or`, `not`; a part is asked only while it can still matter."""
        return self._joined(part.holds(scope) for part in self.parts)

    def _joined(self, results: Iterable[bool | Unknown]) -> bool | Unknown:
        settles = self.connective == "any"
        unknown: Unknown | None = None
        for result in results:
            if isinstance(result, Unknown):
                unknown = merge(unknown, result)
            elif self.connective == "not":
                return not result
            elif result is settles:
                return settles
        return (not settles) if unknown is None else unknown

    def explain(self, scope: Scope) -> Explained:
        """What it gives and what it saw, with the same for each part."""
        return self.tell(scope, Room())[1]

    def tell(self, scope: Scope, room: Room) -> tuple[bool | Unknown, Explained]:
        """Whether it holds, and the explanation, as far as there is room."""
        room.left -= len(self.text)
        results: list[bool | Unknown] = []
        parts: list[Explained] = []
        values: dict[str, object] = {}
        missing: dict[str, None] = {}
        for part in self.parts:
            if room.is_full:
                results.append(part.holds(scope))
                continue
            result, told = part.tell(scope, room)
            results.append(result)
            parts.append(told)
            values.update(told["values"])  # type: ignore[call-overload]  # an explanation's shape
            missing.update(dict.fromkeys(told["missing"]))  # type: ignore[call-overload]  # as above
        # What the parts saw stands here once more, and so takes its room once more.
        room.left -= len(str(values)) + len(str([*missing]))
        result = self._joined(results)
        explained = _explained(self.text, result, values, list(missing))
        explained["parts"] = parts
        if len(parts) < len(self.parts) or any("cut" in part for part in parts):
            explained["cut"] = True
        return result, explained


def _explained(
    text: str, result: bool | Unknown, values: dict[str, object], missing: list[str]
) -> Explained:
    explained: Explained = {
        "expression": text,
        "result": "unknown" if isinstance(result, Unknown) else result,
        "values": values,
        "missing": missing,
    }
    if isinstance(result, Unknown):
        explained["reason"] = shown_reason(result)
    return explained


def compile_condition(
    doc: object, pointer: str, report: Report, *, names: Collection[str] = DEFAULT_NAMES
) -> Condition | None:
    """Read a condition of a definition.

    Args:
        doc: The condition as it stands in the document.
        pointer: JSON pointer of the condition, for the problems.
        report: Takes every problem: `invalid_expression`, `unknown_condition`,
            `invalid_condition`.
        names: Names that its expressions may use.

    Returns:
        None where anything was reported, since half a condition means something else.
    """
    condition = _Reader(report, names).read(doc, pointer, 1)
    if condition is None or condition.size <= MAX_PARTS:
        return condition
    report(
        "invalid_condition",
        pointer,
        f"the condition has {condition.size:,} parts, at most {MAX_PARTS} are allowed",
        expected=f"at most {MAX_PARTS} parts; `in` with a list takes the place of many",
        found=f"{condition.size:,} parts",
    )
    return None


class _Reader:
    def __init__(self, report: Report, names: Collection[str]) -> None:
        self._report = report
        self._names = names
        self._kinds: dict[str, Callable[[object, str, object, int], Condition | None]] = {
            "expression": self._expression,
            "role_check": self._role_check,
            "segment_check": self._segment_check,
            "all": partial(self._connected, "all"),
            "any": partial(self._connected, "any"),
            "not": self._not,
        }

    def read(self, doc: object, pointer: str, depth: int) -> Condition | None:
        if depth > MAX_DEPTH:
            self._refuse(pointer, f"the condition is nested deeper than {MAX_DEPTH}", None, doc)
            return None
        if isinstance(doc, str):
            return self._parsed(doc, pointer)
        if isinstance(doc, list):
            self._refuse(
                pointer,
                "a list is no condition: say whether all or any of it must hold",
                '{"all": […]} or {"any": […]}',
                doc,
            )
            return None
        if not isinstance(doc, dict):
            expected = (
                f'an expression such as "data.score > 50", or an object with one of {self._known()}'
            )
            self._refuse(pointer, "this is no condition", expected, doc)
            return None
        if len(doc) != 1:
            message = (
                "an empty object is no condition"
                if not doc
                else 'a condition has one key; join several with {"all": […]}'
            )
            self._refuse(pointer, message, f"one of {self._known()}", doc)
            return None
        ((kind, value),) = doc.items()
        read = self._kinds.get(kind)
        if read is None:
            self._report(
                "unknown_condition",
                pointer + "/" + escape_pointer(str(kind)),
                f"no condition named {kind!r}; there are: {self._known()}",
                expected=f"one of {self._known()}",
                found=kind,
                suggestion=closest(str(kind), self._kinds),
            )
            return None
        return read(value, f"{pointer}/{kind}", doc, depth)

    def _known(self) -> str:
        return ", ".join(self._kinds)

    def _refuse(self, pointer: str, message: str, expected: str | None, found: object) -> None:
        self._report("invalid_condition", pointer, message, expected=expected, found=_json(found))

    def _parsed(self, text: str, pointer: str) -> Condition | None:
        try:
            return parse(text, self._names)
        except ExpressionError as error:
            self._report(
                "invalid_expression",
                pointer,
                error.message,
                expected=error.expected,
                found=error.found,
                suggestion=error.suggestion,
                offset=error.offset,
                excerpt=error.caret(text),
            )
            return None

    def _expression(
        self, value: object, pointer: str, _doc: object, _depth: int
    ) -> Condition | None:
        if isinstance(value, str):
            return self._parsed(value, pointer)
        self._refuse(pointer, "an expression is text", '"data.score > 50"', value)
        return None

    def _role_check(
        self, value: object, pointer: str, doc: object, _depth: int
    ) -> Condition | None:
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            self._refuse(pointer, "role_check takes a role or a list of roles", '"manager"', value)
            return None
        return _membership(doc, names, ("actor.roles",))

    def _segment_check(
        self, value: object, pointer: str, doc: object, _depth: int
    ) -> Condition | None:
        segments = value if isinstance(value, list) else [value]
        usable = all(
            isinstance(segment, str | int | float) and not isinstance(segment, bool)
            for segment in segments
        )
        if not segments or not usable:
            expected = '"gold" or ["gold", "silver"]'
            message = "segment_check takes a segment or a list of segments"
            self._refuse(pointer, message, expected, value)
            return None
        return _membership(doc, segments, ("data.segment", "subject.segment"))

    def _connected(
        self, kind: Literal["all", "any"], value: object, pointer: str, doc: object, depth: int
    ) -> Condition | None:
        if not isinstance(value, list) or not value:
            message = f"{kind} takes a list of conditions, of which there is at least one"
            self._refuse(pointer, message, f'{{"{kind}": ["data.score > 50", …]}}', value)
            return None
        # Read to the end, so that every problem is found.
        parts = [self.read(part, f"{pointer}/{i}", depth + 1) for i, part in enumerate(value)]
        known = tuple(part for part in parts if part is not None)
        return Connective(_json(doc), kind, known) if len(known) == len(parts) else None

    def _not(self, value: object, pointer: str, doc: object, depth: int) -> Condition | None:
        part = self.read(value, pointer, depth + 1)
        return None if part is None else Connective(_json(doc), "not", (part,))


def _membership(doc: object, wanted: list[Any], paths: tuple[str, ...]) -> Condition:
    return Membership(_json(doc), frozenset(wanted), paths, tuple(parse(path) for path in paths))


def _json(doc: object) -> str:
    text = json.dumps(doc, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

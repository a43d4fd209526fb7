"""Why an expression gives what it gives: a tree of its parts with the values they saw.

An explanation travels in refusals and in the history, so it is JSON and has a
bound: what no longer fits is left out, and `cut` says so. Each part is
computed once, however deep the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from nexus.core.expressions.compiler import Compiler, look_up
from nexus.core.expressions.nodes import Logic, Node, Not, children, path_of, paths_in
from nexus.core.expressions.values import (
    Evaluate,
    Scope,
    Unknown,
    is_usable,
    kind_of,
    not_a_truth,
    to_json,
)

MAX_EXPLAINED = 20_000
"""Most characters that an explanation tells, roughly; what comes after is left out."""

_LONGEST_REASON = 1_000
_SHOWN_STRING = 200
_SHOWN_ELEMENTS = 20
_SHOWN_DEPTH = 4
_SHOWN_IN_ALL = 200


class Room:
    """How many characters an explanation may still tell."""

    __slots__ = ("left",)

    def __init__(self, characters: int = MAX_EXPLAINED) -> None:
        self.left = characters

    @property
    def is_full(self) -> bool:
        """Nothing more fits."""
        return self.left <= 0


def explain_tree(
    tree: Node, text: str, scope: Scope, room: Room
) -> tuple[bool | Unknown, dict[str, object]]:
    """Whether an expression holds, and its explanation.

    Args:
        tree: The syntax tree of `text`.
        text: The expression.
        scope: What it is asked about.
        room: What may be told; what is told is taken from it.
    """
    explainer = _Explainer(text, scope, room)
    told = explainer.tell(tree, as_truth=True)
    return explainer.truth_of(tree), told


def shown_reason(unknown: Unknown) -> str:
    """The reason for not knowing, cut where many names are missing at once."""
    reason = unknown.reason
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"


class _Explainer(Compiler):
    """Compiles for one scope alone, and remembers what each node gave."""

    def __init__(self, text: str, scope: Scope, room: Room) -> None:
        super().__init__(text)
        self._scope = scope
        self._room = room
        self._known: dict[int, Evaluate] = {}

    def value(self, node: Node) -> Evaluate:
        known = self._known.get(id(node))
        if known is not None:
            return known
        run = super().value(node)
        given: list[object] = []

        def once(scope: Scope) -> object:
            if not given:
                given.append(run(scope))
            return given[0]

        self._known[id(node)] = once
        return once

    def truth_of(self, node: Node) -> bool | Unknown:
        return self.truth(node)(self._scope)  # type: ignore[return-value]  # a truth, as it says

    def tell(self, node: Node, *, as_truth: bool) -> dict[str, object]:
        """The explanation of a node; `as_truth` where true or false is wanted of it."""
        result = self.value(node)(self._scope)
        values: dict[str, object] = {}
        missing: list[str] = []
        written = self._text[node.start : node.end]
        self._room.left -= len(written)
        told: dict[str, object] = {
            "expression": written,
            "result": "unknown" if isinstance(result, Unknown) else self._show(result),
            "values": values,
            "missing": missing,
        }
        if isinstance(result, Unknown):
            told["reason"] = shown_reason(result)
        elif as_truth and not isinstance(result, bool):
            told["reason"] = not_a_truth(self.written(node), result).reason
        self._room.left -= len(str(told.get("reason", "")))
        complete = self._tell_values(node, values, missing)
        parts = [(part, isinstance(node, Logic | Not)) for part in _told_parts(node)]
        explained = []
        for part, part_as_truth in parts:
            if self._room.is_full:
                complete = False
                break
            explained.append(self.tell(part, as_truth=part_as_truth))
            complete = complete and "cut" not in explained[-1]
        if explained:
            told["parts"] = explained
        if not complete:
            told["cut"] = True
        return told

    def _tell_values(self, node: Node, values: dict[str, object], missing: list[str]) -> bool:
        """Fill in what the node's paths lead to; false where not all of it fits."""
        for path in dict.fromkeys(paths_in(node)):
            if self._room.is_full:
                return False
            name = str(path)
            self._room.left -= len(name)
            value = look_up(path)(self._scope)
            if isinstance(value, Unknown):
                missing.append(name)
            else:
                values[name] = self._show(value)
        return True

    def _show(self, value: object) -> object:
        shower = _Shower()
        result = shower.show(value, _SHOWN_DEPTH)
        self._room.left -= shower.characters
        return result


def _told_parts(node: Node) -> Iterator[Node]:
    """The parts that say more than the whole's values: operands of logic, what is computed."""
    if path_of(node) is not None:
        return
    for child in children(node):
        computed = path_of(child) is None and next(paths_in(child), None) is not None
        if computed or isinstance(node, Logic | Not):
            yield child


def shown(value: object) -> object:
    """A value as an explanation shows it: JSON, and cut where it is long, wide or deep."""
    return _Shower().show(value, _SHOWN_DEPTH)


class _Shower:
    """Shows one value.

    Attributes:
        characters: What has been shown so far, roughly.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._elements = _SHOWN_IN_ALL

    def show(self, value: object, depth: int) -> object:
        result = self._cut(value, depth)
        if isinstance(result, str):
            self.characters += len(result)
        elif not isinstance(result, list | dict):
            self.characters += 8
        return result

    def _cut(self, value: object, depth: int) -> object:
        match kind_of(value):
            case "null" | "boolean":
                return value
            case "number":
                assert isinstance(value, int | float)
                return value if is_usable(value) else "(not a usable number)"
            case "string":
                text = str(value)
                return text if len(text) <= _SHOWN_STRING else text[:_SHOWN_STRING] + "…"
            case "datetime":
                return to_json(value)
            case "list":
                assert isinstance(value, list | tuple)
                if depth == 0 or (value and self._elements <= 0):
                    return f"(list of {len(value)})"
                kept = self._take(len(value))
                items = [self.show(item, depth - 1) for item in value[:kept]]
                rest = len(value) - kept
                return [*items, f"({rest} more)"] if rest else items
            case "map":
                assert isinstance(value, Mapping)
                if depth == 0 or (value and self._elements <= 0):
                    return f"(map of {len(value)})"
                kept = self._take(len(value))
                cut: dict[str, object] = {}
                for key in islice(value, kept):
                    cut[self._key(key)] = self.show(value[key], depth - 1)
                rest = len(value) - kept
                return {**cut, "…": f"({rest} more)"} if rest else cut
            case _:
                return f"({type(value).__name__})"

    def _take(self, wanted: int) -> int:
        kept = min(wanted, _SHOWN_ELEMENTS, self._elements)
        self._elements -= kept
        return kept

    def _key(self, key: object) -> str:
        text = str(key)
        text = text if len(text) <= _SHOWN_STRING else text[:_SHOWN_STRING] + "…"
        self.characters += len(text)
        return text

"""Syntax tree → one closure, which is what runs.

What can be decided from the text alone is decided here, once: paths become
lookups with their answer for "missing" made in advance, and the common shapes
of a comparison get a short way of their own. The long way is in `operators`,
and both must mean the same, which a property test holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from nexus.core.expressions.functions import FUNCTIONS
from nexus.core.expressions.nodes import (
    Arithmetic,
    Call,
    Compare,
    ListOf,
    Literal,
    Logic,
    Negative,
    Node,
    Not,
    Path,
    path_of,
)
from nexus.core.expressions.operators import ORDERS, arithmetic, contained, equal, ordered
from nexus.core.expressions.values import (
    Evaluate,
    Scope,
    Unknown,
    a_kind,
    because,
    bounded_number,
    kind_of,
    merge,
    not_a_truth,
)

_SLICE = 60
_FAR = 1e300


def compile_tree(node: Node, text: str) -> tuple[Evaluate, Evaluate]:
    """The closures that give a node's value, and its truth, for a scope.

    Args:
        node: A tree of `text`.
        text: What it was parsed from, for the sentences in `Unknown.reasons`.

    Returns:
        The value, or Unknown; and the same, but what is neither true nor false is Unknown.
    """
    compiler = Compiler(text)
    value = compiler.value(node)
    return value, compiler.as_truth(node, value)


class Compiler:
    """Makes the closures of one text's nodes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def written(self, node: Node) -> str:
        """The node as it stands in the text, cut for use in a sentence."""
        piece = self._text[node.start : node.end]
        return piece if len(piece) <= _SLICE else piece[: _SLICE - 1] + "…"

    def value(self, node: Node) -> Evaluate:
        """The closure that gives the node's value, or Unknown."""
        path = path_of(node)
        if path is not None:
            return look_up(path)
        match node:
            case Literal(value=constant):
                return lambda _scope: constant
            case ListOf(items=items):
                return _list([self.value(item) for item in items])
            case Negative():
                return self._negative(node)
            case Not():
                return self._not(node)
            case Logic():
                return self._logic(node)
            case Compare(operator="in" | "not in"):
                return self._membership(node)
            case Compare(operator="==" | "!="):
                return self._equality(node)
            case Compare():
                return self._order(node)
            case Arithmetic():
                return self._arithmetic(node)
            case Call():
                return self._call(node)
        raise AssertionError(f"no such node: {node}")  # pragma: no cover

    def truth(self, node: Node) -> Evaluate:
        """The same, but what is neither true nor false becomes Unknown."""
        return self.as_truth(node, self.value(node))

    def as_truth(self, node: Node, value: Evaluate) -> Evaluate:
        """The closure of a node's truth, made from that of its value."""
        if _is_truth(node):
            return value
        written = self.written(node)

        def run(scope: Scope) -> object:
            result = value(scope)
            if result is True or result is False or type(result) is Unknown:
                return result
            return not_a_truth(written, result)

        return run

    def _not(self, node: Not) -> Evaluate:
        operand = self.truth(node.operand)

        def run(scope: Scope) -> object:
            result = operand(scope)
            return result if type(result) is Unknown else result is False

        return run

    def _logic(self, node: Logic) -> Evaluate:
        parts = tuple(self.truth(part) for part in node.parts)
        # `and` is settled by the first false, `or` by the first true; Unknown
        # settles nothing, since a later part may still.
        settles = node.operator == "or"
        otherwise = not settles

        def run(scope: Scope) -> object:
            unknown: Unknown | None = None
            for part in parts:
                result = part(scope)
                if result is settles:
                    return settles
                if type(result) is Unknown:
                    unknown = merge(unknown, result)
            return otherwise if unknown is None else unknown

        return run

    def _equality(self, node: Compare) -> Evaluate:
        left, right = self.value(node.left), self.value(node.right)
        left_text, right_text = self.written(node.left), self.written(node.right)
        wanted = node.operator == "=="
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(side, Literal) and side.value is None:
                return self._is_null(other, wanted)

        def run(scope: Scope) -> object:
            a, b = left(scope), right(scope)
            if type(a) is str and type(b) is str:
                return (a == b) is wanted
            if type(a) is Unknown or type(b) is Unknown:
                return _either(a, b)
            same = equal(a, b, left_text, right_text)
            return same if type(same) is Unknown else same is wanted

        return run

    def _is_null(self, node: Node, wanted: bool) -> Evaluate:
        """`x == null` sees absence, where x is a name; of all else, unknown stays unknown."""
        value = self.value(node)
        is_path = path_of(node) is not None

        def run(scope: Scope) -> object:
            result = value(scope)
            if type(result) is Unknown:
                return wanted if is_path else result
            return (result is None) is wanted

        return run

    def _order(self, node: Compare) -> Evaluate:
        left, right = self.value(node.left), self.value(node.right)
        left_text, right_text = self.written(node.left), self.written(node.right)
        order = ORDERS[node.operator]

        def run(scope: Scope) -> object:
            a, b = left(scope), right(scope)
            if type(a) is Unknown or type(b) is Unknown:
                return _either(a, b)
            return ordered(order, a, b, left_text, right_text)

        constant = node.right.value if isinstance(node.right, Literal) else None
        if type(constant) is not int and type(constant) is not float:
            return run
        limit = constant

        def against_number(scope: Scope) -> object:
            a = left(scope)
            # The bounds keep NaN and infinity on the long way, which refuses them.
            if (type(a) is int or type(a) is float) and -_FAR < a < _FAR:
                return order(a, limit)
            return run(scope)

        return against_number

    def _membership(self, node: Compare) -> Evaluate:
        left, right = self.value(node.left), self.value(node.right)
        left_text, right_text = self.written(node.left), self.written(node.right)
        wanted = node.operator == "in"
        items = node.right.items if isinstance(node.right, ListOf) else ()
        if not all(isinstance(item, Literal) for item in items):
            return self._among(left, left_text, tuple(self.value(item) for item in items), wanted)

        def run(scope: Scope) -> object:
            needle, hay = left(scope), right(scope)
            if type(needle) is Unknown or type(hay) is Unknown:
                return _either(needle, hay)
            found = contained(needle, hay, left_text, right_text)
            return found if type(found) is Unknown else found is wanted

        return run

    def _among(
        self, left: Evaluate, left_text: str, items: tuple[Evaluate, ...], wanted: bool
    ) -> Evaluate:
        """`x in [a, b]` with names in the list: found is found, whatever else is unknown."""

        def run(scope: Scope) -> object:
            needle = left(scope)
            if type(needle) is Unknown:
                return needle
            unknown: Unknown | None = None
            known: list[object] = []
            for item in items:
                value = item(scope)
                if type(value) is Unknown:
                    unknown = merge(unknown, value)
                else:
                    known.append(value)
            found = contained(needle, known, left_text, "the list")
            if type(found) is Unknown or found is True or unknown is None:
                return found if type(found) is Unknown else found is wanted
            return unknown

        return run

    def _negative(self, node: Negative) -> Evaluate:
        operand, written = self.value(node.operand), self.written(node.operand)

        def run(scope: Scope) -> object:
            value = operand(scope)
            if type(value) is Unknown:
                return value
            if kind_of(value) != "number":
                return because(f"{written} is {a_kind(value)}, not a number")
            assert isinstance(value, int | float)
            return bounded_number(-value, f"-{written}")

        return run

    def _arithmetic(self, node: Arithmetic) -> Evaluate:
        left, right = self.value(node.left), self.value(node.right)
        left_text, right_text = self.written(node.left), self.written(node.right)
        sign = node.operator

        def run(scope: Scope) -> object:
            a, b = left(scope), right(scope)
            if type(a) is Unknown or type(b) is Unknown:
                return _either(a, b)
            return arithmetic(sign, a, b, left_text, right_text)

        return run

    def _call(self, node: Call) -> Evaluate:
        arguments = tuple(self.value(argument) for argument in node.arguments)
        texts = tuple(self.written(argument) for argument in node.arguments)
        call = FUNCTIONS[node.function].call
        if node.function == "has":
            only = arguments[0]

            def has(scope: Scope) -> object:
                value = only(scope)
                return type(value) is not Unknown and call((value,), texts)

            return has

        def run(scope: Scope) -> object:
            values: list[object] = []
            unknown: Unknown | None = None
            for argument in arguments:
                value = argument(scope)
                if type(value) is Unknown:
                    unknown = merge(unknown, value)
                values.append(value)
            return call(values, texts) if unknown is None else unknown

        return run


def _is_truth(node: Node) -> bool:
    """Whether a node can only be true, false or unknown."""
    match node:
        case Compare() | Logic() | Not():
            return True
        case Literal(value=value):
            return isinstance(value, bool)
        case Call(function=name):
            return FUNCTIONS[name].is_truth
        case _:
            return False


def _either(a: object, b: object) -> object:
    """Unknown, of two values of which at least one is."""
    unknown = a if isinstance(a, Unknown) else None
    return merge(unknown, b) if isinstance(b, Unknown) else unknown


def _list(items: list[Evaluate]) -> Evaluate:
    def run(scope: Scope) -> object:
        values: list[object] = []
        unknown: Unknown | None = None
        for item in items:
            value = item(scope)
            if type(value) is Unknown:
                unknown = merge(unknown, value)
            values.append(value)
        return values if unknown is None else unknown

    return run


def look_up(path: Path) -> Evaluate:
    """The closure that follows a path; Unknown where there is nothing at its end."""
    missing = Unknown(missing=(str(path),))
    root, keys = path.root, path.keys
    if len(keys) == 1 and isinstance(keys[0], str):
        key = keys[0]

        def one(scope: Scope) -> object:
            base = scope.get(root)
            if type(base) is dict:
                return base.get(key, missing)
            return _walk(base, keys, missing)

        return one
    if not keys:
        return lambda scope: scope.get(root, missing)

    def many(scope: Scope) -> object:
        return _walk(scope.get(root), keys, missing)

    return many


def _walk(value: object, keys: tuple[str | int, ...], missing: Unknown) -> object:
    """Down a path, through maps by key and through lists by index, and by nothing else."""
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, Mapping) or key not in value:
                return missing
        elif not isinstance(value, list | tuple) or key >= len(value):
            return missing
        value = value[key]  # type: ignore[index]  # a map by key, or a list by index
    return value

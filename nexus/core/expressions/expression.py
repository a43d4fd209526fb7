"""An expression that has been read: what it needs, what it gives, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from nexus.core.expressions.compiler import compile_tree, compile_truth, look_up
from nexus.core.expressions.nodes import Logic, Node, Not, functions_in, paths_in
from nexus.core.expressions.parser import parse_tree
from nexus.core.expressions.values import Evaluate, Unknown, shown

DEFAULT_NAMES = (
    *("data", "record", "instance", "subject", "actor"),
    *("event", "input", "metrics", "now"),
)
"""The names that a scope gives, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; it never raises, and looks at nothing but its scope.

    Attributes:
        text: What was written.
        names: Names of the scope that it uses.
        paths: Dotted paths that it reads, once each, in the order of the text.
        functions: Functions that it calls.
    """

    text: str
    names: frozenset[str]
    paths: tuple[str, ...]
    functions: frozenset[str]
    _tree: Node = field(repr=False, compare=False)
    _value: Evaluate = field(repr=False, compare=False)
    _truth: Evaluate = field(repr=False, compare=False)

    def evaluate(self, scope: Mapping[str, object]) -> object:
        """The value for a scope, or Unknown."""
        return self._value(scope)

    def holds(self, scope: Mapping[str, object]) -> bool | Unknown:
        """Whether it is true; what is neither true nor false is Unknown, with the reason."""
        return self._truth(scope)  # type: ignore[return-value]  # what `compile_truth` makes

    def explain(self, scope: Mapping[str, object]) -> dict[str, object]:
        """What it gives and what it saw, as JSON.

        Returns:
            `expression` (the text), `result` (true, false, "unknown", or the
            value), `values` (path → value that was there), `missing` (paths
            that were not), `reason` (only where unknown), and `parts` (the same
            again for each operand of and, or, not).
        """
        return _explain(self._tree, self.text, scope)


def parse(text: str, names: Collection[str] = DEFAULT_NAMES) -> Expression:
    """Read an expression.

    Args:
        text: At most 2,000 characters.
        names: Names that it may use.

    Raises:
        ExpressionError: It cannot be read, or asks for what is not there.
    """
    tree = parse_tree(text, names)
    paths = tuple(paths_in(tree))
    return Expression(
        text=text,
        names=frozenset(path.root for path in paths),
        paths=tuple(dict.fromkeys(str(path) for path in paths)),
        functions=frozenset(functions_in(tree)),
        _tree=tree,
        _value=compile_tree(tree, text),
        _truth=compile_truth(tree, text),
    )


def _explain(node: Node, text: str, scope: Mapping[str, object]) -> dict[str, object]:
    result = compile_tree(node, text)(scope)
    values: dict[str, object] = {}
    missing: list[str] = []
    for path in dict.fromkeys(paths_in(node)):
        value = look_up(path)(scope)
        if isinstance(value, Unknown):
            missing.append(str(path))
        else:
            values[str(path)] = shown(value)
    explained: dict[str, object] = {
        "expression": text[node.start : node.end],
        "result": "unknown" if isinstance(result, Unknown) else shown(result),
        "values": values,
        "missing": missing,
    }
    if isinstance(result, Unknown):
        explained["reason"] = result.reason
    if isinstance(node, Logic | Not):
        parts = node.parts if isinstance(node, Logic) else (node.operand,)
        explained["parts"] = [_explain(part, text, scope) for part in parts]
    return explained

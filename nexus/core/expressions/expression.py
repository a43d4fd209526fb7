"""An expression that has been read: what it needs, what it gives, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from nexus.core.expressions.compiler import compile_tree, compile_truth
from nexus.core.expressions.explanation import Room, explain_tree
from nexus.core.expressions.nodes import Node, functions_in, nodes_in, paths_in
from nexus.core.expressions.parser import parse_tree
from nexus.core.expressions.values import Evaluate, Unknown

Explained = dict[str, object]

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
        size: Nodes of its tree, which bounds its work.
    """

    text: str
    names: frozenset[str]
    paths: tuple[str, ...]
    functions: frozenset[str]
    size: int
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
            that were not), `reason` (only where it is neither true nor false),
            `parts` (the same again for each operand of and, or, not, and for each
            operand that is computed), and `cut` (only where not everything fits).
        """
        return self.tell(scope, Room())[1]

    def tell(self, scope: Mapping[str, object], room: Room) -> tuple[bool | Unknown, Explained]:
        """Whether it holds, and the explanation, as far as there is room."""
        return explain_tree(self._tree, self.text, scope, room)


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
        size=sum(1 for _ in nodes_in(tree)),
        _tree=tree,
        _value=compile_tree(tree, text),
        _truth=compile_truth(tree, text),
    )

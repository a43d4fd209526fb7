"""An expression that has been read: what it needs, what it gives, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from nexus.core.expressions.compiler import compile_tree
from nexus.core.expressions.explanation import Room, explain_tree
from nexus.core.expressions.nodes import Node, survey
from nexus.core.expressions.parser import parse_tree
from nexus.core.expressions.values import Evaluate, Unknown

Explained = dict[str, object]

DEFAULT_NAMES = (
    *("data", "record", "instance", "subject", "actor"),
    *("event", "input", "steps", "metrics", "now"),
)
"""The names that a scope gives, unless the caller says otherwise."""


class _Closures:
    """What runs, made when it is first asked for: of a large definition's expressions, most never
    are in one process. What can be wrong with an expression, its tree has shown already.
    """

    __slots__ = ("truth", "value")

    def __init__(self) -> None:
        self.value: Evaluate | None = None
        self.truth: Evaluate | None = None

    def make(self, tree: Node, text: str) -> tuple[Evaluate, Evaluate]:
        """Both closures. Threads that come here at once make the same."""
        self.value, self.truth = made = compile_tree(tree, text)
        return made


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
    _made: _Closures = field(repr=False, compare=False)

    @property
    def tree(self) -> Node:
        """The syntax tree; its nodes know their places in `text`."""
        return self._tree

    def evaluate(self, scope: Mapping[str, object]) -> object:
        """The value for a scope, or Unknown."""
        made = self._made
        return (made.value or made.make(self._tree, self.text)[0])(scope)

    def holds(self, scope: Mapping[str, object]) -> bool | Unknown:
        """Whether it is true; what is neither true nor false is Unknown, with the reason."""
        made = self._made
        truth = made.truth or made.make(self._tree, self.text)[1]
        return truth(scope)  # type: ignore[return-value]  # what `compile_truth` makes

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
    found = survey(tree)
    return Expression(
        text=text,
        names=frozenset(path.root for path in found.paths),
        paths=tuple(dict.fromkeys(str(path) for path in found.paths)),
        functions=found.functions,
        size=found.size,
        _tree=tree,
        _made=_Closures(),
    )

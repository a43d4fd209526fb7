"""Expressions and conditions with their places in the document."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from nexus.core.compiler.reader import below
from nexus.core.conditions import Condition, Connective, Membership
from nexus.core.errors import Report
from nexus.core.expressions import Expression, ExpressionError
from nexus.core.expressions.nodes import (
    Literal,
    Logic,
    Negative,
    Node,
    Not,
    Path,
    children,
    path_of,
)
from nexus.core.program import Transition
from nexus.core.steps import Computed

_MOST_SHOWN = 60


class Written(Struct, frozen=True):
    """An expression, and the JSON pointer of the string that it is."""

    expression: Expression
    pointer: str

    def text(self, node: Node) -> str:
        """What was written for a node, cut where it is long."""
        text = self.expression.text[node.start : node.end]
        return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"

    def tell(
        self,
        report: Report,
        code: str,
        node: Node,
        message: str,
        *,
        expected: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        """Report a problem at a node of the expression."""
        text = self.expression.text
        place = ExpressionError(message, node.start, node.end - node.start)
        report(
            code,
            self.pointer,
            message,
            expected=expected,
            found=self.text(node),
            suggestion=suggestion,
            offset=node.start,
            excerpt=place.caret(text),
        )


class Leaf(Struct, frozen=True):
    """A part of an expression that is no `and`, `or` or `not`."""

    written: Written
    node: Node


class Check(Struct, frozen=True):
    """A `role_check` or a `segment_check`."""

    membership: Membership
    pointer: str


class Negation(Struct, frozen=True):
    """`not`, in an expression or as an object."""

    part: Tree


class Join(Struct, frozen=True):
    """`and` and `all`, `or` and `any`; its parts are not joined in the same way again."""

    every: bool
    parts: tuple[Tree, ...]


Tree = Leaf | Check | Negation | Join


def condition_tree(condition: Condition, document: object, pointer: str) -> Tree:
    """A condition as one tree, whether it was written as text or as objects.

    Args:
        condition: As it was compiled.
        document: What it was compiled from.
        pointer: Its place.
    """
    if isinstance(condition, Expression):
        inside = isinstance(document, dict)
        place = below(pointer, "expression") if inside else pointer
        return _expression_tree(Written(condition, place), condition.tree)
    if isinstance(condition, Membership):
        return Check(condition, pointer)
    assert isinstance(condition, Connective)
    assert isinstance(document, dict)
    inner, place = document[condition.connective], below(pointer, condition.connective)
    if condition.connective == "not":
        return Negation(condition_tree(condition.parts[0], inner, place))
    parts = [
        condition_tree(part, inner[index], below(place, index))
        for index, part in enumerate(condition.parts)
    ]
    return join(condition.connective == "all", parts)


def _expression_tree(written: Written, node: Node) -> Tree:
    if isinstance(node, Logic):
        parts = [_expression_tree(written, part) for part in node.parts]
        return join(node.operator == "and", parts)
    if isinstance(node, Not):
        return Negation(_expression_tree(written, node.operand))
    return Leaf(written, node)


def join(every: bool, parts: list[Tree]) -> Join:
    """All or any of these, flat."""
    flat: list[Tree] = []
    for part in parts:
        flat += part.parts if isinstance(part, Join) and part.every is every else [part]
    return Join(every, tuple(flat))


def leaves(tree: Tree) -> Iterator[Leaf | Check]:
    """Every part that is not joined of others, in the order of the document."""
    if isinstance(tree, Join):
        for part in tree.parts:
            yield from leaves(part)
    elif isinstance(tree, Negation):
        yield from leaves(tree.part)
    else:
        yield tree


def computed_of(transition: Transition) -> Iterator[tuple[str, Computed, str]]:
    """("set" or "creates", what is computed, its pointer) of a transition."""
    place = below("/transitions", transition.name)
    for computed in transition.set:
        yield "set", computed, below(below(place, "set"), computed.key)
    if transition.creates is not None:
        inner = below(below(place, "creates"), "data")
        for computed in transition.creates.data:
            yield "creates", computed, below(inner, computed.key)


def paths_at(node: Node) -> Iterator[tuple[Path, Node]]:
    """Every path at or below a node, with the node that spells it."""
    path = path_of(node)
    if path is not None:
        yield path, node
        return
    for child in children(node):
        yield from paths_at(child)


def literal_of(node: Node) -> Literal | None:
    """The literal that a node is; a negative number is one as well."""
    if isinstance(node, Literal):
        return node
    if isinstance(node, Negative) and isinstance(node.operand, Literal):
        value = node.operand.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Literal(node.start, node.end, 1, -value)
    return None

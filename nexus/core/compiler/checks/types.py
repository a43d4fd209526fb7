"""Values that can never be compared, or never fit what is done with them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from nexus.core.compiler.checks.facts import Facts, Kinds
from nexus.core.compiler.checks.written import Written, literal_of
from nexus.core.errors import Report, nearest
from nexus.core.expressions.nodes import (
    Arithmetic,
    Call,
    Compare,
    ListOf,
    Literal,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Path,
    Step,
    path_of,
)
from nexus.core.expressions.operators import parse_moment
from nexus.core.expressions.values import Kind, kind_of
from nexus.core.reasons import several
from nexus.core.steps import Computed

_NUMBER: Kinds = frozenset(("number",))
_STRING: Kinds = frozenset(("string",))
_TRUTH: Kinds = frozenset(("boolean",))
_LIST: Kinds = frozenset(("list",))
_SIZED: Kinds = frozenset(("string", "list", "map"))
_MOMENT: Kinds = frozenset(("datetime", "string"))
_ORDERED: Kinds = frozenset(("number", "string", "datetime"))
_NULL: Kinds = frozenset(("null",))

# What each function takes and gives; None is anything.
_TAKES: dict[str, Kinds | None] = {
    "has": None,
    "size": _SIZED,
    "lower": _STRING,
    "upper": _STRING,
    "contains": None,
    "starts_with": _STRING,
    "min": None,
    "max": None,
    "round": _NUMBER,
    "days_between": _MOMENT,
}
_GIVES: dict[str, Kinds | None] = {
    "has": _TRUTH,
    "size": _NUMBER,
    "lower": _STRING,
    "upper": _STRING,
    "contains": _TRUTH,
    "starts_with": _TRUTH,
    "min": None,
    "max": None,
    "round": _NUMBER,
    "days_between": _NUMBER,
}
_SPOKEN: dict[Kind, str] = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "text",
    "list": "a list",
    "map": "a map",
    "datetime": "a moment",
}
_SINGLE: dict[Kind, Kinds] = {kind: frozenset((kind,)) for kind in (*_SPOKEN, "value")}


class Types:
    """Finds out the kinds of an expression's values, and reports those that never fit.

    Attributes:
        faulty: Nodes of which something was reported, so that nobody else does.
    """

    def __init__(self, report: Report, facts: Facts, written: Written) -> None:
        self._report = report
        self._facts = facts
        self._written = written
        self.faulty: set[Node] = set()

    def kinds(self, node: Node) -> Kinds | None:
        """What a node's value can be; None where nothing says so. Reports what is below it."""
        kind = type(node)
        if kind is Literal:
            return _SINGLE[kind_of(node.value)]  # type: ignore[attr-defined]  # a literal
        if kind is Step or kind is Name:
            path = path_of(node)
            return None if path is None else self._facts.about(path).kinds
        if kind is Compare:
            self._compare(node)  # type: ignore[arg-type]  # a comparison
            return _TRUTH
        return self._composed(node)

    def _composed(self, node: Node) -> Kinds | None:
        match node:
            case Not() | Logic():
                self._logic(node)
                return _TRUTH
            case Arithmetic():
                return self._arithmetic(node)
            case Call():
                return self._call(node)
            case ListOf(items=items):
                for item in items:
                    self.kinds(item)
                return _LIST
            case Negative(operand=operand):
                self._need(operand, self.kinds(operand), _NUMBER, node)
                return _NUMBER
        return None  # pragma: no cover  # there are no other nodes

    def truth(self, node: Node) -> None:
        """Report, at or below a node, what keeps it from ever being true or false."""
        self._need(node, self.kinds(node), _TRUTH, node)

    def _logic(self, node: Not | Logic) -> None:
        for part in node.parts if isinstance(node, Logic) else (node.operand,):
            self.truth(part)

    def _tell(self, node: Node, message: str, *, at: Node | None = None) -> None:
        self.faulty.add(node)
        self._written.tell(self._report, "unlike_types", at or node, message)

    def _need(self, node: Node, kinds: Kinds | None, wanted: Kinds, whole: Node) -> bool:
        """Whether a value can be of a kind that is wanted; the report is about the whole."""
        if kinds is None or kinds & wanted:
            return True
        self.faulty.add(whole)
        self._tell(
            node, f"{self._written.text(node)} is {spoken(kinds)}, and never {spoken(wanted)}."
        )
        return False

    def _compare(self, node: Compare) -> None:
        left, right = self.kinds(node.left), self.kinds(node.right)
        if node.operator in ("in", "not in"):
            self._membership(node, left, right)
        elif node.operator in ("==", "!="):
            self._equality(node, left, right)
        else:
            self._order(node, left, right)

    def _unlike(self, node: Compare, left: Kinds, right: Kinds) -> None:
        a, b = self._written.text(node.left), self._written.text(node.right)
        self._tell(
            node,
            f"{a} is {spoken(left)} and {b} is {spoken(right)}: these never compare, so this is "
            "neither true nor false.",
        )

    def _equality(self, node: Compare, left: Kinds | None, right: Kinds | None) -> None:
        if left is None or right is None:
            return
        if _NULL in (left, right):
            return  # only null is null, and everything can be asked about it
        if not _meet(left, right):
            self._unlike(node, left, right)
        elif not ("datetime" in left or "datetime" in right) or not self._moments(
            node, left, right
        ):
            self._values(node)

    def _order(self, node: Compare, left: Kinds | None, right: Kinds | None) -> None:
        fit = True
        for side, kinds in ((node.left, left), (node.right, right)):
            if fit and kinds is not None and not kinds & _ORDERED:
                fit = False
                text = self._written.text(side)
                self._tell(node, f"{text} is {spoken(kinds)}, which has no order.", at=side)
        if not fit or left is None or right is None:
            return
        if not _meet(left & _ORDERED, right & _ORDERED):
            self._unlike(node, left, right)
        elif "datetime" in left or "datetime" in right:
            self._moments(node, left, right)

    def _moments(self, node: Compare, left: Kinds, right: Kinds) -> bool:
        """Whether text is compared with a moment that no moment is spelled like, with a report."""
        for side, other in ((node.left, right), (node.right, left)):
            literal = literal_of(side)
            if other == frozenset(("datetime",)) and literal and isinstance(literal.value, str):
                return not self._is_moment(side, literal.value, node)
        return False

    def _is_moment(self, node: Node, text: str, whole: Node) -> bool:
        if parse_moment(text) is not None:
            return True
        self.faulty.add(whole)
        self._tell(node, f"{text!r} is no date; write one such as '2026-11-21'.")
        return False

    def _membership(self, node: Compare, left: Kinds | None, right: Kinds | None) -> None:
        if right is not None and not right & _SIZED:
            text = self._written.text(node.right)
            message = f"{text} is {spoken(right)}: nothing is in it."
            self._tell(node, message, at=node.right)
        elif right is not None and left is not None and not right & _LIST and not left & _STRING:
            self._unlike(node, left, right)
        elif isinstance(node.right, ListOf) and left is not None:
            of_items = [self.kinds(item) for item in node.right.items]
            if of_items and all(one is not None and not _meet(left, one) for one in of_items):
                elements = reduce(frozenset.union, (one for one in of_items if one is not None))
                a, b = self._written.text(node.left), self._written.text(node.right)
                self._tell(
                    node,
                    f"{a} is {spoken(left)} and {b} lists {spoken(elements)}: "
                    "it is never one of them.",
                )
            else:
                self._values(node)

    def _values(self, node: Compare) -> None:
        """A comparison with a value that is none of the few that there are."""
        for side, other in ((node.left, node.right), (node.right, node.left)):
            path = path_of(side)
            values = None if path is None else self._facts.about(path).values
            if values is None:
                continue
            literals = other.items if isinstance(other, ListOf) else (other,)
            for item in literals:
                literal = literal_of(item)
                if literal is not None and not _is_among(literal.value, values):
                    self.faulty.add(node)
                    self.never(item, str(path), literal.value, values)
            return

    def never(self, node: Node, name: str, value: object, values: Iterable[object]) -> None:
        """Report a value that is none of the few that there are."""
        listed = [str(one) if isinstance(one, str) else self._json(one) for one in values]
        self._written.tell(
            self._report,
            "never_matches",
            node,
            f"{name} is never {value!r} here; it is {several(listed, ' or ') or 'nothing'}.",
            expected=several(listed),
            suggestion=nearest(str(value), listed),
        )

    @staticmethod
    def _json(value: object) -> str:
        return {True: "true", False: "false", None: "null"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]  # scalars alone

    def _arithmetic(self, node: Arithmetic) -> Kinds | None:
        left, right = self.kinds(node.left), self.kinds(node.right)
        allowed = _NUMBER | _STRING if node.operator == "+" else _NUMBER
        fits = self._need(node.left, left, allowed, node)
        fits = self._need(node.right, right, allowed, node) and fits
        if node.operator != "+":
            return _NUMBER
        if not fits or left is None or right is None:
            known = left if left is not None else right
            return None if known is None or not fits else known & allowed
        if not left & right & allowed:
            a, b = self._written.text(node.left), self._written.text(node.right)
            message = f"{a} is {spoken(left)} and {b} is {spoken(right)}: these never add up."
            self._tell(node, message)
            return None
        return left & right & allowed

    def _call(self, node: Call) -> Kinds | None:
        given = [self.kinds(argument) for argument in node.arguments]
        wanted = _TAKES[node.function]
        if node.function in ("min", "max"):
            wanted = _LIST if len(given) == 1 else _ORDERED
        for argument, kinds in zip(node.arguments, given, strict=True):
            literal = literal_of(argument)
            if node.function == "days_between" and literal and isinstance(literal.value, str):
                self._is_moment(argument, literal.value, node)
            elif wanted is not None:
                self._need(argument, kinds, wanted, node)
                wanted = _NUMBER if node.function == "round" else wanted
        if node.function == "contains":
            self._need(node.arguments[0], given[0], _SIZED, node)
        if node.function in ("min", "max") and len(given) > 1:
            return _every(given)
        return _GIVES[node.function]


def check_computed(types: Types, written: Written, facts: Facts, computed: Computed) -> None:
    """Report a value of `set` that the field which it is for can never keep."""
    expression = computed.expression
    assert expression is not None
    own = types.kinds(expression.tree)
    target = facts.about(Path("data", (computed.key,)))
    if own is None or expression.tree in types.faulty:
        return
    kinds, values = target.kinds, target.values
    literal = literal_of(expression.tree)
    if kinds is not None and not own & _kept(kinds):
        types._tell(  # noqa: SLF001 - of this file
            expression.tree,
            f"{computed.key} is {spoken(kinds)} and {written.text(expression.tree)} is "
            f"{spoken(own)}, so this would always be refused.",
        )
    elif literal is not None and values is not None and not _is_among(literal.value, values):
        types.never(expression.tree, computed.key, literal.value, values)


def _kept(kinds: Kinds) -> Kinds:
    """What can be written where these kinds are kept: moments are kept as text."""
    return kinds | frozenset(("datetime",)) if "string" in kinds else kinds


def spoken(kinds: Kinds) -> str:
    """Kinds as they stand in a sentence."""
    named = [_SPOKEN[kind] for kind in _SPOKEN if kind in kinds and kind != "null"]
    return " or ".join(named) or "null"


def _meet(left: Kinds, right: Kinds) -> bool:
    """Whether values of these kinds can be compared at all."""
    if left is right and left is not _NULL:
        return True
    both = (left | right) - _NULL
    return bool((left & right) - _NULL) or (
        "datetime" in both and bool(left & _MOMENT) and bool(right & _MOMENT)
    )


def _every(kinds: list[Kinds | None]) -> Kinds | None:
    known = [one for one in kinds if one is not None]
    return reduce(frozenset.union, known) if len(known) == len(kinds) else None


def _is_among(value: object, values: Iterable[object]) -> bool:
    return any(value == one and kind_of(value) == kind_of(one) for one in values)

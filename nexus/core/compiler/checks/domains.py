"""What a few comparisons leave for the value at one path: anything at all?"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from nexus.core.compiler.checks.facts import Facts, Scalar, is_scalar
from nexus.core.compiler.checks.written import literal_of
from nexus.core.expressions.nodes import Compare, ListOf, Node, Path, path_of
from nexus.core.expressions.operators import ORDERS
from nexus.core.expressions.values import kind_of

_FLIPPED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NEGATED = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
}
_ORDERED = ("number", "string")


class Claim(Struct, frozen=True):
    """`path operator value`, as a comparison says it; several values for `in` and `not in`."""

    path: Path
    operator: str
    values: tuple[Scalar, ...]

    def negated(self) -> Claim:
        """What holds where this does not, as long as something is there."""
        return Claim(self.path, _NEGATED[self.operator], self.values)


def claim_of(node: Node) -> Claim | None:
    """What a node claims of one path; None where it is more than that."""
    path = path_of(node)
    if path is not None:
        return Claim(path, "==", (True,))
    if not isinstance(node, Compare):
        return None
    path = path_of(node.left)
    if path is not None and isinstance(node.right, ListOf):
        items = [literal_of(item) for item in node.right.items]
        values = [item.value for item in items if item is not None and is_scalar(item.value)]
        if node.operator in ("in", "not in") and len(values) == len(items):
            return Claim(path, node.operator, tuple(values))  # type: ignore[arg-type]  # scalars
        return None
    if node.operator not in _FLIPPED:
        return None
    literal, operator = literal_of(node.right), str(node.operator)
    if path is None:
        path, literal = path_of(node.right), literal_of(node.left)
        operator = _FLIPPED[operator]
    if path is None or literal is None or not is_scalar(literal.value):
        return None
    return Claim(path, operator, (literal.value,))  # type: ignore[arg-type]  # a scalar


class Domain:
    """The values that a path may still have, narrowed by one claim after another."""

    def __init__(self, facts: Facts, path: Path) -> None:
        about = facts.about(path)
        # Moments are compared as moments, which text alone does not tell.
        self._is_opaque = about.kinds is not None and "datetime" in about.kinds
        self._allowed: list[Scalar] | None = None
        if about.values is not None:
            absent: tuple[Scalar, ...] = () if about.always_there else (None,)
            self._allowed = [*about.values, *absent]
        self._excluded: list[Scalar] = []
        self._limits: list[tuple[str, Scalar]] = []
        self._own = about.bounds

    def narrow(self, claim: Claim) -> bool:
        """Take a claim as true.

        Returns:
            Whether any value is left.
        """
        if self._is_opaque:
            return True
        if claim.operator in ("==", "in"):
            kept = claim.values if self._allowed is None else self._allowed
            self._allowed = [value for value in kept if _among(value, claim.values)]
        elif claim.operator in ("!=", "not in"):
            self._excluded += claim.values
        else:
            self._limits.append((claim.operator, claim.values[0]))
        return self._is_possible()

    def _is_possible(self) -> bool:
        if self._allowed is not None:
            return any(self._is_left(value) for value in self._allowed)
        kinds = {kind_of(limit) for _, limit in self._limits}
        if len(kinds) != 1 or not kinds <= set(_ORDERED):
            return True  # of unlike kinds; that is told elsewhere
        own: list[tuple[str, Scalar]] = [*self._own] if kinds == {"number"} else []
        return _has_room([*self._limits, *own], self._excluded)

    def _is_left(self, value: Scalar) -> bool:
        if _among(value, self._excluded):
            return False
        kind = kind_of(value)
        limits = (*self._limits, *(self._own if kind == "number" else ()))
        return not limits or (
            kind in _ORDERED
            and all(
                kind == kind_of(limit) and ORDERS[operator](value, limit)
                for operator, limit in limits
            )
        )


def _has_room(limits: Iterable[tuple[str, Scalar]], excluded: Iterable[Scalar]) -> bool:
    """Whether a value lies within limits of one kind, none of them a list."""
    lowest = [(limit, operator == ">") for operator, limit in limits if operator[0] == ">"]
    highest = [(limit, operator == "<") for operator, limit in limits if operator[0] == "<"]
    if not lowest or not highest:
        return True
    low, low_open = max(lowest)
    high, high_open = min(highest, key=lambda bound: (bound[0], not bound[1]))
    if low == high:
        return not (low_open or high_open or _among(low, excluded))
    return low < high  # type: ignore[operator]  # as above


def _among(value: Scalar, values: Iterable[Scalar]) -> bool:
    return any(value == one and kind_of(value) == kind_of(one) for one in values)

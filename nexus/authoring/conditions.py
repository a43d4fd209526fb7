"""Whether a changed condition lets more or fewer records pass, where that can be told."""

from __future__ import annotations

from nexus.core.conditions import Condition
from nexus.core.expressions import DEFAULT_NAMES, Expression
from nexus.core.expressions.nodes import Compare, Literal, Path, path_of
from nexus.core.expressions.parser import parse_tree

FEWER = "Fewer records pass."
MORE = "More records pass."
CANNOT_TELL = (
    "Whether more or fewer records pass cannot be told from the text: `can` says it of an instance."
)

_UPWARDS = {">": False, ">=": True}  # whether the bound itself passes
_DOWNWARDS = {"<": False, "<=": True}


def compared(before: Condition, after: Condition) -> str:
    """What a new condition means, against the old one.

    It can be told of one value against one bound, such as `data.score > 50`; of
    anything else it is not tried.
    """
    one, other = _bound(before), _bound(after)
    if one is None or other is None or one[0] != other[0]:
        return CANNOT_TELL
    for bounds, sign in ((_UPWARDS, 1), (_DOWNWARDS, -1)):
        if one[1] in bounds and other[1] in bounds:
            ranks = [(sign * number, not bounds[operator]) for _, operator, number in (one, other)]
            if ranks[0] == ranks[1]:
                return ""
            return FEWER if ranks[1] > ranks[0] else MORE
    return CANNOT_TELL


def _bound(condition: Condition) -> tuple[Path, str, float] | None:
    if not isinstance(condition, Expression):
        return None
    tree = parse_tree(condition.text, DEFAULT_NAMES)
    if not isinstance(tree, Compare) or not isinstance(tree.right, Literal):
        return None
    path, value = path_of(tree.left), tree.right.value
    if path is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return path, tree.operator, value

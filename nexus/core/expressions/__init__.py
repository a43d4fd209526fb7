"""Expressions: `data.score > 50 AND data.region == 'EU'`.

Text is read by a lexer and a parser of our own and compiled to closures. There
is no access to attributes, no way to call anything but a short list of pure
functions, and a bound on length, depth and work; the meaning of an expression
depends on its text and its scope alone, so that it is the same at every replay.

    parse("data.score > 50").holds({"data": {"score": 60}})    # True
    parse("data.score > 50").holds({"data": {}})               # Unknown(missing=("data.score",))
"""

from nexus.core.expressions.errors import ExpressionError
from nexus.core.expressions.explanation import Room, shown, shown_reason
from nexus.core.expressions.expression import DEFAULT_NAMES, Expression, parse
from nexus.core.expressions.functions import FUNCTIONS
from nexus.core.expressions.operators import parse_moment
from nexus.core.expressions.values import Unknown, because, merge, to_json

__all__ = [
    "DEFAULT_NAMES",
    "FUNCTIONS",
    "Expression",
    "ExpressionError",
    "Room",
    "Unknown",
    "because",
    "merge",
    "parse",
    "parse_moment",
    "shown",
    "shown_reason",
    "to_json",
]

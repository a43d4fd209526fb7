"""What a template may cost: Liquid's own limits leave out what filters, ranges and many loops do.

One line of a template can ask for more memory than any machine has (`replace` with an empty text,
`(1..9999999999) | reverse`), so that everything is weighed before a filter is given it and before
its result is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LoopIterationLimitError, ResourceLimitError
from liquid.expression import Expression
from liquid.token import Token

MOST_OUTPUT = 1_048_576  # bytes of one text, rendered
MOST_TURNS = 10_000  # of all loops in one text
MOST_STEPS = 2_000_000  # turns, times what the text has of tags and values
MOST_WEIGHT = 2 * MOST_OUTPUT  # of what a filter is given, or makes
MOST_SECONDS = 2.0  # of computing
MOST_BITS = 4_096  # of a number
MOST_DATE = 200  # characters of a date, or of its format
MOST_INDENT = 16


class _Stop(Expression):
    """The end of a range that is no longer than a loop may be."""

    __slots__ = ("start", "stop")

    def __init__(self, start: Expression, stop: Expression) -> None:
        super().__init__(stop.token)
        self.start = start
        self.stop = stop

    def __str__(self) -> str:
        return str(self.stop)

    def evaluate(self, context: RenderContext) -> object:
        first, last = self.start.evaluate(context), self.stop.evaluate(context)
        if _int(last) - _int(first) >= MOST_TURNS:
            raise LoopIterationLimitError(
                f"loop iteration limit: a range has at most {MOST_TURNS:,} numbers",
                token=self.token,
            )
        return last

    def children(self) -> Iterable[Expression]:
        return (self.stop,)


class _Context(RenderContext):
    """Counts turns, and weighs what filters are given and make."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turns = 0
        self.until = time.thread_time() + MOST_SECONDS

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Liquid multiplies loops in loops; here all turns of a text count, one loop or many."""
        super().raise_for_loop_limit(length)
        self.turns += length
        template = self.template
        size = template.size if isinstance(template, BoundedTemplate) else 1
        if self.turns > MOST_TURNS or self.turns * size > MOST_STEPS:
            raise LoopIterationLimitError("loop iteration limit reached", token=None)

    def get(self, path: list[object], *, token: Token | None, **others: Any) -> object:
        self._check_time(token)
        return super().get(path, token=token, **others)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        made = super().filter(name, token)

        def bounded(left: object, *args: object, **kwargs: object) -> object:
            self._check_time(token)
            why = _too_much(name, left, [*args, *kwargs.values()])
            result = None if why else made(left, *args, **kwargs)
            if why or _weight(result) > MOST_WEIGHT:
                raise ResourceLimitError(f"{name}: {why or 'it makes too much'}", token=token)
            return result

        return bounded

    def _check_time(self, token: Token | None) -> None:
        if time.thread_time() > self.until:
            raise ResourceLimitError("it takes too long", token=token)


class BoundedTemplate(BoundTemplate):
    """A template that has its bounds.

    Attributes:
        size: How many tags and values it has.
    """

    context_class = _Context

    def __init__(self, env: Environment, nodes: list[Node], *args: Any, **kwargs: Any) -> None:
        super().__init__(env, nodes, *args, **kwargs)
        static = RenderContext(self)
        self.size = sum(_bound_node(node, static) for node in nodes)


def _bound_node(node: Node, static: RenderContext) -> int:
    inner = sum(_bound_node(one, static) for one in node.children(static, include_partials=False))
    return 1 + inner + sum(map(_bound_expression, node.expressions()))


def _bound_expression(expression: Expression) -> int:
    size = 1 + sum(map(_bound_expression, expression.children()))
    if isinstance(expression, RangeLiteral):
        expression.stop = _Stop(expression.start, expression.stop)
    return size


def _too_much(name: str, left: object, others: list[object]) -> str | None:
    """Why a filter is not given this; None if it is."""
    weight = _weight([left, *others])
    if weight > MOST_WEIGHT:
        return "it is given too much"
    if name == "date" and max(len(_text(one)) for one in [left, *others]) > MOST_DATE:
        return "a date is not that long"
    if name == "date" and any(_wide(_text(one)) for one in others):
        return "a part of a date is not that wide"
    if name == "json" and any(_int(one) > MOST_INDENT for one in others):
        return "that is too much of an indent"
    if name.startswith("replace") and others:
        old, new = _text(others[0]), _text(others[1]) if len(others) > 1 else ""
        weight += _text(left).count(old) * len(new)
    if name == "join" and others and isinstance(left, Iterable):
        weight += _length(left) * len(_text(others[0]))
    if name == "uniq":
        weight += _length(left) ** 2 // 10  # each is compared with each
    return "it makes too much" if weight > MOST_WEIGHT else None


def _weight(value: object) -> int:
    """About as many characters as a value has when it is written; none beyond the bound count."""
    total, left = 0, [value]
    while left and total <= MOST_WEIGHT:
        one = left.pop()
        if isinstance(one, str):
            total += len(one) + 2
        elif isinstance(one, int) and one.bit_length() > MOST_BITS:
            total += MOST_WEIGHT + 1
        elif isinstance(one, range):
            total += 8 * len(one)
        elif isinstance(one, Mapping):
            total += 8
            left.extend(one)
            left.extend(one.values())
        elif isinstance(one, list | tuple):
            total += 8
            if len(one) > MOST_WEIGHT:
                return len(one)
            left.extend(one)
        else:
            total += 8
    return total


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple | range | Mapping) else 1


def _wide(text: str) -> bool:
    """Whether a format of dates asks for many characters for one part."""
    digits = 0
    for character in text:
        digits = digits + 1 if character.isdigit() else 0
        if digits > 2:
            return True
    return False


def _int(value: object) -> int:
    # What Liquid takes for a number; anything else is 0 to it.
    try:
        return int(value) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0

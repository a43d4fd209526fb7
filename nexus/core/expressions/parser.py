"""Tokens → syntax tree, by precedence climbing (Pratt).

From loosest to tightest: `or`, `and`, `not`, comparisons (which do not chain),
`+ -`, `* / %`, unary `-`, steps into maps and lists.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn, TypeVar, cast

from nexus.core.expressions.errors import ExpressionError, closest, foreign_letter
from nexus.core.expressions.functions import FUNCTIONS
from nexus.core.expressions.lexer import CONSTANTS, OPERATOR_WORDS, Token, tokenize
from nexus.core.expressions.nodes import (
    Arithmetic,
    Call,
    Compare,
    Comparison,
    ListOf,
    Literal,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Sign,
    Step,
    path_of,
)

MAX_DEPTH = 64
"""Deepest nesting, of parentheses as well as of the tree."""

MAX_NODES = 500
"""Most nodes of one expression."""

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _NEGATIVE = range(1, 8)
_BINARY = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", ">", ">=", "<", "<=", "in", "not in"), _COMPARE),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
}
_OPERATOR_NAMES = tuple(dict.fromkeys(OPERATOR_WORDS.values()))
# What people who know another language write first.
_OTHER_CONSTANTS = {"none": "null", "nil": "null", "undefined": "null"}
_OTHER_CONSTANTS |= {name: name for name in CONSTANTS}
_OTHER_FUNCTIONS = {
    **dict.fromkeys(("len", "length", "count"), "size"),
    **dict.fromkeys(("exists", "isset", "defined", "present"), "has"),
    **dict.fromkeys(("includes", "include"), "contains"),
}

_N = TypeVar("_N", bound=Node)


def parse_tree(text: str, names: Collection[str]) -> Node:
    """The syntax tree of an expression.

    Args:
        text: The expression.
        names: Names that it may use.

    Raises:
        ExpressionError: The text is no expression, uses another name, or is too large.
    """
    return _Parser(text, names).whole()


def _strange(name: str) -> str:
    """What the eye does not see: with a Cyrillic letter it is another name."""
    letter = foreign_letter(name)
    return f": {letter}" if letter else ""


class _Parser:
    def __init__(self, text: str, names: Collection[str]) -> None:
        self._text = text
        self._names = names
        self._tokens = tokenize(text)
        self._at = 0
        self._token = self._tokens[0]
        self._nodes = 0
        self._nesting = 0

    # -- tokens ---------------------------------------------------------------

    @property
    def _last_end(self) -> int:
        return self._tokens[self._at - 1].end

    def _next(self) -> Token:
        token = self._token
        self._at += 1
        # The end is looked at and never taken, so there is always a next one.
        self._token = self._tokens[self._at]
        return token

    def _is(self, *symbols: str) -> bool:
        return self._token.kind == "symbol" and self._token.text in symbols

    def _operator(self) -> str | None:
        """The binary operator that stands here, in its one spelling."""
        token = self._token
        text = OPERATOR_WORDS.get(token.text, "") if token.kind == "word" else token.text
        if text == "not":
            after = self._tokens[self._at + 1]
            follows = after.kind == "word" and OPERATOR_WORDS.get(after.text) == "in"
            return "not in" if follows else None
        return text if token.kind in ("word", "symbol") and text in _BINARY else None

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._token
        if token.kind == "end":
            raise ExpressionError(
                f"the expression ends where {expected} should stand",
                token.start,
                expected=expected,
                found="the end",
            )
        found = self._text[token.start : token.end]
        suggestion = closest(found, _OPERATOR_NAMES) if token.kind == "word" else None
        raise ExpressionError(
            f"{found!r} stands where {expected} should",
            token.start,
            token.end - token.start,
            expected=expected,
            found=found,
            suggestion=suggestion,
        )

    def _close(self, symbol: str, opening: Token) -> None:
        if not self._is(symbol):
            self._unexpected(f"{symbol!r} for the {opening.text!r} at {opening.start + 1}")
        self._next()

    # -- nodes ----------------------------------------------------------------

    def _made(self, node: _N) -> _N:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ExpressionError(
                f"the expression has more than {MAX_NODES} parts",
                node.start,
                node.end - node.start,
                expected=f"at most {MAX_NODES} parts",
            )
        if node.depth > MAX_DEPTH:
            self._too_deep(node.start, node.end - node.start)
        return node

    def _too_deep(self, offset: int, length: int) -> NoReturn:
        raise ExpressionError(
            f"the expression is nested deeper than {MAX_DEPTH}",
            offset,
            length,
            expected=f"a depth of at most {MAX_DEPTH}",
        )

    def whole(self) -> Node:
        """The tree of the whole text."""
        node = self._expression(_OR)
        if self._token.kind != "end":
            self._unexpected("an operator or the end")
        return node

    def _expression(self, binding: int) -> Node:
        """All that binds at least as tightly as `binding`."""
        # Counted here, since every way of nesting comes through here again.
        self._nesting += 1
        if self._nesting > MAX_DEPTH:
            self._too_deep(self._token.start, 1)
        start = self._token.start
        node = self._operand(binding)
        while (operator := self._operator()) and _BINARY[operator] >= binding:
            node = self._binary(start, node, operator)
        self._nesting -= 1
        return node

    def _binary(self, start: int, left: Node, operator: str) -> Node:
        power = _BINARY[operator]
        if power in (_OR, _AND):
            parts = [left]
            while self._operator() == operator:
                self._next()
                parts.append(self._expression(power + 1))
            depth = 1 + max(part.depth for part in parts)
            logic = Logic(start, self._last_end, depth, operator, tuple(parts))  # type: ignore[arg-type]  # narrowed by its power
            return self._made(logic)
        self._next()
        if operator == "not in":
            self._next()
        right = self._expression(power + 1)
        end, depth = self._last_end, 1 + max(left.depth, right.depth)
        if power != _COMPARE:
            return self._made(Arithmetic(start, end, depth, cast("Sign", operator), left, right))
        again = self._operator()
        if again is not None and _BINARY[again] == _COMPARE:
            raise ExpressionError(
                "comparisons do not chain; write each on its own and put `and` between them",
                self._token.start,
                self._token.end - self._token.start,
                expected="`a < b and b < c`",
                found=self._text[start : self._token.end],
            )
        return self._made(Compare(start, end, depth, cast("Comparison", operator), left, right))

    def _operand(self, binding: int) -> Node:
        token = self._token
        is_not = token.kind == "word" and OPERATOR_WORDS.get(token.text) == "not"
        if is_not or self._is("not"):
            if binding > _NOT:
                raise ExpressionError(
                    "`not` needs parentheses here: it takes in the whole comparison after it",
                    token.start,
                    token.end - token.start,
                    expected="(not …)",
                    found=self._text[token.start : token.end],
                )
            self._next()
            operand = self._expression(_NOT)
            return self._made(Not(token.start, self._last_end, operand.depth + 1, operand))
        if self._is("-"):
            self._next()
            operand = self._expression(_NEGATIVE)
            return self._made(Negative(token.start, self._last_end, operand.depth + 1, operand))
        return self._steps(self._primary())

    def _primary(self) -> Node:
        token = self._token
        if token.kind in ("number", "string"):
            self._next()
            return self._made(Literal(token.start, token.end, 1, token.value))
        if token.kind == "word" and token.text not in OPERATOR_WORDS:
            self._next()
            return self._word(token)
        if self._is("("):
            self._next()
            inner = self._expression(_OR)
            self._close(")", token)
            return inner
        if self._is("["):
            self._next()
            items = self._list("]", token)
            depth = 1 + max((item.depth for item in items), default=0)
            return self._made(ListOf(token.start, self._last_end, depth, items))
        return self._unexpected("a value")

    def _list(self, closing: str, opening: Token) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._is(closing):
            items.append(self._expression(_OR))
            if not self._is(","):
                break
            self._next()
            if self._is(closing):
                self._unexpected("a value after the comma")
        self._close(closing, opening)
        return tuple(items)

    def _steps(self, node: Node) -> Node:
        while self._is(".", "["):
            opening = self._next()
            if path_of(node) is None:
                raise ExpressionError(
                    "only names such as data can be looked into",
                    opening.start,
                    1,
                    expected="a name before it, or an operator",
                    found=opening.text,
                )
            key = self._token.value if self._token.kind != "word" else self._token.text
            if opening.text == ".":
                # Keys may be spelled like operators: after a dot, `in` is a name.
                if self._token.kind != "word":
                    self._unexpected('a name (or write ["any text"])')
                self._next()
            else:
                if self._token.kind not in ("number", "string") or isinstance(key, float):
                    self._unexpected("a quoted name or a whole number")
                self._next()
                self._close("]", opening)
            assert isinstance(key, str | int)
            node = self._made(Step(node.start, self._last_end, node.depth + 1, node, key))
        return node

    def _word(self, token: Token) -> Node:
        if self._is("("):
            return self._call(token)
        if token.text in CONSTANTS:
            return self._made(Literal(token.start, token.end, 1, CONSTANTS[token.text]))
        if token.text in self._names:
            return self._made(Name(token.start, token.end, 1, token.text))
        lowered = token.text.lower()
        spelled = _OTHER_CONSTANTS.get(lowered) or (lowered if lowered in OPERATOR_WORDS else None)
        suggestion: str | None
        if spelled is not None:
            message, suggestion = f"write {spelled}", spelled
        elif token.text in FUNCTIONS:
            message, suggestion = f"{token.text} is a function", f"{token.text}(…)"
        else:
            message = f"there is no name {token.text!r} here" + _strange(token.text)
            # Who writes `score > 50` means the data's score.
            otherwise = f"data.{token.text}" if "data" in self._names else None
            suggestion = closest(token.text, self._names, cutoff=0.7) or otherwise
        raise ExpressionError(
            message,
            token.start,
            token.end - token.start,
            expected="one of " + ", ".join(self._names),
            found=token.text,
            suggestion=suggestion,
        )

    def _call(self, token: Token) -> Node:
        opening = self._next()
        function = FUNCTIONS.get(token.text)
        if function is None:
            raise ExpressionError(
                f"there is no function {token.text!r}{_strange(token.text)}",
                token.start,
                token.end - token.start,
                expected="one of " + ", ".join(FUNCTIONS),
                found=token.text,
                suggestion=_OTHER_FUNCTIONS.get(token.text.lower())
                or closest(token.text, FUNCTIONS),
            )
        arguments = self._list(")", opening)
        length = self._last_end - token.start
        if not function.least <= len(arguments) <= function.most:
            raise ExpressionError(
                f"{function.usage} was given {len(arguments)} value"
                + ("" if len(arguments) == 1 else "s"),
                token.start,
                length,
                expected=function.usage,
                found=f"{len(arguments)}",
            )
        if token.text == "has" and path_of(arguments[0]) is None:
            raise ExpressionError(
                "has(…) asks whether a name is there, and this is no name",
                arguments[0].start,
                arguments[0].end - arguments[0].start,
                expected="has(data.score)",
                found=self._text[arguments[0].start : arguments[0].end],
            )
        depth = 1 + max((a.depth for a in arguments), default=0)
        return self._made(Call(token.start, self._last_end, depth, token.text, arguments))

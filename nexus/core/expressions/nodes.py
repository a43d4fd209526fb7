"""The syntax tree: what was written, and from where to where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal as OneOf

from msgspec import Struct

Comparison = OneOf["==", "!=", ">", ">=", "<", "<=", "in", "not in"]
Sign = OneOf["+", "-", "*", "/", "%"]

_PLAIN = re.compile(r"[^\W\d]\w*\Z")


class Node(Struct, frozen=True):
    """Base of all nodes.

    Attributes:
        start: 0-based offset of the first character.
        end: Offset after the last.
        depth: 1 for a leaf, one more than the deepest child otherwise.
    """

    start: int
    end: int
    depth: int


class Literal(Node, frozen=True):
    """A number, a string, true, false or null."""

    value: object


class ListOf(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Node, ...]


class Name(Node, frozen=True):
    """One of the names that the scope gives, such as `data`."""

    name: str


class Step(Node, frozen=True):
    """One step into a map or a list: `.key`, `["key"]`, `[0]`; below it is a name in the end."""

    base: Node
    key: str | int


class Negative(Node, frozen=True):
    """`-a`."""

    operand: Node


class Not(Node, frozen=True):
    """`not a`."""

    operand: Node


class Logic(Node, frozen=True):
    """`a and b and …` or `a or b or …`; always two parts or more."""

    operator: OneOf["and", "or"]
    parts: tuple[Node, ...]


class Compare(Node, frozen=True):
    """`a == b` and its kin."""

    operator: Comparison
    left: Node
    right: Node


class Arithmetic(Node, frozen=True):
    """`a + b` and its kin."""

    operator: Sign
    left: Node
    right: Node


class Call(Node, frozen=True):
    """`lower(a)` and its kin."""

    function: str
    arguments: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they were written."""
    match node:
        case ListOf(items=nodes) | Logic(parts=nodes) | Call(arguments=nodes):
            return nodes
        case Compare(left=left, right=right) | Arithmetic(left=left, right=right):
            return (left, right)
        case Negative(operand=only) | Not(operand=only) | Step(base=only):
            return (only,)
        case _:
            return ()


class Path(Struct, frozen=True):
    """A name of the scope, and the keys and indexes below it."""

    root: str
    keys: tuple[str | int, ...]

    def __str__(self) -> str:
        text = self.root
        for key in self.keys:
            if isinstance(key, str) and _PLAIN.match(key):
                text += "." + key
            else:
                text += f"[{json.dumps(key, ensure_ascii=False)}]"
        return text


def path_of(node: Node) -> Path | None:
    """The path that a node spells, or None where it is something else."""
    keys: list[str | int] = []
    while isinstance(node, Step):
        keys.append(node.key)
        node = node.base
    return Path(node.name, tuple(reversed(keys))) if isinstance(node, Name) else None


def paths_in(node: Node) -> Iterator[Path]:
    """Every path at or below a node, each at its full length, in order."""
    path = path_of(node)
    if path is not None:
        yield path
        return
    for child in children(node):
        yield from paths_in(child)


class Survey(Struct, frozen=True):
    """What a tree is made of.

    Attributes:
        paths: Every path, each at its full length, in the order of the text.
        functions: Every function that is called.
        size: How many nodes there are.
    """

    paths: tuple[Path, ...]
    functions: frozenset[str]
    size: int


def survey(tree: Node) -> Survey:
    """What a tree is made of, found in one walk."""
    paths: list[Path] = []
    functions: set[str] = set()
    size = 0
    todo = [tree]
    while todo:
        node = todo.pop()
        path = path_of(node)
        if path is not None:
            paths.append(path)
            size += node.depth  # a path is a chain
            continue
        size += 1
        if isinstance(node, Call):
            functions.add(node.function)
        todo.extend(reversed(children(node)))
    return Survey(tuple(paths), frozenset(functions), size)

"""JSON files that a schema of ours describes, read with every problem located."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from nexus.core.errors import DefinitionError, NexusError, Problem
from nexus.core.json_text import Positions, check_data, load
from nexus.core.schemas import DataSchema, compile_data_schema

_PLACE = re.compile(r"^file[^:]*: ")


class DocumentError(NexusError):
    """A file cannot be used.

    Attributes:
        problems: All that was found, each with its place.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_document(text: bytes, source: str, schema: Callable[[], str], code: str) -> dict[str, Any]:
    """The object that a file holds.

    Args:
        text: At most 1 MiB of JSON.
        source: The file's name, for messages.
        schema: Gives the JSON Schema that it has to follow, as text.
        code: That of the problems.

    Raises:
        DocumentError: It is no JSON, or not what the schema says.
    """
    try:
        document = load(text, source)
    except DefinitionError as error:
        raise DocumentError(error.problems) from None
    found = [*check_data(document), *_compiled(schema).validate({"file": document})]
    if found:
        raise located(text, source, code, [_in_file(*one) for one in found])
    assert isinstance(document, dict)
    return document


def located(text: bytes, source: str, code: str, found: Sequence[tuple[str, str]]) -> DocumentError:
    """Findings, each a JSON pointer and a message, with their lines and columns."""
    positions = Positions(text)
    problems = []
    for pointer, message in found:
        line, column = positions.value(pointer)
        problems.append(Problem(code, message, pointer, line=line, column=column, source=source))
    return DocumentError(problems)


def _in_file(pointer: str, message: str) -> tuple[str, str]:
    """A finding in what the schema was given: the document stands under `file` there."""
    return pointer.removeprefix("/file"), _PLACE.sub("", message, count=1)


@lru_cache(maxsize=4)
def _compiled(schema: Callable[[], str]) -> DataSchema:
    def report(code: str, pointer: str, message: str, **_rest: object) -> None:
        raise AssertionError(f"{schema.__name__}: {pointer}: {message} [{code}]")

    # A schema of data describes an object's properties; the file is one.
    whole = json.loads(schema())
    definitions = whole.pop("$defs")
    for key in ("$id", "$schema"):
        whole.pop(key)
    wrapped = {"type": "object", "properties": {"file": whole}, "$defs": definitions}
    compiled = compile_data_schema(wrapped, "", report)
    assert compiled is not None
    return compiled

"""Checking data: what a start, an action and an update may bring (R1).

Messages name the place in the data; nothing is ever half accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nexus.core.commands import Act
from nexus.core.errors import Rejected
from nexus.core.expressions.values import MAX_ELEMENTS
from nexus.core.json_text import MAX_DATA_DEPTH, check_data
from nexus.core.program import Entity, Program, Transition
from nexus.core.state import Data

MOST_COMPUTED = 1_048_576  # characters that one `set` or `creates.data` may make

_MOST_TOLD = 5  # findings in the message; all of them stand in its details

Finding = tuple[str, str]  # JSON pointer, message


def check_plain(data: Data) -> None:
    """Refuse what no database keeps: NUL, lone surrogates, numbers beyond 64 bits, deep nesting.

    Raises:
        Rejected: `invalid_data`.
    """
    _require(check_data(data), "The data cannot be kept")


def check_computed(values: Data, place: str) -> None:
    """Refuse computed values that are nested too deep, or too large, to be kept.

    An expression can put data into itself, so values that are small in memory may be
    huge when written: what would be written is counted, and never more than fits.

    Raises:
        Rejected: `invalid_data`.
    """
    count = characters = 0
    todo: list[tuple[Mapping[str, object] | Sequence[object], int]] = [(values, 0)]
    while todo:
        container, depth = todo.pop()
        if depth >= MAX_DATA_DEPTH:
            raise Rejected(
                "invalid_data",
                f"{place} cannot be computed: its values are nested deeper than {MAX_DATA_DEPTH}.",
            )
        items: Iterable[object] = container
        if isinstance(container, Mapping):
            characters += sum(map(len, container))
            items = container.values()
        count += len(container)
        for item in items:
            if isinstance(item, str):
                characters += len(item)
            elif isinstance(item, Mapping | list | tuple):
                todo.append((item, depth + 1))
        if count > MAX_ELEMENTS or characters > MOST_COMPUTED:
            raise Rejected(
                "invalid_data",
                f"{place} cannot be computed: it makes more than {MAX_ELEMENTS:,} values or "
                f"{MOST_COMPUTED:,} characters.",
            )


def check_start(program: Program, data: Data) -> None:
    """Refuse data of a start that the `dataSchema` does not allow.

    Raises:
        Rejected: `invalid_data`.
    """
    if program.data_schema is not None:
        _require(program.data_schema.validate(data), "The data does not fit the dataSchema")


def check_input(program: Program, transition: Transition, current: Data, act: Act) -> None:
    """Refuse an action's data: the transition's `input` judges it, else the `dataSchema`.

    The `dataSchema` describes a record's data as a whole, so the input is seen
    over what the record has.

    Raises:
        Rejected: `invalid_data`.
    """
    what = f"The data of {act.action!r}"
    if transition.input is not None:
        _require(transition.input.validate(act.data), f"{what} does not fit its input schema")
    elif program.data_schema is not None and act.data:
        seen = {**current, **act.data}
        _require(program.data_schema.validate(seen), f"{what} does not fit the dataSchema")


def check_record_data(program: Program, entity: Entity | None, instance: Data, data: Data) -> None:
    """Refuse what a record's data, or the instance's where `entity` is None, would become.

    `fields` describe the record's own data; the `dataSchema` describes what
    conditions see: the record's data over the instance's.

    Raises:
        Rejected: `invalid_data`.
    """
    if entity is not None and entity.fields is not None:
        _require(
            entity.fields.validate(data), f"The data does not fit the fields of {entity.name!r}"
        )
    if program.data_schema is not None:
        seen = data if entity is None else {**instance, **data}
        _require(program.data_schema.validate(seen), "The data does not fit the dataSchema")


def _require(findings: Sequence[Finding], what: str) -> None:
    if findings:
        told = "; ".join(message for _, message in findings[:_MOST_TOLD])
        if len(findings) > _MOST_TOLD:
            told += f"; and {len(findings) - _MOST_TOLD} more"
        raise Rejected(
            "invalid_data",
            f"{what}: {told}" + ("" if told.endswith("?") else "."),
            {"errors": [{"pointer": pointer, "message": text} for pointer, text in findings]},
        )

"""Changing the data of a record: what is merged into it, and what is computed for it (R1)."""

from __future__ import annotations

from collections.abc import Sequence

from nexus.core.decision import Decision
from nexus.core.errors import Rejected
from nexus.core.events import DataChanged
from nexus.core.expressions import Unknown, to_json
from nexus.core.state import Data, Record
from nexus.core.steps import Computed
from nexus.core.validation import check_computed, check_record_data


def change_data(decision: Decision, record: Record | None, changes: Data) -> None:
    """Merge values into a record's data, or the instance's, if the result is valid.

    Raises:
        Rejected: `invalid_data`.
    """
    own = decision.state.data if record is None else record.data
    entity = None if record is None else decision.program.entities[record.entity]
    check_record_data(decision.program, entity, decision.state.data, {**own, **changes})
    previous = {key: own[key] for key in changes if key in own}
    decision.emit(
        DataChanged,
        record=None if record is None else record.id,
        changes=dict(changes),
        previous=previous,
    )


def compute(values: Sequence[Computed], scope: dict[str, object], place: str) -> dict[str, object]:
    """Evaluate `set` or `creates.data`.

    Raises:
        Rejected: `invalid_data`, naming what is missing, if a value is unknown; also for
            values nested too deep or too large to be kept.
    """
    computed: dict[str, object] = {}
    for value in values:
        result = value.literal if value.expression is None else value.expression.evaluate(scope)
        if isinstance(result, Unknown):
            raise Rejected(
                "invalid_data",
                f"{place}.{value.key} cannot be computed: {result.reason}.",
            )
        computed[value.key] = result
    check_computed(computed, place)
    return {key: to_json(result) for key, result in computed.items()}

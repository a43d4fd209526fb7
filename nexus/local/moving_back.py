"""Back from the platform into the column: the undoing of a promotion.

Theory of operation. The instance is cancelled on the platform first, with a comment that says
why: from then on it takes nothing more there. What happened to it up to that cancellation goes
into the column, from which everything goes on: clocks at their times, calls under their keys. If
the column cannot be written, the next try finds the cancelled instance by its comment and goes on
from there; one that was cancelled for another reason stays cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from nexus.client import Instance
from nexus.core.fitting import require_fit
from nexus.core.projection import HistoryRow
from nexus.core.restoring import restore
from nexus.local.configuration import ConfigurationError, platform
from nexus.local.connection import Connection, connection_to
from nexus.local.domains import domains_of_class
from nexus.local.kept import NOTHING, Kept, Past, decode, encode
from nexus.local.moving import DEMOTED, Column, history_rows, takes_back
from nexus.local.spec import Spec, spec_of


class Demoted(Struct):
    """What came of taking models back.

    Attributes:
        instances: How many instances are in their models again.
        failed: The models that could not be taken back, each with why; the others were.
    """

    instances: int = 0
    failed: list[tuple[Any, Exception]] = field(default_factory=list)


def demote(models: Iterable[Any]) -> Demoted:
    """Take what the platform has of these models back into their columns.

    Run it with `NEXUS_URL` and `NEXUS_API_KEY` set for it alone, while no other process uses
    these models; a process that is still told of the platform promotes them again. The caller
    commits, where the models are in a database.

    Args:
        models: Objects of classes with `HasCrm` or `HasSalesMarketing`.

    Raises:
        ConfigurationError: No platform is configured, or a model is of no such class.
    """
    there = platform()
    if there is None:
        raise ConfigurationError(
            "Say from which platform to take models back: set NEXUS_URL and NEXUS_API_KEY."
        )
    connection = connection_to(there)
    demoted = Demoted()
    for model in models:
        domains = domains_of_class(type(model))
        if not domains:
            raise ConfigurationError(
                f"{type(model).__qualname__} has neither HasCrm nor HasSalesMarketing."
            )
        for domain in domains:
            try:
                demoted.instances += _demote(model, spec_of(model, domain), connection)
            except Exception as error:  # noqa: BLE001 - one that cannot must not stop the others
                demoted.failed.append((model, error))
    return demoted


def _demote(model: Any, spec: Spec, connection: Connection) -> int:
    adapter, column = spec.adapter, spec.domain.column
    with adapter.atomic(model):
        adapter.hold(model, column)
        held = decode(adapter.get(model, column), spec.place)
        if held.platform is None:
            return 0
        instances = Column(model, spec, connection).instances()
        kept = _taken(spec, instances, connection)
        require_fit(spec.program, kept.state)
        kept = replace(
            kept,
            revision=held.revision + 1,
            definition=spec.program.id,
            version=spec.program.version,
            digest=spec.definition.digest,
        )
        value = encode(kept) if adapter.wants_json(model, column) else kept
        adapter.swap(model, column, held.revision, value)
    return len(instances)


def _taken(spec: Spec, instances: list[Instance], connection: Connection) -> Kept:
    """What the column is to hold: the newest instance, and those before it as past."""
    kept = NOTHING
    for instance in instances:
        last = instance is instances[-1]
        rows = history_rows(connection, instance.id)
        if not last and any(map(takes_back, rows)):
            continue  # what came after it has all of its history
        if last and instance.status == "active":
            # What the class has no place for must not be cancelled first.
            require_fit(spec.program, restore(rows))
            connection.client.cancel(instance.id, comment=DEMOTED)
            rows = history_rows(connection, instance.id)
        rows = _before_taking_back(rows)
        state = restore(rows)
        past = kept.past
        if kept.instance:
            past = (*past, Past(instance=kept.instance, history=kept.history))
        # Calls keep the keys that they had on the platform, or before they came there.
        state = replace(state, origin=state.origin or instance.id)
        kept = replace(NOTHING, instance=instance.id, state=state, history=rows, past=past)
    return kept


def _before_taking_back(rows: tuple[HistoryRow, ...]) -> tuple[HistoryRow, ...]:
    """All up to the cancellation that took it back, if there is one."""
    ends = (index for index, row in enumerate(rows) if takes_back(row))
    return rows[: next(ends, len(rows))]

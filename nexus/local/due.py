"""Looking at models whose clocks have come due, or whose calls are to be tried again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from nexus.local import configuration, listening
from nexus.local.configuration import ConfigurationError
from nexus.local.domains import Domain, domains_of_class
from nexus.local.in_column import InColumn
from nexus.local.spec import spec_of
from nexus.local.views import HistoryEntry


class Looked(Struct):
    """What came of a look at models.

    Attributes:
        models: How many were looked at.
        happened: How many things have happened to them.
        failed: The models that could not be looked at, each with why; the others were.
    """

    models: int = 0
    happened: int = 0
    failed: list[tuple[Any, Exception]] = field(default_factory=list)


def run_due(models: Iterable[Any]) -> Looked:
    """Look at models: clocks that came due take effect, calls that are to be tried are made.

    Call it as often as your clocks need it, with the objects that your own query finds;
    `nexus.local.sqlalchemy.due_before` and `nexus.local.django.due_before` are the conditions
    that find those which have something due. What fails for one is told, and does not keep the
    others from it. Where there is a platform, what is still in columns goes there, and clocks with
    it.

    Args:
        models: Objects of classes with `HasCrm` or `HasSalesMarketing`.

    Raises:
        ConfigurationError: One of them is of no such class.
    """
    looked = Looked()
    for model in models:
        domains = domains_of_class(type(model))
        if not domains:
            raise ConfigurationError(
                f"{type(model).__qualname__} has neither HasCrm nor HasSalesMarketing."
            )
        looked.models += 1
        for domain in domains:
            try:
                looked.happened += _look(model, domain)
            except Exception as error:  # noqa: BLE001 - one that cannot must not stop the others
                looked.failed.append((model, error))
    return looked


def _look(model: Any, domain: Domain) -> int:
    spec, there = spec_of(model, domain), configuration.platform()
    if there is not None:
        from nexus.local.on_platform import OnPlatform

        OnPlatform(model, spec, there).move()
        return 0
    listeners = listening.listeners(model, domain)

    def tell(entries: list[HistoryEntry]) -> None:
        for entry in entries:
            for event, callback in listeners:
                if event in (listening.EVERYTHING, entry.event):
                    callback(entry)

    return InColumn(model, spec).look(tell if listeners else None)

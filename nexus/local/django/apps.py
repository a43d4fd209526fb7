"""The Django app: tells dashboards which models there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig, apps

from nexus.local.configuration import configuration, configure
from nexus.local.domains import domains_of_class


class NexusConfig(AppConfig):
    """Nexus in a Django project."""

    name = "nexus.local.django"
    label = "nexus"
    verbose_name = "Nexus"

    def ready(self) -> None:
        """Have dashboards find the objects of all models, unless they were told of others."""
        if configuration().models is None:
            configure(models=all_models)


def all_models() -> Iterator[Any]:
    """Every object of every model that has a CRM, or sales and marketing."""
    for model in apps.get_models():
        for domain in domains_of_class(model):
            field = domain.column
            yield from model._base_manager.exclude(**{f"{field}__isnull": True})  # noqa: SLF001

"""Django: a JSON field, written within `transaction.atomic`, by UPDATEs that name a revision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.exceptions import FieldError
from django.db import models, router, transaction
from django.db.models import F, Q
from django.db.models.signals import class_prepared

from nexus.local.adapters.contract import Adapter
from nexus.local.configuration import ConfigurationError

_awaited: dict[type, list[str]] = {}


class NexusField(models.JSONField):
    """The column of a model.

    Only Nexus writes it: saving an object leaves it as the database has it, so that an object
    that was read before somebody else's change never writes back what it read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """A JSON field that is empty to begin with, and that no form shows."""
        kwargs.setdefault("null", True)
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", None)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """As migrations name it: by a path that stays."""
        name, _, args, kwargs = super().deconstruct()
        return name, "nexus.local.django.NexusField", args, kwargs

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The value of a new row; of one that there is, the value that it has."""
        return super().pre_save(model_instance, add) if add else F(self.attname)


def add_field(cls: type, column: str) -> None:
    """Give a Django model that is being made its field, once Django has prepared it."""
    _awaited.setdefault(cls, []).append(column)
    class_prepared.connect(_prepared, dispatch_uid="nexus.local", weak=False)


def _prepared(sender: type[models.Model], **_: Any) -> None:
    for column in _awaited.pop(sender, ()):
        # A model that migrations make from what they know has exactly the fields that they know.
        if sender.__module__ == "__fake__" or _has(sender, column):
            continue
        if not _has_table(sender):
            raise FieldError(
                f"{sender.__qualname__} is a proxy, which has no column of its own for "
                f"{column!r}: give {sender._meta.concrete_model.__qualname__} the mixin."  # noqa: SLF001
            )
        NexusField().contribute_to_class(sender, column)


def _has(model: type[models.Model], column: str) -> bool:
    tables = [model, *model._meta.get_parent_list()]  # noqa: SLF001 - Django's public name
    return any(
        field.name == column
        for table in tables
        for field in table._meta.local_fields  # noqa: SLF001
    )


def _has_table(model: type[models.Model]) -> bool:
    return not model._meta.abstract and not model._meta.proxy  # noqa: SLF001


def due_before(moment: Any, column: str = "crm_data") -> Q:
    """The condition that finds the rows which have to be looked at by a moment.

    Args:
        moment: When; timezone-aware.
        column: `crm_data` or `sm_data`.
    """
    return Q(**{f"{column}__due__lte": moment.timestamp()})


class DjangoAdapter(Adapter):
    """The field of a Django model."""

    frame = "Django"

    def kind(self, cls: type, owner: type) -> type:
        """The owner, or that of its heirs with whose table those of the class begin."""
        tables = [
            base
            for base in cls.__mro__
            if issubclass(base, owner) and issubclass(base, models.Model) and _has_table(base)
        ]
        return tables[-1] if tables else owner

    def check(self, cls: type, column: str) -> None:
        """The column is one that saving an object leaves alone.

        Raises:
            ConfigurationError: The class declares another.
        """
        field = cls._meta.get_field(column)  # type: ignore[attr-defined]
        if not isinstance(field, NexusField):
            raise ConfigurationError(
                f"{cls.__qualname__}.{column} is a {type(field).__name__}, with which saving an "
                "object would write old contacts over newer ones: leave it out, or make it a "
                "nexus.local.django.NexusField()."
            )

    def identity(self, model: Any) -> str | None:
        """Its primary key, once it has been saved."""
        return None if model.pk is None or model._state.adding else str(model.pk)  # noqa: SLF001

    def get(self, model: Any, column: str) -> Any:
        """The attribute; one that was deferred is read."""
        return getattr(model, column)

    def swap(self, model: Any, column: str, revision: int, value: Any) -> bool:
        """One UPDATE of the row, if it has the revision still; an object without a row is set."""
        if self.identity(model) is not None:
            kept = Q(**{f"{column}__revision": revision})
            none = Q(**{f"{column}__isnull": True}) | Q(**{f"{column}__revision__isnull": True})
            rows = self._rows(model).filter(kept if revision else none)
            if rows.update(**{column: value}) != 1:
                return False
        setattr(model, column, value)
        return True

    def restore(self, model: Any, column: str, value: Any) -> None:
        """Set the attribute."""
        setattr(model, column, value)

    def refresh(self, model: Any, column: str) -> None:
        """Read the column again."""
        if self.identity(model) is not None:
            setattr(model, column, self._rows(model).values_list(column, flat=True).get())

    def atomic(self, model: Any) -> AbstractContextManager[object]:
        """`transaction.atomic`: a savepoint within the caller's. Nothing for what has no row."""
        if self.identity(model) is None:
            return nullcontext()
        block: AbstractContextManager[object] = transaction.atomic(using=self._database(model))
        return block

    def hold(self, model: Any, column: str) -> None:
        """An UPDATE that changes nothing has the row, on every database, until the end."""
        if self.identity(model) is not None:
            self._rows(model).update(**{column: F(column)})
            self.refresh(model, column)

    def _database(self, model: Any) -> str:
        database: str = model._state.db or router.db_for_write(type(model), instance=model)  # noqa: SLF001
        return database

    def _rows(self, model: Any) -> models.QuerySet[Any]:
        manager = type(model)._base_manager  # noqa: SLF001 - Django's own writes go through it
        return manager.using(self._database(model)).filter(pk=model.pk)

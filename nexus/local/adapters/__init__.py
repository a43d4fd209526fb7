"""How the models of each framework keep a column; chosen by what a class is.

A framework is looked at only where the process has imported it already.
"""

from __future__ import annotations

import sys

from nexus.local.adapters.contract import Adapter, NotSaved
from nexus.local.adapters.plain import PlainAdapter

__all__ = ["Adapter", "NotSaved", "adapter_of", "add_column", "leave_out"]


def adapter_of(cls: type) -> Adapter:
    """What knows how objects of this class keep things."""
    if _is_django(cls):
        from nexus.local.adapters.django import DjangoAdapter

        return DjangoAdapter()
    if "sqlalchemy.orm" in sys.modules:
        from nexus.local.adapters.sqlalchemy import SqlAlchemyAdapter, is_mapped

        if is_mapped(cls):
            return SqlAlchemyAdapter()
    return PlainAdapter()


def add_column(cls: type, column: str) -> None:
    """Give a class that is being made its column, where its framework wants one to be declared.

    A class that has a column of this name keeps it as it is.
    """
    if _is_django(cls):
        from nexus.local.adapters.django import add_field

        add_field(cls, column)
    elif "sqlalchemy.orm" in sys.modules and _adds_to_tables(cls, column):
        return
    elif "pydantic" in sys.modules:
        from nexus.local.adapters.pydantic import add_model_field

        add_model_field(cls, column)


def leave_out(cls: type, attribute: str) -> None:
    """Have a class that is being made take an attribute for no field, whatever its framework."""
    if "pydantic" in sys.modules:
        from nexus.local.adapters import pydantic

        pydantic.leave_out(cls, attribute)


def _adds_to_tables(cls: type, column: str) -> bool:
    from nexus.local.adapters.sqlalchemy import add_mapped_column

    return add_mapped_column(cls, column)


def _is_django(cls: type) -> bool:
    models = sys.modules.get("django.db.models")
    return models is not None and issubclass(cls, models.Model)

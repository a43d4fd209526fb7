"""Plain classes, dataclasses and pydantic models: an attribute, and no database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from inspect import get_annotations
from threading import RLock
from typing import Any

from nexus.local.adapters.contract import Adapter
from nexus.local.configuration import ConfigurationError
from nexus.local.kept import revision_of

_one_thread = RLock()


class PlainAdapter(Adapter):
    """An attribute of the object, of the column's name."""

    frame = "plain"

    def identity(self, model: Any) -> str | None:
        """Its `id`, else its `pk`."""
        for name in ("id", "pk"):
            value = getattr(model, name, None)
            if value is not None and not callable(value):
                return str(value)
        return None

    def wants_json(self, model: Any, column: str) -> bool:
        """A class that declares the attribute means to write it somewhere."""
        cls: type = type(model)
        return _declares(cls, column)

    def get(self, model: Any, column: str) -> Any:
        """The attribute; None without one."""
        return getattr(model, column, None)

    def swap(self, model: Any, column: str, revision: int, value: Any) -> bool:
        """Set the attribute, unless a hook has changed the object meanwhile.

        Raises:
            ConfigurationError: It takes no such attribute.
        """
        if revision_of(self.get(model, column)) != revision:
            return False
        self.restore(model, column, value)
        return True

    def restore(self, model: Any, column: str, value: Any) -> None:
        """Set the attribute, or remove it where it was not there."""
        try:
            if (
                value is None
                and column in getattr(model, "__dict__", ())
                and not (self.wants_json(model, column))
            ):
                delattr(model, column)
            elif value is not None or self.get(model, column) is not None:
                setattr(model, column, value)
        except (AttributeError, TypeError, ValueError) as error:
            # What refuses is a frozen dataclass or model, or __slots__ without the attribute.
            raise ConfigurationError(
                f"{type(model).__qualname__} keeps its contacts and campaigns in the attribute "
                f"{column!r}, and it cannot be set ({error}): a frozen class cannot keep any, and "
                f"one with __slots__ has to name it, as in '{column}: dict | None = None'."
            ) from None

    def refresh(self, model: Any, column: str) -> None:
        """Nothing: what it shows is all there is."""

    def atomic(self, model: Any) -> AbstractContextManager[object]:  # noqa: ARG002
        """One thread at a time: there is no database that would tell two of them apart."""
        return _one_thread

    def hold(self, model: Any, column: str) -> None:
        """Nothing: nobody else has the object."""


@lru_cache(maxsize=1_000)
def _declares(cls: type, column: str) -> bool:
    return any(column in get_annotations(base) for base in cls.__mro__)

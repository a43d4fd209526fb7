"""What an adapter does: read and replace one column of one object, in its own transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from nexus.core.errors import NexusError


class NotSaved(NexusError):
    """An object has no id yet, and what was asked needs one."""


class Adapter(ABC):
    """Keeps a column of the objects of one framework.

    Values are JSON objects, but for plain classes that declare no such attribute: these may hold
    any object.

    Attributes:
        frame: A word for the framework, for messages.
    """

    frame: str = ""

    def kind(self, cls: type, owner: type) -> type:  # noqa: ARG002
        """The class whose name, with an id, names an object: within it, ids are unique.

        Args:
            cls: Of the object.
            owner: From which it has its definition, which may be a base of several tables.
        """
        return owner

    @abstractmethod
    def identity(self, model: Any) -> str | None:
        """The id by which the object is known; None while it has none."""

    def check(self, cls: type, column: str) -> None:  # noqa: B027 - most have nothing to look at
        """The objects of this class have the column.

        Raises:
            ConfigurationError: They have not, or one that cannot be used.
        """

    def wants_json(self, model: Any, column: str) -> bool:  # noqa: ARG002
        """The column takes JSON, and nothing else."""
        return True

    @abstractmethod
    def get(self, model: Any, column: str) -> Any:
        """The column's value, as the object has it."""

    @abstractmethod
    def swap(self, model: Any, column: str, revision: int, value: Any) -> bool:
        """Replace the value that has this revision (0 is none at all), in memory and database.

        Returns:
            False if the database has another revision: then nothing has changed.
        """

    @abstractmethod
    def restore(self, model: Any, column: str, value: Any) -> None:
        """Have the object show this value again, after its transaction was undone."""

    @abstractmethod
    def refresh(self, model: Any, column: str) -> None:
        """Have the object show what its database has."""

    @abstractmethod
    def atomic(self, model: Any) -> AbstractContextManager[object]:
        """All that happens inside is undone in the database if it raises."""

    @abstractmethod
    def hold(self, model: Any, column: str) -> None:
        """Keep all others from changing the column until the transaction ends, and refresh it."""

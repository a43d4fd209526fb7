"""What a handle stands on: an instance in a column, or one on the platform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from nexus.core.commands import Act, Actor, WireCommand
from nexus.core.program import Program
from nexus.local.calls import CallFailed
from nexus.local.shell import Asking
from nexus.local.views import HistoryEntry, Permission, Record, View


class Around(Protocol):
    """What runs around a command; see `nexus.local.definition.Functions`."""

    @property
    def wants_record(self) -> bool:
        """Something runs at all, so the record has to be found out."""
        ...

    @property
    def wants_entries(self) -> bool:
        """Somebody listens to what happens."""
        ...

    def ahead(self, record: Record | None) -> None:
        """Guards, then before hooks; `record` as it stands before the action, or as it will begin.

        Raises:
            Rejected: Forbidden by one of them.
        """
        ...

    def done(self, record: Record | None) -> None:
        """After hooks; `record` as it stands now."""
        ...

    def happened(self, entries: Sequence[HistoryEntry]) -> None:
        """Whoever listens is told."""
        ...


class Done(Struct, frozen=True):
    """What came of a command.

    Attributes:
        record: The record that it was about, or that it created, as it stands now; None for none.
    """

    record: Record | None


class Backend(ABC):
    """One instance of a model."""

    @property
    @abstractmethod
    def program(self) -> Program:
        """The definition that decides."""

    @property
    @abstractmethod
    def default_actor(self) -> Actor:
        """Who acts where nobody is named."""

    @abstractmethod
    def view(self) -> View:
        """The instance as it stands."""

    @abstractmethod
    def history(self) -> list[HistoryEntry]:
        """All that happened to it, and to those before it; the oldest first."""

    @abstractmethod
    def permission(self, act: Act, asking: Asking) -> tuple[Permission, Record | None]:
        """Whether an action could be taken, and on which record if that is asked. No effects."""

    @abstractmethod
    def call_ended(self, key: str, response: object, failed: CallFailed | None) -> bool:
        """Say what came of a call that was handed on; False where nobody waits for it."""

    @abstractmethod
    def give(self, command: WireCommand, around: Around) -> Done:
        """Apply a command.

        Raises:
            Rejected: It is refused; nothing has changed.
        """

"""What runs around a command in the caller's own process: guards, hooks, and those who listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from nexus.core.commands import Actor
from nexus.core.errors import Rejected
from nexus.local import listening
from nexus.local.called import Called
from nexus.local.spec import Spec
from nexus.local.views import HistoryEntry, Record, frozen

Data = Mapping[str, Any]


class Action(Struct, frozen=True, kw_only=True):
    """What a guard or a hook that takes two arguments is told beside the record.

    Attributes:
        name: The action's own name; `add_contact` where a contact is added.
        actor: Id of who takes it.
        roles: The roles that they hold.
        data: What came with it.
        comment: What was said.
        model: The object that it is taken on: the user, the product.
    """

    name: str
    actor: str
    roles: Sequence[str]
    data: Data
    comment: str | None
    model: Any


class AroundCommand:
    """The guards, hooks and listeners of one command; see `nexus.local.backend.Around`."""

    def __init__(
        self,
        model: Any,
        spec: Spec,
        name: str,
        actor: Actor,
        data: Data,
        comment: str | None,
    ) -> None:
        """What the class of a model has around a command, and who listens to the model."""
        self._name = name
        self._about = {
            "actor": actor.id,
            "roles": actor.roles,
            "data": data,
            "comment": comment,
            "model": model,
        }
        functions = spec.definition.functions
        self._guards = functions_of(functions.guards, name)
        self._before = functions_of(functions.before, name)
        self._after = functions_of(functions.after, name)
        self._listeners = listening.listeners(model, spec.domain)

    @property
    def wants_record(self) -> bool:
        """Something runs at all, so the record has to be found out."""
        return bool(self._guards or self._before or self._after)

    @property
    def wants_entries(self) -> bool:
        """Somebody listens to what happens."""
        return bool(self._listeners)

    @cached_property
    def _action(self) -> Action:
        # Not before it is asked for: only then is the data known to be fit to be gone through.
        about = {**self._about, "data": frozen(self._about["data"])}
        return Action(name=self._name, **about)

    def ahead(self, record: Record | None) -> None:
        """Guards, then before hooks.

        Raises:
            Rejected: One of them forbids it.
        """
        refusal = self.refusal(self._guards, record)
        if refusal is not None:
            raise refusal
        for hook in self._before:
            if hook(record, self._action) is False:
                raise Rejected(
                    "condition_not_met",
                    f"{hook.name} forbids {self._name!r}{_on(record)}.",
                )

    def refusal(self, guards: Sequence[Called], record: Record | None) -> Rejected | None:
        """What the guards have against it; None if nothing."""
        for guard in guards:
            try:
                passed = guard(record, self._action)
            except Rejected as refusal:
                return refusal
            if not passed:
                return Rejected(
                    "condition_not_met",
                    f"{guard.name} does not let {self._name!r} be taken{_on(record)}.",
                )
        return None

    def done(self, record: Record | None) -> None:
        """After hooks."""
        for hook in self._after:
            hook(record, self._action)

    def happened(self, entries: Sequence[HistoryEntry]) -> None:
        """Whoever listens is told."""
        for entry in entries:
            for event, callback in self._listeners:
                if event in ("*", entry.event):
                    callback(entry)


def functions_of(by_action: Mapping[str, tuple[Called, ...]], name: str) -> tuple[Called, ...]:
    """Those of an action; those of `add` are for every entity."""
    if not by_action:
        return ()
    found = by_action.get(name, ())
    return (*by_action.get("add", ()), *found) if name.startswith("add_") else found


def _on(record: Record | None) -> str:
    return f" on {record.id!r}" if record is not None else ""

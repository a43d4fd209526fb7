"""From the column to the platform, and back: promotion and its undoing.

Theory of operation. Whoever touches a model first once a platform is configured takes its row
(an UPDATE that changes nothing keeps all others out, on every database), hands what the column
holds to the platform, and leaves a pointer in its place. The platform takes one such instance
once: the request carries a key made of the instance's own id. If anything fails on the way, the
column still holds what it held; if the caller's transaction is undone afterwards, the next touch
asks again and gets the same instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from nexus.client import Instance, InstanceExists, NotFound, TooLarge
from nexus.core.errors import Rejected
from nexus.core.projection import HistoryRow
from nexus.local.configuration import ConfigurationError
from nexus.local.connection import Connection
from nexus.local.in_column import InColumn, of_a_copy, with_subject
from nexus.local.kept import Kept, Pointer, decode, encode
from nexus.local.spec import Spec

DEMOTED = "Taken back into the model that it belongs to."


class Column:
    """The column of one object, once there is a platform.

    Args:
        model: The object.
        spec: What its class says of itself.
        connection: The platform.
    """

    def __init__(self, model: Any, spec: Spec, connection: Connection) -> None:
        self._model = model
        self._spec = spec
        self._connection = connection

    def instance(self) -> str | None:
        """Id of the instance there; None if there is none yet. What the column holds goes there.

        Raises:
            Rejected: It has no place there; the column holds what it held.
            ConfigurationError: It has gone to another platform.
        """
        kept = self.promote()
        if kept.platform is not None:
            return self._pointed(kept.platform)
        found = self.instances(newest=True)
        return found[0].id if found else None

    def promote(self) -> Kept:
        """Have the platform take over what the column holds, if it holds anything.

        Returns:
            What it holds then: a pointer, or nothing.

        Raises:
            Rejected: It has no place there; the column holds what it held.
        """
        kept = self._kept()
        return self._promoted() if kept.instance or kept.past else kept

    def instances(self, *, newest: bool = False) -> list[Instance]:
        """All instances of this object there, the oldest first; or the newest alone."""
        subject = self._spec.saved_subject(self._model)
        listed = self._connection.client.instances(
            definition=self._spec.program.id,
            subject_type=subject.type,
            subject_id=subject.id,
            sort="-started_at" if newest else "started_at",
        )
        if newest:
            first = next(iter(listed), None)
            return [] if first is None else [first]
        return list(listed)

    def point_to(self, instance: str) -> None:
        """Have the column say where its instance is."""
        kept = self._kept()
        pointer = self._pointer(instance)
        if kept.platform != pointer:
            self._write(kept, Kept(revision=kept.revision + 1, platform=pointer))

    def _kept(self) -> Kept:
        spec = self._spec
        kept = decode(spec.adapter.get(self._model, spec.domain.column), spec.place)
        if kept.platform is not None and of_a_copy(kept, spec.subject(self._model)):
            return Kept(revision=kept.revision)
        return kept

    def _pointed(self, pointer: Pointer) -> str:
        here = (self._connection.url, self._connection.me.tenant)
        if (pointer.url, pointer.tenant) != here:
            raise ConfigurationError(
                f"{self._spec.place} points to the platform {pointer.url} (tenant "
                f"{pointer.tenant!r}), and this process is told of {here[0]} ({here[1]!r})."
            )
        return pointer.instance

    def _pointer(self, instance: str) -> Pointer:
        return Pointer(
            url=self._connection.url,
            tenant=self._connection.me.tenant,
            definition=self._spec.program.id,
            instance=instance,
            subject=self._spec.saved_subject(self._model).id,
        )

    def _write(self, kept: Kept, new: Kept) -> None:
        spec, model = self._spec, self._model
        adapter, column = spec.adapter, spec.domain.column
        value = encode(new) if adapter.wants_json(model, column) else new
        if not adapter.swap(model, column, kept.revision, value):
            adapter.refresh(model, column)
            if self._kept().platform != new.platform:
                raise Rejected("conflict", f"Others changed {spec.place} at the same time.")

    def _promoted(self) -> Kept:
        spec, model = self._spec, self._model
        adapter, column = spec.adapter, spec.domain.column
        subject = spec.saved_subject(model)
        with adapter.atomic(model):
            adapter.hold(model, column)
            kept = self._kept()
            if not kept.instance and not kept.past:
                return kept  # another process was quicker
            kept = InColumn(model, spec).kept()
            self._connection.live(spec.definition)  # stored there, where there is none yet
            for past in kept.past:
                if not self._is_there(past.instance):
                    self._carry(past.instance, past.history)
            if kept.state.subject is not None and kept.state.subject != subject:
                kept = with_subject(kept, subject)
            instance = self._carry(kept.state.origin or kept.instance, kept.history)
            new = Kept(revision=kept.revision + 1, platform=self._pointer(instance.id))
            self._write(kept, new)
        return new

    def _is_there(self, instance: str) -> bool:
        """It came from there, by being taken back."""
        try:
            self._connection.client.instance(instance)
        except NotFound:
            return False
        return True

    def _carry(self, origin: str, history: Sequence[HistoryRow]) -> Instance:
        subject = self._spec.saved_subject(self._model)
        try:
            return self._connection.client.carry_over(
                self._spec.program.id,
                subject.type,
                subject.id,
                origin=origin,
                history=[msgspec.to_builtins(_without_command(row)) for row in history],
                key=f"carry-{origin}-{len(history)}",
            )
        except InstanceExists:
            raise Rejected(
                "conflict",
                f"The platform has an open instance of {self._spec.program.id!r} for "
                f"{subject.type} {subject.id!r} already, and {self._spec.place} holds another: "
                "end one of the two.",
            ) from None
        except TooLarge as error:
            raise Rejected(
                "too_large",
                f"{self._spec.place} of {subject.type} {subject.id!r} has grown larger than the "
                f"platform takes at once, so it stays where it is ({error.message})",
            ) from None


def _without_command(row: HistoryRow) -> dict[str, object]:
    built: dict[str, object] = msgspec.to_builtins(row)
    built.pop("command")
    return built


def takes_back(row: HistoryRow) -> bool:
    """It is the cancellation by which an instance was taken back into its model."""
    return row.event == "action_taken" and row.comment == DEMOTED


def history_rows(connection: Connection, instance: str) -> tuple[HistoryRow, ...]:
    """All that the platform knows of an instance, as the core has it."""
    return tuple(
        HistoryRow(
            seq=entry.seq,
            at=entry.at,
            event=entry.event,
            actor=entry.actor,
            on_behalf_of=entry.on_behalf_of,
            record=entry.record,
            before=entry.before,
            after=entry.after,
            comment=entry.comment,
            payload=entry.payload,
        )
        for entry in connection.client.history(instance)
    )

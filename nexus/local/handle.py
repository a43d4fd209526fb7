"""What `user.crm()` gives: the one way in which a program talks to an instance of its model.

The same calls mean the same wherever the instance is kept: in a column of the model, or on the
platform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CompleteTask,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
    check_texts,
)
from nexus.core.errors import Rejected
from nexus.core.json_text import MAX_DATA_DEPTH
from nexus.local import listening
from nexus.local.around import AroundCommand, functions_of
from nexus.local.backend import Backend, Done
from nexus.local.calls import CallFailed
from nexus.local.configuration import actor_of, current_actor
from nexus.local.definition import canonical
from nexus.local.domains import Domain
from nexus.local.places import backend_of
from nexus.local.shell import Asking, refused
from nexus.local.spec import Spec, spec_of
from nexus.local.views import HistoryEntry, Incident, Permission, Record, Task

Data = Mapping[str, Any]

MOST_DATA = 1_048_576
"""Bytes of what one command brings, as JSON: what the platform's API takes."""


class Handle:
    """The instance of one model in one domain; made anew for each use, and cheap."""

    def __init__(self, model: Any, domain: Domain, actor: Actor | str | None = None) -> None:
        """A handle on a model's instance.

        Args:
            model: The object.
            domain: CRM, or sales and marketing.
            actor: Who acts through this handle; else whom `nexus.acting` names, else the
                application itself.
        """
        self._model = model
        self._spec: Spec = spec_of(model, domain)
        self._actor = actor_of(actor)
        self._backend: Backend = backend_of(model, self._spec)

    # --- doing ------------------------------------------------------------------------------

    def add(
        self, entity: str, data: Data | None = None, *, actor: Actor | str | None = None
    ) -> Record:
        """Add a record, such as a contact or a lead.

        Args:
            entity: What it is, by its name in the definition.
            data: Its fields.
            actor: Who adds it.

        Raises:
            Rejected: It is refused, with a code; nothing has changed.
        """
        command = AddRecord(actor=self._who(actor), entity=entity, data=_plain(data))
        record = self._give(command, f"add_{entity}", command.data).record
        assert record is not None
        return record

    def act(
        self,
        action: str,
        record: Record | str | None = None,
        data: Data | None = None,
        comment: str | None = None,
        *,
        actor: Actor | str | None = None,
    ) -> Record | None:
        """Take an action: a transition of the definition, or a built-in one.

        The first one of a model begins its instance, with a record of the first entity that has
        stages.

        Args:
            action: Its name; `edit` is `update`.
            record: What it is taken on; may be left out where exactly one would do.
            data: What comes with it.
            comment: What is said.
            actor: Who takes it.

        Returns:
            The record as it stands then; None where it was about the whole.

        Raises:
            Rejected: It is refused, with a code; nothing has changed.
        """
        name = canonical(action)
        command = Act(
            actor=self._who(actor),
            action=name,
            record=_id(record),
            data=_plain(data),
            comment=comment,
        )
        return self._give(command, name, command.data, comment).record

    def start(
        self,
        data: Data | None = None,
        *,
        entity: str | None = None,
        records: Sequence[tuple[str, Data]] = (),
        actor: Actor | str | None = None,
    ) -> None:
        """Begin the instance, which the first `add` or `act` would do by itself.

        Args:
            data: Data of the instance itself.
            entity: Of which it gets a record; without, and without `records`, of the first that
                has stages.
            records: Entity and data of each record that it begins with.
            actor: Who begins it.

        Raises:
            Rejected: It is refused; `instance_exists` where one is open.
        """
        command = Start(
            actor=self._who(actor),
            subject=self._spec.subject(self._model),
            data=_plain(data),
            entity=entity,
            records=tuple(NewRecord(name, _plain(given)) for name, given in records),
        )
        self._give(command, "start", command.data)

    def send_event(
        self,
        event: str,
        data: Data | None = None,
        *,
        record: Record | str | None = None,
        actor: Actor | str | None = None,
    ) -> None:
        """Say that something happened outside, such as `email.opened`.

        Raises:
            Rejected: It is refused; nothing has changed.
        """
        command = ReceiveEvent(
            actor=self._who(actor), event=event, data=_plain(data), record=_id(record)
        )
        self._give(command, "event", command.data)

    def complete(
        self,
        task: Task | str,
        data: Data | None = None,
        comment: str | None = None,
        *,
        actor: Actor | str | None = None,
    ) -> None:
        """Say that the work of a task is done.

        Raises:
            Rejected: It is refused; nothing has changed.
        """
        command = CompleteTask(
            actor=self._who(actor),
            task=task if isinstance(task, str) else task.id,
            data=_plain(data),
            comment=comment,
        )
        self._give(command, "complete", command.data, comment)

    def retry(self, incident: Incident | str, comment: str | None = None) -> None:
        """Have the call behind an incident tried again, under the same key.

        Raises:
            Rejected: It is refused; nothing has changed.
        """
        id_ = incident if isinstance(incident, str) else incident.id
        command = RetryIncident(actor=self._who(None), incident=id_, comment=comment)
        self._give(command, "retry", {}, comment)

    def skip(self, incident: Incident | str, comment: str | None = None) -> None:
        """Settle an incident as it is.

        Raises:
            Rejected: It is refused; nothing has changed.
        """
        id_ = incident if isinstance(incident, str) else incident.id
        command = SkipIncident(actor=self._who(None), incident=id_, comment=comment)
        self._give(command, "skip", {}, comment)

    def call_ended(
        self, key: str, response: object = None, *, failed: CallFailed | None = None
    ) -> bool:
        """Say what came of a channel call that was handed on (see `nexus.local.LATER`).

        Args:
            key: The `key` of its request.
            response: What the channel answered; JSON.
            failed: Why it did not succeed, if it did not. It is not tried again by itself.

        Returns:
            False where nobody waits for it any more.
        """
        return self._backend.call_ended(key, response, failed)

    # --- asking -----------------------------------------------------------------------------

    def can(
        self,
        action: str,
        record: Record | str | None = None,
        *,
        actor: Actor | str | None = None,
    ) -> bool:
        """Whether the action could be taken now; guards are asked as well. No effects.

        Args:
            action: A transition, a built-in action, `add` or `add_<entity>`; `edit` is `update`.
            record: On what.
            actor: By whom.
        """
        return self._permission(action, record, actor, why=False).allowed

    def why(
        self,
        action: str,
        record: Record | str | None = None,
        *,
        actor: Actor | str | None = None,
    ) -> Permission:
        """Whether the action could be taken now, and why or why not. No effects."""
        return self._permission(action, record, actor, why=True)

    def records(self, entity: str | None = None) -> list[Record]:
        """All records, or those of one entity, in order of creation.

        Raises:
            Rejected: `not_found`: the definition has no such entity.
        """
        found = self._backend.view().records
        if entity is None:
            return list(found)
        own = [record for record in found if record.entity == entity]
        if not own and entity not in self._backend.program.entities:
            known = ", ".join(self._backend.program.entities)
            raise Rejected("not_found", f"There is no entity {entity!r}; there are: {known}.")
        return own

    def record(self, id_: str) -> Record:
        """One record.

        Raises:
            Rejected: `not_found`.
        """
        view = self._backend.view()
        found = view.record(id_)
        if found is None:
            ids = ", ".join(record.id for record in view.records)
            raise Rejected(
                "not_found", f"No record {id_!r}; there are: {ids}." if ids else "It has none."
            )
        return found

    def history(self) -> list[HistoryEntry]:
        """All that happened, the oldest first."""
        return self._backend.history()

    @property
    def status(self) -> str:
        """`new` before anything was done, then `active`, in the end `completed` or `cancelled`."""
        return self._backend.view().status

    @property
    def state(self) -> str | None:
        """The stage of the first record that has one."""
        return self._backend.view().stage

    @property
    def data(self) -> Data:
        """Data of the instance itself."""
        return self._backend.view().data

    def tasks(self) -> list[Task]:
        """The open tasks."""
        return list(self._backend.view().tasks)

    def incidents(self) -> list[Incident]:
        """The open incidents: what needs a person."""
        return list(self._backend.view().incidents)

    # --- listening --------------------------------------------------------------------------

    def on(self, event: str, callback: Callable[[HistoryEntry], object]) -> Callable[[], None]:
        """Have a function called with each entry of the history that this object gets from now on.

        It runs in this process, for what this process does through this object.

        Args:
            event: Name of the event, such as `record_created`; `*` for all.
            callback: What raises here undoes what it was called about.

        Returns:
            What ends it.

        Raises:
            ConfigurationError: There is no such event.
        """
        return listening.listen(self._model, self._spec.domain, event, callback)

    # --- parts ------------------------------------------------------------------------------

    def _permission(
        self, action: str, record: Record | str | None, actor: Actor | str | None, *, why: bool
    ) -> Permission:
        name = canonical(action)
        asked = name
        if name.startswith("add_") and name.removeprefix("add_") in self._backend.program.entities:
            asked = "add"
        act = Act(actor=self._who(actor), action=asked, record=_id(record))
        # What would be added is not known, so guards of adding cannot be asked.
        functions = self._spec.definition.functions
        guards = functions_of(functions.guards, name) if asked != "add" else ()
        asking = Asking(record=bool(guards), why=why)
        permission, meant = self._backend.permission(act, asking)
        if not permission.allowed or not guards:
            return permission
        refusal = AroundCommand(self._model, self._spec, name, act.actor, {}, None).refusal(
            guards, meant
        )
        return permission if refusal is None else refused(refusal)

    def _who(self, actor: Actor | str | None) -> Actor:
        return actor_of(actor) or self._actor or current_actor() or self._backend.default_actor

    def _give(
        self, command: WireCommand, name: str, data: Data, comment: str | None = None
    ) -> Done:
        around = AroundCommand(self._model, self._spec, name, command.actor, data, comment)
        if comment or not isinstance(command, Act | AddRecord):  # their names are looked at anyway
            check_texts(command)
        return self._backend.give(command, around)

    def __repr__(self) -> str:
        return f"<{self._spec.domain.method} of {self._model!r}>"


def _id(record: Record | str | None) -> str | None:
    if record is None or isinstance(record, str):
        return record
    if isinstance(record, Record):
        return record.id
    raise TypeError(
        f"A record is named by its id, or is one that a handle gave, not {type(record).__name__}; "
        "data is given by name: data={…}."
    )


def _plain(data: Data | None) -> dict[str, Any]:
    """Data of one's own: what its giver does to it later is nobody else's business."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise Rejected("invalid_data", f"The data is a dict, not {type(data).__name__}.")
    with suppress(TypeError, ValueError, OverflowError, RecursionError):  # no JSON: refused later
        if len(msgspec.json.encode(data)) > MOST_DATA:
            raise Rejected("too_large", f"The data is larger than {MOST_DATA:,} bytes as JSON.")
    return {key: _copied(value, 0) for key, value in data.items()}


def _copied(value: Any, depth: int) -> Any:
    if depth > MAX_DATA_DEPTH:
        return value  # which is refused
    if isinstance(value, Mapping):
        return {key: _copied(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, depth + 1) for item in value]
    return value

"""An instance on the platform, which a model only points to."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from nexus.client import Instance, InstanceExists, NexusClient
from nexus.client import Record as ClientRecord
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CompleteTask,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
)
from nexus.core.errors import Rejected
from nexus.core.program import Program
from nexus.core.projection import HistoryRow
from nexus.core.restoring import restore
from nexus.local import configuration
from nexus.local.backend import Around, Backend, Done
from nexus.local.calls import CallFailed
from nexus.local.configuration import Platform
from nexus.local.connection import connection_to
from nexus.local.kept import NOTHING, Kept
from nexus.local.moving import Column, history_rows, takes_back
from nexus.local.shell import (
    Applied,
    Asking,
    applied,
    closed_fields,
    permission,
    permission_when_new,
    start_for,
)
from nexus.local.spec import Spec
from nexus.local.views import HistoryEntry, Incident, Permission, Record, Task, View

_ABOUT_THE_WHOLE = ("cancel",)


class OnPlatform(Backend):
    """The instance of one object, on the platform.

    Args:
        model: The object.
        spec: What its class says of itself.
        there: Where the platform is.
    """

    def __init__(self, model: Any, spec: Spec, there: Platform) -> None:
        self._model = model
        self._spec = spec
        self._connection = connection_to(there)
        self._column = Column(model, spec, self._connection)

    @property
    def program(self) -> Program:
        """The platform's definition, in the version that new instances take."""
        return self._connection.live(self._spec.definition).program

    @property
    def default_actor(self) -> Actor:
        """The application, or whom the token names."""
        return self._connection.default_actor

    def move(self) -> None:
        """Have the platform take over what the column still holds."""
        self._column.promote()

    # --- looking ----------------------------------------------------------------------------

    def view(self) -> View:
        """The instance as it stands."""
        instance = self._instance()
        if instance is None:
            return View(status="new", stage=None, data={}, records=(), tasks=(), incidents=())
        program = self._program_of(instance)
        return View(
            status=instance.status,
            stage=instance.state,
            data=instance.data,
            records=tuple(_record(program, record) for record in instance.records),
            tasks=tuple(_task(task) for task in instance.tasks),
            incidents=tuple(_incident(incident) for incident in instance.incidents),
        )

    def history(self) -> list[HistoryEntry]:
        """All that happened, to former instances first."""
        entries: list[HistoryEntry] = []
        current = self._column.instance()
        for instance in self._column.instances():
            rows = self._rows(instance.id)
            # One that was taken back has gone on elsewhere, with all that had happened to it.
            if instance.id == current or not any(map(takes_back, rows)):
                entries += map(HistoryEntry.of, rows)
        return entries

    def permission(self, act: Act, asking: Asking) -> tuple[Permission, Record | None]:
        """Whether an action could be taken."""
        instance, now = self._instance(), configuration.now()
        if instance is None:
            subject = self._spec.saved_subject(self._model)
            return permission_when_new(self.program, act, subject, now, asking)
        told = self._as(act.actor).can(instance.id, act.action, record=act.record)
        answer = Permission(
            allowed=told.allowed, code=told.code, message=told.message or "", why=told.why
        )
        if not (asking.record and answer.allowed):
            return answer, None
        state = self._restored(instance).state
        return answer, permission(self._program_of(instance), state, act, now, asking)[1]

    # --- doing ------------------------------------------------------------------------------

    def give(self, command: WireCommand, around: Around) -> Done:
        """Send a command; guards and hooks run here."""
        instance = self._instance()
        begins = isinstance(command, AddRecord | Start)
        if instance is None or (begins and instance.status != "active"):
            try:
                return self._begin(command, around)
            except InstanceExists:
                if isinstance(command, Start):
                    raise
                # Another process was quicker to begin it.
                instance = self._instance()
                if instance is None:
                    raise
        expected = self._expected(instance, command) if around.wants_record else None
        if expected is not None:
            around.ahead(expected.record_ahead(self._program_of(instance)))
        seen = len(self._rows(instance.id)) if around.wants_entries else 0
        return self._send(instance, command, around, seen, expected)

    def call_ended(self, key: str, response: object, failed: CallFailed | None) -> bool:  # noqa: ARG002
        """False: the platform makes its calls itself, also those that were handed on before."""
        self._instance()  # what the column still holds goes there
        return False

    def _begin(self, command: WireCommand, around: Around) -> Done:
        """Start an instance with its first command.

        What the command would come to is decided here first: one that is refused must not leave
        an instance behind that nobody wanted.
        """
        subject, now = self._spec.saved_subject(self._model), configuration.now()
        stored = self._connection.live(self._spec.definition)
        expected = applied(stored.program, NOTHING, command, subject, now)
        if around.wants_record:
            around.ahead(expected.record_ahead(stored.program))
        start = start_for(command, subject)
        instance = self._as(start.actor).start(
            stored.id,
            subject.type,
            subject.id,
            data=start.data,
            entity=start.entity,
            records=[(record.entity, record.data) for record in start.records],
        )
        self._column.point_to(instance.id)
        if start is command or isinstance(command, AddRecord):
            return self._done(instance, expected.record, around, 0)
        return self._send(instance, command, around, 0, expected)

    def _send(
        self,
        instance: Instance,
        command: WireCommand,
        around: Around,
        seen: int,
        expected: Applied | None,
    ) -> Done:
        client = self._as(getattr(command, "actor"))  # noqa: B009 - all of these have one
        match command:
            case AddRecord():
                added = client.add_record(instance.id, command.entity, command.data)
                return self._done(client.instance(instance.id), added.id, around, seen)
            case Act():
                record = expected.record if expected else self._meant(instance, command)
                changed = client.act(
                    instance.id,
                    command.action,
                    record=command.record,
                    data=command.data,
                    comment=command.comment,
                )
                return self._done(changed, record, around, seen)
            case ReceiveEvent():
                changed = client.send_event(
                    instance.id, command.event, data=command.data, record=command.record
                )
            case CompleteTask():
                changed = client.complete_task(
                    instance.id, command.task, comment=command.comment, data=command.data
                )
            case RetryIncident():
                client.retry_incident(command.incident, comment=command.comment)
                changed = client.instance(instance.id)
            case SkipIncident():
                client.skip_incident(command.incident, comment=command.comment)
                changed = client.instance(instance.id)
            case _:
                raise Rejected(
                    "instance_exists", "There is an open instance of this model already."
                )
        return self._done(changed, None, around, seen)

    def _done(self, instance: Instance, id_: str | None, around: Around, seen: int) -> Done:
        program = self._program_of(instance)
        found = next((record for record in instance.records if record.id == id_), None)
        record = None if found is None else _record(program, found)
        if around.wants_record:
            around.done(record)
        if around.wants_entries:
            around.happened([HistoryEntry.of(row) for row in self._rows(instance.id)[seen:]])
        return Done(record)

    # --- parts ------------------------------------------------------------------------------

    def _instance(self) -> Instance | None:
        id_ = self._column.instance()
        if id_ is None:
            return None
        instance = self._connection.client.instance(id_)
        if instance.status == "active":
            return instance
        # Another process, or a colleague on the platform, may have begun the next one.
        return next(iter(self._column.instances(newest=True)), instance)

    def _as(self, actor: Actor) -> NexusClient:
        return self._connection.acting(actor)

    def _program_of(self, instance: Instance) -> Program:
        definition = instance.definition
        return self._connection.version(definition.id, definition.version).program

    def _rows(self, instance: str) -> tuple[HistoryRow, ...]:
        return history_rows(self._connection, instance)

    def _restored(self, instance: Instance) -> Kept:
        """The instance with all that the core knows of it, from its history."""
        rows = self._rows(instance.id)
        return replace(NOTHING, instance=instance.id, state=restore(rows), history=rows)

    def _expected(self, instance: Instance, command: WireCommand) -> Applied:
        """What a command would come to, for guards and hooks.

        Raises:
            Rejected: It would be refused.
        """
        subject = self._spec.saved_subject(self._model)
        kept, program = self._restored(instance), self._program_of(instance)
        return applied(program, kept, command, subject, configuration.now())

    def _meant(self, instance: Instance, act: Act) -> str | None:
        """Id of the record that an action is about; None for the whole."""
        if act.record is not None or act.action in _ABOUT_THE_WHOLE:
            return act.record
        if len(instance.records) == 1:
            record = instance.records[0]
            whole = act.action == "close" and record.stage is None
            return None if whole else record.id
        try:
            return self._expected(instance, act).record
        except Rejected:
            return None  # the platform says why


def _record(program: Program, record: ClientRecord) -> Record:
    return Record(
        id=record.id,
        entity=record.entity,
        stage=record.stage,
        status=record.status,
        data=record.data,
        users=record.assignees.users,
        roles=record.assignees.roles,
        created_at=record.created_at,
        since=record.since,
        fields=closed_fields(program, record.entity),
    )


def _task(task: Any) -> Task:
    return Task(
        id=task.id,
        record=task.record,
        title=task.title,
        users=tuple(task.assignees.users),
        roles=tuple(task.assignees.roles),
        since=task.since,
    )


def _incident(incident: Any) -> Incident:
    return Incident(
        id=incident.id,
        record=incident.record,
        code=incident.code,
        message=incident.message,
        attempts=incident.attempts,
        retryable=incident.retryable,
        since=incident.raised_at,
    )

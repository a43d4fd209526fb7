"""What the API asks of instances: of Temporal while they live, of SQL once they have ended."""

from __future__ import annotations

from api.authentication import Caller
from api.gateway import Command, Gateway, InstanceGone
from api.problems import Problem
from api.reading import Database
from nexus.core.commands import Start
from nexus.core.projection import InstanceRow, Snapshot
from storage import history, instances
from storage.scope import TenantSession
from workflows.contract import InstanceInput

# Instances of one subject that a repeated start is looked for in, newest first.
_RECENT_STARTS = 5


def no_instance(instance: str) -> Problem:
    """A 404 for an instance of nobody, or of another tenant."""
    return Problem("not_found", f"There is no instance {instance!r}.")


def _ended(row: InstanceRow) -> Problem:
    return Problem(
        "wrong_stage",
        f"The instance has ended ({row.status}) and takes no more commands.",
        {"status_of_instance": row.status, "ended_at": row.ended_at},
    )


class Commands:
    """Starts instances, commands them and asks them.

    Args:
        database: Where projections are read.
        gateway: The way to Temporal.
    """

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self._gateway = gateway

    async def get(self, caller: Caller, instance: str) -> Snapshot:
        """An instance as it stands.

        Raises:
            Problem: `not_found`.
        """
        found = await self._database.read(caller.tenant, instances.get, instance)
        if found is None:
            raise no_instance(instance)
        return found

    async def start(
        self,
        caller: Caller,
        command: Start,
        *,
        definition: str,
        version: str,
        text: str,
        command_id: str,
        repeated: bool,
    ) -> Snapshot:
        """Start an instance.

        Args:
            caller: Who starts it.
            command: What to begin with.
            definition: Id of the definition.
            version: Its version.
            text: The document itself.
            command_id: Sent twice, it starts one instance.
            repeated: It may have been sent before: an instance that it
                started and that has ended since must not be started again.

        Raises:
            Problem: Refused, or not available.
        """
        subject = command.subject
        if repeated:
            known = await self._started(caller, definition, command, command_id)
            if known is not None:
                return known
        snapshot = await self._gateway.start(
            command,
            InstanceInput(tenant=caller.tenant, definition=text),
            definition=definition,
            summary=f"{definition} {version} for {subject.type} {subject.id}",
            command_id=command_id,
        )
        if snapshot is None:
            snapshot = await self._started(caller, definition, command, command_id)
            if snapshot is None:
                raise RuntimeError(f"the start {command_id} was answered and is not in SQL")
        return snapshot

    async def _started(
        self, caller: Caller, definition: str, command: Start, command_id: str
    ) -> Snapshot | None:
        """The instance that a start with this id has begun, if there is one."""

        def find(session: TenantSession) -> Snapshot | None:
            recent = instances.list_instances(
                session,
                instances.InstanceFilter(
                    definition=definition,
                    subject_type=command.subject.type,
                    subject_id=command.subject.id,
                ),
                descending=True,
                limit=_RECENT_STARTS,
            )
            for snapshot in recent.items:
                if history.list_of_command(session, snapshot.instance.id, command_id):
                    return snapshot
            return None

        return await self._database.read(caller.tenant, find)

    async def apply(
        self, caller: Caller, instance: str, command: Command, command_id: str
    ) -> Snapshot:
        """Have an instance take a command.

        Raises:
            Problem: Refused, busy, or not available.
        """
        place = self._gateway.places.find(instance)
        if place is None:
            row = (await self.get(caller, instance)).instance
            if row.ended_at is not None:
                return await self._settled(caller, instance, command_id)
            workflow = row.workflow_id
        elif place.tenant != caller.tenant:
            raise no_instance(instance)
        else:
            workflow = place.workflow
        try:
            snapshot = await self._gateway.command(instance, workflow, command, command_id)
        except InstanceGone:
            return await self._settled(caller, instance, command_id)
        return snapshot or await self.get(caller, instance)

    async def _settled(self, caller: Caller, instance: str, command_id: str) -> Snapshot:
        """The instance, if this command was the one that ended it, or came before that."""
        snapshot = await self.get(caller, instance)
        applied = await self._database.read(
            caller.tenant, history.list_of_command, instance, command_id
        )
        if applied:
            return snapshot
        if snapshot.instance.ended_at is not None:
            raise _ended(snapshot.instance)
        raise Problem(
            "conflict", "The instance's workflow was ended from outside; it takes no commands."
        )

    async def created_record(self, caller: Caller, instance: str, command_id: str) -> str:
        """Id of the record that a command has added; others may have been created beside it."""
        rows = await self._database.read(
            caller.tenant, history.list_of_command, instance, command_id
        )
        for row in rows:
            if row.event == "record_created" and row.record is not None:
                return row.record
        raise RuntimeError(f"no record was created by {command_id}")

    async def can(
        self, caller: Caller, instance: str, action: str, record: str | None
    ) -> dict[str, object]:
        """Whether the caller could take an action now, and why or why not. No effects.

        Raises:
            Problem: `not_found`, or not available.
        """
        # A query cannot name the run that it means, so SQL says first whether it is open.
        row = (await self.get(caller, instance)).instance
        if row.ended_at is None:
            try:
                return await self._gateway.can(row.workflow_id, caller.actor, action, record)
            except InstanceGone:
                row = (await self.get(caller, instance)).instance
        refusal = _ended(row)
        return {"allowed": False, "code": refusal.code, "message": refusal.message, "why": []}

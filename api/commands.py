"""What the API asks of instances: of Temporal while they live, of SQL once they have ended."""

from __future__ import annotations

import asyncio

from api.authentication import Caller
from api.gateway import Command, Gateway, InstanceGone, Opening
from api.problems import Problem, invalid_data, located
from api.reading import Database
from nexus.core.commands import RetryIncident, SkipIncident
from nexus.core.events import InstanceStarted
from nexus.core.projection import InstanceRow, Snapshot
from storage import history, instances
from storage.scope import TenantSession
from workflows.contract import InstanceInput, workflow_id

# Instances of one subject that a repeated start is looked for in, the latest changed first.
_RECENT_STARTS = 5
# Seconds between attempts to start while the subject's former workflow closes.
_WHILE_CLOSING = (0.05, 0.1, 0.2, 0.4, 0.8)
LONGEST_WORKFLOW_ID = 1_000
_LONGEST_SUMMARY = 200


def no_instance(instance: str) -> Problem:
    """A 404 for an instance of nobody, or of another tenant."""
    return Problem("not_found", f"There is no instance {instance!r}.")


def _ended(row: InstanceRow) -> Problem:
    return Problem(
        "wrong_stage",
        f"This instance has ended: it is {row.status}.",
        {"status_of_instance": row.status, "ended_at": row.ended_at},
    )


def _check_length(workflow: str) -> None:
    if len(workflow) > LONGEST_WORKFLOW_ID:
        message = (
            f"is too long: tenant, definition and subject make {len(workflow)} characters together,"
            f" percent-encoded; at most {LONGEST_WORKFLOW_ID} are possible"
        )
        raise invalid_data(f"/subject {message}.", located("/subject", message, "too_long"))


def _line(text: str) -> str:
    """A text as one line that fits into a summary of 400 bytes."""
    return " ".join(text.split()).encode()[:_LONGEST_SUMMARY].decode(errors="ignore")


class Commands:
    """Starts instances, commands them and asks them.

    Args:
        database: Where projections are read.
        gateway: The way to Temporal.
        signal_roles: What unsigned signals to new instances may do (R27).
    """

    def __init__(
        self, database: Database, gateway: Gateway, signal_roles: tuple[str, ...] = ()
    ) -> None:
        self._database = database
        self._signal_roles = signal_roles
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
        command: Opening,
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
        _check_length(workflow_id(caller.tenant, definition, subject.type, subject.id))
        given = InstanceInput(
            tenant=caller.tenant, definition=text, signal_roles=self._signal_roles
        )
        summary = _line(f"{definition} {version} for {subject.type} {subject.id}")
        for pause in (*_WHILE_CLOSING, None):
            if repeated:
                known = await self.started(caller, definition, command, command_id)
                if known is not None:
                    return known
            repeated = True
            try:
                snapshot = await self._gateway.start(
                    command, given, definition=definition, summary=summary, command_id=command_id
                )
            except (InstanceGone, Problem) as error:
                # The subject's former instance has ended, and its workflow is just closing.
                closing = isinstance(error, InstanceGone) or (
                    error.code == "conflict" and "misfits" not in error.extensions
                )
                if not closing:
                    raise
                if isinstance(error, Problem) and "keeps" in error.extensions:
                    await self._gateway.give_up(
                        caller.tenant, definition, command, f"{command_id}-gives-up"
                    )
                if pause is None:
                    raise Problem(
                        "conflict", "The subject's former instance is still closing; start again."
                    ) from None
                await asyncio.sleep(pause)
                continue
            snapshot = snapshot or await self.started(caller, definition, command, command_id)
            if snapshot is not None:
                return snapshot
        raise RuntimeError(f"the start {command_id} was answered and is not in SQL")

    async def started(
        self, caller: Caller, definition: str, command: Opening, command_id: str
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
                # What was carried over has started long before it came.
                sort="updated_at",
                descending=True,
                limit=_RECENT_STARTS,
            )
            for snapshot in recent.items:
                rows = history.list_of_command(session, snapshot.instance.id, command_id)
                # A former instance has gone by this command, perhaps, which made room for the new.
                if any(row.event == InstanceStarted.name for row in rows):
                    return snapshot
            return None

        return await self._database.read(caller.tenant, find)

    async def apply(
        self, caller: Caller, instance: str, command: Command, command_id: str
    ) -> Snapshot:
        """Have an instance take a command.

        One that has ended still takes what settles its incidents, as long as its workflow is
        kept for that.

        Raises:
            Problem: Refused, busy, or not available.
        """
        place = self._gateway.places.find(instance)
        if place is None:
            row = (await self.get(caller, instance)).instance
            settles = isinstance(command, RetryIncident | SkipIncident)
            if row.ended_at is not None and not settles:
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
                return await self._gateway.can(
                    instance, row.workflow_id, caller.actor, action, record
                )
            except InstanceGone:
                row = (await self.get(caller, instance)).instance
        refusal = _ended(row)
        return {"allowed": False, "code": refusal.code, "message": refusal.message, "why": []}

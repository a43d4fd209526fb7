"""The way to Temporal: starts, commands and questions, with an answer for each way to fail.

An instance is one workflow; its id is the run id of the workflow's first run.
Commands travel as updates that name that run, so that an action never reaches
a later instance of the same subject. An update's id is the command's id: one
that is sent twice is applied once and answered twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import structlog
import temporalio.api.common.v1 as common_v1
import temporalio.api.enums.v1 as enums_v1
import temporalio.api.taskqueue.v1 as taskqueue_v1
import temporalio.api.update.v1 as update_v1
import temporalio.api.workflowservice.v1 as service_v1
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.admission import Admission
from api.metrics import UPDATES_IN_FLIGHT
from api.problems import CODES, Problem, busy, outcome_unknown, unavailable
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CarryOver,
    CompleteTask,
    GiveUp,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    dump_command,
)
from nexus.core.projection import Snapshot
from workflows import contract

log = structlog.get_logger("api.gateway")

UPDATE_TIMEOUT = 30.0
"""Seconds for one command, a database that is away for a while included."""
QUERY_TIMEOUT = 10.0
_REMEMBERED = 100_000
_UNTIL_READY = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between tries where a workflow is not ready to take a command."""

Opening = Start | CarryOver
"""What an instance can begin with."""
Command = Act | AddRecord | ReceiveEvent | CompleteTask | RetryIncident | SkipIncident


class InstanceGone(Exception):
    """No open workflow stands for this instance: it has ended, or never was."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance lives.

    Attributes:
        tenant: Who owns it.
        workflow: Id of its workflow.
    """

    tenant: str
    workflow: str


class Places:
    """Remembers where instances live, so that an action needs no database to find its own."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[str, Place] = OrderedDict()

    def find(self, instance: str) -> Place | None:
        """Where an instance lives, if it is remembered."""
        place = self._known.get(instance)
        if place is not None:
            self._known.move_to_end(instance)
        return place

    def remember(self, snapshot: Snapshot) -> None:
        """Keep the place of an open instance; forget that of an ended one."""
        row = snapshot.instance
        if row.ended_at is not None:
            self._known.pop(row.id, None)
            return
        self._known[row.id] = Place(row.tenant, row.workflow_id)
        self._known.move_to_end(row.id)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


async def _again_if_not_ready(call: Callable[[], Awaitable[object]]) -> object:
    """Repeat a command that met a workflow task which failed, as happens when its instance's last
    event and something else meet. It has its id, so it is applied once.
    """
    for pause in _UNTIL_READY:
        try:
            return await call()
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
        await asyncio.sleep(pause)
    return await call()


class Gateway:
    """Talks to Temporal.

    Args:
        client: Connected, or lazily so, with the pydantic data converter.
        task_queue: Of the workers.
        update_timeout: Seconds for one command.
        query_timeout: Seconds for one question.
    """

    def __init__(
        self,
        client: Client,
        task_queue: str,
        update_timeout: float = UPDATE_TIMEOUT,
        query_timeout: float = QUERY_TIMEOUT,
    ) -> None:
        self.client = client
        self.task_queue = task_queue
        self.places = Places()
        self._admission = Admission()
        self._timeout = update_timeout
        self._query_timeout = query_timeout

    async def start(
        self,
        command: Opening,
        instance: contract.InstanceInput,
        *,
        definition: str,
        summary: str,
        command_id: str,
    ) -> Snapshot | None:
        """Start an instance and have its first answer, in one round trip.

        Args:
            command: What to begin with.
            instance: The workflow's input.
            definition: Id of the definition.
            summary: One line for Temporal's Web UI.
            command_id: Sent twice, it starts one instance.

        Returns:
            The instance; None if that is too large for an answer and stands in SQL.

        Raises:
            Problem: Refused, or not available.
        """
        subject = command.subject
        workflow = contract.workflow_id(instance.tenant, definition, subject.type, subject.id)

        async def once() -> object:
            operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
                contract.WORKFLOW,
                instance,
                id=workflow,
                task_queue=self.task_queue,
                # The workflow itself refuses a second start, and knows a repeated one.
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=summary,
            )
            return await self.client.execute_update_with_start_workflow(
                contract.COMMAND,
                dump_command(command),
                start_workflow_operation=operation,
                id=command_id,
            )

        async with self._admission.turn(workflow):
            answer = await self._bounded(once, workflow, command_id)
        return self._snapshot(answer)

    async def give_up(
        self, tenant: str, definition: str, command: Opening, command_id: str
    ) -> None:
        """Have the subject's former instance give up what it is kept for, and close.

        The update that starts cannot do it: Temporal knows an update's id for as long as it
        knows the workflow, and would answer the next attempt with the same refusal.

        Raises:
            Problem: Refused, or not available. That there is none any more is no error.
        """
        subject = command.subject
        workflow = contract.workflow_id(tenant, definition, subject.type, subject.id)
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow)
        wire = dump_command(GiveUp(actor=command.actor))
        with contextlib.suppress(InstanceGone):
            await self._bounded(
                lambda: handle.execute_update(contract.COMMAND, wire, id=command_id),
                workflow,
                command_id,
            )

    async def command(
        self, instance: str, workflow: str, command: Command, command_id: str
    ) -> Snapshot | None:
        """Have an instance take a command, and its answer once that is written.

        Returns:
            The instance; None if that is too large for an answer and stands in SQL.

        Raises:
            Problem: Refused, busy, or not available.
            InstanceGone: There is no open workflow of it.
        """
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(
            workflow, first_execution_run_id=instance
        )
        wire = dump_command(command)
        async with self._admission.turn(workflow):
            answer = await self._bounded(
                lambda: handle.execute_update(contract.COMMAND, wire, id=command_id),
                workflow,
                command_id,
            )
        return self._snapshot(answer)

    async def can(
        self, instance: str, workflow: str, actor: Actor, action: str, record: str | None
    ) -> dict[str, object]:
        """Ask an open instance whether somebody could take an action now.

        Raises:
            Problem: Not available.
            InstanceGone: There is no such workflow.
        """
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow)
        question = {
            "instance": instance,
            "action": action,
            "record": record,
            "actor": msgspec.to_builtins(actor),
        }
        try:
            async with asyncio.timeout(self._query_timeout):
                answer = await handle.query(contract.CAN, question)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise unavailable("No worker answered in time.") from None
        except WorkflowQueryFailedError as error:
            raise unavailable(f"The instance cannot answer now: {error.message}.") from None
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise InstanceGone from None
            raise unavailable("Temporal, or a worker, is away.") from None
        except RuntimeError as error:
            if not _never_connected(error):
                raise
            raise unavailable("Temporal is away.") from None
        if not isinstance(answer, dict):
            raise TypeError(f"the query {contract.CAN!r} answered {type(answer).__name__}")
        return answer

    async def _bounded(
        self, call: Callable[[], Awaitable[object]], workflow: str, command_id: str
    ) -> object:
        UPDATES_IN_FLIGHT.inc()
        try:
            async with asyncio.timeout(self._timeout):
                return await _again_if_not_ready(call)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise await self._late(workflow, command_id) from None
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from None
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise InstanceGone from None
            if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
                raise busy("Temporal takes no more commands to this instance just now.") from None
            if error.status == RPCStatusCode.INVALID_ARGUMENT:
                raise  # what we have sent is at fault, and trying again would not help
            log.warning("temporal_unavailable", status=error.status.name, error=error.message)
            if error.status == RPCStatusCode.FAILED_PRECONDITION:
                raise outcome_unknown(
                    f"The instance's workflow takes no commands now ({error.message})"
                ) from None
            raise outcome_unknown("Temporal is away.") from None
        except RuntimeError as error:
            if not _never_connected(error):
                raise
            raise unavailable("Temporal is away.", accepted=False) from None
        finally:
            UPDATES_IN_FLIGHT.dec()

    async def _late(self, workflow: str, command_id: str) -> Problem:
        """Nothing came in time: say whether Temporal has the command, if it can be found out."""
        message = f"No answer within {self._timeout:g} seconds."
        if await self._accepted(workflow, command_id):
            return unavailable(
                f"{message} Temporal has accepted the command and it will be applied; the same"
                " Idempotency-Key brings its answer.",
                accepted=True,
                retry_after=5,
            )
        return outcome_unknown(
            f"{message} Whether the command was accepted is not known; repeat it with the same"
            " Idempotency-Key and it is applied once.",
            retry_after=5,
        )

    async def _accepted(self, workflow: str, command_id: str) -> bool:
        reference = update_v1.UpdateRef(
            workflow_execution=common_v1.WorkflowExecution(workflow_id=workflow),
            update_id=command_id,
        )
        unspecified = enums_v1.UpdateWorkflowExecutionLifecycleStage.ValueType(0)
        try:
            answer = await self.client.workflow_service.poll_workflow_execution_update(
                service_v1.PollWorkflowExecutionUpdateRequest(
                    namespace=self.client.namespace,
                    update_ref=reference,
                    # An unspecified stage is answered at once with what is known.
                    wait_policy=update_v1.WaitPolicy(lifecycle_stage=unspecified),
                ),
                timeout=timedelta(seconds=1),
            )
        except RPCError:
            return False
        accepted = enums_v1.UpdateWorkflowExecutionLifecycleStage
        return answer.stage >= accepted.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED

    def _snapshot(self, answer: object) -> Snapshot | None:
        if answer is None:
            return None
        snapshot = msgspec.convert(answer, type=Snapshot)
        self.places.remember(snapshot)
        return snapshot


def _never_connected(error: RuntimeError) -> bool:
    """Whether a lazy client could not even connect; the SDK has no exception of its own for it."""
    return "client connect" in str(error)


def _refusal(error: WorkflowUpdateFailedError) -> Problem | InstanceGone:
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return outcome_unknown("The instance was ended from outside.")
    if cause.type == "AcceptedUpdateCompletedWorkflow":
        return InstanceGone()
    if cause.type not in CODES:
        raise error
    details = cause.details[0] if cause.details else {}
    extensions = details if isinstance(details, Mapping) else {}
    message = cause.message
    if "existing" in extensions:
        message += f" Its id is {extensions['existing']}."
    return Problem(cause.type or "internal", message, extensions)


NOT_KNOWN = "Not known while Temporal is away."
"""What can be said of workers then."""


async def ready(
    client: Client, task_queue: str, *, fresh: float = 70.0
) -> tuple[str | None, str | None, str | None]:
    """What keeps Temporal, a worker, and whoever calls channels from being ready; None for nothing.

    Args:
        client: To ask with.
        task_queue: Where a worker should be polling.
        fresh: Seconds within which a poller must have been seen; a poll lasts 60.
    """
    queues = (
        (task_queue, enums_v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        (contract.channel_queue(task_queue), enums_v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    )
    try:
        worker, channels = await asyncio.gather(
            *(_polled(client, queue, kind, fresh) for queue, kind in queues)
        )
    except RPCError as error:
        return f"Temporal does not answer: {error.message}", NOT_KNOWN, NOT_KNOWN
    except RuntimeError as error:
        return f"Temporal cannot be reached: {error}", NOT_KNOWN, NOT_KNOWN
    return (
        None,
        None if worker else f"No worker polls the task queue {task_queue!r}.",
        None if channels else f"Nobody polls the task queue {queues[1][0]!r}: calls wait.",
    )


async def _polled(
    client: Client, queue: str, kind: enums_v1.TaskQueueType.ValueType, fresh: float
) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        service_v1.DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=taskqueue_v1.TaskQueue(name=queue),
            task_queue_type=kind,
        ),
        timeout=timedelta(seconds=2),
    )
    oldest = time.time() - fresh
    return any(poller.last_access_time.ToSeconds() >= oldest for poller in answer.pollers)

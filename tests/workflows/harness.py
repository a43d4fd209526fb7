"""Drives instances as other systems do, through Temporal, and reads back what was projected."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import msgspec
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from activities.authentication import AuthenticationActivities
from activities.channels import Caller, ChannelActivities
from activities.projection import ProjectionActivities
from nexus.core.commands import Act, Actor, Start, WireCommand, dump_command
from nexus.core.projection import HistoryRow, Snapshot
from nexus.core.state import Subject
from storage.chain import verify_chain
from storage.engine import Engine
from storage.history import list_history
from storage.instances import get
from storage.scope import reading
from workflows.contract import CAN, COMMAND, WORKFLOW, InstanceInput, workflow_id
from workflows.contract import SNAPSHOT as SNAPSHOT_QUERY
from workflows.instance import NexusInstance
from workflows.worker import build_channel_worker, build_worker, workflow_runner

SECRET = "a-secret-of-the-tests-that-is-long-enough"
ANN, BOB, ADMIN = Actor("ann"), Actor("bob"), Actor("root", ("admin",))

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Refusal:
    """What an update was refused with."""

    code: str
    message: str
    details: Mapping[str, Any]


@dataclass
class Harness:
    """One task queue, one tenant and one database of a test's own.

    Attributes:
        roll_over_after: Given to the instances that are started; see `InstanceInput`.
    """

    client: Client
    engine: Engine
    task_queue: str = field(default_factory=lambda: f"tests-{uuid4().hex[:12]}")
    tenant: str = field(default_factory=lambda: f"tenant-{uuid4().hex[:12]}")
    roll_over_after: int = 0
    signal_roles: tuple[str, ...] = ()

    # --- running ---------------------------------------------------------------------------

    @asynccontextmanager
    async def worker(
        self,
        project: Callable[[str], str] | None = None,
        *,
        channels: Caller | None = None,
        **options: Any,
    ) -> AsyncIterator[Worker]:
        """A worker; `project` stands in for the activity that writes projections.

        With `channels` it makes channel calls as well.
        """
        activities: list[Callable[..., Any]] = [
            project or ProjectionActivities(self.engine).project,
            AuthenticationActivities(SECRET).authenticate,
        ]
        # In the sandbox, which complains of what a workflow must not do; production goes without.
        options = {"sandboxed": True, **options}
        async with AsyncExitStack() as stack:
            if channels is not None:
                await stack.enter_async_context(self.channel_worker(channels))
            yield await stack.enter_async_context(
                build_worker(self.client, self.task_queue, activities, **options)
            )

    @asynccontextmanager
    async def channel_worker(self, channels: Caller, **options: Any) -> AsyncIterator[Worker]:
        """A worker that makes channel calls, and nothing else."""
        activities = [ChannelActivities(channels).call_channel]
        async with build_channel_worker(
            self.client, self.task_queue, activities, **options
        ) as worker:
            yield worker

    def start_operation(
        self, definition: str, subject: str
    ) -> WithStartWorkflowOperation[Any, Any]:
        """Starts the workflow of a subject, or finds the one that is open."""
        name = json.loads(definition)["id"]
        return WithStartWorkflowOperation(
            WORKFLOW,
            args=[
                InstanceInput(
                    self.tenant,
                    definition,
                    signal_roles=self.signal_roles,
                    roll_over_after=self.roll_over_after,
                )
            ],
            id=workflow_id(self.tenant, name, "lead", subject),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"{name}: lead {subject}",
        )

    async def start(
        self,
        definition: str,
        subject: str = "42",
        *,
        actor: Actor = ANN,
        command_id: str | None = None,
        **given: Any,
    ) -> tuple[Snapshot | None, Handle]:
        """Starts an instance in one round trip; the answer, and a handle on this very instance."""
        command = Start(actor=actor, subject=Subject("lead", subject), **given)
        operation = self.start_operation(definition, subject)
        answer = await self.client.execute_update_with_start_workflow(
            COMMAND,
            dump_command(command),
            start_workflow_operation=operation,
            id=command_id,
            result_type=Snapshot,
        )
        started = await operation.workflow_handle()
        first = started.first_execution_run_id or (answer.instance.id if answer else None)
        return answer, self.client.get_workflow_handle(started.id, first_execution_run_id=first)

    async def send(
        self, handle: Handle, command: WireCommand, command_id: str | None = None
    ) -> Snapshot | None:
        """One command, answered once it is projected."""
        answer: Snapshot | None = await handle.execute_update(
            COMMAND, dump_command(command), id=command_id, result_type=Snapshot
        )
        return answer

    async def act(
        self,
        handle: Handle,
        action: str,
        *,
        actor: Actor = ANN,
        command_id: str | None = None,
        **given: Any,
    ) -> Snapshot:
        """One action, whose answer is not too large to be given."""
        answer = await self.send(handle, Act(actor=actor, action=action, **given), command_id)
        assert answer is not None
        return answer

    async def refused(self, doing: Awaitable[object]) -> Refusal:
        """What something was refused with."""
        try:
            answer = await doing
        except WorkflowUpdateFailedError as failure:
            cause = failure.cause
            assert isinstance(cause, ApplicationError)
            return Refusal(cause.type or "", cause.message, cause.details[0])
        raise AssertionError(f"was not refused, but answered {answer}")

    async def can(self, handle: Handle, action: str, actor: Actor = ANN) -> dict[str, Any]:
        """The query of that name."""
        wire = {"actor": msgspec.to_builtins(actor), "action": action}
        answer: dict[str, Any] = await handle.query(CAN, wire)
        return answer

    async def snapshot(self, handle: Handle) -> Snapshot | None:
        """What the workflow itself says it is."""
        answer: Snapshot | None = await handle.query(SNAPSHOT_QUERY, result_type=Snapshot)
        return answer

    # --- what Temporal has -----------------------------------------------------------------

    async def event_types(self, handle: Handle, run: str | None = None) -> list[str]:
        """Names of the events in Temporal's history, such as `TIMER_STARTED`."""
        handle = self.client.get_workflow_handle(handle.id, run_id=run)
        history = await handle.fetch_history()
        return [
            EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events
        ]

    async def replay(self, handle: Handle, run: str | None = None) -> None:
        """Replay one run's history, as a worker would that takes it over."""
        history = await self.client.get_workflow_handle(handle.id, run_id=run).fetch_history()
        replayer = Replayer(
            workflows=[NexusInstance],
            workflow_runner=workflow_runner(),
            data_converter=pydantic_data_converter,
        )
        await replayer.replay_workflow(history)

    async def runs(self, handle: Handle) -> list[str]:
        """The run ids of one instance, the latest first."""
        described = await self.client.get_workflow_handle(handle.id).describe()
        run: str | None = described.run_id
        found: list[str] = []
        while run:
            found.append(run)
            history = await self.client.get_workflow_handle(handle.id, run_id=run).fetch_history()
            started = history.events[0].workflow_execution_started_event_attributes
            run = started.continued_execution_run_id
        return found

    # --- what SQL has ----------------------------------------------------------------------

    def stored(self, instance: str) -> Snapshot | None:
        """The instance as SQL has it."""
        with reading(self.engine, self.tenant) as session:
            return get(session, instance)

    def history(self, instance: str) -> list[HistoryRow]:
        """The audit trail, in order."""
        with reading(self.engine, self.tenant) as session:
            rows: list[HistoryRow] = []
            cursor: str | None = None
            while True:
                page = list_history(session, instance, limit=200, cursor=cursor)
                rows += page.items
                cursor = page.next
                if cursor is None:
                    return rows

    def intact(self, instance: str) -> bool:
        """Whether numbers have no gap, the hash chain holds, and the instance is at its end."""
        rows = self.history(instance)
        stored = self.stored(instance)
        with reading(self.engine, self.tenant) as session:
            broken = verify_chain(session, instance)
        assert stored is not None
        return (
            broken is None
            and [row.seq for row in rows] == list(range(1, len(rows) + 1))
            and stored.instance.seq == len(rows)
        )


def same(one: object, other: object) -> bool:
    """Equal as what they say: JSON knows no tuples."""
    return _json(one) == _json(other)


def _json(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def events(rows: Sequence[HistoryRow]) -> list[str]:
    return [row.event for row in rows]


def token(user: str, tenant: str, *roles: str, secret: str = SECRET, valid: float = 60) -> str:
    """A signed token, as a signal carries it."""
    claims = {"sub": user, "tenant": tenant, "roles": list(roles), "exp": time.time() + valid}
    return jwt.encode(claims, secret, algorithm="HS256")


async def eventually(
    condition: Callable[[], Any] | Callable[[], Awaitable[Any]],
    *,
    seconds: float = 20,
    what: str = "it",
) -> None:
    """Waits for something that comes true by itself."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < until, f"{what} has not come true within {seconds:g} s"
        await asyncio.sleep(0.03)


async def until_joined(harness: Harness, handle: Handle, seconds: float = 20) -> Snapshot:
    """Waits for the run of the first record to join; the instance as the workflow has it then."""
    found: list[Snapshot] = []

    async def joined() -> bool:
        snapshot = await harness.snapshot(handle)
        assert snapshot is not None
        found.append(snapshot)
        return not snapshot.records[0].running

    await eventually(joined, seconds=seconds, what="the join")
    return found[-1]


async def agree(harness: Harness, handle: Handle) -> None:
    """Waits until SQL says what the workflow says, which decides before it writes."""

    async def agreed() -> bool:
        snapshot = await harness.snapshot(handle)
        assert snapshot is not None
        return same(snapshot, harness.stored(snapshot.instance.id))

    await eventually(agreed, what="the projection")


def temporal_command(cli: Path, address: str, *arguments: str) -> str:
    """What the `temporal` command prints."""
    command = [str(cli), *arguments, "--address", address]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout

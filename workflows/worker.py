"""The worker's settings. Activities come from outside, since this package knows the core alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.contract import SEARCH_ATTRIBUTES, channel_queue
from workflows.instance import NexusInstance

PROJECTIONS = 16  # at once; SQLite writes one after another, PostgreSQL gains from several
CALLS = 100  # of channels at once; they wait for networks, and for little else
HEARTBEAT = timedelta(seconds=2)  # how late a call may hear that it was cancelled
PASSED_THROUGH = (
    *("nexus", "msgspec", "jsonschema_rs"),
    *("workflows.appearance", "workflows.contract", "workflows.effects"),
)
_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}


def workflow_runner() -> WorkflowRunner:
    """The sandbox, with the pure core passed through: compiled definitions are shared by all."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def build_worker(
    client: Client,
    task_queue: str,
    activities: Sequence[Callable[..., Any]],
    *,
    graceful_shutdown: timedelta = timedelta(seconds=5),
    max_cached_workflows: int = 1_000,
    sandboxed: bool = False,
) -> Worker:
    """A worker that runs instances.

    Args:
        client: Connected, with the pydantic data converter.
        task_queue: The queue to poll.
        activities: The activities named in `workflows.contract`.
        graceful_shutdown: How long running activities may take to end.
        max_cached_workflows: Instances kept in memory, 0.13 MB each.
        sandboxed: Run workflows in the sandbox, as tests and replays do. It costs a third of
            what a worker can do; see `docs/decisions/workflow-sandbox.md`.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[NexusInstance],
        activities=activities,
        activity_executor=ThreadPoolExecutor(PROJECTIONS, thread_name_prefix="activity"),
        workflow_runner=workflow_runner() if sandboxed else UnsandboxedWorkflowRunner(),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=100, initial=5),
        max_cached_workflows=max_cached_workflows,
        max_concurrent_local_activities=200,
        graceful_shutdown_timeout=graceful_shutdown,
    )


def build_channel_worker(
    client: Client,
    task_queue: str,
    activities: Sequence[Callable[..., Any]],
    *,
    graceful_shutdown: timedelta = timedelta(seconds=5),
) -> Worker:
    """A worker that calls channels, beside those that run instances or in another process.

    Args:
        client: Connected, with the pydantic data converter.
        task_queue: The queue of the workflows; channel calls have their own beside it.
        activities: The activity that calls channels.
        graceful_shutdown: How long calls under way may take to end; after it they are given back,
            and made again with the same key.
    """
    return Worker(
        client,
        task_queue=channel_queue(task_queue),
        activities=activities,
        # Stages ask for several calls at once, after times of none: few pollers would take turns.
        activity_task_poller_behavior=PollerBehaviorAutoscaling(minimum=10, maximum=50, initial=10),
        max_concurrent_activities=CALLS,
        max_heartbeat_throttle_interval=HEARTBEAT,
        default_heartbeat_throttle_interval=HEARTBEAT,
        graceful_shutdown_timeout=graceful_shutdown,
    )


async def register_search_attributes(client: Client) -> None:
    """Make the namespace know the attributes that instances are found by; those it knows stay."""
    for name, kind in SEARCH_ATTRIBUTES.items():
        request = AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes={name: _TYPES[kind]}
        )
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise

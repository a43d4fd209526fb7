"""Instances: start, list, read, act, ask, add to, tell, cancel, audit."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.authentication import Caller
from api.commands import no_instance
from api.gateway import Command, Opening
from api.idempotency import Answer
from api.listing import Cursor, Filter, Limit, Subject, data_filters, subject_parts
from api.openapi import idempotent, problems
from api.present import (
    json_response,
    page,
    present_history,
    present_instance,
    present_record,
)
from api.problems import Problem
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import (
    ActionBody,
    CancelBody,
    EventBody,
    HistoryEntry,
    ImportBody,
    Instance,
    Page,
    Permission,
    Record,
    RecordBody,
    RecordPatchBody,
    StartBody,
    TaskBody,
)
from api.services import Services
from api.versions import to_start
from nexus.core.commands import (
    Act,
    AddRecord,
    CarryOver,
    CompleteTask,
    NewRecord,
    ReceiveEvent,
    Start,
)
from nexus.core.projection import HistoryRow, Snapshot
from nexus.core.state import Subject as CoreSubject
from storage import history, instances
from storage.keyset import Page as StoredPage
from storage.scope import TenantSession

router = APIRouter(prefix="/v1/instances", route_class=NexusRoute, tags=["instances"])

InstanceId = Annotated[str, Path(description="Id of an instance", max_length=64)]
RecordId = Annotated[str, Path(description="Id of a record", examples=["lead-1"])]
ActionName = Annotated[str, Path(description="A transition, or a built-in action")]
Status = Literal["active", "completed", "cancelled", "failed"]
Sort = Literal["started_at", "-started_at", "updated_at", "-updated_at", "id", "-id"]

_SORTS: dict[str, instances.SortBy] = {
    "started_at": "started_at",
    "updated_at": "updated_at",
    "id": "id",
}
_REFUSALS = (
    "forbidden",
    "not_found",
    "condition_not_met",
    "wrong_stage",
    "run_in_progress",
    "self_assign",
    "conflict",
    "too_large",
    "invalid_json",
    "key_reused",
    "ambiguous",
    "busy",
)


def _answer(services: Services, snapshot: Snapshot, status: int = 200) -> Answer:
    return Answer.of(present_instance(services.settings, snapshot), status)


@router.post(
    "",
    status_code=201,
    summary="Start an instance",
    response_model=Instance,
    responses=problems("instance_exists", *_REFUSALS),
    openapi_extra=idempotent(),
)
async def start(
    request: Request, body: StartBody, caller: CallerOf, services: ServicesOf
) -> Response:
    """Start one run of a definition for a subject, and answer with the instance as it then stands.

    There is at most one open instance per definition and subject: a second start gets
    `instance_exists`.
    """
    command = Start(
        actor=caller.actor,
        subject=CoreSubject(body.subject.type, body.subject.id),
        data=body.data,
        entity=body.entity,
        records=tuple(NewRecord(record.entity, record.data) for record in body.records),
    )

    return await _begin(request, caller, services, command, body.definition, body.version)


@router.post(
    "/import",
    status_code=201,
    summary="Carry an instance over",
    response_model=Instance,
    responses=problems("instance_exists", *_REFUSALS),
    openapi_extra=idempotent(),
)
async def carry_over(
    request: Request, body: ImportBody, caller: CallerOf, services: ServicesOf
) -> Response:
    """Have an instance that began elsewhere go on here, with its history as it is; `admin` only.

    What it waits for goes on as well: clocks keep their times, and those that have come due fire
    at once; calls that are wanted are made under the keys that they had. One that has ended comes
    along as it is. Refused with `conflict`
    and `misfits` where the definition does not know what the instance has.
    """
    caller.require_admin("Carrying an instance over")
    command = CarryOver(
        actor=caller.actor,
        subject=CoreSubject(body.subject.type, body.subject.id),
        origin=body.origin,
        history=tuple(row.model_dump() for row in body.history),
    )
    return await _begin(request, caller, services, command, body.definition, body.version)


async def _begin(
    request: Request,
    caller: Caller,
    services: Services,
    command: Opening,
    definition: str,
    version: str | None,
) -> Response:
    async def perform(command_id: str, repeated: bool) -> Answer:
        try:
            stored = await services.database.read(caller.tenant, to_start, definition, version)
        except Problem as error:
            if not repeated or error.code not in ("conflict", "not_found"):
                raise
            # Retired since, perhaps: what a first attempt has started is still its answer.
            known = await services.commands.started(caller, definition, command, command_id)
            if known is None:
                raise
            return _answer(services, known, 201)
        snapshot = await services.commands.start(
            caller,
            command,
            definition=stored.id,
            version=stored.version,
            text=stored.text,
            command_id=command_id,
            repeated=repeated,
        )
        return _answer(services, snapshot, 201)

    return await services.idempotency.once(request, caller, perform)


async def _apply(
    request: Request, caller: CallerOf, services: Services, instance: str, command: Command
) -> Response:
    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        return _answer(
            services, await services.commands.apply(caller, instance, command, command_id)
        )

    return await services.idempotency.once(request, caller, perform)


@router.get(
    "",
    summary="List instances",
    response_model=Page[Instance],
    responses=problems(),
    openapi_extra={"x-data-filters": True},
)
async def list_instances(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    definition: Filter = None,
    stage: Filter = None,
    status: Annotated[Status | None, Query()] = None,
    subject: Subject = None,
    subject_type: Filter = None,
    subject_id: Filter = None,
    sort: Annotated[Sort, Query(description="With a minus, descending.")] = "-started_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Instances of the tenant, newest first.

    Besides the named filters, `data.<key>=value` compares a value of the instance's data.
    """
    kind, identity = subject_parts(subject, subject_type, subject_id)
    found = await services.database.read(
        caller.tenant,
        instances.list_instances,
        instances.InstanceFilter(
            definition=definition,
            stage=stage,
            status=status,
            subject_type=kind,
            subject_id=identity,
            data=data_filters(request),
        ),
        sort=_SORTS[sort.removeprefix("-")],
        descending=sort.startswith("-"),
        limit=limit,
        cursor=cursor,
    )
    shown = [present_instance(services.settings, snapshot) for snapshot in found.items]
    return json_response(page(shown, found.next))


@router.get(
    "/{instance}",
    summary="Read an instance",
    response_model=Instance,
    responses=problems("not_found"),
)
async def read_instance(instance: InstanceId, caller: CallerOf, services: ServicesOf) -> Response:
    """State, records, assignments, clocks, and where Temporal's Web UI shows it."""
    snapshot = await services.commands.get(caller, instance)
    return json_response(present_instance(services.settings, snapshot))


@router.post(
    "/{instance}/actions/{action}",
    summary="Take an action",
    response_model=Instance,
    responses=problems("already_voted", *_REFUSALS),
    openapi_extra=idempotent(),
)
async def act(
    request: Request,
    instance: InstanceId,
    action: ActionName,
    caller: CallerOf,
    services: ServicesOf,
    body: ActionBody | None = None,
) -> Response:
    """Take a transition of the definition, or a built-in action, and answer with the instance.

    `record` may be left out where exactly one record is eligible. The built-in actions are
    `assign` (`data.users`, `data.roles`), `comment`, `update` (`data`), `convert`, `close` and
    `cancel`.
    """
    body = body or ActionBody()
    command = Act(
        actor=caller.actor,
        action=action,
        record=body.record,
        data=body.data,
        comment=body.comment,
    )
    return await _apply(request, caller, services, instance, command)


@router.get(
    "/{instance}/can/{action}",
    summary="Could I take this action?",
    response_model=Permission,
    responses=problems("not_found"),
)
async def can(
    instance: InstanceId,
    action: ActionName,
    caller: CallerOf,
    services: ServicesOf,
    record: Annotated[str | None, Query(description="Id of a record", max_length=250)] = None,
) -> Response:
    """Whether the caller could take the action now; `why` lists each condition with the values
    it saw. Nothing is changed.
    """
    return json_response(await services.commands.can(caller, instance, action, record))


@router.post(
    "/{instance}/records",
    status_code=201,
    summary="Add a record",
    response_model=Record,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def add_record(
    request: Request,
    instance: InstanceId,
    body: RecordBody,
    caller: CallerOf,
    services: ServicesOf,
) -> Response:
    """Add a record of an entity to a running instance, and answer with the record."""
    command = AddRecord(actor=caller.actor, entity=body.entity, data=body.data)

    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        snapshot = await services.commands.apply(caller, instance, command, command_id)
        record = await services.commands.created_record(caller, instance, command_id)
        return Answer.of(_record_of(snapshot, record), 201)

    return await services.idempotency.once(request, caller, perform)


@router.patch(
    "/{instance}/records/{record}",
    summary="Change a record's data",
    response_model=Record,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def change_record(
    request: Request,
    instance: InstanceId,
    record: RecordId,
    body: RecordPatchBody,
    caller: CallerOf,
    services: ServicesOf,
) -> Response:
    """Merge data into a record, as the action `update` does, and answer with the record."""
    command = Act(actor=caller.actor, action="update", record=record, data=body.data)

    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        snapshot = await services.commands.apply(caller, instance, command, command_id)
        return Answer.of(_record_of(snapshot, record))

    return await services.idempotency.once(request, caller, perform)


def _record_of(snapshot: Snapshot, record: str) -> dict[str, object]:
    for row in snapshot.records:
        if row.id == record:
            return present_record(row, snapshot.timers)
    raise Problem("not_found", f"There is no record {record!r} in this instance.")


@router.post(
    "/{instance}/tasks/{task}/complete",
    summary="Complete a task",
    response_model=Instance,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def complete_task(
    request: Request,
    instance: InstanceId,
    task: Annotated[str, Path(description="Id of a task", examples=["task-17"], max_length=200)],
    caller: CallerOf,
    services: ServicesOf,
    body: TaskBody | None = None,
) -> Response:
    """Say that the work of a task is done, and answer with the instance as it then stands.

    Those whom the task names may, or whoever may act on its record where it names nobody.
    """
    body = body or TaskBody()
    command = CompleteTask(actor=caller.actor, task=task, data=body.data, comment=body.comment)
    return await _apply(request, caller, services, instance, command)


@router.post(
    "/{instance}/events",
    summary="Tell an instance that something happened",
    response_model=Instance,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def receive_event(
    request: Request,
    instance: InstanceId,
    body: EventBody,
    caller: CallerOf,
    services: ServicesOf,
) -> Response:
    """Hand an event from outside to the instance, and answer with it as it then stands."""
    command = ReceiveEvent(actor=caller.actor, event=body.type, data=body.data, record=body.record)
    return await _apply(request, caller, services, instance, command)


@router.post(
    "/{instance}/cancel",
    summary="Cancel an instance",
    response_model=Instance,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def cancel(
    request: Request,
    instance: InstanceId,
    caller: CallerOf,
    services: ServicesOf,
    body: CancelBody | None = None,
) -> Response:
    """End the instance where it stands; the same as the action `cancel`."""
    comment = body.comment if body else None
    command = Act(actor=caller.actor, action="cancel", comment=comment)
    return await _apply(request, caller, services, instance, command)


@router.get(
    "/{instance}/history",
    summary="What happened to an instance",
    response_model=Page[HistoryEntry],
    responses=problems("not_found"),
)
async def read_history(
    instance: InstanceId,
    caller: CallerOf,
    services: ServicesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every event of the instance in order, oldest first; never changed afterwards."""

    def read(session: TenantSession) -> StoredPage[HistoryRow] | None:
        if instances.get_row(session, instance) is None:
            return None
        return history.list_history(session, instance, limit=limit, cursor=cursor)

    found = await services.database.read(caller.tenant, read)
    if found is None:
        raise no_instance(instance)
    return json_response(page([present_history(row) for row in found.items], found.next))

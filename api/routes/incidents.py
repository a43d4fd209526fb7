"""Incidents: what needs a person, and what is made of it (R10)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.gateway import Command
from api.idempotency import Answer
from api.listing import Cursor, Filter, Limit
from api.openapi import idempotent, problems
from api.present import incident_of, json_response, page, present_incident
from api.problems import Problem
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import Incident, IncidentBody, Page
from api.services import Services
from nexus.core.commands import RetryIncident, SkipIncident
from storage import incidents

router = APIRouter(prefix="/v1/incidents", route_class=NexusRoute, tags=["incidents"])

IncidentId = Annotated[str, Path(description="Id of an incident", max_length=100)]
Status = Literal["open", "retrying", "resolved", "skipped", "dropped", "all"]

_REFUSALS = ("forbidden", "not_found", "wrong_stage", "conflict", "key_reused", "busy")


@router.get(
    "",
    summary="List incidents",
    response_model=Page[Incident],
    responses=problems(),
)
async def list_incidents(
    caller: CallerOf,
    services: ServicesOf,
    status: Annotated[
        Status | None,
        Query(description="Without it, what needs somebody: `open` and `retrying`."),
    ] = None,
    instance: Filter = None,
    definition: Filter = None,
    channel: Filter = None,
    code: Filter = None,
    sort: Annotated[
        Literal["raised_at", "-raised_at"], Query(description="With a minus, newest first.")
    ] = "-raised_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tenant's incidents, newest first."""
    statuses: tuple[str, ...] = incidents.OPEN if status is None else (status,)
    found = await services.database.read(
        caller.tenant,
        incidents.list_incidents,
        incidents.IncidentFilter(
            statuses=() if status == "all" else statuses,
            instance=instance,
            definition=definition,
            channel=channel,
            code=code,
        ),
        descending=sort.startswith("-"),
        limit=limit,
        cursor=cursor,
    )
    return json_response(page([present_incident(one) for one in found.items], found.next))


@router.get(
    "/{incident}",
    summary="Read an incident",
    response_model=Incident,
    responses=problems("not_found"),
)
async def read_incident(incident: IncidentId, caller: CallerOf, services: ServicesOf) -> Response:
    """One incident, open or settled."""
    return json_response(present_incident(await _get(services, caller, incident)))


@router.post(
    "/{incident}/retry",
    summary="Have the call behind an incident tried again",
    response_model=Incident,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def retry(
    request: Request,
    incident: IncidentId,
    caller: CallerOf,
    services: ServicesOf,
    body: IncidentBody | None = None,
) -> Response:
    """Call the channel again, under the same idempotency key and with the data as it is now.

    The answer says `retrying`; the incident is `resolved` once the call has succeeded, and `open`
    again if it has not. Nothing to try again behind it: `conflict`.
    """
    comment = body.comment if body else None
    own = _own(incident)
    command = RetryIncident(actor=caller.actor, incident=own[1], comment=comment)
    return await _settle(request, caller, services, incident, command)


@router.post(
    "/{incident}/skip",
    summary="Settle an incident as it is",
    response_model=Incident,
    responses=problems(*_REFUSALS),
    openapi_extra=idempotent(),
)
async def skip(
    request: Request,
    incident: IncidentId,
    caller: CallerOf,
    services: ServicesOf,
    body: IncidentBody | None = None,
) -> Response:
    """Nothing is tried again; the history says who decided so, and why."""
    comment = body.comment if body else None
    own = _own(incident)
    command = SkipIncident(actor=caller.actor, incident=own[1], comment=comment)
    return await _settle(request, caller, services, incident, command)


async def _settle(
    request: Request, caller: CallerOf, services: Services, incident: str, command: Command
) -> Response:
    async def perform(command_id: str, repeated: bool) -> Answer:
        found = await _get(services, caller, incident)
        if found.incident.closed_at is not None and not repeated:
            raise Problem(
                "wrong_stage",
                f"The incident is settled: it was {found.incident.status} by "
                f"{found.incident.closed_by!r}.",
            )
        await services.commands.apply(caller, found.instance, command, command_id)
        return Answer.of(present_incident(await _get(services, caller, incident)))

    return await services.idempotency.once(request, caller, perform)


async def _get(services: Services, caller: CallerOf, incident: str) -> incidents.ListedIncident:
    found = await services.database.read(caller.tenant, incidents.get_incident, *_own(incident))
    if found is None:
        raise _unknown(incident)
    return found


def _own(incident: str) -> tuple[str, str]:
    own = incident_of(incident)
    if own is None:
        raise _unknown(incident)
    return own


def _unknown(incident: str) -> Problem:
    return Problem("not_found", f"There is no incident {incident!r}.")

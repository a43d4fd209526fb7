"""What people have to do, and what comes due."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.authentication import Caller
from api.listing import Cursor, Filter, Limit, Subject, moment, subject_parts
from api.openapi import problems
from api.present import json_response, page, present_dashboard, present_due_timer
from api.problems import Problem
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import DashboardEntry, DueTimer, Page
from storage import dashboard, timers

router = APIRouter(prefix="/v1", route_class=NexusRoute, tags=["dashboard"])

_VIEWS = ("pending", "active")
_SORTS: dict[str, dashboard.SortBy] = {"since": "since", "due_at": "due_at"}


@router.get(
    "/dashboard/{user}/{view}",
    summary="What a user has to do",
    response_model=Page[DashboardEntry],
    responses=problems("forbidden", "not_found"),
)
async def read_dashboard(
    user: Annotated[str, Path(description="User id", max_length=200)],
    view: Annotated[
        str,
        Path(
            description="`active`: all that is open and assigned. `pending`: what of these waits"
            " for a person.",
            json_schema_extra={"enum": list(_VIEWS)},
        ),
    ],
    caller: CallerOf,
    services: ServicesOf,
    definition: Filter = None,
    domain: Annotated[
        Literal["crm", "sales_marketing"] | None,
        Query(description="Of the definition; one that names no domain is in both."),
    ] = None,
    stage: Filter = None,
    subject: Subject = None,
    subject_type: Filter = None,
    subject_id: Filter = None,
    sort: Annotated[
        Literal["since", "-since", "due_at", "-due_at"],
        Query(description="With a minus, descending; without a deadline comes last."),
    ] = "since",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Records assigned to the user, and to the roles of their token when they ask for
    themselves; an admin sees what names the user. Only oneself and `admin` may open it.
    """
    if view not in _VIEWS:
        raise Problem("not_found", f"There is no dashboard {view!r}: pending, active.")
    kind, identity = subject_parts(subject, subject_type, subject_id)
    found = await services.database.read(
        caller.tenant,
        dashboard.list_dashboard,
        user,
        _roles(caller, user),
        dashboard.DashboardFilter(
            pending_only=view == "pending",
            definition=definition,
            stage=stage,
            subject_type=kind,
            subject_id=identity,
            domain=domain,
        ),
        sort=_SORTS[sort.removeprefix("-")],
        descending=sort.startswith("-"),
        limit=limit,
        cursor=cursor,
    )
    return json_response(page([present_dashboard(row) for row in found.items], found.next))


def _roles(caller: Caller, user: str) -> tuple[str, ...]:
    """The user's roles as far as they are known: those that they hold in this request."""
    if caller.user == user:
        return caller.roles
    if not caller.is_admin:
        raise Problem("forbidden", "Only the user and the role 'admin' may open a dashboard.")
    return ()


@router.get(
    "/timers", summary="What comes due", response_model=Page[DueTimer], responses=problems()
)
async def list_timers(
    caller: CallerOf,
    services: ServicesOf,
    due_before: Annotated[
        datetime | None,
        Query(description="RFC 3339; without a zone, UTC.", examples=["2030-01-01T00:00:00Z"]),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tenant's running clocks, the next due first."""
    found = await services.database.read(
        caller.tenant,
        timers.list_timers,
        due_before=moment("due_before", due_before),
        limit=limit,
        cursor=cursor,
    )
    return json_response(page([present_due_timer(timer) for timer in found.items], found.next))

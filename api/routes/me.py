"""Who one is to the platform."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.openapi import problems
from api.present import json_response
from api.routing import CallerOf, NexusRoute
from api.schemas import Me

router = APIRouter(prefix="/v1", route_class=NexusRoute, tags=["system"])


@router.get("/me", summary="Who am I?", response_model=Me, responses=problems())
async def me(caller: CallerOf) -> Response:
    """Tenant, user and roles as which this request acts: those of the token, or what
    `Nexus-Actor` and `Nexus-Roles` make of them.
    """
    return json_response({"tenant": caller.tenant, "user": caller.user, "roles": caller.roles})

"""Definitions: upload, check, list, read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.authentication import Caller
from api.idempotency import Answer
from api.listing import Cursor, Limit
from api.openapi import idempotent, problems
from api.present import json_response, page, present_definition, present_definition_entry
from api.problems import present_finding
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import (
    Definition,
    DefinitionEntry,
    Page,
    Simulated,
    SimulationBody,
    StoredDefinition,
    Validated,
)
from api.services import Services
from api.simulating import length_of, simulated
from api.versions import to_read
from nexus.core.compiler import Compiled, load_definition
from storage import definitions
from storage.scope import TenantSession

router = APIRouter(prefix="/v1/definitions", route_class=NexusRoute, tags=["definitions"])

_EXAMPLE = {
    "id": "sales-pipeline",
    "label": "Sales Pipeline",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "qualified", "opportunity"]}},
    "transitions": {"qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"}},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The definition itself, kept byte for byte.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    }
}
DefinitionId = Annotated[str, Path(description="Id of a definition", examples=["sales-pipeline"])]


@router.post(
    "",
    status_code=201,
    summary="Store a definition",
    response_model=StoredDefinition,
    responses={
        200: {"model": StoredDefinition, "description": "It was stored before, just like this."},
        **problems(
            "forbidden",
            "version_exists",
            "too_large",
            "invalid_definition",
            "invalid_json",
            "key_reused",
        ),
    },
    openapi_extra=idempotent(_BODY),
)
async def store(request: Request, caller: CallerOf, services: ServicesOf) -> Response:
    """Store a definition for the caller's tenant; it is live for new instances at once.

    The same version with the same content is accepted again, with other content it gets
    `version_exists`. Needs the role `admin`.
    """
    caller.require_admin("Storing a definition")
    text = await request.body()

    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        compiled = await _compile(text, caller, services)
        program = compiled.program
        warnings = [present_finding(warning) for warning in compiled.warnings]
        stored, outcome = await services.database.write(
            caller.tenant,
            definitions.put,
            definitions.NewDefinition(
                id=program.id,
                version=program.version,
                text=compiled.text,
                source="api",
                by=caller.user,
                at=datetime.now(UTC),
                label=program.label,
                domain=program.domain,
                warnings=warnings,
            ),
            on_conflict="refuse",
        )
        return Answer.of(
            {
                "id": stored.id,
                "version": stored.version,
                "active": stored.active,
                "warnings": warnings,
            },
            200 if outcome == "unchanged" else 201,
        )

    return await services.idempotency.once(request, caller, perform)


@router.post(
    "/validate",
    summary="Check a definition",
    response_model=Validated,
    responses=problems("too_large", "invalid_definition", "invalid_json"),
    openapi_extra=_BODY,
)
async def validate(request: Request, caller: CallerOf, services: ServicesOf) -> Response:
    """The same check as storing it, and nothing is stored: warnings, or the same located errors."""
    compiled = await _compile(await request.body(), caller, services)
    return json_response(
        {
            "valid": True,
            "id": compiled.program.id,
            "version": compiled.program.version,
            "warnings": [present_finding(warning) for warning in compiled.warnings],
        }
    )


@router.post(
    "/simulate",
    summary="Try a definition out on a virtual clock",
    response_model=Simulated,
    response_model_exclude_unset=True,
    responses=problems(
        "forbidden",
        "not_found",
        "conflict",
        "ambiguous",
        "too_large",
        "invalid_data",
        "invalid_definition",
        "invalid_json",
    ),
)
async def simulate(body: SimulationBody, caller: CallerOf, services: ServicesOf) -> Response:
    """Play scenarios, or one run in which people do what they may; nothing is stored or sent.

    With `scenarios`, the answer has `passed`, each scenario with its failures and timeline, and
    what they cover; without, the timeline, the calls that would have been made, and how the
    instance stands in the end.
    """
    until = length_of(body)
    if isinstance(body.definition, str):
        found = await services.database.read(caller.tenant, to_read, body.definition, body.version)
        text = found.text.encode()
    else:
        text = msgspec.json.encode(body.definition)
    compiled = await _compile(text, caller, services)
    # In a thread: thousands of events take longer than other requests should wait.
    answer = await to_thread.run_sync(
        simulated, compiled.program, body, services.channels, caller.tenant, until
    )
    return json_response(answer)


async def _compile(text: bytes, caller: Caller, services: Services) -> Compiled:
    # In a thread: a large definition takes longer than other requests should wait.
    channels = services.channels.seen_by(caller.tenant)
    return await to_thread.run_sync(load_definition, text, "", channels)


@router.get(
    "", summary="List definitions", response_model=Page[DefinitionEntry], responses=problems()
)
async def list_definitions(
    caller: CallerOf,
    services: ServicesOf,
    domain: Annotated[Literal["crm", "sales_marketing"] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The live version of each definition that the tenant can start, by id."""
    found = await services.database.read(
        caller.tenant, definitions.list_definitions, domain=domain, limit=limit, cursor=cursor
    )
    return json_response(
        page([present_definition_entry(stored) for stored in found.items], found.next)
    )


@router.get(
    "/{definition}",
    summary="Read a definition",
    response_model=Definition,
    responses=problems("not_found"),
)
async def read_definition(
    definition: DefinitionId,
    caller: CallerOf,
    services: ServicesOf,
    version: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> Response:
    """The live version, or the one that is named, with its document and the versions there are."""

    def read(session: TenantSession) -> Response:
        stored = to_read(session, definition, version)
        return json_response(
            present_definition(stored, definitions.list_versions(session, definition))
        )

    return await services.database.read(caller.tenant, read)

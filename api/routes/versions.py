"""Versions of a definition (R23): list, activate, retire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.idempotency import Answer
from api.listing import Cursor, Limit
from api.openapi import idempotent, problems
from api.present import json_response, page, present_version
from api.routes.definitions import DefinitionId
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.schemas import ActivateBody, DefinitionVersion, Page, RetireBody, RetiredVersions
from api.versions import no_definition, not_own
from nexus.core.compiler import load_definition
from storage import definitions
from storage.definitions import StoredDefinition
from storage.scope import TenantSession

router = APIRouter(prefix="/v1/definitions", route_class=NexusRoute, tags=["definitions"])


@router.get(
    "/{definition}/versions",
    summary="List the versions of a definition",
    response_model=Page[DefinitionVersion],
    responses=problems("not_found"),
)
async def list_versions(
    definition: DefinitionId,
    caller: CallerOf,
    services: ServicesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Each version with its revisions, the newest upload first: who uploaded, activated and
    retired it, and when, and which one new instances take.
    """

    def read(session: TenantSession) -> Response:
        found = definitions.page_of_versions(session, definition, limit=limit, cursor=cursor)
        if not found.items and cursor is None:
            raise no_definition(session, definition, None)
        live = definitions.get_live(session, definition)
        return json_response(
            page([present_version(stored, live) for stored in found.items], found.next)
        )

    return await services.database.read(caller.tenant, read)


@router.post(
    "/{definition}/activate",
    summary="Make a version live",
    response_model=DefinitionVersion,
    responses=problems(
        "forbidden", "not_found", "invalid_definition", "invalid_json", "key_reused"
    ),
    openapi_extra=idempotent(),
)
async def activate(
    request: Request,
    definition: DefinitionId,
    body: ActivateBody,
    caller: CallerOf,
    services: ServicesOf,
) -> Response:
    """Make a version that is stored live for new instances, also an older or a retired one.

    It is checked again, as the check may have learned since. A version that is live already
    stays as it is. Needs the role `admin`.
    """
    caller.require_admin("Activating a version")

    def read(session: TenantSession) -> StoredDefinition:
        own = definitions.get_own(session, definition, body.version)
        if own is None and definitions.get(session, definition, body.version) is None:
            raise no_definition(session, definition, body.version)
        if own is None:
            raise not_own(definition, body.version, "activated")
        return own

    def write(session: TenantSession) -> dict[str, object]:
        stored = definitions.activate(
            session, definition, body.version, by=caller.user, at=datetime.now(UTC)
        )
        return present_version(stored, stored)

    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        own = await services.database.read(caller.tenant, read)
        await to_thread.run_sync(load_definition, own.text)
        return Answer.of(await services.database.write(caller.tenant, write))

    return await services.idempotency.once(request, caller, perform)


@router.post(
    "/{definition}/retire",
    summary="Retire a version, or all",
    response_model=RetiredVersions,
    responses=problems("forbidden", "not_found", "invalid_json", "key_reused"),
    openapi_extra=idempotent(),
)
async def retire(
    request: Request,
    definition: DefinitionId,
    caller: CallerOf,
    services: ServicesOf,
    body: RetireBody | None = None,
) -> Response:
    """Take no new instances of a version; without one, of any version of the tenant's own.

    Running instances keep theirs. Where the live version is retired, that of the folder is live
    again, or none is: a start is then refused. `activate` takes it back. Needs the role `admin`.
    """
    caller.require_admin("Retiring a version")
    version = body.version if body else None

    def write(session: TenantSession) -> dict[str, object]:
        retired = definitions.retire(
            session, definition, version, by=caller.user, at=datetime.now(UTC)
        )
        if not retired:
            _refuse_to_retire(session, definition, version)
        live = definitions.get_live(session, definition)
        return {
            "retired": [present_version(stored, live) for stored in retired],
            "live": present_version(live, live) if live else None,
        }

    async def perform(command_id: str, repeated: bool) -> Answer:  # noqa: ARG001
        return Answer.of(await services.database.write(caller.tenant, write))

    return await services.idempotency.once(request, caller, perform)


def _refuse_to_retire(session: TenantSession, definition: str, version: str | None) -> NoReturn:
    """The tenant has no such version of its own: say whether there is one that all share."""
    if definitions.get(session, definition, version) is None:
        raise no_definition(session, definition, version)
    raise not_own(definition, version, "retired")

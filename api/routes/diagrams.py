"""Diagrams of definitions, and of the path that one instance took through one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from api.openapi import problems
from api.problems import Problem
from api.routes.definitions import DefinitionId
from api.routing import CallerOf, NexusRoute, ServicesOf
from api.versions import to_read
from nexus.authoring.mermaid import mermaid
from nexus.authoring.picture import CannotDraw, draw
from nexus.authoring.walk import Walk, walk_of
from nexus.core.compiler import program_of
from nexus.core.projection import HistoryRow
from storage import history, instances
from storage.scope import TenantSession

router = APIRouter(prefix="/v1/definitions", route_class=NexusRoute, tags=["definitions"])

_PAGE = 500  # events read at once
_MERMAID, _SVG = "text/vnd.mermaid", "image/svg+xml"
# A picture is opened by itself in a browser, where it must not do anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The diagram.",
        "content": {
            _MERMAID: {
                "schema": {"type": "string"},
                "example": "stateDiagram-v2\n    [*] --> new\n    new --> qualified : qualify\n",
            },
            _SVG: {"schema": {"type": "string"}},
        },
    }
}


@router.get(
    "/{definition}/diagram",
    summary="Draw a definition",
    response_class=Response,
    responses={**_CONTENT, **problems("not_found", "too_large")},
)
async def diagram(
    definition: DefinitionId,
    caller: CallerOf,
    services: ServicesOf,
    format_: Annotated[Literal["mermaid", "svg"], Query(alias="format")] = "mermaid",
    version: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    instance: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=64,
            description="Id of an instance: shows the path it took, and where it stands. Its "
            "version is drawn, unless another is named.",
        ),
    ] = None,
) -> Response:
    """The live version of a definition as Mermaid text or as SVG, or the version that is named."""

    def read(session: TenantSession) -> tuple[str, Walk | None]:
        walk, wanted = None, version
        if instance is not None:
            row = instances.get_row(session, instance)
            if row is None or row.definition != definition:
                raise Problem(
                    "not_found",
                    f"There is no instance {instance!r} of the definition {definition!r}.",
                )
            walk, wanted = walk_of(_all_history(session, instance)), version or row.version
        stored = to_read(session, definition, wanted)
        return stored.text, walk

    text, walk = await services.database.read(caller.tenant, read)
    # In a thread: drawing takes longer than other requests should wait.
    content = await to_thread.run_sync(_drawn, text, walk, format_)
    return Response(content, media_type=_SVG if format_ == "svg" else _MERMAID, headers=_HEADERS)


def _all_history(session: TenantSession, instance: str) -> list[HistoryRow]:
    rows: list[HistoryRow] = []
    cursor: str | None = None
    while True:
        found = history.list_history(session, instance, limit=_PAGE, cursor=cursor)
        rows += found.items
        if found.next is None:
            return rows
        cursor = found.next


def _drawn(text: str, walk: Walk | None, format_: Literal["mermaid", "svg"]) -> str:
    program = program_of(text)
    if format_ == "mermaid":
        return mermaid(program, walk)
    try:
        return draw(program, walk)
    except CannotDraw as error:
        raise Problem("too_large", f"{error}.") from error

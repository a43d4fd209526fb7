"""Health, metrics, the language's schema and the list of problem codes: open to anybody."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api import gateway
from api.metrics import INCIDENTS
from api.openapi import problems
from api.present import json_response
from api.problems import CODES, Problem
from api.routing import OpenRoute, ServicesOf
from nexus.schema import MEDIA_TYPE, definition_schema
from storage.engine import Engine, ping
from storage.incidents import count_open

router = APIRouter(route_class=OpenRoute, tags=["system"])
_PROBE_SECONDS = 3.0
_MOST_CODES = 100  # plugins make their own; beyond this they are counted together

log = structlog.get_logger("api")


# Load balancers probe with HEAD; the server itself leaves out the body.
@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive", responses=problems(everywhere=False))
async def healthz() -> Response:
    """The process answers; nothing else is looked at."""
    return json_response({"status": "ok"})


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready", responses=problems("unavailable", everywhere=False))
async def readyz(services: ServicesOf) -> Response:
    """Ready means: the database, Temporal, and a worker that polls.

    `folder_problems` lists files of the definitions folder that do not compile; they do not
    make the platform unready, since the last good version of each stays live. Nor does it that
    nobody calls channels (`checks.channels`): calls wait, and nothing else does.
    """
    database, (temporal, worker, channels) = await asyncio.gather(
        _database(services.engine),
        gateway.ready(services.gateway.client, services.gateway.task_queue),
    )
    found = {"database": database, "temporal": temporal, "worker": worker}
    checks = {name: why or "ok" for name, why in (*found.items(), ("channels", channels))}
    body: dict[str, object] = {"checks": checks, "folder_problems": services.folder.problems}
    if any(found.values()):
        # What nobody can know while Temporal is away is not said twice.
        missing = " ".join(why for why in found.values() if why and why != gateway.NOT_KNOWN)
        raise Problem("unavailable", f"Not ready: {missing}", body, {"Retry-After": "2"})
    return json_response({"status": "ready", **body})


async def _database(engine: Engine) -> str | None:
    try:
        await asyncio.wait_for(asyncio.to_thread(ping, engine), _PROBE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why we are not ready
        return f"The database does not answer ({type(error).__name__})."
    return None


async def _count_incidents(engine: Engine) -> None:
    """Set the gauge; a database that is away leaves it without values, and the others stay."""
    shown: Counter[tuple[str, str]] = Counter()
    try:
        counted = await asyncio.wait_for(asyncio.to_thread(count_open, engine), _PROBE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other metrics are still true
        log.warning("incidents_not_counted", error=type(error).__name__)
    else:
        for (status, code), count in counted.items():
            shown[status, code if len(counted) <= _MOST_CODES else "any"] += count
    # Without an await from here on, so that two who ask at once are both told the truth.
    INCIDENTS.clear()
    for labels, count in shown.items():
        INCIDENTS.labels(*labels).set(count)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(services: ServicesOf) -> Response:
    """Requests and their latency by route, updates in flight, replays, broken files, incidents."""
    await _count_incidents(services.engine)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/v1/schema",
    summary="JSON Schema of definitions",
    response_class=Response,
    responses={
        200: {
            "description": "JSON Schema, draft 2020-12.",
            "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
        },
        **problems(everywhere=False),
    },
)
async def schema() -> Response:
    """What an editor needs to complete and check a definition."""
    return Response(definition_schema(), media_type=MEDIA_TYPE)


@router.get("/problems", summary="All problem codes")
async def problem_codes() -> Response:
    """Each code with its status, title and meaning."""
    return json_response({"items": [_described(code) for code in CODES]})


@router.get(
    "/problems/{code}",
    summary="One problem code",
    responses=problems("not_found", everywhere=False),
)
async def problem_code(code: str) -> Response:
    """What the `type` of a problem leads to."""
    if code not in CODES:
        raise Problem("not_found", f"There is no problem code {code!r}.")
    return json_response(_described(code))


def _described(code: str) -> dict[str, object]:
    known = CODES[code]
    return {
        "type": f"/problems/{code}",
        "code": code,
        "status": known.status,
        "title": known.title,
        "meaning": known.meaning,
    }

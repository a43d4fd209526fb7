"""Turns every exception that reaches the application into a problem."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.faults import from_validation
from api.problems import (
    Problem,
    bad_parameter,
    correlation_id,
    from_definition,
    from_rejection,
    unavailable,
)
from nexus.core.errors import DefinitionError, Rejected
from storage.errors import InvalidCursor, KeyReused, VersionExists, is_unavailable

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

log = structlog.get_logger("api")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(correlation_id(request))


async def _rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    return from_rejection(error).response(correlation_id(request))


async def _definition(request: Request, error: Exception) -> Response:
    assert isinstance(error, DefinitionError)
    return from_definition(error).response(correlation_id(request))


async def _cursor(request: Request, error: Exception) -> Response:
    problem = bad_parameter("cursor", str(error))
    return problem.response(correlation_id(request))


async def _version(request: Request, error: Exception) -> Response:
    return Problem("version_exists", str(error)).response(correlation_id(request))


async def _key(request: Request, error: Exception) -> Response:
    return Problem("key_reused", str(error)).response(correlation_id(request))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return from_validation(request, error).response(correlation_id(request))


def _methods(request: Request) -> list[str]:
    """What a path can be asked: of all its routes, while Starlette tells only the first one's."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _http(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        found = Problem("not_found", f"There is no path {path}. GET /openapi.json lists them all.")
    elif error.status_code == 405:
        found = Problem(
            "method_not_allowed",
            f"{request.method} is not possible on {path}.",
            headers={"Allow": ", ".join(_methods(request))},
        )
    elif error.status_code == 413:
        found = Problem("too_large", "The body is too large.")
    else:
        found = Problem("invalid_data", str(error.detail))
    return found.response(correlation_id(request))


def internal_problem(request: Request, error: Exception) -> Response:
    """The last resort: says nothing of what broke, and logs all of it."""
    identity = correlation_id(request)
    if is_unavailable(error):
        log.warning("database_unavailable", error=str(error))
        return unavailable("The database is away.").response(identity)
    log.error("internal_error", path=request.url.path, exc_info=error)
    return Problem(
        "internal",
        "Something broke on our side. The log has it under the correlation id.",
        {"correlation_id": identity},
    ).response(identity)


def install(app: FastAPI) -> None:
    """Register the handlers; what none of them knows is caught by the observing middleware."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(DefinitionError, _definition)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(InvalidCursor, _cursor)
    app.add_exception_handler(VersionExists, _version)
    app.add_exception_handler(KeyReused, _key)
    app.add_exception_handler(HTTPException, _http)

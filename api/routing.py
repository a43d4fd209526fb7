"""How a request comes in: who it is, which parameters it names, and a body that can be kept.

FastAPI alone would read a body before it knows the caller, ignore parameters
that it does not know, and accept `NaN`, duplicate keys and texts that a
database refuses. `NexusRoute` closes these gaps for every route at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.acting import acting
from api.authentication import Caller
from api.observing import ROUTE
from api.problems import Problem, and_more, invalid_data, located, present_finding
from api.services import Services
from nexus.core import json_text
from nexus.core.errors import nearest

LARGEST_BODY = 1 << 20
# What is above the bound is read on and thrown away for a while, so that a client
# which writes first and reads later sees the answer and not a broken connection.
_DRAIN_BYTES = 16 << 20
_DRAIN_SECONDS = 5.0
DATA_FILTER = "data."
_WITHOUT_BODY = frozenset({"GET", "HEAD"})


class StrictRequest(Request):
    """A request whose body is bounded and is JSON that can be kept."""

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            Problem: `too_large` beyond `LARGEST_BODY` bytes, however it is sent.
        """
        if not hasattr(self, "_body"):
            chunks: list[bytes] = []
            size = 0
            stream = self.stream()
            async for chunk in stream:
                size += len(chunk)
                if size > LARGEST_BODY:
                    await _drain(stream)
                    raise Problem(
                        "too_large",
                        f"The body is larger than {LARGEST_BODY} bytes.",
                        {"limit": LARGEST_BODY},
                    )
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> object:
        """The body's value.

        Raises:
            Problem: `invalid_json`, with line and column.
        """
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


async def _drain(stream: object) -> None:
    drained, until = 0, time.monotonic() + _DRAIN_SECONDS
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in stream:  # type: ignore[attr-defined]
                drained += len(chunk)
                if drained > _DRAIN_BYTES or time.monotonic() > until:
                    return
    except TimeoutError:
        return


def read_json(body: bytes) -> object:
    """A body's value, if it is JSON that can be kept.

    Raises:
        Problem: `invalid_json`, located by line and column, or by pointer
            where the text is fine and a value cannot be kept.
    """
    try:
        value = json_text.load(body, "")
    except json_text.JsonTextError as error:
        errors = [present_finding(problem) for problem in error.problems]
        first = error.problems[0]
        place = f"line {first.line}, column {first.column}"
        message = and_more(f"{place}: {first.message}", len(errors))
        raise Problem("invalid_json", message, {"errors": errors}) from None
    findings = json_text.check_data(value)
    if findings:
        pointer, message = findings[0]
        raise Problem(
            "invalid_json",
            and_more(f"{pointer or 'the body'}: {message}", len(findings)),
            {
                "errors": [
                    located(pointer, message, "invalid_text") for pointer, message in findings
                ]
            },
        )
    return value


def _parameters(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def _check_texts(request: Request) -> None:
    """NUL and lone surrogates are text to Python and an error to a database."""
    places = [("path", name, str(value)) for name, value in request.path_params.items()]
    places += [("query", name, value) for name, value in request.query_params.multi_items()]
    for place, name, value in places:
        if "\x00" in value or "\x00" in name:
            message = "holds a NUL character"
        elif any("\ud800" <= letter <= "\udfff" for letter in value):
            message = "holds half of a surrogate pair"
        else:
            continue
        raise invalid_data(
            f"{name!r} {message}.",
            located("", message, "invalid_text", parameter=name, **{"in": place}),
        )


def _check_query(request: Request, known: frozenset[str], *, data_filters: bool) -> None:
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise invalid_data(
                f"The parameter {name!r} is given twice.",
                located("", "is given twice", "repeated", parameter=name, **{"in": "query"}),
            )
        seen.add(name)
        if name in known or (data_filters and name.startswith(DATA_FILTER)):
            continue
        near = nearest(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        listed = f" It takes: {', '.join(sorted(known))}." if known else " It takes none."
        raise invalid_data(
            f"There is no parameter {name!r} here.{hint}{listed}",
            located(
                "",
                "is not known here",
                "unknown_parameter",
                parameter=name,
                suggestion=near,
                **{"in": "query"},
            ),
        )


def _take_for_json(request: Request) -> None:
    """Whatever a body calls itself, it is read as JSON: `curl -d` calls it a form."""
    if request.method not in _WITHOUT_BODY:
        others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
        request.scope["headers"] = [*others, (b"content-type", b"application/json")]


class OpenRoute(APIRoute):
    """A route that anybody may call."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """FastAPI's own handler, behind the checks."""
        handler = super().get_route_handler()
        known = frozenset(_parameters(self.dependant))
        data_filters = bool((self.openapi_extra or {}).get("x-data-filters"))

        async def handle(request: Request) -> Response:
            request.scope[ROUTE] = self.path
            _take_for_json(request)
            strict = StrictRequest(request.scope, request.receive)
            self.admit(strict)
            if strict.url.query:
                _check_query(strict, known, data_filters=data_filters)
            if strict.path_params or strict.url.query:
                _check_texts(strict)
            return await handler(strict)

        return handle

    def admit(self, request: Request) -> None:
        """Let everybody in."""


class NexusRoute(OpenRoute):
    """A route that wants a bearer token, and looks at it before anything else."""

    def admit(self, request: Request) -> None:
        """Remember the caller, or refuse."""
        services: Services = request.app.state.services
        caller = services.authentication.caller(request.headers.get("authorization"))
        request.scope["nexus.caller"] = caller  # for the log, whatever the headers say
        request.scope["nexus.caller"] = acting(caller, request.headers)


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["nexus.caller"]
    return caller


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


# Coroutine dependencies run on the event loop; plain functions would take a thread each.
async def _caller_dependency(request: Request) -> Caller:
    return _caller(request)


async def _services_dependency(request: Request) -> Services:
    return _services(request)


CallerOf = Annotated[Caller, Depends(_caller_dependency)]
ServicesOf = Annotated[Services, Depends(_services_dependency)]
Handler = Callable[[Request], Awaitable[Response]]

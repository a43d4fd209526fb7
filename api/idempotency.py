"""Repeating safely (R26): the same key brings the first answer again.

A key holds for 24 hours per tenant, actor and route. It is reserved with the
fingerprint of the body before anything happens, and gets its answer once there
is one. Only answers of success are kept: what was refused has changed nothing,
and may succeed when repeated.

Between reserving and answering, the process may die, or the client may give up
and come again. The command's id is therefore derived from the key: Temporal
and the workflow apply an id once and answer it as often as it is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog
from fastapi import Request
from starlette.responses import Response

from api.authentication import Caller
from api.metrics import REPLAYED
from api.present import bytes_response
from api.problems import Problem, located
from api.reading import Database
from storage.idempotency import KeyPlace, complete, reserve

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")
_LONGEST_ROUTE = 400

log = structlog.get_logger("api.idempotency")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of success, encoded.

    Attributes:
        status: HTTP status, 2xx.
        body: JSON.
    """

    status: int
    body: bytes

    @classmethod
    def of(cls, value: object, status: int = 200) -> Answer:
        """The answer that a JSON-serialisable value makes."""
        return cls(status, msgspec.json.encode(value))

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """It, as a response."""
        return bytes_response(self.body, self.status, headers)


Perform = Callable[[str, bool], Awaitable[Answer]]
"""Does what is asked: takes the command's id, and whether it may have been sent before."""


class Idempotency:
    """Keeps answers by key.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def once(self, request: Request, caller: Caller, perform: Perform) -> Response:
        """Do what a request asks for, or bring the answer that its key already has.

        Without a key it is done, and nothing is kept.

        Raises:
            Problem: `invalid_data` for a key that cannot be one, `key_reused`
                if it was used with another body, and whatever `perform` raises.
        """
        key = _key_of(request)
        if key is None:
            return (await perform(uuid.uuid4().hex, False)).response()
        place = KeyPlace(actor=caller.user, route=_route_of(request), key=key)
        fingerprint = await _fingerprint(request)
        command_id = _command_id(caller.tenant, place)
        # Repeats that overlap take turns, so that the second finds the answer of the first.
        async with self._turn(command_id):
            reserved = await self._database.write(
                caller.tenant, reserve, place, fingerprint, datetime.now(UTC)
            )
            if reserved.status is not None and reserved.body is not None:
                REPLAYED.inc()
                first = Answer(reserved.status, reserved.body.encode())
                return first.response({REPLAYED_HEADER: "true"})
            answer = await perform(command_id, not reserved.created)
            await self._keep(caller.tenant, place, answer)
            return answer.response()

    async def _keep(self, tenant: str, place: KeyPlace, answer: Answer) -> None:
        try:
            await self._database.write(tenant, complete, place, answer.status, answer.body.decode())
        except Problem:
            # It is done, so the client is told so; a repeat asks Temporal by the command's id.
            log.warning("answer_not_kept", route=place.route)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[name][1] - 1
            if users:
                self._locks[name] = (lock, users)
            else:
                del self._locks[name]


def _key_of(request: Request) -> str | None:
    keys = request.headers.getlist(HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        message = "is one text of 1 to 255 printable ASCII characters, without spaces"
        raise Problem(
            "invalid_data",
            f"{HEADER}: {message}.",
            {"errors": [located("", message, "invalid", parameter=HEADER, **{"in": "header"})]},
        )
    return keys[0]


def _route_of(request: Request) -> str:
    route = f"{request.method} {request.url.path}"
    if len(route) <= _LONGEST_ROUTE:
        return route
    return f"{request.method} {hashlib.sha256(route.encode()).hexdigest()}"


async def _fingerprint(request: Request) -> str:
    """Of the body's value: the same JSON written otherwise is the same body."""
    body = await request.body()
    value = msgspec.json.encode(await request.json(), order="deterministic") if body else b""
    return hashlib.sha256(value).hexdigest()


def _command_id(tenant: str, place: KeyPlace) -> str:
    parts = msgspec.json.encode([tenant, place.actor, place.route, place.key])
    return hashlib.sha256(parts).hexdigest()

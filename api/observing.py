"""What surrounds every request: an id, a line in the log, a count, and the last resort."""

from __future__ import annotations

import sys
import time
import uuid

import msgspec
import structlog
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.handlers import internal_problem
from api.metrics import LATENCY, REQUESTS

ROUTE = "nexus.route"
"""Where a route leaves its template in the scope; metrics by raw path would never end."""
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

log = structlog.get_logger("api")


def configure_logs() -> None:
    """One JSON object per line on standard error, unless somebody has chosen otherwise."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_encode),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def _encode(event: object, **_: object) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


class Observing:
    """Pure ASGI middleware, outermost: nothing leaves without an id, and nothing unhandled.

    Args:
        app: What it surrounds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        identity = str(uuid.uuid4())
        scope.setdefault("state", {})["correlation_id"] = identity
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", identity.encode()),
                ]
            await send(message)

        structlog.contextvars.bind_contextvars(correlation_id=identity)
        try:
            await self._app(scope, receive, observed)
        except Exception as error:
            if status:
                # The answer has begun; only breaking it off tells the client that it is not whole.
                log.exception("answer_broken_off", path=scope["path"])
                raise
            await internal_problem(Request(scope), error)(scope, receive, observed)
        finally:
            self._count(scope, status, time.perf_counter() - started)
            structlog.contextvars.unbind_contextvars("correlation_id")

    @staticmethod
    def _count(scope: Scope, status: int, seconds: float) -> None:
        route, method = scope.get(ROUTE, "unknown"), scope["method"]
        caller = scope.get("nexus.caller")
        if route == "unknown":
            method = "any"  # a client may invent as many methods as it likes
        REQUESTS.labels(route, method, str(status)).inc()
        LATENCY.labels(route, method).observe(seconds)
        if route not in _QUIET:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 1),
                user=caller.user if caller else None,
                token_user=caller.token_user if caller else None,
            )

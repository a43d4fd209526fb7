"""Refusals and failures as RFC 9457 problems: the one place that knows HTTP status codes.

Every answer that is not a success is `application/problem+json` with a stable
`code`. A code has one status and one title, both in `CODES`; what a particular
refusal knows beyond that (located errors, the conditions with the values they
saw) travels beside them as extension members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from fastapi import HTTPException, Request
from starlette.responses import Response

from nexus.core.errors import DefinitionError, Rejected
from nexus.core.errors import Problem as DefinitionProblem
from nexus.core.json_text import JsonTextError

MEDIA_TYPE = "application/problem+json"
RETRY_SOON = 2
"""Seconds after which a client may try again what was unavailable or busy."""


@dataclass(frozen=True, slots=True)
class Code:
    """What a problem code means.

    Attributes:
        status: HTTP status that it always travels with.
        title: A few words, the same for every occurrence.
        meaning: One or two sentences for the documentation.
    """

    status: int
    title: str
    meaning: str


CODES: Mapping[str, Code] = {
    "unauthenticated": Code(
        401,
        "Not authenticated",
        "The bearer token is missing, malformed, expired, or not signed by us.",
    ),
    "forbidden": Code(403, "Forbidden", "The caller is known and may not do this."),
    "not_found": Code(
        404,
        "Not found",
        "There is no such thing in the caller's tenant, or no such path.",
    ),
    "method_not_allowed": Code(
        405, "Method not allowed", "The path exists, but not for this method; see `Allow`."
    ),
    "condition_not_met": Code(
        409,
        "Condition not met",
        "A condition does not hold; `why` lists each with the values it saw.",
    ),
    "wrong_stage": Code(
        409, "Wrong stage", "The record, or the instance, does not stand where this can be done."
    ),
    "run_in_progress": Code(409, "Run in progress", "What the stage started has not joined yet."),
    "already_voted": Code(409, "Already voted", "This voter has voted for it in this visit."),
    "self_assign": Code(409, "Self-assignment", "The policy forbids naming oneself."),
    "instance_exists": Code(
        409, "Instance exists", "The subject has an open instance of this definition."
    ),
    "version_exists": Code(
        409, "Version exists", "This version is stored with other content; raise the version."
    ),
    "conflict": Code(409, "Conflict", "It contradicts what happened meanwhile."),
    "too_large": Code(413, "Too large", "The body, or the instance's state, is above its bound."),
    "invalid_data": Code(
        422, "Invalid data", "The request is not what it should be; `errors` says where."
    ),
    "invalid_definition": Code(
        422, "Invalid definition", "The definition cannot run; `errors` says where and why."
    ),
    "invalid_json": Code(
        422, "Invalid JSON", "The body is not JSON that can be kept; `errors` says where."
    ),
    "key_reused": Code(
        422, "Idempotency key reused", "The key was used within 24 hours with another body."
    ),
    "ambiguous": Code(422, "Ambiguous", "Several would do; name one of those listed."),
    "busy": Code(
        429, "Busy", "Too many commands to this instance are under way; try again shortly."
    ),
    "internal": Code(
        500, "Internal error", "A fault of ours; the log has it under `correlation_id`."
    ),
    "unavailable": Code(
        503,
        "Unavailable",
        "The database, Temporal or a worker is away. `accepted` says whether Temporal has taken"
        " the command: if true it will be applied; if unknown, repeat it with its key.",
    ),
}

_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code"})


class Problem(HTTPException):
    """A refusal or failure on its way to the client.

    It is an `HTTPException` because FastAPI turns anything else that is raised
    while a body is read into a bare 400.

    Attributes:
        code: One of `CODES`.
        message: What a person should read.
        extensions: Further members of the problem, JSON-serialisable.
    """

    def __init__(
        self,
        code: str,
        message: str,
        extensions: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(CODES[code].status, detail=message, headers=dict(headers or {}))
        self.code = code
        self.message = message
        self.extensions: Mapping[str, object] = extensions or {}

    def response(self, correlation_id: str = "") -> Response:
        """The HTTP response that says it."""
        code = CODES[self.code]
        body: dict[str, object] = {
            "type": f"/problems/{self.code}",
            "title": code.title,
            "status": code.status,
            "detail": self.message,
            "code": self.code,
        }
        if correlation_id:
            body["instance"] = f"urn:uuid:{correlation_id}"
        more = self.extensions.items()
        body.update((name, value) for name, value in more if name not in _RESERVED)
        return Response(
            msgspec.json.encode(body),
            status_code=code.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def unavailable(
    what: str, *, accepted: bool | None = None, retry_after: int = RETRY_SOON
) -> Problem:
    """A 503 that says when to come back.

    Args:
        what: One sentence on what is away.
        accepted: For a command, whether Temporal has taken it; None leaves it
            out. An unknown outcome is said with `outcome_unknown`.
        retry_after: Seconds.
    """
    extensions: dict[str, object] = {} if accepted is None else {"accepted": accepted}
    return Problem("unavailable", what, extensions, {"Retry-After": str(retry_after)})


def outcome_unknown(what: str, *, retry_after: int = RETRY_SOON) -> Problem:
    """A 503 for a command of which nobody can say whether Temporal has taken it."""
    return Problem("unavailable", what, {"accepted": "unknown"}, {"Retry-After": str(retry_after)})


def busy(what: str) -> Problem:
    """A 429 that says when to come back."""
    return Problem("busy", what, {"accepted": False}, {"Retry-After": str(RETRY_SOON)})


def located(pointer: str, message: str, code: str = "invalid", **more: object) -> dict[str, object]:
    """One entry of `errors`, leaving out what is not known."""
    entry: dict[str, object] = {"pointer": pointer, "code": code, "message": message}
    entry.update((name, value) for name, value in more.items() if value)
    return entry


def and_more(message: str, count: int) -> str:
    """A message about the first of several findings, which says how many others there are."""
    return message if count < 2 else f"{message.rstrip('.')}, and {count - 1} more."


def invalid_data(message: str, *errors: Mapping[str, object]) -> Problem:
    """A 422 about a request, with the places of its faults."""
    return Problem("invalid_data", message, {"errors": list(errors)} if errors else None)


def bad_parameter(name: str, message: str) -> Problem:
    """A 422 about one query parameter."""
    return invalid_data(
        f"{name}: {message}", located("", message, "invalid", parameter=name, **{"in": "query"})
    )


def from_rejection(rejection: Rejected) -> Problem:
    """A refusal of the core, as a problem."""
    code: str = rejection.code if rejection.code in CODES else "conflict"
    return Problem(code, rejection.message, rejection.details)


def present_finding(finding: DefinitionProblem) -> dict[str, object]:
    """One located finding of the compiler as JSON; what is not known is left out."""
    entry: dict[str, object] = {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "pointer": finding.pointer,
    }
    optional = {
        "source": finding.source,
        "line": finding.line,
        "column": finding.column,
        "expected": finding.expected,
        "found": finding.found,
        "suggestion": finding.suggestion,
        "excerpt": finding.excerpt,
    }
    entry.update((name, value) for name, value in optional.items() if value)
    return entry


def from_definition(error: DefinitionError) -> Problem:
    """The findings of the compiler, as a problem: `errors` apart from `warnings`."""
    errors = [finding for finding in error.problems if finding.severity == "error"]
    warnings = [finding for finding in error.problems if finding.severity == "warning"]
    first = errors[0] if errors else None
    broken = isinstance(error, JsonTextError)
    count = f"{len(errors)} errors" if len(errors) != 1 else "1 error"
    return Problem(
        "invalid_json" if broken else "invalid_definition",
        and_more(f"The definition cannot run: {count}. {first or ''}".rstrip(), len(errors)),
        {
            "errors": [present_finding(finding) for finding in errors],
            "warnings": [present_finding(finding) for finding in warnings],
        },
    )


def correlation_id(request: Request) -> str:
    """The id under which the log keeps this request; "" before the middleware has run."""
    state = request.scope.get("state")
    return str(state.get("correlation_id", "")) if isinstance(state, dict) else ""

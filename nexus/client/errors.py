"""What can go wrong between a program and the platform, in one tree.

    NexusError
    └── ClientError
        ├── Unreachable           no answer, after all attempts
        ├── UnexpectedAnswer      an answer, but none of this API's
        └── ApiError              the API refused, or failed; one class per code
            ├── Forbidden, NotFound, ConditionNotMet, …   also a `nexus.Rejected`
            └── Unauthenticated, InvalidDefinition, Busy, Unavailable, …

What the core refuses is a `nexus.Rejected` in process; so it is over HTTP, with the same `code`,
`message` and `details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nexus.core.errors import NexusError, Rejected


class ClientError(NexusError):
    """Something went wrong between the program and the platform."""


class Unreachable(ClientError):
    """No answer came, however often it was tried.

    A command may have been applied all the same: give it again with the same `key`.

    Attributes:
        key: Of the command; None for a question.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.key)


class UnexpectedAnswer(ClientError):
    """Something answered that is not this API, a proxy for one.

    Attributes:
        status: HTTP status.
        beginning: The first characters of the answer.
    """

    def __init__(self, message: str, status: int, beginning: str) -> None:
        super().__init__(message)
        self.status = status
        self.beginning = beginning

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.status, self.beginning)


class ApiError(ClientError):
    """The API refused, or failed.

    Attributes:
        code: The stable code.
        message: What a person should read.
        status: HTTP status.
        details: What the answer says beyond that, such as `errors` or `why`.
        correlation_id: By which the platform's log knows the request; "" where it is not told.
    """

    code: str
    message: str
    details: dict[str, Any]
    _code: ClassVar[str] = ""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        details: Mapping[str, Any] | None = None,
        correlation_id: str = "",
    ) -> None:
        Exception.__init__(self, f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details = dict(details or {})
        self.correlation_id = correlation_id

    def __reduce__(self) -> tuple[Any, ...]:
        facts = (self.code, self.message, self.status, self.details, self.correlation_id)
        return _again, (type(self), *facts)


def _again(
    kind: type[ApiError], code: str, message: str, status: int, details: Any, correlation_id: str
) -> ApiError:
    return kind(code, message, status=status, details=details, correlation_id=correlation_id)


class Refused(ApiError, Rejected):  # type: ignore[misc]  # `code` is one of fewer there
    """The core refused a command; nothing has changed."""


class Forbidden(Refused):
    """The actor may not do this."""


class NotFound(Refused):
    """There is no such thing in the caller's tenant."""


class ConditionNotMet(Refused):
    """A condition does not hold; `details["why"]` lists each with the values it saw."""


class WrongStage(Refused):
    """The record, or the instance, does not stand where this can be done."""


class RunInProgress(Refused):
    """What the stage started has not joined yet."""


class AlreadyVoted(Refused):
    """This voter has voted for it in this visit."""


class SelfAssign(Refused):
    """The policy forbids naming oneself."""


class InstanceExists(Refused):
    """The subject has an open instance of this definition."""


class Conflict(Refused):
    """It contradicts what happened meanwhile."""


class TooLarge(Refused):
    """The body, or the instance's state, is above its bound."""


class InvalidData(Refused):
    """The request is not what it should be; `details["errors"]` says where."""


class Ambiguous(Refused):
    """Several would do; `details` names them."""


class Unauthenticated(ApiError):
    """The token is missing, malformed, expired, or not signed by the platform."""


class MethodNotAllowed(ApiError):
    """The path exists, but not for this method."""


class VersionExists(ApiError):
    """This version of the definition is stored with other content."""


class InvalidDefinition(ApiError):
    """The definition cannot run; `details["errors"]` says where and why."""


class InvalidJson(ApiError):
    """The body is not JSON that can be kept."""


class KeyReused(ApiError):
    """The idempotency key was used with another body."""


class Busy(ApiError):
    """Too many commands to this instance are under way."""


class InternalError(ApiError):
    """A fault of the platform's; its log has it under `correlation_id`."""


class Unavailable(ApiError):
    """The database, Temporal or a worker is away; `details["accepted"]` says what of a command."""


KINDS: Mapping[str, type[ApiError]] = {
    "already_voted": AlreadyVoted,
    "ambiguous": Ambiguous,
    "busy": Busy,
    "condition_not_met": ConditionNotMet,
    "conflict": Conflict,
    "forbidden": Forbidden,
    "instance_exists": InstanceExists,
    "internal": InternalError,
    "invalid_data": InvalidData,
    "invalid_definition": InvalidDefinition,
    "invalid_json": InvalidJson,
    "key_reused": KeyReused,
    "method_not_allowed": MethodNotAllowed,
    "not_found": NotFound,
    "run_in_progress": RunInProgress,
    "self_assign": SelfAssign,
    "too_large": TooLarge,
    "unauthenticated": Unauthenticated,
    "unavailable": Unavailable,
    "version_exists": VersionExists,
    "wrong_stage": WrongStage,
}
"""The class of each code of the API."""

_STANDARD = frozenset({"type", "title", "status", "detail", "instance", "code"})


def error_of(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The exception that a problem of the API is (RFC 9457); of a new code, an `ApiError`."""
    code = str(problem.get("code", ""))
    kind = KINDS.get(code, ApiError)
    return kind(
        code,
        str(problem.get("detail") or problem.get("title") or ""),
        status=status,
        details={name: value for name, value in problem.items() if name not in _STANDARD},
        correlation_id=str(problem.get("instance", "")).removeprefix("urn:uuid:"),
    )

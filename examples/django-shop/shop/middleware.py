"""What holds for every request: who acts, and what becomes of refusals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

import nexus
from nexus.local import ConfigurationError

GetResponse = Callable[[HttpRequest], HttpResponse]

STATUSES = {"forbidden": 403, "not_found": 404, "invalid_data": 422, "ambiguous": 422}


def user_of(request: HttpRequest) -> tuple[str | None, list[str]]:
    """Who a request is from, and their roles.

    Here whoever calls is believed; a real shop asks `request.user`.
    """
    roles = request.headers.get("X-Roles", "").split(",")
    return request.headers.get("X-User"), [role.strip() for role in roles if role.strip()]


def say_who_acts(get_response: GetResponse) -> GetResponse:
    """Have the user of a request act in all that it does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user, roles = user_of(request)
        with ExitStack() as stack:
            if user is not None:
                try:
                    stack.enter_context(nexus.acting(user, roles))
                except ConfigurationError as error:
                    return bad_request(str(error))
            return get_response(request)

    return middleware


class AnswerRefusals:
    """Make an answer of whatever is refused.

    The view's transaction has been undone by then, so nothing has changed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        """As Django makes every middleware."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let the request through."""
        return self._get_response(request)

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to a refusal; None leaves what nobody expected to Django."""
        if isinstance(error, nexus.Rejected):
            body = {"code": error.code, "message": error.message, "details": error.details}
            return JsonResponse(body, status=STATUSES.get(error.code, 409))
        if isinstance(error, BadRequest):
            return bad_request(str(error))
        if isinstance(error, Http404):
            return JsonResponse({"code": "not_found", "message": str(error)}, status=404)
        return None


def bad_request(message: str) -> HttpResponse:
    """The answer to what cannot be understood."""
    return JsonResponse({"code": "bad_request", "message": message}, status=400)

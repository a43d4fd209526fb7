"""What both clients share: headers, what an answer means, and when to try again."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from nexus import __version__
from nexus.client.errors import ClientError, UnexpectedAnswer, Unreachable, error_of
from nexus.client.requests import Request

Answer = TypeVar("Answer")

TIMEOUT = 30.0  # seconds for one answer
ATTEMPTS = 6
PATIENCE = 30.0  # seconds for all attempts together, after which no other is begun
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_AGAIN = frozenset({429, 502, 503, 504})
_SHOWN = 200
_VISIBLE = re.compile(r"[!-~]+")
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API is, and as whom it is called.

    Attributes:
        url: Without a slash at its end; may have a path.
        token: Opens it; shown nowhere.
        actor, roles: Who acts, where that is not the token's user.
    """

    url: str
    token: str = field(repr=False)
    actor: str | None = None
    roles: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, url: str, token: str, actor: str | None = None, roles: Sequence[str] = ()
    ) -> Address:
        """An address that can be called.

        Raises:
            ClientError: It is none, or nothing opens it.
        """
        if not _is_address(url):
            raise ClientError(
                "The url is no address of an API, such as https://nexus.example.com; a name, a "
                "password, a query or a fragment is no part of one."
            )
        # Told here, without showing it: what sends the header would quote the token.
        if not _VISIBLE.fullmatch(token):
            raise ClientError(
                "The token cannot be sent: it is empty, or has spaces, line ends or other "
                "characters that no token has."
            )
        return cls(url.rstrip("/"), token, actor, tuple(roles))

    def headers(self, request: Request[Answer]) -> dict[str, str]:
        """The headers of a request.

        Raises:
            ClientError: Its idempotency key is none.
        """
        if request.key is not None and not _KEY.fullmatch(request.key):
            raise ClientError(
                "The idempotency key is not a text of 1 to 255 printable ASCII characters, without "
                f"spaces: {request.key[:_SHOWN]!r}."
            )
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "User-Agent": f"nexus-client/{__version__}",
        }
        if self.actor is not None:
            headers["Nexus-Actor"] = quote(self.actor, safe="")
            headers["Nexus-Roles"] = ",".join(quote(role, safe="") for role in self.roles)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        return headers


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return False
    # A name and a password would be sent instead of the token.
    more = "@" in parts.netloc or "?" in url or "#" in url
    return parts.scheme in ("http", "https") and known and not more


def decoded(request: Request[Answer], status: int, body: bytes) -> Answer:
    """What an answer says.

    Raises:
        ApiError: A refusal, or a failure.
        UnexpectedAnswer: It is none of this API's.
    """
    beginning = body[:_SHOWN].decode(errors="replace")
    try:
        if status < 300:
            answer: Answer = msgspec.json.decode(body, type=request.kind)
            return answer
        problem = msgspec.json.decode(body, type=dict)
    except msgspec.MsgspecError as error:
        raise _unexpected(request, status, beginning, str(error)) from None
    if "code" not in problem:
        raise _unexpected(request, status, beginning, "it names no code")
    raise error_of(status, problem)


def undecodable(request: Request[Answer], error: Exception) -> UnexpectedAnswer:
    """The error of an answer whose bytes are not what its headers say, such as broken gzip."""
    return _unexpected(request, 0, "", str(error))


def _unexpected(
    request: Request[Answer], status: int, beginning: str, why: str
) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        f"{request.method} {request.path} was answered with {status}, and not by this API ({why}): "
        f"{beginning!r}",
        status,
        beginning,
    )


class Attempts:
    """The attempts of one request: how many there were, and how long to wait for the next.

    Trying again is safe, as every command has its idempotency key.

    Args:
        request: What is asked.
        most: Attempts in all.
        began: A clock's reading, in seconds.
    """

    def __init__(self, request: Request[Answer], most: int, began: float) -> None:
        self._request = request
        self._most = most
        self._began = began
        self._made = 0

    def after_answer(self, status: int, headers: Mapping[str, str], now: float) -> float | None:
        """Seconds until the next attempt; None if this answer is the last word."""
        if status not in _AGAIN:
            return None
        return self._pause(_told(headers.get("retry-after", "")), now)

    def after_failure(self, error: Exception, now: float) -> float:
        """Seconds until the next attempt, after no answer came.

        Raises:
            Unreachable: There is none.
        """
        pause = self._pause(None, now)
        if pause is None:
            what = str(error) or type(error).__name__
            raise Unreachable(
                f"{self._request.method} {self._request.path} got no answer in {self._made} "
                f"attempts: {what}.",
                self._request.key,
            ) from error
        return pause

    def _pause(self, told: float | None, now: float) -> float | None:
        self._made += 1
        # Everybody who was turned away together should not come back together.
        own = min(_FIRST_PAUSE * 2 ** (self._made - 1), _LONGEST_PAUSE)
        pause = told if told is not None else own * random.uniform(0.5, 1.0)  # noqa: S311
        if self._made >= self._most or now + pause - self._began > PATIENCE:
            return None
        return pause


def _told(header: str) -> float | None:
    """The seconds that `Retry-After` names, as a number or as a date; None where it does not."""
    if header.isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())

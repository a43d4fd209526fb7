"""What the waiting client sends with: its connections, and the loop of attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

import httpx

from nexus.client.exchange import (
    ATTEMPTS,
    TIMEOUT,
    Address,
    Attempts,
    decoded,
    undecodable,
)
from nexus.client.models import Page
from nexus.client.requests import Request

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Connection:
    """The connections to one platform, and as whom it is called over them."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        actor: str | None = None,
        roles: Sequence[str] = (),
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """A client of one platform.

        Args:
            url: Where its API is.
            token: Opens it.
            actor: Who acts, where that is not the token's user; needs the role `admin`.
            roles: The roles that the actor holds.
            timeout: Seconds for one answer.
            attempts: How often a request is tried in all.
            transport: Instead of the network, for tests.

        Raises:
            ClientError: The address or the token cannot be used.
        """
        self._address = Address.of(url, token, actor, roles)
        self._attempts = attempts
        self._owner = True
        self._http = httpx.Client(timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connections, except for a client that `acting` gave: they are not its own."""
        if self._owner:
            self._http.close()

    def acting(self, actor: str, roles: Sequence[str] = ()) -> Self:
        """The same client, with the same connections, as which somebody else acts.

        Args:
            actor: Id of the user.
            roles: The roles that they hold.
        """
        other = object.__new__(type(self))
        other._address = Address.of(self._address.url, self._address.token, actor, roles)
        other._attempts = self._attempts
        other._http = self._http
        other._owner = False
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.url!r})"

    def _send(self, request: Request[Answer]) -> Answer:
        attempts = Attempts(request, self._attempts, time.monotonic())
        headers = self._address.headers(request)
        while True:
            try:
                answer = self._http.request(
                    request.method,
                    self._address.url + request.path,
                    params=request.query,
                    content=request.body,
                    headers=headers,
                )
            except httpx.DecodingError as error:
                raise undecodable(request, error) from error
            except httpx.TransportError as error:
                time.sleep(attempts.after_failure(error, time.monotonic()))
                continue
            pause = attempts.after_answer(answer.status_code, answer.headers, time.monotonic())
            if pause is None:
                return decoded(request, answer.status_code, answer.content)
            time.sleep(pause)

    def _all(self, request: Request[Page[Item]]) -> Iterator[Item]:
        cursor: str | None = None
        while True:
            page: Page[Item] = self._send(request.page(cursor))
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

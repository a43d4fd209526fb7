"""One test for both clients: the asynchronous one, as if it waited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol, cast

from nexus.client import AsyncNexusClient, NexusClient


class MakeClient(Protocol):
    """Makes a client of one of the two kinds; it is closed after the test."""

    def __call__(self, url: str, token: str, **more: Any) -> NexusClient: ...


class Waiting:
    """An `AsyncNexusClient` that is called like a `NexusClient`."""

    def __init__(self, client: AsyncNexusClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **named: Any) -> Any:
            found = method(*args, **named)
            if isinstance(found, AsyncNexusClient):
                return Waiting(found, self._runner)
            if inspect.isasyncgen(found):
                return self._each(found)
            return self._runner.run(found)

        return call

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(items)

        while True:
            try:
                yield self._runner.run(following())
            except StopAsyncIteration:
                return


def waiting(client: AsyncNexusClient, runner: asyncio.Runner) -> NexusClient:
    """The asynchronous client, typed as what it is called like."""
    return cast("NexusClient", Waiting(client, runner))

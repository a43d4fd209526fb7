"""Channels of the tests: what becomes of a call is what its name says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from nexus.contracts import ChannelError
from nexus.core.calls import CallRequest


class ScriptedChannels:
    """Answers, fails or hangs, by the channel that a step names.

    | channel | what becomes of a call |
    | --- | --- |
    | `ok` | it is answered with its `with` |
    | `once` | it fails the first time, and is answered from then on |
    | `down` | it fails for as long as it is in `down`, and may be tried again |
    | `refuses` | it fails for good while it is in `down` |
    | `slow` | it is answered once `go` is set |
    | `hangs` | it is never answered |

    Attributes:
        requests: Every try, in the order in which they came.
        tries: Tries by idempotency key.
        done: Successes by idempotency key.
        cancelled: Keys of the calls that were cancelled while they were being made.
        down: The channels that are out of order.
        go: Lets `slow` calls be answered.
    """

    def __init__(self) -> None:
        self.requests: list[CallRequest] = []
        self.tries: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.cancelled: list[str] = []
        self.down = {"down", "refuses"}
        self.go = asyncio.Event()

    async def call(self, request: CallRequest, *, attempt: int, timeout: timedelta) -> object:  # noqa: ASYNC109
        """Make one try of a call."""
        self.requests.append(request)
        self.tries[request.key] += 1
        assert attempt >= 1
        try:
            await self._make(request, timeout)
        except asyncio.CancelledError:
            self.cancelled.append(request.key)
            raise
        self.done[request.key] += 1
        return self.answer(request)

    def answer(self, request: CallRequest) -> object:
        """What a call that succeeds is answered with."""
        return dict(request.given)

    def steps(self) -> Mapping[str, int]:
        """How many calls of each step succeeded."""
        return Counter(request.step for request in self.requests if self.done[request.key])

    async def _make(self, request: CallRequest, timeout: timedelta) -> None:  # noqa: ASYNC109
        match request.channel:
            case "once" if self.tries[request.key] == 1:
                raise ChannelError("unreachable", "Nobody is there yet.")
            case "down" if "down" in self.down:
                raise ChannelError("unreachable", "Nobody is there.")
            case "refuses" if "refuses" in self.down:
                raise ChannelError("refused", "It is not wanted.", retryable=False)
            case "slow":
                await self.go.wait()
            case "hangs":
                await asyncio.sleep(timeout.total_seconds() + 60)
            case _:
                pass

"""How many commands to one instance may be under way at once.

Temporal takes ten updates per workflow and slows down badly above that; the
eleventh waits about fifteen seconds inside the client. So each process sends
at most four of one instance, lets the others wait here for a while, and then
says that it is busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api.problems import busy

AT_ONCE = 4
PATIENCE = 10.0
"""Seconds that a command waits for its turn."""


@dataclass(slots=True)
class _Gate:
    turns: asyncio.Semaphore
    users: int = field(default=0)


class Admission:
    """Turns per instance; an instance that nobody uses takes no memory.

    Args:
        at_once: Commands of one instance under way together.
        patience: Seconds that another one waits.
    """

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._at_once = at_once
        self._patience = patience
        self._gates: dict[str, _Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Hold one turn of an instance.

        Raises:
            Problem: `busy`, if none came free in time.
        """
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = _Gate(asyncio.Semaphore(self._at_once))
        gate.users += 1
        try:
            if gate.turns.locked():
                try:
                    async with asyncio.timeout(self._patience):
                        await gate.turns.acquire()
                except TimeoutError:
                    raise busy(
                        f"More than {self._at_once} commands to this instance are under way, and"
                        f" none ended within {self._patience:g} seconds."
                    ) from None
            else:
                await gate.turns.acquire()
            try:
                yield
            finally:
                gate.turns.release()
        finally:
            gate.users -= 1
            if gate.users == 0:
                del self._gates[key]

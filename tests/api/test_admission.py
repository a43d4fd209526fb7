"""At most four commands of one instance are under way per process; the others wait (design 6)."""

from __future__ import annotations

import asyncio

import pytest

from api.admission import Admission
from api.problems import Problem


async def test_the_fifth_waits_until_one_ends() -> None:
    admission = Admission(at_once=4, patience=5)
    running, most = 0, 0

    async def command() -> None:
        nonlocal running, most
        async with admission.turn("a"):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

    await asyncio.gather(*(command() for _ in range(20)))
    assert most == 4


async def test_who_waits_too_long_is_told_that_it_is_busy() -> None:
    admission = Admission(at_once=1, patience=0.02)
    async with admission.turn("a"):
        with pytest.raises(Problem) as refusal:
            async with admission.turn("a"):
                raise AssertionError("two at once")
    assert refusal.value.code == "busy"
    assert refusal.value.extensions["accepted"] is False
    assert refusal.value.headers is not None
    assert "Retry-After" in refusal.value.headers


async def test_other_instances_do_not_wait() -> None:
    admission = Admission(at_once=1, patience=0.02)
    async with admission.turn("a"), admission.turn("b"):
        assert len(admission) == 2


async def test_an_idle_instance_takes_no_memory() -> None:
    admission = Admission(at_once=1, patience=0.01)
    async with admission.turn("a"):
        with pytest.raises(Problem):
            async with admission.turn("a"):
                pass
    with pytest.raises(RuntimeError):
        async with admission.turn("a"):
            raise RuntimeError
    assert len(admission) == 0


async def test_a_turn_is_given_back_when_a_waiting_request_is_cancelled() -> None:
    admission = Admission(at_once=1, patience=5)

    async def wait() -> None:
        async with admission.turn("a"):
            pass

    async with admission.turn("a"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1), admission.turn("a"):
        assert len(admission) == 1
    assert len(admission) == 0

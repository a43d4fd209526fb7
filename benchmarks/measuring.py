"""Measuring what can be awaited: latencies one at a time and in flight, rates, and their ratios.

Figures of one machine mean little by themselves. So two things are measured turn by turn in the
same run, and what is told is the median, over all rounds, of the ratio between the two.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Latency:
    """What one round of calls took, in milliseconds."""

    p50: float
    p95: float


async def one_at_a_time(call: Call, count: int) -> Latency:
    """Latency of so many calls, each after the one before."""
    return _latency([await _timed(call) for _ in range(count)])


async def in_flight(calls: Sequence[Call], count: int) -> Latency:
    """Latency where each of several callers makes so many calls, one after another."""

    async def caller(call: Call) -> list[float]:
        return [await _timed(call) for _ in range(count)]

    found = await asyncio.gather(*(caller(call) for call in calls))
    return _latency([one for ones in found for one in ones])


async def rate(call: Call, count: int, most: int) -> float:
    """Calls a second, where so many are in flight at once."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await call()

    since = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(most)))
    return count / (time.perf_counter() - since)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> str:
    """Median of ours ÷ bare over the rounds, with the least and the most."""
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def report(title: str, latencies: Mapping[str, Sequence[Latency]], bare: str) -> None:
    """Print the medians of each side, and the ratios of the others to `bare`."""
    print(title, flush=True)
    for name, rounds in latencies.items():
        p50 = [one.p50 for one in rounds]
        p95 = [one.p95 for one in rounds]
        line = (
            f"  {name:<14} p50 {statistics.median(p50):6.1f}  p95 {statistics.median(p95):6.1f} ms"
        )
        if name != bare:
            line += f"   ÷ {bare}: p50 {ratio(p50, [one.p50 for one in latencies[bare]])}"
            line += f", p95 {ratio(p95, [one.p95 for one in latencies[bare]])}"
        print(line, flush=True)


def report_rates(title: str, rates: Mapping[str, Sequence[float]], bare: str) -> None:
    """The same for rates."""
    print(title, flush=True)
    for name, rounds in rates.items():
        line = f"  {name:<14} {statistics.median(rounds):6.1f} a second"
        if name != bare:
            line += f"   ÷ {bare}: {ratio(rounds, rates[bare])}"
        print(line, flush=True)


def cpu_seconds(pid: int) -> float:
    """What a process has used of all processors so far; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _timed(call: Call) -> float:
    since = time.perf_counter()
    await call()
    return (time.perf_counter() - since) * 1000


def _latency(found: list[float]) -> Latency:
    found.sort()
    return Latency(found[len(found) // 2], found[int(len(found) * 0.95)])

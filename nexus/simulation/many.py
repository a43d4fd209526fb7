"""Many runs, over the cores of the machine. The result is the same on any number of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import timedelta
from functools import lru_cache
from multiprocessing import get_context

from nexus.core import Program, program_of
from nexus.simulation.living import Living
from nexus.simulation.population import (
    EVERYTHING,
    ChanceAnswering,
    Population,
    read_population,
)
from nexus.simulation.simulator import START, Simulation, TooLong
from nexus.simulation.tally import Tally

CHUNK = 100  # runs that one process does at a time
FEW = 300  # so many are done before other processes have begun to work
MOST_EVENTS = 2_000  # of one run


def run_many(
    definition: str,
    *,
    runs: int,
    seed: int,
    until: timedelta,
    population: bytes | None = None,
    progress: Callable[[int], None] = lambda _done: None,
    processes: int | None = None,
) -> Tally:
    """Run a definition many times.

    Args:
        definition: Its text; one that can run.
        runs: How many.
        seed: The same gives the same result.
        until: How long each goes.
        population: Text of a population file that can be used; None for all by chance.
        progress: Told of runs that are done, as they are.
        processes: How many; None for the cores that there are.
    """
    chunks = [(start, min(CHUNK, runs - start)) for start in range(0, runs, CHUNK)]
    count = min(processes or _cores(), len(chunks))
    tallies: dict[int, Tally] = {}
    if runs <= FEW or count == 1:
        for start, size in chunks:
            tallies[start] = run_chunk(definition, population, seed, start, size, until)
            progress(size)
    else:
        # A fresh interpreter for each: what is forked may hold locks of threads that it has not.
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            futures = {
                pool.submit(run_chunk, definition, population, seed, start, size, until): start
                for start, size in chunks
            }
            for future in as_completed(futures):
                tallies[futures[future]] = future.result()
                progress(tallies[futures[future]].runs)
    whole = Tally()
    for start in sorted(tallies):
        whole.merge(tallies[start])
    return whole


def run_chunk(
    definition: str,
    population: bytes | None,
    seed: int,
    start: int,
    count: int,
    until: timedelta,
) -> Tally:
    """The runs of these numbers. Each has a chance of its own, by the seed and its number."""
    program, people = _prepared(definition, population)
    tally = Tally()
    for simulation, living, too_long in _runs(program, people, seed, start, count, until):
        tally.add(simulation, living, too_long=too_long)
    return tally


def _runs(
    program: Program, population: Population, seed: int, start: int, count: int, until: timedelta
) -> Iterator[tuple[Simulation, Living, bool]]:
    for number in range(start, start + count):
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 - chance, not secrets
        simulation = Simulation(
            program,
            answering=ChanceAnswering(program, population, rng),
            render=False,
            most_events=MOST_EVENTS,
        )
        living = Living(simulation, population, rng)
        too_long = False
        if living.start():
            try:
                living.live(START + until)
            except TooLong:
                too_long = True
        yield simulation, living, too_long


@lru_cache(maxsize=4)
def _prepared(definition: str, population: bytes | None) -> tuple[Program, Population]:
    program = program_of(definition)
    if population is None:
        return program, EVERYTHING
    return program, read_population(population, "population", program)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover  # not on every system
        return os.cpu_count() or 1

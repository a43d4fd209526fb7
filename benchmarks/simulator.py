"""What the simulator costs: `python -m benchmarks.simulator`. No server, no database.

To reach: one run of the largest shipped definition over 90 simulated days below 20 ms, and 10,000
runs below 60 s on two cores.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from nexus.channels import Channels, load_channels
from nexus.cli.definition_files import definition_files
from nexus.core import load_definition
from nexus.core.program import Program
from nexus.simulation import START, Simulation
from nexus.simulation.living import Living
from nexus.simulation.many import run_many
from nexus.simulation.playing import play
from nexus.simulation.population import EVERYTHING
from nexus.simulation.reading import read_scenarios
from nexus.simulation.scenarios import Scenario

DEFINITIONS = Path(__file__).parents[1] / "definitions"
QUARTER = timedelta(days=90)


def largest() -> tuple[str, Program]:
    """The shipped definition with the most transitions, and its name."""
    programs = {
        path.stem: load_definition(path.read_bytes()).program
        for path in definition_files([DEFINITIONS])
    }
    return max(programs.items(), key=lambda item: len(item[1].transitions))


def milliseconds(work: Callable[[int], object], count: int) -> tuple[float, float]:
    """Median and maximum of calls, each with its number."""
    took = []
    for number in range(count):
        before = time.perf_counter()
        work(number)
        took.append((time.perf_counter() - before) * 1e3)
    return statistics.median(took), max(took)


def main() -> int:
    """Measure, print, and end with 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    runs: int = parser.parse_args().runs
    channels = load_channels()
    name, program = largest()
    events: list[int] = []

    def live(number: int) -> None:
        simulation = Simulation(program, channels=channels)
        living = Living(simulation, EVERYTHING, random.Random(number))
        living.start()
        living.live(START + QUARTER)
        events.append(len(simulation.events))

    median, most = milliseconds(live, 300)
    print(
        f"one run of {name}, 90 days, {statistics.median(events):.0f} events (at most "
        f"{max(events)}): {median:.1f} ms, at most {most:.1f}   < 20"
    )
    good = median < 20

    for path in sorted(DEFINITIONS.glob("*.scenarios.json")):
        scenarios = read_scenarios(path.read_bytes(), path.name).scenarios
        own = load_definition(path.with_name(path.name.replace(".scenarios", "")).read_bytes())
        took = [
            milliseconds(partial(_played, own.program, one, channels), 5)[0] for one in scenarios
        ]
        slowest = max(took)
        print(f"slowest scenario of {path.name}: {slowest:.1f} ms   < 20")
        good &= slowest < 20

    text = (DEFINITIONS / f"{name}.json").read_text()
    before = time.perf_counter()
    tally = run_many(text, runs=runs, seed=1, until=QUARTER)
    seconds = time.perf_counter() - before
    print(f"{tally.runs:,} runs of {name}: {seconds:.1f} s   < 60")
    return 0 if good and seconds < 60 else 1


def _played(program: Program, scenario: Scenario, channels: Channels, _number: int) -> None:
    play(program, scenario, channels=channels)


if __name__ == "__main__":
    sys.exit(main())

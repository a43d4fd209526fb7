"""What writing definitions costs: loading, checking and compiling them, and asking an expression.

    python benchmarks/authoring.py [--repeats 20] [--profile]

The definitions are generated: entities of ten stages with roles, assignees,
fields, and three transitions a stage, of which most have conditions, some data
to compute and some a clock. Prints medians of the processor's time, in which
others on the machine do not count, beside their targets; ends with 1 where one
is missed. `--profile` shows where the time of the largest one goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from nexus.core import load_definition
from nexus.core.expressions import parse

STAGES_OF_AN_ENTITY = 10
CONDITION = "data.score > 50 AND data.region == 'EU'"
SCOPE = {"data": {"score": 60, "region": "EU"}}


def definition(stages: int) -> str:
    """A definition with so many stages, as a person would lay it out."""
    entities: dict[str, Any] = {}
    transitions: dict[str, Any] = {}
    for n in range(stages // STAGES_OF_AN_ENTITY):
        names = [f"e{n}_s{i}" for i in range(STAGES_OF_AN_ENTITY)]
        entities[f"entity_{n}"] = {
            "fields": {"name": {"type": "string"}, "value": {"type": "number"}, "won_at": {}},
            "stages": [
                {"id": name, "label": name.title(), "assign": {"roles": ["rep"]}} for name in names
            ],
        }
        for here, following in pairwise(names):
            transitions[f"go_{here}"] = {
                "from": here,
                "to": following,
                "condition": f"{CONDITION} and size(data.name) > {n}",
                "by": {"roles": ["rep", "boss"]},
                "input": {"value": {"type": "number", "required": True}},
                "set": {"value": "input.value * 2", "won_at": "now"},
            }
            transitions[f"lose_{here}"] = {
                "from": here,
                "to": names[-1],
                "condition": {"any": ["data.score < 10", {"role_check": "boss"}]},
            }
            transitions[f"forget_{here}"] = {
                "from": here,
                "to": names[-1],
                "on": {"after": "30 days"},
                "condition": "data.region in ['US', 'UK'] or not has(data.name)",
            }
    document = {
        "id": f"generated-{stages}",
        "version": "1.0.0",
        "dataSchema": {"score": {"type": "number"}, "region": {"type": "string"}},
        "roles": {"rep": {"can": ["*"]}, "boss": {"can": ["*"], "inherits": ["rep"]}},
        "entities": entities,
        "transitions": transitions,
    }
    return json.dumps(document, indent=2)


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median of the milliseconds that a call takes, after one that does not count."""
    call()
    took = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        took.append((time.process_time() - began) * 1_000)
    return statistics.median(took)


def median_us(call: Callable[[], object], repeats: int, calls: int = 20_000) -> float:
    """Median of the microseconds that a call takes, of rounds of many."""

    def rounds() -> None:
        for _ in range(calls):
            call()

    return median_ms(rounds, repeats) * 1_000 / calls


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=20)
    arguments.add_argument("--profile", action="store_true")
    chosen = arguments.parse_args()
    missed = 0

    def report(what: str, value: float, target: float | None, unit: str) -> None:
        nonlocal missed
        good = target is None or value < target
        missed += not good
        limit = "" if target is None else f"   target < {target:g} {unit}"
        print(f"  {what:<40} {value:8.2f} {unit}{limit}{'' if good else '   MISSED'}", flush=True)

    for stages, target in ((30, 20.0), (500, 400.0)):
        text = definition(stages)
        # A warning has a place, for which the text is read a second time.
        odd = text.replace('"version"', '"vresion"', 1)
        transitions = len(load_definition(text).program.transitions)
        print(f"{stages} stages, {transitions:,} transitions, {len(text) // 1024} KiB")
        for what, given in (("", text), (", with a warning", odd)):
            took = median_ms(partial(load_definition, given), chosen.repeats)
            report(f"load, check, compile{what}", took, target, "ms")
    print("an expression")
    expression = parse(CONDITION)
    report("compiled: asked", median_us(lambda: expression.holds(SCOPE), 9), 2.0, "µs")
    report("read", median_us(lambda: parse(CONDITION), 5, 500), None, "µs")
    report("compiled: explained", median_us(lambda: expression.explain(SCOPE), 5, 500), None, "µs")
    if chosen.profile:
        profile = cProfile.Profile()
        profile.runcall(load_definition, definition(500))
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

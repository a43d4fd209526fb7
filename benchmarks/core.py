"""What the core costs: `python benchmarks/core.py`. No server, no database, one process.

To reach: `decide` of a plain action below 100 µs, and below 20 µs for each event.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nexus.cli.definition_files import definition_files
from nexus.core import Program, State, decide, evolve, load_definition, step
from nexus.core.codec import Carried, decode_carried, encode_carried
from nexus.core.commands import Act, Actor, Command, NewRecord, Start
from nexus.core.rows import Identity, history_row, project, snapshot
from nexus.core.state import Subject

ROUNDS, REPEATS = 15, 400
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ANN = Actor("ann", ("seller",))
DEFINITIONS = Path(__file__).parents[1] / "definitions"
IDENTITY = Identity("run", "tenant", "tenant:d:account:acme")

# Everything that an action can have, at once.
RICH = {
    "id": "rich",
    "dataSchema": {"score": {"type": "number"}, "region": {"type": "string"}},
    "roles": {"seller": {"can": ["qualify", "update"]}},
    "entities": {
        "lead": {"stages": ["new", {"id": "qualified", "assign": {"users": ["bob"]}}, "won"]},
        "deal": {"stages": ["open", "paid"]},
    },
    "transitions": {
        "qualify": {
            "from": "new",
            "to": "qualified",
            "condition": {"all": ["data.score > 50", {"any": ["data.region == 'EU'", "data.vip"]}]},
            "input": {"note": {"type": "string"}},
            "set": {"rank": "data.score * 2", "at": "now"},
            "creates": "deal",
        },
        "hot": {"from": "qualified", "to": "won", "on": "auto", "condition": "data.score > 1000"},
        "cold": {"from": "new", "to": "won", "on": {"after": "30 days"}},
        "nudge": {"from": "qualified", "to": "won", "on": {"after": "3 days"}},
    },
}


def microseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median over rounds of the mean time of one call."""
    means = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        for _ in range(repeats):
            work()
        means.append((time.perf_counter() - before) / repeats * 1e6)
    return statistics.median(means)


def show(what: str, value: float, most: float | None = None) -> bool:
    kept = most is None or value < most
    limit = "" if most is None else f"   < {most:g}{'' if kept else '   MISSED'}"
    print(f"{what:<58}{value:>10.1f} µs{limit}")
    return kept


TEN_CHANNELS = {
    "id": "ten",
    "entities": {
        "lead": {
            "stages": [
                "new",
                {"id": "busy", "run": [{"channel": "log", "with": {"message": "x"}}] * 10},
                "done",
            ]
        }
    },
    "transitions": {
        "begin": {"from": "new", "to": "busy"},
        "finish": {"from": "busy", "to": "done"},
    },
}


def started(program: Program, data: dict[str, object], records: int = 0) -> State:
    extra = tuple(NewRecord(next(iter(program.entities))) for _ in range(records))
    command = Start(actor=ANN, subject=Subject("account", "acme"), data=data, records=extra)
    return step(program, State(), command, NOW)[1]


def measure(name: str, program: Program, state: State, command: Command, plain: bool) -> bool:
    events = decide(program, state, command, NOW)

    def apply() -> None:
        current = state
        for event in events:
            current = evolve(current, event)

    whole = microseconds(lambda: decide(program, state, command, NOW))
    good = show(f"decide: {name} ({len(events)} events)", whole, 100 if plain else None)
    good &= show("  for each event", whole / len(events), 20)
    show("  evolve, for each event", microseconds(apply) / len(events))
    return good


def main() -> int:
    sales = load_definition((DEFINITIONS / "sales-pipeline.json").read_bytes()).program
    rich = load_definition(json.dumps(RICH)).program
    lead, data = started(sales, {"score": 60}), {"score": 60, "region": "EU"}
    many = started(sales, {"score": 60}, records=100)
    full = started(rich, dict(data))

    good = measure("a plain action", sales, lead, Act(actor=ANN, action="qualify"), plain=True)
    calling = load_definition(json.dumps(TEN_CHANNELS)).program
    begin = Act(actor=ANN, action="begin")
    before = started(calling, {})
    whole = microseconds(lambda: decide(calling, before, begin, NOW))
    good &= show("decide: starting a run of ten channels", whole, 400)
    good &= measure(
        "an update", sales, lead, Act(actor=ANN, action="update", data={"score": 70}), plain=True
    )
    good &= measure(
        "an action with all there is",
        rich,
        full,
        Act(actor=ANN, action="qualify", data={"note": "x"}),
        plain=False,
    )
    one = Act(actor=ANN, action="qualify", record="lead-50")
    measure("a plain action on one of 100 records", sales, many, one, plain=True)

    print()
    events = decide(sales, lead, Act(actor=ANN, action="qualify"), NOW)
    rows = [history_row(event) for event in events]
    carried = encode_carried(Carried(full))
    show("history row of an event", microseconds(lambda: history_row(events[-1])))
    show("projection", microseconds(lambda: project(IDENTITY, sales, lead, rows)))
    show("snapshot", microseconds(lambda: snapshot(IDENTITY, sales, lead)))
    show("state to bytes", microseconds(lambda: encode_carried(Carried(full))))
    show("state from bytes", microseconds(lambda: decode_carried(carried)))
    print()
    for path in definition_files([DEFINITIONS]):
        text = path.read_bytes()
        show(f"load {path.name}", microseconds(partial(load_definition, text), 20))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

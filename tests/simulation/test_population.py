"""Many runs: values by chance, the same for the same seed, added up."""

from __future__ import annotations

import json
import random
import statistics
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.core import program_of
from nexus.simulation.distributions import NOTHING, DistributionError, delay_of, value_of
from nexus.simulation.documents import DocumentError
from nexus.simulation.funnel_chart import Shown, funnel_chart, short
from nexus.simulation.many import run_many
from nexus.simulation.population import read_population
from nexus.simulation.tally import Tally, as_document, at_share, funnel
from tests.core.playing import DEFINITIONS, lead

QUARTER = timedelta(days=90)
SALES = lead(
    {
        "qualify": {
            "from": "new",
            "to": "qualified",
            "condition": "data.score > 50",
            "by": {"roles": ["sales"]},
        },
        "win": {"from": "qualified", "to": "won", "on": {"event": "paid"}},
        "forget": {"from": ["new", "qualified"], "to": "lost", "on": {"after": "30 days"}},
    },
    stages=[
        {"id": "new", "assign": {"roles": ["sales"]}},
        "qualified",
        {"id": "won", "final": True},
        {"id": "lost", "final": True},
    ],
)
POPULATION: dict[str, Any] = {
    "data": {"score": {"integer": [1, 100]}},
    "people": {"ann": ["sales"], "ben": ["sales"], "eve": []},
    "actions": {"qualify": {"delay": {"exponential": "2 days"}}},
    "events": {"paid": {"probability": 0.5, "delay": "10 days"}},
}


def many(document: object = SALES, population: object = None, **more: Any) -> Tally:
    given_ = {"runs": 200, "seed": 1, "until": QUARTER, **more}
    chance = None if population is None else json.dumps(population).encode()
    return run_many(json.dumps(document), population=chance, **given_)


# --- distributions --------------------------------------------------------------------------


def values(written: object, count: int = 4_000) -> list[Any]:
    draw, rng = value_of(written), random.Random(1)
    return [draw(rng) for _ in range(count)]


def test_distributions_are_what_they_say() -> None:
    assert values(5) == [5] * 4_000
    assert values({"a": 1})[0] == {"a": 1}
    uniform = values({"uniform": [10, 20]})
    assert min(uniform) >= 10
    assert max(uniform) <= 20
    assert statistics.mean(uniform) == pytest.approx(15, rel=0.02)
    assert set(values({"integer": [1, 3]})) == {1, 2, 3}
    assert statistics.mean(values({"normal": [100, 15]})) == pytest.approx(100, rel=0.02)
    assert statistics.mean(values({"exponential": 4})) == pytest.approx(4, rel=0.05)
    assert statistics.median(values({"lognormal": [200, 0.5]})) == pytest.approx(200, rel=0.05)
    chosen = values({"choice": {"a": 3, "b": 1, "c": 0}})
    assert chosen.count("a") / 4_000 == pytest.approx(0.75, rel=0.05)
    assert "c" not in chosen
    assert set(values({"choice": [1, None]})) == {1, None}
    some = values({"maybe": 0.25, "value": {"integer": [7, 7]}})
    assert some.count(7) / 4_000 == pytest.approx(0.25, rel=0.1)
    assert set(some) == {7, NOTHING}


def test_delays_are_durations_and_never_negative() -> None:
    rng = random.Random(1)
    assert delay_of("2 days")(rng) == timedelta(days=2)
    assert delay_of("0s")(rng) == timedelta()
    assert all(delay_of({"normal": ["1h", "2h"]})(rng) >= timedelta() for _ in range(200))
    within = [delay_of({"uniform": ["1h", "2h"]})(rng) for _ in range(200)]
    assert timedelta(hours=1) <= min(within)
    assert max(within) <= timedelta(hours=2)
    assert {delay_of({"maybe": 0.5, "value": "1h"})(rng) for _ in range(50)} == {
        timedelta(),
        timedelta(hours=1),
    }
    weighted = delay_of({"choice": {"1h": 1, "2 days": 1}})
    assert {weighted(rng) for _ in range(50)} == {timedelta(hours=1), timedelta(days=2)}
    assert {delay_of({"choice": ["3h"]})(rng)} == {timedelta(hours=3)}
    wild = delay_of({"lognormal": ["1h", 5_000]})
    assert all(wild(rng) <= timedelta(days=3_653) for _ in range(50))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"uniform": [2, 1]}, "smaller one first"),
        ({"uniform": 1}, "a list of two"),
        ({"uniform": ["a", 1]}, "'a' is no number"),
        ({"integer": [1, 2.5]}, "whole numbers"),
        ({"normal": [1, -1]}, "not negative"),
        ({"exponential": 0}, "above 0"),
        ({"lognormal": [0, 1]}, "above 0"),
        ({"choice": []}, "a list, or an object"),
        ({"choice": {"a": 0}}, "not all 0"),
        ({"choice": {"a": -1, "b": 2}}, "not negative"),
        ({"maybe": 2, "value": 1}, "between 0 and 1"),
        ({"maybe": 0.5}, "needs a 'value'"),
        ({"maybe": 0.5, "choice": [1], "value": 1}, "one of them"),
    ],
)
def test_distributions_that_make_no_sense_are_refused(written: object, words: str) -> None:
    with pytest.raises(DistributionError, match=words):
        value_of(written)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50), st.floats(0, 1))
def test_shares_are_those_of_the_standard_library(seconds: list[float], share: float) -> None:
    found = at_share(seconds, share)
    assert found is not None
    assert min(seconds) <= found <= max(seconds)
    assert at_share(seconds, 0.5) == pytest.approx(statistics.median(seconds))
    ninth = statistics.quantiles(seconds, n=10, method="inclusive")[8]
    assert at_share(seconds, 0.9) == pytest.approx(ninth)


def test_there_is_no_share_of_nothing() -> None:
    assert at_share([], 0.5) is None


# --- runs -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_on_any_number_of_processes() -> None:
    one = many(population=POPULATION, runs=400, processes=1)
    two = many(population=POPULATION, runs=400, processes=2)
    program = program_of(json.dumps(SALES))
    assert as_document(program, one) == as_document(program, two)
    other = many(population=POPULATION, runs=400, seed=2, processes=1)
    assert as_document(program, one) != as_document(program, other)


def test_a_funnel_is_what_chance_says() -> None:
    tally = many(population=POPULATION, runs=1_000)
    lines = {line.stage: line for line in funnel(program_of(json.dumps(SALES)), tally)}
    assert lines["new"].share == 1
    assert lines["qualified"].share == pytest.approx(0.5, abs=0.05)  # scores above 50
    assert lines["won"].share == pytest.approx(0.25, abs=0.05)  # of whom half pay
    assert lines["lost"].share == pytest.approx(0.75, abs=0.05)
    assert lines["qualified"].median is not None
    assert lines["qualified"].median in (10 * 86_400.0, 30 * 86_400.0)
    assert lines["won"].median is None
    assert tally.ended == {"completed": 1_000}
    assert tally.refused["qualify: condition_not_met"] == 1_000 - lines["qualified"].reached
    assert set(tally.acted) == {"ann", "ben"}  # `eve` has no role
    assert tally.assigned["role sales"] == 1_000 + lines["qualified"].reached
    assert tally.taken["win"] == lines["won"].reached


def test_without_a_population_everything_that_can_be_done_is() -> None:
    tally = many(runs=100)
    assert tally.ended == {"completed": 100}
    assert set(tally.acted) <= {"sales"}


def test_tasks_calls_and_incidents_are_counted() -> None:
    run = [
        {"channel": "webhook", "name": "hook"},
        {"task": {"title": "Call"}},
        {"waitFor": {"event": "opened", "timeout": "1 day"}},
    ]
    document = lead(
        {"go": {"from": "new", "to": "busy"}, "done": {"from": "busy", "to": "won", "on": "auto"}},
        stages=["new", {"id": "busy", "run": run}, "won"],
    )
    answers = [{"step": "hook", "probability": 0.5, "fails": {"code": "down"}, "delay": "1m"}]
    tally = many(document, {"answers": answers, "people": {"ann": []}})
    assert tally.calls == {"webhook": 200}
    assert tally.failed["webhook: down"] == pytest.approx(100, abs=25)
    assert tally.incidents["down"] == tally.failed["webhook: down"]
    assert tally.acted == {"ann": 400}
    assert tally.ended == {"completed": 200}


def test_runs_that_cannot_begin_or_go_in_circles_are_counted() -> None:
    closed = {**SALES, "roles": {"boss": {"can": ["start"]}}}
    tally = many(closed, {"people": {"eve": []}}, runs=3)
    assert tally.ended == {"not started": 3}
    assert tally.refused == {"start: forbidden": 3}
    circling = lead(
        {
            "there": {"from": "new", "to": "qualified", "on": {"after": "1s"}},
            "back": {"from": "qualified", "to": "new", "on": {"after": "1s"}},
        }
    )
    assert many(circling, runs=2).too_long == 2


def test_progress_is_told() -> None:
    told: list[int] = []
    many(runs=250, progress=told.append)
    assert sum(told) == 250


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "pointer", "words"),
    [
        ({"actions": {"qualfy": {}}}, "/actions/qualfy", "no action that a person can take"),
        ({"events": {"payed": {}}}, "/events/payed", "there are: paid"),
        ({"people": {}}, "/people", "there is nobody"),
        ({"entity": "x"}, "/entity", "no entity 'x'"),
        ({"data": {"score": {"uniform": [2, 1]}}}, "/data/score/uniform", "smaller"),
        ({"tasks": {"delay": "2 dys"}}, "/tasks/delay", "'dys'"),
        ({"tasks": {"probability": 2}}, "/tasks/probability", "more than 1"),
        (
            {"people": {"ann": []}, "actions": {"qualify": {"by": "eve"}}},
            "/actions/qualify/by",
            "not among",
        ),
        ({"actions": {"qualify": {"by": "eve"}}}, "/actions/qualify/by", "not among"),
        ({"people": {"ann": []}, "tasks": {"by": "eve"}}, "/tasks/by", "the people: ann"),
        ({"tasks": {"delay": {"choice": ["1h", "soon"]}}}, "/tasks/delay/choice", "soon"),
        ({"answers": [{"delay": {"normal": [1]}}]}, "/answers/0/delay/normal", "list of two"),
        ({"nonsense": 1}, "/nonsense", "unknown field"),
    ],
)
def test_a_population_that_makes_no_sense_is_refused_with_the_place(
    written: object, pointer: str, words: str
) -> None:
    program = program_of(json.dumps(SALES))
    with pytest.raises(DocumentError) as caught:
        read_population(json.dumps(written).encode(), "x.json", program)
    problem = caught.value.problems[0]
    assert (problem.pointer, problem.code) == (pointer, "invalid_population")
    assert words in problem.message


# --- pictures -------------------------------------------------------------------------------


def test_a_picture_shows_each_stage_of_both() -> None:
    text = (DEFINITIONS / "inbound-lead.json").read_text()
    tally = run_many(text, runs=20, seed=1, until=QUARTER)
    shown = Shown(program_of(text), tally)
    picture = funnel_chart([shown, shown])
    assert picture.startswith("<svg")
    assert picture.count("Inbound lead 1.0.0 · 20 runs") == 2
    assert all(f"lead: {stage}" in picture for stage in ("new", "nurturing", "disqualified"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (3_661, "1h 1m"), (90_061, "1d 1h")]
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert short(seconds) == text

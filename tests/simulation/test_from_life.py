"""From life to a scenario: it passes when it is played, and names nobody."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CompleteTask,
    RefusedSignal,
    RetryIncident,
    Start,
    Stop,
)
from nexus.core.program import Program
from nexus.core.projection import HistoryRow
from nexus.core.rows import Identity, history_row, snapshot
from nexus.core.state import Subject
from nexus.simulation import START, Answer, Simulation
from nexus.simulation.disguise import Disguise
from nexus.simulation.from_life import NotTold, as_text, scenario_of
from nexus.simulation.playing import Played, play
from nexus.simulation.reading import read_scenarios
from tests.core.playing import lead
from tests.simulation.playing import program_from

DEFINITIONS = Path(__file__).parents[2] / "definitions"
IDENTITY = Identity("run-1", "acme", "acme:test:lead:1")
ANN = Actor("ann@corp.com", ("sales",))
MAX = Actor("max", ("manager",))
LONG = timedelta(days=30)


def rows(simulation: Simulation) -> list[HistoryRow]:
    """The history as a database gives it back: JSON."""
    return [
        HistoryRow(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            on_behalf_of=None,
            record=row.record,
            before=_json(row.before),
            after=_json(row.after),
            comment=row.comment,
            payload=_json(row.payload),
        )
        for row in map(history_row, simulation.events)
    ]


def _json(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def told(program: Program, document: object, simulation: Simulation) -> tuple[str, Played]:
    """The scenario's text, and what came of playing it."""
    stands = snapshot(IDENTITY, program, simulation.state)
    text = as_text(scenario_of(program, document, stands, rows(simulation)))
    (scenario,) = read_scenarios(text.encode(), "life.scenarios.json").scenarios
    played = play(program, scenario)
    assert played.failures == [], text
    return text, played


def lived(document: object, **more: Any) -> Simulation:
    """An instance that Ann has started."""
    simulation = Simulation(program_from(document), **more)
    data = {"name": "Cleo Miller", "email": "cleo@corp.com", "born": "1990-02-03", "size": 7}
    simulation.give(Start(actor=ANN, subject=Subject("lead", "C-4711"), data=data))
    return simulation


def outline(simulation: Simulation) -> list[tuple[object, ...]]:
    return [(event.name, event.record, event.at) for event in simulation.events]


FILES = sorted(DEFINITIONS.glob("*.scenarios.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_every_shipped_scenario_told_from_its_own_history_passes(file: Path) -> None:
    written = (DEFINITIONS / file.name.replace(".scenarios", "")).read_text()
    document = json.loads(written)
    program = program_from(document)
    for scenario in read_scenarios(file.read_bytes(), file.name).scenarios:
        life = play(program, scenario).simulation
        _, again = told(program, document, life)
        assert [one[:2] for one in outline(again.simulation)] == [
            one[:2] for one in outline(life)
        ], scenario.name


def test_nobody_is_named_and_what_the_definition_names_stays() -> None:
    document = lead(
        {
            "win": {
                "from": "new",
                "to": "won",
                "by": {"roles": ["manager"]},
                "condition": "data.size > 5 && data.source == 'fair'",
            }
        }
    )
    life = lived(document)
    life.give(
        Act(
            actor=ANN,
            action="update",
            data={"source": "fair", "site": "https://corp.com/cleo", "mail": "cleo@corp.com"},
            comment="Cleo is keen",
        )
    )
    life.give(Act(actor=MAX, action="win"))
    text, again = told(life.program, document, life)
    for personal in ("Cleo", "Miller", "corp.com", "4711", "ann@", '"max"', "keen"):
        assert personal not in text
    state = again.simulation.state
    data = {**state.data, **state.records["lead-1"].data}
    assert data["source"] == "fair"
    assert data["born"] == "1990-02-03"
    assert data["size"] == 7
    assert data["mail"] == data["email"]
    people = json.loads(text)["scenarios"][0]["given"]["people"]
    assert people == {"person-1@example.com": [], "person-2": ["manager"]}


def running(run: object, **more: object) -> dict[str, Any]:
    return lead(
        {"go": {"from": "new", "to": "busy"}, "done": {"from": "busy", "to": "won"}},
        stages=["new", {"id": "busy", "run": run}, "won"],
        **more,
    )


def test_calls_come_to_what_they_came_to_at_the_same_time() -> None:
    came = iter(
        [
            Answer(outcome="failed", code="http_503", message="at 10.0.0.1", attempts=3),
            Answer(response={"for": "Cleo"}, after=timedelta(seconds=1.25)),
        ]
    )
    document = running({"channel": "log", "with": {"message": "hello"}, "name": "hello"})
    life = lived(document, answering=lambda _: next(came))
    life.give(Act(actor=ANN, action="go"))
    life.advance(START + timedelta(hours=1))
    (incident,) = life.state.incidents
    life.give(RetryIncident(actor=ANN, incident=incident))
    life.advance(START + timedelta(hours=2))
    text, again = told(life.program, document, life)
    assert "10.0.0.1" not in text
    assert "Cleo" not in text
    assert outline(again.simulation) == outline(life)


def test_what_is_running_open_and_failed_is_so_in_the_end() -> None:
    document = running(
        [
            {"task": {"title": "Call {{ data.name }}"}, "name": "call"},
            {"task": {"title": "Write"}, "name": "write"},
            {"channel": "log", "with": {"message": "slow"}, "name": "slow"},
            {"channel": "log", "with": {"message": "bad"}, "name": "bad"},
        ]
    )

    def answering(request: Any) -> Answer:
        if request.given["message"] == "slow":
            return Answer(after=LONG)
        return Answer(outcome="timed_out", code="timed_out", after=timedelta(seconds=2))

    life = lived(document, answering=answering)
    life.give(Act(actor=ANN, action="go"))
    life.advance(START + timedelta(minutes=1))
    done = next(task.id for task in life.state.tasks.values() if task.title != "Write")
    life.give(CompleteTask(actor=MAX, task=done, data={"note": "Cleo is out"}, comment="hm"))
    text, _ = told(life.program, document, life)
    then = json.loads(text)["scenarios"][0]["then"]
    assert then == {
        "status": "active",
        "stages": {"lead-1": "busy"},
        "tasks": [{"step": "write", "record": "lead-1"}],
        "incidents": [{"code": "timed_out", "record": "lead-1", "step": "bad"}],
    }


def test_one_stopped_by_an_operator_ends_as_cancelled() -> None:
    document = running({"channel": "log", "with": {"message": "slow"}})
    life = lived(document, answering=lambda _: Answer(after=LONG))
    life.give(Act(actor=ANN, action="go"))
    # A signal that is refused moves the numbers of what follows.
    life.give(RefusedSignal(actor=ANN, code="forbidden", message="no"))
    life.give(AddRecord(actor=MAX, entity="lead", data={"name": "Dan"}))
    life.advance(START + timedelta(days=1))
    life.give(Stop())
    assert life.state.status == "cancelled"
    text, again = told(life.program, document, life)
    assert again.simulation.state.status == "cancelled"
    assert "Dan" not in text


def test_decisions_of_one_moment_keep_their_order() -> None:
    document = running({"channel": "log", "with": {"message": "x"}})
    life = lived(document, answering=lambda _: Answer(after=timedelta(seconds=1)))
    life.give(Act(actor=ANN, action="go"))
    life.give(Act(actor=ANN, action="update", data={"size": 8}))
    life.advance(START + timedelta(seconds=1))
    life.give(Act(actor=ANN, action="done"))
    _, again = told(life.program, document, life)
    assert [one[:2] for one in outline(again.simulation)] == [one[:2] for one in outline(life)]


def test_a_history_without_its_start_is_refused() -> None:
    document = lead()
    life = lived(document)
    stands = snapshot(IDENTITY, life.program, life.state)
    with pytest.raises(NotTold, match="does not begin"):
        scenario_of(life.program, document, stands, rows(life)[1:])


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("won", True),
        ("FAIR", True),
        ("2026-01-05T09:00:00Z", True),
        ("2 days", True),
        ("…", True),
        ("Cleo Miller", False),
        ("+49 170 123", False),
        ("192.168.1.7", False),
    ],
)
def test_texts_stay_or_keep_their_shape(text: str, stays: bool) -> None:
    disguise = Disguise({"stages": ["won"], "condition": "data.source == 'fair'"})
    other = disguise.text(text)
    assert (other == text) is stays
    assert disguise.text(text) == other
    if not stays and "." not in text:
        shape = [(c.isalpha(), c.isupper(), c.isdigit()) for c in text]
        assert [(c.isalpha(), c.isupper(), c.isdigit()) for c in other] == shape


def test_what_an_expression_looks_for_stays_inside_a_text() -> None:
    disguise = Disguise({"condition": "contains(data.note, 'refund')"})
    other = disguise.text("I want a refund, Cleo")
    assert "refund" in other
    assert "Cleo" not in other

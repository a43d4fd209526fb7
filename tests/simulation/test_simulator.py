"""The virtual clock: what comes due happens, in order, and nothing is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nexus.channels import load_channels
from nexus.core.calls import CallRequest
from nexus.core.commands import Act, Actor, ReceiveEvent, RetryIncident, Start
from nexus.core.state import Subject
from nexus.simulation import START, Answer, Simulation, TooLong
from tests.core.playing import compiled, lead

ANN = Actor("ann")


def simulated(document: object, **rest: Any) -> Simulation:
    simulation = Simulation(compiled(document).program, **rest)
    data = {"name": "Ann", "email": "ann@example.com"}
    simulation.give(Start(actor=ANN, subject=Subject("lead", "1"), data=data))
    return simulation


def running(run: object) -> dict[str, Any]:
    return lead(
        {"go": {"from": "new", "to": "busy"}, "done": {"from": "busy", "to": "won"}},
        stages=["new", {"id": "busy", "run": run}, "won"],
    )


def names(simulation: Simulation, start: int = 0) -> list[str]:
    return [event.name for event in simulation.events[start:]]


def test_clocks_fire_in_due_order_at_their_own_time() -> None:
    simulation = simulated(
        lead(
            {
                "remind": {"from": "new", "to": "qualified", "on": {"after": "2 days"}},
                "forget": {"from": "qualified", "to": "won", "on": {"after": "30 days"}},
            }
        )
    )
    assert simulation.next_due() == START + timedelta(days=2)
    simulation.advance(START + timedelta(days=90))
    entered = [event.at - START for event in simulation.events if event.name == "stage_entered"]
    assert entered == [timedelta(), timedelta(days=2), timedelta(days=32)]
    assert simulation.state.status == "completed"
    assert simulation.now == START + timedelta(days=90)
    assert simulation.next_due() is None


def test_time_stops_where_it_is_told_to() -> None:
    simulation = simulated(running({"wait": "1h"}))
    simulation.give(Act(actor=ANN, action="go"))
    simulation.advance(START + timedelta(minutes=59))
    assert simulation.state.records["lead-1"].running
    simulation.advance(START + timedelta(minutes=60))
    assert not simulation.state.records["lead-1"].running


def test_calls_are_rendered_and_succeed_by_default() -> None:
    run = [
        {"channel": "email", "with": {"to": "{{ data.email }}", "subject": "Hello", "text": "x"}}
    ]
    simulation = simulated(running(run), channels=load_channels())
    simulation.give(Act(actor=ANN, action="go"))
    [call] = simulation.calls
    assert (call.kind, call.outcome, call.content["to"]) == ("email", "done", "ann@example.com")
    assert not simulation.state.records["lead-1"].running


def test_a_call_that_its_channel_would_refuse_fails() -> None:
    run = [{"channel": "email", "with": {"to": "{{ data.mail }}", "subject": "Hello", "text": "x"}}]
    simulation = simulated(running(run), channels=load_channels())
    simulation.give(Act(actor=ANN, action="go"))
    [incident] = simulation.state.incidents.values()
    assert incident.code == "invalid_parameters"
    assert "nobody is named: it came out empty" in incident.message


def test_answers_take_their_time_and_are_kept_for_later_steps() -> None:
    def answering(request: CallRequest) -> Answer:
        return Answer(response={"ok": True}, after=timedelta(seconds=2))

    simulation = simulated(running([{"channel": "log", "name": "told"}]), answering=answering)
    simulation.give(Act(actor=ANN, action="go"))
    assert simulation.calls[0].outcome == "running"
    assert simulation.next_due() == START + timedelta(seconds=2)
    simulation.advance(START + timedelta(days=1))
    assert simulation.calls[0].ended_at == START + timedelta(seconds=2)
    assert simulation.state.records["lead-1"].steps["run/0"]["response"] == {"ok": True}


def test_failures_are_incidents_that_can_be_retried() -> None:
    answers = iter([Answer(outcome="failed", code="http_503", attempts=3), Answer()])
    simulation = simulated(running([{"channel": "log"}]), answering=lambda _request: next(answers))
    simulation.give(Act(actor=ANN, action="go"))
    [incident] = simulation.state.incidents.values()
    assert (incident.code, incident.attempts) == ("http_503", 3)
    simulation.give(RetryIncident(actor=ANN, incident=incident.id))
    assert not simulation.state.incidents
    assert [call.request.key for call in simulation.calls] == [simulation.calls[0].request.key] * 2


def test_calls_that_nobody_wants_any_more_are_cancelled() -> None:
    document = running([{"channel": "log"}])
    document["transitions"]["done"]["interrupts"] = True
    slow = Answer(after=timedelta(days=1))
    simulation = simulated(document, answering=lambda _request: slow)
    simulation.give(Act(actor=ANN, action="go"))
    simulation.give(Act(actor=ANN, action="done"))
    assert simulation.calls[0].outcome == "cancelled"
    assert simulation.state.status == "completed"


def test_events_from_outside_reach_waiting_steps() -> None:
    simulation = simulated(running({"waitFor": {"event": "email.opened", "timeout": "2 days"}}))
    simulation.give(Act(actor=ANN, action="go"))
    simulation.advance(START + timedelta(days=1))
    simulation.give(ReceiveEvent(actor=ANN, event="email.opened"))
    assert not simulation.state.timers
    assert "step_ended" in names(simulation)


def test_a_run_that_goes_in_circles_is_stopped() -> None:
    circling = lead(
        {
            "there": {"from": "new", "to": "qualified", "on": {"after": "1s"}},
            "back": {"from": "qualified", "to": "new", "on": {"after": "1s"}},
        }
    )
    simulation = simulated(circling, most_events=1_000)
    with pytest.raises(TooLong, match="in circles"):
        simulation.advance(START + timedelta(days=90))

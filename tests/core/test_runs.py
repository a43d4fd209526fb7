"""What a stage runs: steps, joins, and what waits for them (R7 to R9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from nexus.core.commands import Actor
from nexus.core.events import ActionTaken, ChannelSucceeded, EventReceived, StepEnded, TimerFired
from nexus.core.state import Assignees
from tests.core.playing import ADMIN, ANN, BOB, NOON, Document, Play, lead, names, only, refused

MAIL: Document = {"channel": "email"}
HOOK: Document = {"channel": "webhook"}
LEAVE: Document = {"from": "work", "to": "done"}


def working(run: object, leave: Mapping[str, object] = LEAVE, **rest: object) -> Document:
    """A lead whose stage `work` runs something, with the transition `leave` out of it."""
    stages = [{"id": "work", "run": run}, "done", "end"]
    transitions = {"leave": dict(leave), "finish": {"from": "done", "to": "end"}}
    return lead({**transitions, **rest.pop("transitions", {})}, stages, **rest)  # type: ignore[dict-item]


def played(run: object, leave: Mapping[str, object] = LEAVE, **rest: object) -> Play:
    play = Play(working(run, leave, **rest))
    play.start()
    return play


# --- parallel, sequence ----------------------------------------------------------------------


def test_an_array_starts_all_together_and_waits_for_all() -> None:
    """FR-L2-004, BR-008."""
    play = played([MAIL, HOOK, MAIL])
    assert play.calls() == ["run/0", "run/1", "run/2"]
    play.ends("run/1")
    play.ends("run/0")
    assert play.lead.run["run"] == "running"
    play.ends("run/2")
    assert not play.lead.running
    assert play.lead.run == {"run": "done", "run/0": "done", "run/1": "done", "run/2": "done"}


def test_a_call_is_named_by_record_visit_and_path() -> None:
    play = played({"sequence": [MAIL]})
    assert list(play.state.calls) == ["lead-1/1/run/sequence/0"]


def test_a_single_step_needs_no_list() -> None:
    play = played(MAIL)
    assert play.calls() == ["run"]
    play.ends("run")
    assert not play.lead.running


def test_a_sequence_goes_on_whatever_became_of_the_step_before() -> None:
    """R9: a failed step has ended."""
    play = played({"sequence": [MAIL, HOOK]})
    assert play.calls() == ["run/sequence/0"]
    play.ends("run/sequence/0", "failed")
    assert play.calls() == ["run/sequence/1"]
    play.ends("run/sequence/1")
    assert play.lead.run["run"] == "done"


def test_sibling_branches_finish_when_one_channel_fails() -> None:
    """REL-002, R9, R10: a failure becomes an incident and blocks nothing."""
    play = played([MAIL, HOOK])
    play.ends("run/0", "failed", attempts=3)
    assert play.calls() == ["run/1"]
    play.ends("run/1")
    assert not play.lead.running
    (incident,) = play.state.incidents.values()
    assert (incident.code, incident.attempts, incident.record) == ("unreachable", 3, "lead-1")
    assert "'email'" in incident.message
    play.act("leave")
    assert play.lead.stage == "done"


@pytest.mark.parametrize("empty", [[], {"parallel": []}, {"sequence": []}, {"inclusive": []}])
def test_an_empty_block_joins_at_once(empty: object) -> None:
    play = played(empty)
    assert not play.lead.running
    play.act("leave")


def test_blocks_nest_to_any_depth() -> None:
    run: object = MAIL
    for _ in range(15):
        run = {"sequence": [[run], {"parallel": [HOOK]}]}
    play = played(run)
    while play.state.calls:
        play.ends(next(iter(play.state.calls.values())).path)
    assert not play.lead.running
    assert set(play.lead.run.values()) == {"done"}


# --- when, gateways --------------------------------------------------------------------------


def test_when_skips_a_step_and_says_why() -> None:
    play = played([{**MAIL, "when": "data.score > 50"}, HOOK])
    assert play.calls() == ["run/1"]
    skipped = only([e for e in play.events if isinstance(e, StepEnded)], StepEnded)
    assert (skipped.step, skipped.outcome) == ("run/0", "skipped")
    assert "data.score" in str(skipped.why)


def test_when_is_looked_at_when_the_turn_of_the_step_has_come() -> None:
    play = played({"sequence": [MAIL, {**HOOK, "when": "data.score > 50"}]})
    play.act("update", data={"score": 60})
    play.ends("run/sequence/0")
    assert play.calls() == ["run/sequence/1"]


GATEWAY = [
    {"when": "data.a == 1", "do": MAIL},
    {"when": "data.b == 1", "do": [HOOK, MAIL]},
]


@pytest.mark.parametrize(
    ("data", "calls"),
    [
        ({"a": 1, "b": 1}, ["run/inclusive/0/do", "run/inclusive/1/do/0", "run/inclusive/1/do/1"]),
        ({"b": 1}, ["run/inclusive/1/do/0", "run/inclusive/1/do/1"]),
        ({}, ["run/default"]),
    ],
)
def test_every_true_branch_runs_else_the_default_and_they_join(
    data: Mapping[str, object], calls: list[str]
) -> None:
    """FR-L2-005."""
    play = Play(working({"inclusive": GATEWAY, "default": MAIL}))
    play.start(data)
    assert play.calls() == calls
    for path in calls:
        assert play.lead.running
        play.ends(path)
    assert not play.lead.running


def test_the_first_true_branch_of_an_exclusive_one_runs_alone() -> None:
    play = Play(working({"exclusive": GATEWAY, "default": MAIL}))
    play.start({"a": 1, "b": 1})
    assert play.calls() == ["run/exclusive/0/do"]
    play.ends("run/exclusive/0/do")
    assert play.lead.run["run/exclusive/1/do"] == "skipped"
    assert play.lead.run["run/default"] == "skipped"
    assert not play.lead.running


def test_a_gateway_without_a_true_branch_and_a_default_joins() -> None:
    """Design 9.4: dead branches cannot hang a join."""
    play = played([{"exclusive": GATEWAY}, {"inclusive": GATEWAY}])
    assert not play.lead.running


def test_branches_are_decided_on_once() -> None:
    play = Play(working({"inclusive": GATEWAY, "default": MAIL}))
    play.start({"a": 1})
    play.act("update", data={"b": 1})
    play.ends("run/inclusive/0/do")
    assert not play.lead.running


# --- waiting ---------------------------------------------------------------------------------


def test_a_wait_is_a_clock() -> None:
    play = played({"sequence": [{"wait": "3 days"}, MAIL]})
    (timer,) = play.state.timers.values()
    assert (timer.kind, timer.due) == ("wait", NOON + timedelta(days=3))
    assert timer.id == "lead-1/1/run/sequence/0"
    play.wait(days=4)
    assert play.calls() == ["run/sequence/1"]
    assert not play.state.timers


def waiting(**more: object) -> Document:
    return {"waitFor": {"event": "opened", "timeout": "2 days", "then": MAIL, "else": HOOK, **more}}


def test_an_event_that_is_waited_for_leads_on_to_then() -> None:
    play = played(waiting())
    received = only(play.event("opened", {"by": "ann"}), EventReceived)
    assert received.consumed == ("lead-1: run",)
    assert play.calls() == ["run/waitFor/then"]
    assert not play.state.timers
    play.ends("run/waitFor/then")
    assert play.lead.run["run"] == "done"


def test_its_absence_leads_on_to_else() -> None:
    play = played(waiting())
    play.wait(days=2)
    assert play.calls() == ["run/waitFor/else"]
    play.event("opened")
    assert play.calls() == ["run/waitFor/else"]
    play.ends("run/waitFor/else")
    assert play.lead.run["run"] == "timed_out"
    assert not play.lead.running


def test_waiting_without_branches_ends_by_the_event() -> None:
    play = played({"waitFor": {"event": "opened"}})
    play.event("closed")
    assert play.lead.running
    play.event("opened")
    assert not play.lead.running


def test_an_event_that_came_earlier_in_the_visit_is_kept_for_a_step() -> None:
    """R8."""
    play = played({"sequence": [MAIL, {"waitFor": {"event": "opened"}}]})
    received = only(play.event("opened", {"n": 1}), EventReceived)
    assert (received.consumed, received.kept) == ((), ("lead-1",))
    play.ends("run/sequence/0")
    assert not play.lead.running
    assert not play.lead.awaiting


def test_one_step_consumes_one_event() -> None:
    """R8."""
    one = {"waitFor": {"event": "opened"}}
    play = played([one, one])
    play.event("opened")
    assert play.lead.running
    play.event("opened")
    assert not play.lead.running


def test_kept_events_are_of_the_stage_visit_in_which_they_came() -> None:
    """R8."""
    run = {"sequence": [MAIL, {"waitFor": {"event": "opened"}}]}
    again = {"again": {"from": "work", "to": "work", "interrupts": True}}
    play = played(run, transitions=again)
    play.event("opened")
    play.act("again")
    play.ends("run/sequence/0", "cancelled") if len(play.state.calls) == 1 else None
    assert not play.lead.awaiting


def test_events_nobody_could_use_are_not_kept() -> None:
    play = played(MAIL)
    assert only(play.event("whatever"), EventReceived).kept == ()


def test_a_record_keeps_so_many_events_and_refuses_more() -> None:
    play = played({"sequence": [MAIL, {"waitFor": {"event": "opened"}}]})
    for _ in range(100):
        play.event("opened")
    before = play.state
    refused("too_large", lambda: play.event("opened"), "100")
    assert play.state is before


def test_a_step_after_an_event_sees_it_and_what_went_before_by_name() -> None:
    then = {"set": {"by": "event.data.by", "score": "steps.enrich.response.score"}}
    run = {
        "sequence": [
            {**HOOK, "name": "enrich"},
            {"waitFor": {"event": "opened", "then": then}},
        ]
    }
    play = played(run)
    play.ends("run/sequence/0", response={"score": 7})
    play.event("opened", {"by": "ann"})
    assert play.lead.data == {"by": "ann", "score": 7}
    assert not play.lead.running


# --- set, tasks ------------------------------------------------------------------------------


def test_set_computes_data_of_the_record() -> None:
    play = Play(working({"sequence": [{"set": {"doubled": "data.n * 2"}}, MAIL]}))
    play.start({"n": 4})
    assert play.lead.data == {"doubled": 8}
    assert play.calls() == ["run/sequence/1"]


def test_a_set_that_cannot_be_computed_is_an_incident_and_goes_on() -> None:
    play = played({"sequence": [{"set": {"doubled": "data.n * 2"}}, MAIL]})
    assert play.lead.run["run/sequence/0"] == "failed"
    assert play.calls() == ["run/sequence/1"]
    (incident,) = play.state.incidents.values()
    assert "data.n" in incident.message
    refused("conflict", lambda: play.retry(incident.id), "skip")
    play.skip(incident.id)
    assert not play.state.incidents


def test_a_task_waits_for_a_person_beside_the_channels() -> None:
    play = played([MAIL, {"task": {"title": "Call Ann", "assign": {"users": ["bob"]}}}])
    (task,) = play.state.tasks.values()
    assert (task.title, task.assignees) == ("Call Ann", Assignees(("bob",)))
    play.ends("run/0")
    refused("forbidden", lambda: play.complete(task.id, actor=ANN), "'bob'")
    play.complete(task.id, actor=BOB, data={"reached": True}, comment="she is in")
    assert not play.lead.running
    assert not play.state.tasks
    refused("wrong_stage", lambda: play.complete(task.id, actor=BOB), "completed")
    refused("not_found", lambda: play.complete("task-999", actor=BOB))
    refused("not_found", lambda: play.complete("nothing", actor=BOB))


def test_a_task_of_nobody_is_of_those_who_are_assigned_to_the_record() -> None:
    play = played({"task": {"title": "Call"}})
    play.act("assign", data={"users": ["bob"]})
    task = next(iter(play.state.tasks))
    refused("forbidden", lambda: play.complete(task, actor=ANN))
    play.complete(task, actor=BOB)


def test_an_admin_completes_any_task_and_that_is_told() -> None:
    play = played({"task": {"title": "Call", "assign": {"roles": ["rep"]}}})
    task = next(iter(play.state.tasks))
    completed = play.complete(task, actor=ADMIN)[0]
    assert getattr(completed, "override", None) is True


def test_whoever_is_named_by_a_task_completes_it_whatever_roles_can() -> None:
    """R11 is on top of who is assigned: the definition itself names them here."""
    roles = {"rep": {"can": ["leave"]}}
    play = played({"task": {"title": "Call", "assign": {"roles": ["rep"]}}}, roles=roles)
    task = next(iter(play.state.tasks))
    refused("forbidden", lambda: play.complete(task, actor=Actor("x", ("other",))), "'rep'")
    play.complete(task, actor=Actor("x", ("rep",)))


def test_what_a_task_brought_is_seen_by_its_name() -> None:
    run = {
        "sequence": [
            {"task": {"title": "Call"}, "name": "call"},
            {**MAIL, "when": "steps.call.data.reached and steps.call.by == 'ann'"},
        ]
    }
    play = played(run)
    play.complete(next(iter(play.state.tasks)), data={"reached": True})
    assert play.calls() == ["run/sequence/1"]


def test_steps_of_a_later_version_are_skipped_and_say_so() -> None:
    play = played([{"start": "other"}, {"split": {"variants": {"a": {}}}}])
    assert not play.lead.running
    assert play.lead.run["run/0"] == "skipped"


# --- R7: what waits for the join --------------------------------------------------------------


def test_actions_out_of_the_stage_wait_for_the_join() -> None:
    """R7."""
    play = played([MAIL, {"task": {"title": "Call Ann"}}])
    told = refused("run_in_progress", lambda: play.act("leave"), "'email'", "'Call Ann'")
    assert told.details["record"] == "lead-1"
    refused("run_in_progress", lambda: play.act("convert"))
    assert play.can("leave")["code"] == "run_in_progress"
    play.act("comment", comment="still here")
    play.act("update", data={"n": 1})
    play.ends("run/0")
    play.complete(next(iter(play.state.tasks)))
    assert play.can("leave")["allowed"]
    play.act("leave")


def test_who_may_not_act_is_told_that_first() -> None:
    play = played(MAIL, {**LEAVE, "by": {"users": ["bob"]}})
    refused("forbidden", lambda: play.act("leave", actor=ANN))
    refused("run_in_progress", lambda: play.act("leave", actor=BOB))


def test_a_transition_that_interrupts_cancels_what_is_left() -> None:
    """R7: its calls are cancelled, its clocks and tasks dropped."""
    run = [MAIL, HOOK, {"task": {"title": "Call"}}, {"wait": "1 day"}]
    play = played(run, {**LEAVE, "interrupts": True})
    play.ends("run/0")
    play.act("leave")
    assert play.lead.stage == "done"
    assert not play.state.tasks
    assert not play.state.timers
    (call,) = play.state.calls.values()
    assert call.cancelling
    play.ends("run/1", "cancelled")
    assert not play.state.calls
    assert not play.state.incidents
    assert play.lead.run == {}


def test_a_cancelled_call_that_succeeds_all_the_same_is_noted() -> None:
    play = played([HOOK], {**LEAVE, "interrupts": True})
    play.act("leave")
    only(play.ends("run/0"), ChannelSucceeded)
    assert play.lead.run == {}
    assert play.lead.stage == "done"


def test_a_clock_waits_for_the_join() -> None:
    """R7."""
    play = played(MAIL, {**LEAVE, "on": {"after": "1 day"}})
    fired = only(play.wait(days=2), TimerFired)
    assert fired.outcome == "awaits_join"
    assert play.lead.stage == "work"
    events = play.ends("run")
    assert only(events, TimerFired).outcome == "taken"
    assert play.lead.stage == "done"


def test_a_clock_that_interrupts_does_not_wait() -> None:
    play = played(MAIL, {**LEAVE, "on": {"after": "1 day"}, "interrupts": True})
    play.wait(days=2)
    assert play.lead.stage == "done"


def test_an_automatic_transition_waits_for_the_join() -> None:
    """R7."""
    play = played(MAIL, {**LEAVE, "on": "auto"})
    assert play.lead.stage == "work"
    play.ends("run")
    assert play.lead.stage == "done"


def test_an_automatic_transition_sees_what_the_steps_answered() -> None:
    good = "steps.webhook.response.score > 5"
    play = played(HOOK, {**LEAVE, "on": "auto", "condition": good})
    play.ends("run", response={"score": 9})
    assert play.lead.stage == "done"


def test_an_event_waits_for_the_join() -> None:
    """R7."""
    play = played(MAIL, {**LEAVE, "on": {"event": "opened"}, "condition": "event.data.n == 1"})
    play.event("opened", {"n": 2})
    play.event("opened", {"n": 1})
    assert play.lead.stage == "work"
    play.ends("run")
    assert play.lead.stage == "done"
    assert [e.name for e in play.events].count("event_applied") == 2


def test_what_waits_for_the_join_has_its_turn_in_due_order() -> None:
    """R7: a clock that was due first goes first, whichever was noticed first."""
    other = {"other": {"from": "work", "to": "end", "on": {"event": "opened"}}}
    play = played(MAIL, {**LEAVE, "on": {"after": "1 day"}}, transitions=other)
    play.now += timedelta(days=2)  # the shell was away when the clock came due
    play.event("opened")
    play.due("lead-1/1/after:leave")
    play.ends("run")
    assert play.lead.stage == "done"


def test_an_event_consumed_by_a_step_takes_no_transition_later() -> None:
    """R8: it reaches one of them."""
    run = {"sequence": [{"waitFor": {"event": "opened"}}, MAIL]}
    play = played(run, {**LEAVE, "on": {"event": "opened"}})
    play.event("opened")
    play.ends("run/sequence/1")
    assert play.lead.stage == "work"
    play.event("opened")
    assert play.lead.stage == "done"


# --- ends (R4) -------------------------------------------------------------------------------


def test_the_run_of_a_final_stage_joins_before_the_instance_ends() -> None:
    """R4."""
    play = Play(lead({"win": {"from": "new", "to": "won"}}, ["new", {"id": "won", "run": [MAIL]}]))
    play.start()
    play.act("win")
    assert (play.lead.status, play.status()) == ("final", "active")
    play.ends("run/0")
    assert play.status() == "completed"


def test_a_task_of_a_final_stage_can_be_completed() -> None:
    run = {"task": {"title": "Thank them"}}
    play = Play(lead({"win": {"from": "new", "to": "won"}}, ["new", {"id": "won", "run": run}]))
    play.start()
    play.act("win")
    play.complete(next(iter(play.state.tasks)))
    assert play.status() == "completed"


def test_closing_a_record_stops_its_run() -> None:
    play = played([MAIL, {"wait": "9 days"}])
    play.act("close")
    assert play.lead.status == "closed"
    assert play.status() == "active"
    play.ends("run/0", "cancelled")
    assert play.status() == "completed"


def test_cancelling_an_instance_waits_for_its_calls() -> None:
    play = played([MAIL, {"task": {"title": "Call"}}, {"wait": "9 days"}])
    play.act("cancel")
    assert play.status() == "active"
    assert (play.state.timers, play.state.tasks) == ({}, {})
    refused("wrong_stage", lambda: play.act("comment", comment="x"), "ending as cancelled")
    play.ends("run/0")
    assert play.status() == "cancelled"
    assert play.events[-1].name == "instance_ended"


def test_cancelling_what_calls_nothing_ends_it_at_once() -> None:
    play = played({"wait": "9 days"})
    play.act("cancel")
    assert play.status() == "cancelled"


# --- the history ------------------------------------------------------------------------------


def test_the_history_tells_the_run_in_order() -> None:
    play = played([MAIL, {"task": {"title": "Call"}}])
    play.ends("run/0", attempts=2)
    play.complete(next(iter(play.state.tasks)))
    assert names(play.events) == [
        "instance_started",
        "record_created",
        "stage_entered",
        "step_started",
        "channel_requested",
        "task_opened",
        "channel_succeeded",
        "task_completed",
        "step_ended",
    ]
    assert {e.actor for e in play.events if e.name.startswith(("step", "channel"))} == {"system"}


def test_steps_run_as_the_system_whoever_takes_the_action() -> None:
    again = {"again": {"from": "work", "to": "work"}}
    play = played([{**MAIL, "when": "actor.id == 'system'"}], transitions=again)
    assert play.calls() == ["run/0"]
    play.ends("run/0")
    play.act("again", actor=BOB)
    assert play.calls() == ["run/0"]
    assert only([e for e in play.events if isinstance(e, ActionTaken)], ActionTaken).actor == "bob"

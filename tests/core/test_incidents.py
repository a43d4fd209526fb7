"""Incidents (R10): what failed is kept until it is tried again to success, or skipped."""

from __future__ import annotations

import pytest

from nexus.core.commands import Actor, CallEnded, GiveUp, Start
from nexus.core.events import IncidentClosed, IncidentRaised
from nexus.core.incidents import lingers
from nexus.core.rows import Identity, history_row, project, snapshot
from tests.core.playing import ACME, ADMIN, ANN, BOB, Document, Play, lead, only, refused

IDENTITY = Identity("i-1", "acme", "acme:test:account:acme")
MAIL: Document = {"channel": "email"}


@pytest.fixture
def failed() -> Play:
    """A lead whose mail has failed, and that could go on."""
    stages = [{"id": "new", "run": [MAIL]}, "won"]
    play = Play(lead({"win": {"from": "new", "to": "won"}}, stages))
    play.start()
    play.ends("run/0", "failed", attempts=3)
    return play


def test_a_failure_names_call_attempts_and_reason(failed: Play) -> None:
    incident = failed.state.incidents["incident-7"]
    assert incident.call is not None
    assert (incident.call.id, incident.attempts) == ("lead-1/1/run/0", 3)
    assert incident.message == "The channel 'email' failed in 'new': No answer."


def test_a_retry_calls_again_under_the_same_id(failed: Play) -> None:
    """R10: the idempotency key follows from the id."""
    failed.retry("incident-7")
    (call,) = failed.state.calls.values()
    assert (call.id, call.incident) == ("lead-1/1/run/0", "incident-7")
    assert failed.state.incidents["incident-7"].retrying
    refused("conflict", lambda: failed.retry("incident-7"), "already")
    refused("conflict", lambda: failed.skip("incident-7"))


def test_a_retry_that_succeeds_resolves_the_incident(failed: Play) -> None:
    failed.retry("incident-7")
    closed = only(failed.ends("run/0"), IncidentClosed)
    assert closed.outcome == "resolved"
    assert not failed.state.incidents
    assert failed.lead.run["run/0"] == "done"


def test_a_retry_that_fails_raises_the_same_incident_again(failed: Play) -> None:
    since = failed.state.incidents["incident-7"].raised_at
    failed.wait(1)
    failed.retry("incident-7")
    raised = only(failed.ends("run/0", "failed", attempts=3, code="refused"), IncidentRaised)
    assert raised.incident == "incident-7"
    (incident,) = failed.state.incidents.values()
    assert (incident.attempts, incident.code, incident.retrying) == (6, "refused", False)
    assert incident.raised_at == since


def test_a_call_can_be_retried_after_its_record_has_moved_on(failed: Play) -> None:
    """REL-002: the failure blocked nothing."""
    failed.act("close")
    assert failed.status() == "completed"
    failed.retry("incident-7")
    failed.ends("run/0")
    assert not failed.state.incidents


def test_a_retry_of_an_earlier_visit_leaves_the_later_one_alone() -> None:
    again = {"again": {"from": "new", "to": "new"}}
    play = Play(lead(again, [{"id": "new", "run": [MAIL]}, "won"]))
    play.start()
    play.ends("run/0", "failed")
    play.act("again")
    (incident,) = play.state.incidents
    play.retry(incident)
    assert set(play.state.calls) == {"lead-1/1/run/0", "lead-1/2/run/0"}
    play.give(CallEnded(call="lead-1/1/run/0", outcome="done"))
    assert play.lead.run == {"run": "running", "run/0": "running"}
    assert not play.state.incidents


def test_skipping_settles_an_incident_as_it_is(failed: Play) -> None:
    closed = only(failed.skip("incident-7"), IncidentClosed)
    assert (closed.outcome, closed.actor) == ("skipped", "ann")
    refused("not_found", lambda: failed.skip("incident-7"), "none is open")
    assert not failed.state.calls


def test_who_may_act_on_the_record_may_settle_its_incidents(failed: Play) -> None:
    """R11."""
    failed.act("assign", data={"users": ["bob"]})
    refused("forbidden", lambda: failed.skip("incident-7", actor=ANN))
    failed.retry("incident-7", actor=BOB)
    failed.ends("run/0", "failed")
    failed.skip("incident-7", actor=ADMIN)


def test_a_definition_with_roles_says_which_may_retry() -> None:
    """R11."""
    roles = {"rep": {"can": ["win"]}, "ops": {"can": ["retry", "skip"]}}
    stages = [{"id": "new", "run": [MAIL]}, "won"]
    play = Play(lead({"win": {"from": "new", "to": "won"}}, stages, roles=roles))
    play.start()
    play.ends("run/0", "failed")
    (incident,) = play.state.incidents
    refused("forbidden", lambda: play.retry(incident, actor=Actor("x", ("rep",))), "'ops'")
    play.retry(incident, actor=Actor("x", ("ops",)))


# --- after the end -----------------------------------------------------------------------------


@pytest.fixture
def ended(failed: Play) -> Play:
    failed.act("win")
    assert failed.status() == "completed"
    return failed


def test_what_failed_can_be_retried_after_the_end(ended: Play) -> None:
    """Nothing is lost: the last mail of a pipeline fails like any other."""
    assert lingers(ended.state)
    ended.retry("incident-7")
    assert lingers(ended.state)
    ended.ends("run/0")
    assert not lingers(ended.state)
    assert ended.status() == "completed"
    refused("wrong_stage", lambda: ended.act("comment", comment="x"))


def test_skipping_the_last_one_after_the_end_lets_the_instance_go(ended: Play) -> None:
    ended.skip("incident-7")
    assert not lingers(ended.state)
    refused("wrong_stage", lambda: ended.skip("incident-7"), "ended")


def test_a_new_start_has_to_have_the_former_instance_give_up_what_it_keeps(ended: Play) -> None:
    """BR-007: the subject is free for a new instance."""
    told = refused(
        "conflict", lambda: ended.give(Start(actor=ANN, subject=ACME)), "incident-7", "give"
    )
    assert told.details == {"keeps": ["incident-7"]}
    closed = only(ended.give(GiveUp(actor=ANN)), IncidentClosed)
    assert closed.outcome == "dropped"
    assert not lingers(ended.state)


def test_a_call_on_its_way_is_cancelled_for_a_new_start(ended: Play) -> None:
    ended.retry("incident-7")
    ended.give(GiveUp(actor=ANN))
    assert lingers(ended.state)
    ended.ends("run/0", "cancelled")
    assert not lingers(ended.state)
    assert not ended.state.incidents


def test_an_open_instance_gives_nothing_up(failed: Play) -> None:
    refused("conflict", lambda: failed.give(GiveUp(actor=ANN)), "open")


def test_who_may_not_start_may_not_have_it_give_up() -> None:
    roles = {"ops": {"can": ["start", "win"]}, "rep": {"can": ["win"]}}
    stages = [{"id": "new", "run": [MAIL]}, "won"]
    play = Play(lead({"win": {"from": "new", "to": "won"}}, stages, roles=roles))
    play.start(actor=Actor("o", ("ops",)))
    play.ends("run/0", "failed")
    play.act("win", actor=Actor("r", ("rep",)))
    refused("forbidden", lambda: play.give(GiveUp(actor=Actor("r", ("rep",)))), "'ops'")
    play.give(GiveUp(actor=Actor("o", ("ops",))))


def test_cancelling_gives_up_all_incidents(failed: Play) -> None:
    closed = only(failed.act("cancel"), IncidentClosed)
    assert closed.outcome == "dropped"
    assert not lingers(failed.state)


# --- no call behind it --------------------------------------------------------------------------


def test_the_same_trouble_is_told_once_while_it_lasts() -> None:
    """R5: it would be found anew at every command."""
    broken = {"from": "new", "to": "won", "on": "auto", "set": {"x": "data.missing * 2"}}
    play = Play(lead({"go": broken}, ["new", "won"]))
    play.start()
    play.act("comment", comment="a")
    play.act("comment", comment="b")
    assert [e.name for e in play.events].count("incident_raised") == 1
    play.act("update", data={"missing": 2})
    assert play.lead.stage == "won"
    assert not play.state.incidents
    assert [e.name for e in play.events].count("incident_closed") == 1


# --- rows ---------------------------------------------------------------------------------------


def test_open_incidents_stand_in_the_snapshot_and_the_projection(failed: Play) -> None:
    (row,) = snapshot(IDENTITY, failed.program, failed.state).incidents
    assert (row.id, row.seq, row.status, row.retryable) == ("incident-7", 7, "open", True)
    assert (row.stage, row.step, row.channel, row.attempts) == ("new", "run/0", "email", 3)
    rows = [history_row(event) for event in failed.retry("incident-7")]
    (row,) = project(IDENTITY, failed.program, failed.state, rows).incidents
    assert row.status == "retrying"


def test_a_settled_incident_is_projected_once_more(failed: Play) -> None:
    rows = [history_row(event) for event in failed.skip("incident-7")]
    (row,) = project(IDENTITY, failed.program, failed.state, rows).incidents
    assert (row.status, row.closed_by, row.closed_at) == ("skipped", "ann", failed.now)
    assert not snapshot(IDENTITY, failed.program, failed.state).incidents


def test_a_task_row_names_who_may_complete_it() -> None:
    run = [{"task": {"title": "Call"}}, {"task": {"title": "Write", "assign": {"roles": ["x"]}}}]
    play = Play(lead({}, [{"id": "new", "run": run}, "won"]))
    play.start()
    rows = [history_row(event) for event in play.act("assign", data={"users": ["bob"]})]
    call, write = project(IDENTITY, play.program, play.state, rows).tasks
    assert (call.title, call.users, call.roles) == ("Call", ("bob",), ())
    assert (write.title, write.users, write.roles) == ("Write", (), ("x",))


def test_a_record_whose_stage_runs_is_pending_for_nobody() -> None:
    play = Play(lead({}, [{"id": "new", "run": [MAIL]}, "won"]))
    play.start()
    (record,) = snapshot(IDENTITY, play.program, play.state).records
    assert (record.pending, record.running) == (False, True)
    play.ends("run/0")
    (record,) = snapshot(IDENTITY, play.program, play.state).records
    assert (record.pending, record.running) == (True, False)

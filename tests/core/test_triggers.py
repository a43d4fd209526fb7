"""What takes a transition when nobody asks: auto, event, after (R5, R7, R8, R18)."""

from datetime import timedelta

import pytest

from nexus.core.commands import Actor, NewRecord, RefusedSignal, TimerDue
from nexus.core.durations import format_duration, parse_duration
from nexus.core.events import (
    EventReceived,
    IncidentRaised,
    SignalRefused,
    StageEntered,
    TimerFired,
)
from nexus.core.settling import AUTO_LIMIT
from tests.core.playing import BOB, NOON, Document, Play, lead, names, only, refused

GO = {"from": "new", "to": "qualified"}


def auto(**more: object) -> Document:
    return {**GO, "on": "auto", **more}


def started(definition: object, *records: NewRecord, **data: object) -> Play:
    play = Play(definition)
    play.start(data, records=records)
    return play


# --- auto ----------------------------------------------------------------------------------


def test_an_automatic_transition_is_taken_as_soon_as_its_condition_holds() -> None:
    """R5: after every change, by the system."""
    play = started(lead({"go": auto(condition="data.score > 50")}), score=40)
    assert play.lead.stage == "new"
    entered = only(play.act("update", data={"score": 51}), StageEntered)
    assert (entered.stage, entered.trigger, entered.actor) == ("qualified", "auto", "system")


def test_an_automatic_transition_may_be_taken_at_the_start() -> None:
    """R5."""
    play = started(lead({"go": auto(condition="data.score > 50")}), score=60)
    assert play.lead.stage == "qualified"


def test_automatic_transitions_are_tried_in_document_order() -> None:
    """R5: across all records."""
    document = {
        "id": "x",
        "entities": {"b": {"stages": ["b0", "b1", "b2"]}, "a": {"stages": ["a0", "a1", "a2"]}},
        "transitions": {
            "first": {"from": "a0", "to": "a1", "on": "auto", "condition": "data.go"},
            "second": {"from": "b0", "to": "b1", "on": "auto", "condition": "data.go"},
            "never": {"from": "a0", "to": "a2", "on": "auto", "condition": "data.go"},
        },
    }
    play = Play(document)
    events = play.start({"go": True}, records=[NewRecord("b"), NewRecord("a")])
    taken = [e.transition for e in events if isinstance(e, StageEntered) and e.transition]
    assert taken == ["first", "second"]


def test_one_automatic_transition_leads_to_the_next() -> None:
    """R5: what one computes, the next one sees."""
    play = started(
        lead(
            {
                "go": auto(condition="data.x == 1", set={"y": "data.x + 1"}),
                "on": {"from": "qualified", "to": "won", "on": "auto", "condition": "data.y == 2"},
            }
        )
    )
    events = play.act("update", data={"x": 1})
    assert names(events) == [
        "action_taken",
        "data_changed",
        "data_changed",
        "stage_entered",
        "stage_entered",
        "instance_ended",
    ]


def test_an_automatic_transition_is_no_action() -> None:
    play = started(lead({"go": auto(condition="data.x == 1")}))
    refused("not_found", lambda: play.act("go"), "taken by itself")


def test_fifty_automatic_transitions_in_a_row_become_an_incident() -> None:
    """R5: none of them was taken, the record stays where it is, the instance goes on living."""
    play = Play(lead({"there": auto(), "back": {"from": "qualified", "to": "new", "on": "auto"}}))
    events = play.start()
    assert sum(isinstance(e, StageEntered) for e in events) == 1
    incident = only(events, IncidentRaised)
    assert events[-1] is incident
    assert (incident.code, incident.record) == ("auto_loop", "lead-1")
    assert incident.details == {"transition": "there", "limit": AUTO_LIMIT}
    assert play.status() == "active"
    play.act("cancel")
    assert play.status() == "cancelled"


def test_a_loop_does_not_feed_on_the_clocks_of_the_stages_that_it_passes() -> None:
    """R5: else each clock that comes due would begin the next fifty, for ever."""
    transitions: Document = {
        "there": auto(condition="data.go"),
        "back": {"from": "qualified", "to": "new", "on": "auto"},
        "late": {"from": "new", "to": "won", "on": {"after": "2s"}, "condition": "data.ok"},
    }
    play = started(lead(transitions))
    clocks = dict(play.state.timers)
    events = play.act("update", data={"go": True})
    assert names(events) == ["action_taken", "data_changed", "incident_raised"]
    assert dict(play.state.timers) == clocks
    play.due("lead-1/1/after:late")
    assert not play.state.timers


def test_exactly_fifty_in_a_row_are_no_incident() -> None:
    """R5."""
    count = {"from": "new", "to": "new", "on": "auto", "condition": "data.n < 50"}
    play = started(lead({"count": {**count, "set": {"n": "data.n + 1"}}}), n=0)
    assert play.lead.data == {"n": 50}
    assert "incident_raised" not in names(play.events)


def test_a_refused_set_of_an_automatic_transition_becomes_an_incident() -> None:
    """R5: nobody waits for an answer, so a person must hear of it; the action itself stands."""
    play = started(lead({"go": auto(condition="data.x == 1", set={"y": "data.missing"})}))
    events = play.act("update", data={"x": 1})
    assert names(events) == ["action_taken", "data_changed", "incident_raised"]
    incident = only(events, IncidentRaised)
    assert incident.code == "invalid_data"
    assert incident.message == (
        "'go' was not taken: go.set.y cannot be computed: data.missing is missing."
    )
    assert play.lead.stage == "new"
    assert play.lead.data == {"x": 1}


def test_a_refused_automatic_transition_lets_the_next_one_pass() -> None:
    """R5: in document order, each on its own."""
    play = started(
        lead({"bad": auto(set={"y": "data.missing"}), "good": auto()}),
    )
    assert names(play.events)[-3:] == ["incident_raised", "incident_closed", "stage_entered"]
    assert play.lead.stage == "qualified"


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_no_automatic_transition_follows_the_end(end: str) -> None:
    """R4: whatever its condition says of the end, or keeps failing at."""
    play = started(
        lead(
            {
                "late": auto(condition="instance.status != 'active'"),
                "bad": auto(set={"y": "data.missing"}, condition="has(data.missing) == false"),
            }
        )
    )
    assert play.act(end)[-1].name == "instance_ended"
    assert play.lead.stage == "new"


def test_an_automatic_condition_sees_no_actor_but_the_system() -> None:
    """Who caused the change does not matter."""
    play = started(lead({"go": auto(condition={"role_check": "admin"})}))
    play.act("update", data={"x": 1}, actor=Actor("root", ("admin",)))
    assert play.lead.stage == "new"


# --- event ---------------------------------------------------------------------------------

OPENED = {**GO, "on": {"event": "email.opened"}}


def test_an_event_takes_the_transition_that_waits_for_it() -> None:
    """R8, design 3.1."""
    play = started(lead({"go": OPENED}))
    events = play.event("email.opened", {"mail": 7}, actor=BOB)
    received, entered = only(events, EventReceived), only(events, StageEntered)
    assert (received.event, received.data, received.actor) == ("email.opened", {"mail": 7}, "bob")
    assert (entered.trigger, entered.actor) == ("event", "system")


def test_an_event_that_nothing_waits_for_is_kept_in_the_history() -> None:
    """R8."""
    play = started(lead({"go": OPENED}))
    assert names(play.event("email.closed")) == ["event_received"]
    assert play.lead.stage == "new"


def test_the_history_says_what_an_event_takes_and_why_not() -> None:
    """Nobody is told in the answer, so whoever asks "did it do anything?" reads it there."""
    play = started(lead({"go": {**OPENED, "condition": "event.data.n > 1"}}))
    received = only(play.event("email.opened", {"n": 1}), EventReceived)
    assert received.takes == ()
    assert [(one["record"], one["transition"], one["result"]) for one in received.why] == [
        ("lead-1", "go", False)
    ]
    received = only(play.event("email.opened", {"n": 2}), EventReceived)
    assert (received.takes, received.why) == (("lead-1: go",), ())


def test_events_are_for_roles_once_a_role_lists_them() -> None:
    """SR-001: as with `start` and `add`."""
    document = lead({"go": OPENED})
    document["roles"] = {"mailer": {"can": ["event"]}, "rep": {"can": ["comment"]}}
    play = started(document)
    refused("forbidden", lambda: play.event("email.opened", actor=Actor("ann", ("rep",))), "mailer")
    play.event("email.opened", actor=Actor("post", ("mailer",)))
    assert play.lead.stage == "qualified"


def test_a_condition_sees_the_event() -> None:
    go = {**OPENED, "condition": "event.type == 'email.opened' and event.data.n > 1"}
    play = started(lead({"go": {**go, "set": {"n": "event.data.n"}}}))
    assert names(play.event("email.opened", {"n": 1})) == ["event_received"]
    play.event("email.opened", {"n": 2})
    assert play.lead.data == {"n": 2}


def test_an_event_takes_one_transition_of_each_record() -> None:
    """R8: the first whose condition holds; it does not go on to the next stage."""
    again = {"from": "qualified", "to": "won", "on": {"event": "email.opened"}}
    play = started(
        lead({"no": {**OPENED, "condition": "false"}, "go": OPENED, "again": again}),
        NewRecord("lead"),
        NewRecord("lead"),
    )
    play.event("email.opened")
    assert play.stages() == {"lead-1": "qualified", "lead-2": "qualified"}


def test_an_event_for_one_record_leaves_its_siblings_alone() -> None:
    play = started(lead({"go": OPENED}), NewRecord("lead"), NewRecord("lead"))
    play.event("email.opened", record="lead-2")
    assert play.stages() == {"lead-1": "new", "lead-2": "qualified"}
    refused("not_found", lambda: play.event("email.opened", record="lead-3"), "lead-1, lead-2")


def test_an_event_for_an_ended_record_gets_wrong_stage() -> None:
    """R4."""
    play = started(lead({"go": OPENED}), NewRecord("lead"), NewRecord("lead"))
    play.act("close", record="lead-1")
    refused("wrong_stage", lambda: play.event("email.opened", record="lead-1"), "has ended")


def test_an_event_passes_by_plain_data() -> None:
    document = lead({"go": OPENED})
    document["entities"]["contact"] = {}
    play = started(document, NewRecord("contact"), NewRecord("lead"))
    play.event("email.opened")
    assert play.stages() == {"contact-1": None, "lead-1": "qualified"}


def test_a_transition_on_an_event_is_no_action() -> None:
    play = started(lead({"go": OPENED}))
    refused("not_found", lambda: play.act("go"), "taken by the event 'email.opened'")


def test_a_refused_transition_on_an_event_becomes_an_incident() -> None:
    """The event itself stands."""
    play = started(lead({"go": {**OPENED, "set": {"n": "event.data.n"}}}))
    assert names(play.event("email.opened")) == ["event_received", "incident_raised"]
    assert play.lead.stage == "new"


# --- after ---------------------------------------------------------------------------------

LATER = {**GO, "on": {"after": "3 days"}}


def test_a_clock_is_set_on_entering_the_stage_and_takes_the_transition_when_due() -> None:
    """Design 3.1: counted from entering."""
    play = started(lead({"go": LATER}))
    (timer,) = play.state.timers.values()
    assert (timer.id, timer.record, timer.kind, timer.name) == (
        "lead-1/1/after:go",
        "lead-1",
        "transition",
        "go",
    )
    assert timer.due == NOON + timedelta(days=3)
    assert timer.summary == "go: lead-1 leaves new after 3 days"
    assert play.wait(days=2.9) == []
    events = play.wait(days=0.2)
    assert names(events) == ["timer_fired", "stage_entered"]
    assert only(events, TimerFired).outcome == "taken"
    entered = only(events, StageEntered)
    assert (entered.trigger, entered.actor, entered.at) == ("after", "system", timer.due)
    assert play.state.timers == {}


def test_a_stale_clock_changes_nothing() -> None:
    """A clock that came due as its stage was left."""
    play = started(lead({"go": LATER, "act": GO}))
    play.act("act")
    before = play.state
    assert play.due("lead-1/1/after:go") == []
    assert play.state is before
    assert play.give(TimerDue(timer="nonsense")) == []


def test_leaving_a_stage_cancels_its_clocks() -> None:
    """Design 4: clocks are cancelled when their stage is left."""
    play = started(lead({"go": LATER, "act": GO}))
    play.act("act")
    assert play.state.timers == {}


def test_entering_again_starts_a_clock_anew() -> None:
    play = started(lead({"go": LATER, "again": {"from": "new", "to": "new"}}))
    play.now += timedelta(days=1)
    play.act("again")
    (timer,) = play.state.timers.values()
    assert (timer.id, timer.due) == ("lead-1/2/after:go", NOON + timedelta(days=4))


def test_clocks_of_siblings_go_on() -> None:
    """MAINT-004."""
    play = started(lead({"go": LATER, "act": GO}), NewRecord("lead"), NewRecord("lead"))
    play.act("act", record="lead-1")
    assert list(play.state.timers) == ["lead-2/1/after:go"]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_an_end_cancels_all_clocks(end: str) -> None:
    play = started(lead({"go": LATER}))
    play.act(end)
    assert play.state.timers == {}
    assert play.due("lead-1/1/after:go") == []


def test_assigning_and_updating_restart_no_clock() -> None:
    """R18."""
    play = started(lead({"go": LATER}))
    before = play.state.timers
    play.now += timedelta(days=1)
    play.act("assign", data={"users": ["ann"]})
    play.act("update", data={"a": 1})
    assert play.state.timers == before


def test_a_clock_whose_condition_does_not_hold_is_spent_and_the_history_says_why() -> None:
    play = started(lead({"go": {**LATER, "condition": "data.score > 50"}}), score=40)
    fired = only(play.wait(days=3), TimerFired)
    assert fired.outcome == "condition_not_met"
    assert fired.why[0]["values"] == {"data.score": 40}
    assert play.lead.stage == "new"
    assert play.state.timers == {}
    play.act("update", data={"score": 60})
    assert play.wait(days=30) == []


def test_a_clock_whose_transition_is_refused_says_so_and_becomes_an_incident() -> None:
    play = started(lead({"go": {**LATER, "set": {"a": "data.missing"}}}))
    events = play.wait(days=3)
    assert names(events) == ["timer_fired", "incident_raised"]
    assert only(events, TimerFired).outcome == "invalid_data"
    assert play.lead.stage == "new"
    assert play.state.timers == {}


def test_clocks_apply_in_due_order() -> None:
    """R7: the one that leaves the stage cancels the others."""
    play = started(
        lead(
            {
                "late": LATER,
                "early": {"from": "new", "to": "won", "on": {"after": "1h"}},
            }
        )
    )
    assert len(play.state.timers) == 2
    play.wait(days=10)
    assert play.lead.stage == "won"
    assert play.status() == "completed"


def test_a_final_stage_has_no_clocks() -> None:
    document = lead({"never": {"from": ["new", "won"], "to": "new", "on": {"after": "1h"}}})
    play = started(document, NewRecord("lead"), NewRecord("lead"))
    play.act("close", record="lead-2")
    play.wait(days=0.01)
    play.act("convert", record="lead-1")
    play.act("convert", record="lead-1")
    assert play.state.timers == {}


def test_a_transition_after_a_while_is_no_action() -> None:
    play = started(lead({"go": LATER}))
    refused("not_found", lambda: play.act("go"), "3 days after its stage was entered")


def test_the_summary_of_a_clock_fits_its_column() -> None:
    """Storage keeps 500 characters."""
    name, label = "t" * 100, "L" * 200
    after = "9 days 23 hours 59 minutes 59.123456 seconds"
    document = {
        "id": "x",
        "entities": {"e" * 100: {"stages": [{"id": "a", "label": label}, "b"]}},
        "transitions": {name: {"from": "a", "to": "b", "on": {"after": after}}},
    }
    play = started(document)
    (timer,) = play.state.timers.values()
    assert len(timer.summary) < 500
    assert timer.summary.endswith(format_duration(parse_duration(after)))


# --- signals ---------------------------------------------------------------------------------


def test_a_refused_signal_is_kept_and_changes_nothing_else() -> None:
    """R27: nobody waits for an answer, so the history has it."""
    play = started(lead({"go": GO}))
    before = play.state
    signal = RefusedSignal(actor=Actor("system:signal"), code="wrong_stage", message="no")
    (event,) = play.give(signal)
    assert isinstance(event, SignalRefused)
    assert (event.code, event.message, event.actor) == ("wrong_stage", "no", "system:signal")
    assert play.state.records == before.records
    assert play.state.seq == before.seq + 1

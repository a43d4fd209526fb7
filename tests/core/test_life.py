"""From the start of an instance to its end: records, actions, data (R1, R3, R4, R6)."""

import pytest

from nexus.core.commands import Actor, NewRecord, Stop
from nexus.core.events import (
    ActionTaken,
    Assigned,
    CommentAdded,
    DataChanged,
    InstanceEnded,
    InstanceStarted,
    RecordClosed,
    RecordCreated,
    StageEntered,
    TimerFired,
)
from nexus.core.state import NOBODY, Assignees
from nexus.core.transitions import MOST_RECORDS
from tests.core.playing import ANN, BOB, NOON, Document, Play, lead, names, only, refused, whys

GO = {"from": "new", "to": "qualified"}
WIN = {"from": "qualified", "to": "won"}

SHOP: Document = {
    "id": "shop",
    "entities": {
        "contact": {"fields": ["name", "email"]},
        "lead": {"stages": ["new", "qualified", "won"]},
        "deal": {"stages": ["open", "signed", "paid"]},
    },
    "transitions": {
        "qualify": GO,
        "win": WIN,
        "sign": {"from": "open", "to": "signed"},
        "pay": {"from": "signed", "to": "paid"},
    },
}


def started(definition: object, *records: NewRecord, **data: object) -> Play:
    play = Play(definition)
    play.start(data, records=records)
    return play


# --- starting ------------------------------------------------------------------------------


def test_a_start_creates_one_record_of_the_first_entity_that_has_stages() -> None:
    """R4: plain data is not meant."""
    play = Play(SHOP)
    events = play.start({"score": 1})
    assert names(events) == ["instance_started", "record_created", "stage_entered"]
    assert play.stages() == {"lead-1": "new"}
    begun = only(events, InstanceStarted)
    assert (begun.definition, begun.version, begun.data) == ("shop", "0.0.0", {"score": 1})
    entered = only(events, StageEntered)
    assert (entered.previous, entered.transition, entered.trigger) == (None, None, "start")
    assert play.state.started_by == "ann"
    assert play.state.started_at == NOON


def test_a_start_may_name_the_entity() -> None:
    """R4."""
    play = Play(SHOP)
    play.start(entity="deal")
    assert play.stages() == {"deal-1": "open"}


def test_a_start_may_list_records_with_their_data() -> None:
    """R4: `records` says otherwise, several of one entity included."""
    play = started(
        SHOP,
        NewRecord("contact", {"name": "Ann"}),
        NewRecord("deal", {"amount": 5}),
        NewRecord("deal"),
    )
    assert play.stages() == {"contact-1": None, "deal-1": "open", "deal-2": "open"}
    assert play.state.records["contact-1"].data == {"name": "Ann"}
    assert play.state.records["deal-1"].data == {"amount": 5}


def test_an_entity_beside_records_comes_first() -> None:
    """R4."""
    play = Play(SHOP)
    play.start(entity="lead", records=[NewRecord("deal")])
    assert play.stages() == {"lead-1": "new", "deal-1": "open"}


def test_an_instance_of_plain_data_stays_open_until_close() -> None:
    """R4: without staged records."""
    play = started({"id": "x", "entities": {"contact": {}}}, NewRecord("contact"))
    assert play.status() == "active"
    assert names(play.act("close")) == ["action_taken", "instance_ended"]
    assert play.status() == "completed"


def test_an_unknown_entity_is_refused_with_the_nearest_and_nothing_is_started() -> None:
    play = Play(SHOP)
    refused("invalid_data", lambda: play.start(entity="laed"), "laed", "Did you mean 'lead'?")
    refused("invalid_data", lambda: play.start(records=[NewRecord("x")]), "contact, lead, deal")
    assert play.status() == "new"
    assert play.state.seq == 0


def test_a_second_start_is_refused_while_the_instance_is_open() -> None:
    """BR-007: one open instance per definition and subject."""
    play = started(SHOP)
    refused("instance_exists", play.start, "account 'acme' has an open instance of 'shop'")


def test_a_start_that_reaches_an_ended_instance_says_to_start_again() -> None:
    """BR-007: it has no open instance any more; this one is closing."""
    play = started(SHOP)
    play.act("cancel")
    refused("conflict", play.start, "start again")


def test_a_command_before_the_start_gets_wrong_stage() -> None:
    """R4."""
    play = Play(SHOP)
    refused("wrong_stage", lambda: play.act("qualify"), "not been started")
    refused("wrong_stage", lambda: play.event("x"))
    refused("wrong_stage", lambda: play.add("lead"))
    refused("wrong_stage", lambda: play.give(Stop()))


def test_a_record_of_an_entity_with_one_stage_ends_as_it_begins() -> None:
    """R3: the only stage is final; R4: so the instance ends."""
    play = Play(lead(stages=["only"]))
    assert names(play.start())[-1] == "instance_ended"
    assert play.status() == "completed"


# --- walking -------------------------------------------------------------------------------


def test_an_action_moves_the_record_and_says_what_it_did() -> None:
    """US-001."""
    play = started(SHOP)
    events = play.act("qualify", data={"x": 1}, comment="good")
    taken, entered = only(events, ActionTaken), only(events, StageEntered)
    assert (taken.action, taken.record, taken.input, taken.comment) == (
        "qualify",
        "lead-1",
        {"x": 1},
        "good",
    )
    assert (entered.previous, entered.stage, entered.transition, entered.trigger) == (
        "new",
        "qualified",
        "qualify",
        "action",
    )
    assert [event.actor for event in events] == ["ann", "ann"]
    assert (play.lead.visit, play.lead.previous) == (2, "new")


def test_an_action_from_another_stage_gets_wrong_stage_and_says_where_it_stands() -> None:
    """R4."""
    play = started(SHOP)
    refusal = refused("wrong_stage", lambda: play.act("win"), "'lead-1' stands in 'new'")
    assert refusal.details == {"from": ["qualified"]}


def test_an_unknown_action_names_the_nearest() -> None:
    play = started(SHOP)
    refusal = refused("not_found", lambda: play.act("qualifi"), "Did you mean 'qualify'?")
    assert refusal.details["actions"] == list(play.program.actions)


@pytest.mark.parametrize("action", ["attach", "optimize", "rollback"])
def test_an_action_that_is_not_built_yet_says_so(action: str) -> None:
    play = started(SHOP)
    refused("not_found", lambda: play.act(action), "not available in this version")


def test_a_transition_replaces_the_built_in_action_of_its_name() -> None:
    """Design 3.1; also of one that is not built yet."""
    play = started(lead({"close": GO, "rollback": {"from": "qualified", "to": "new"}}))
    play.act("close")
    assert play.lead.stage == "qualified"
    play.act("rollback")
    assert play.lead.stage == "new"
    assert play.lead.visit == 3


def test_a_stage_can_be_entered_again_from_itself() -> None:
    play = started(lead({"again": {"from": "new", "to": "new"}}))
    play.act("again")
    assert (play.lead.stage, play.lead.visit, play.lead.previous) == ("new", 2, "new")


def test_records_walk_independently_of_their_siblings() -> None:
    """MAINT-004: in one instance, a lead may be won while its deal has not begun."""
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"), NewRecord("lead"))
    before = play.state.records["deal-1"]
    play.act("qualify", record="lead-1")
    play.act("win")
    assert play.stages() == {"lead-1": "won", "deal-1": "open", "lead-2": "new"}
    assert play.state.records["deal-1"] is before
    assert play.status() == "active"
    play.act("sign")
    play.act("pay")
    play.act("close")
    assert play.status() == "completed"


def test_the_one_eligible_record_is_meant() -> None:
    """R6: others of its entity stand elsewhere."""
    play = started(SHOP, NewRecord("lead"), NewRecord("lead"))
    play.act("qualify", record="lead-2")
    play.act("win")
    play.act("qualify")
    assert play.stages() == {"lead-1": "qualified", "lead-2": "won"}


@pytest.mark.parametrize("action", ["qualify", "assign", "convert", "close", "update"])
def test_several_eligible_records_are_listed(action: str) -> None:
    """R6."""
    play = started(SHOP, NewRecord("lead"), NewRecord("lead"))
    refusal = refused("ambiguous", lambda: play.act(action, data={"users": []}), "lead-1, lead-2")
    assert refusal.details == {"records": ["lead-1", "lead-2"]}


def test_a_refusal_lists_ten_and_counts_the_rest() -> None:
    """A message stays readable, whatever an instance holds; details have them all."""
    play = started(SHOP, *[NewRecord("lead")] * 30)
    refusal = refused("ambiguous", lambda: play.act("qualify"), "lead-10 and 20 more")
    assert len(refusal.details["records"]) == 30  # type: ignore[arg-type]  # a list
    refused("not_found", lambda: play.act("close", record="x"), "lead-10 and 20 more")


@pytest.mark.parametrize("action", ["qualify", "assign", "convert", "close", "update", "comment"])
def test_a_record_that_is_not_there_is_not_found(action: str) -> None:
    play = started(SHOP)
    refused("not_found", lambda: play.act(action, record="lead-9"), "lead-9", "lead-1")


def test_an_action_on_a_record_of_another_entity_gets_wrong_stage() -> None:
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"))
    refused("wrong_stage", lambda: play.act("qualify", record="deal-1"), "'deal-1' stands in")


@pytest.mark.parametrize("action", ["qualify", "assign", "convert", "close", "update", "comment"])
def test_a_command_to_an_ended_record_gets_wrong_stage(action: str) -> None:
    """R4."""
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"))
    play.act("close", record="lead-1")
    refused("wrong_stage", lambda: play.act(action, record="lead-1", comment="x"), "has ended")


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_command_to_an_ended_instance_gets_wrong_stage(end: str) -> None:
    """R4."""
    play = started(SHOP)
    play.act(end)
    for action in ("qualify", "comment", "update", "cancel", "nonsense"):
        refused("wrong_stage", lambda a=action: play.act(a), "has ended")  # type: ignore[misc]
    refused("wrong_stage", lambda: play.event("x"))
    refused("wrong_stage", lambda: play.add("lead"))
    refused("wrong_stage", lambda: play.give(Stop()))


def test_the_instance_ends_when_all_staged_records_have_ended() -> None:
    """R4: final or closed; plain data is not asked."""
    play = started(SHOP, NewRecord("contact"), NewRecord("lead"), NewRecord("deal"))
    play.act("close", record="deal-1")
    play.act("convert", record="lead-1")
    assert play.status() == "active"
    events = play.act("win")
    ended = only(events, InstanceEnded)
    assert (ended.status, ended.actor) == ("completed", "system")
    assert play.state.records["contact-1"].status == "open"


# --- convert, close, cancel ----------------------------------------------------------------


def test_convert_moves_to_the_next_listed_stage() -> None:
    """Design 3.1, where no transition is declared."""
    play = started(lead())
    entered = only(play.act("convert"), StageEntered)
    assert (entered.stage, entered.transition, entered.trigger) == ("qualified", None, "action")


def test_convert_respects_the_condition_of_a_declared_transition() -> None:
    """It is no way around a condition; and takes the transition with its `set`."""
    go = {**GO, "condition": "data.score > 50", "set": {"good": True}}
    play = started(lead({"go": go}), score=40)
    refusal = refused("condition_not_met", lambda: play.act("convert"), "data.score is 40")
    assert whys(refusal)[0]["values"] == {"data.score": 40}
    play.act("update", data={"score": 51})
    entered = only(play.act("convert"), StageEntered)
    assert entered.transition == "go"
    assert play.lead.data == {"score": 51, "good": True}


def test_convert_respects_the_takers_of_a_declared_transition() -> None:
    """It is no way around `by`."""
    play = started(lead({"go": {**GO, "by": {"users": ["bob"]}}}))
    refused("forbidden", lambda: play.act("convert"), "it is for 'bob'")
    play.act("convert", actor=BOB)
    assert play.lead.stage == "qualified"


def test_convert_respects_the_input_of_a_declared_transition() -> None:
    """FR-L2-009."""
    schema = {"why": {"type": "string", "required": True}}
    play = started(lead({"go": {**GO, "input": schema}}))
    refused("invalid_data", lambda: play.act("convert"), "why is required")
    play.act("convert", data={"why": "big"})
    assert play.lead.stage == "qualified"


def test_convert_respects_the_roles_of_a_declared_transition() -> None:
    """R11: who may convert, and may not take the transition, does not get around that."""
    document = lead({"go": GO})
    document["roles"] = {"rep": {"can": ["convert"]}, "boss": {"can": ["convert", "go"]}}
    play = started(document)
    rep, boss = Actor("rex", ("rep",)), Actor("ann", ("boss",))
    refused("forbidden", lambda: play.act("convert", actor=rep), "may not take 'go'", "'boss'")
    play.act("convert", actor=boss)
    assert play.lead.stage == "qualified"


@pytest.mark.parametrize("on", ["auto", {"event": "approved"}, {"after": "3 days"}])
def test_convert_respects_the_condition_of_a_transition_that_nobody_takes(on: object) -> None:
    play = started(lead({"go": {**GO, "on": on, "condition": "data.score > 50"}}), score=40)
    refused("condition_not_met", lambda: play.act("convert"), "data.score is 40")


def test_convert_takes_the_first_declared_transition_that_is_open() -> None:
    """In document order."""
    play = started(
        lead(
            {
                "a": {**GO, "by": {"users": ["bob"]}},
                "b": {**GO, "condition": "data.x == 1"},
                "c": {**GO, "set": {"by": "'c'"}},
            }
        )
    )
    assert only(play.act("convert"), StageEntered).transition == "c"


def test_convert_refuses_in_the_last_listed_stage() -> None:
    """R3: here the last listed is not final."""
    play = started(lead(stages=[{"id": "lost", "final": True}, "new"]), NewRecord("lead"))
    assert play.status() == "completed"
    play = started({"id": "x", "entities": {"lead": {"sla": {}}}})
    refused("wrong_stage", lambda: play.act("convert"), "'open', the last listed stage")


@pytest.mark.parametrize("action", ["convert", "assign"])
def test_what_needs_a_stage_is_refused_to_plain_data(action: str) -> None:
    play = started(SHOP, NewRecord("contact"), NewRecord("deal"))
    refused("wrong_stage", lambda: play.act(action, record="contact-1"), "has stages")


def test_nothing_with_stages_is_a_wrong_stage_for_what_needs_them() -> None:
    play = started(SHOP, NewRecord("contact"))
    refused("wrong_stage", lambda: play.act("convert"), "No open record here has stages")
    refused("wrong_stage", lambda: play.act("qualify"), "there is none")


def test_close_ends_the_record_where_it_stands() -> None:
    """Design 3.1."""
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"))
    closed = only(play.act("close", record="lead-1"), RecordClosed)
    assert closed.stage == "new"
    assert (play.lead.status, play.lead.stage) == ("closed", "new")
    assert play.status() == "active"


def test_close_ends_a_record_of_plain_data() -> None:
    play = started(SHOP, NewRecord("contact"), NewRecord("contact"))
    play.act("close", record="contact-1")
    assert play.state.records["contact-1"].status == "closed"
    assert play.status() == "active"
    refused("wrong_stage", lambda: play.act("close", record="contact-1"), "has ended")


def test_cancel_ends_the_instance_whatever_is_open() -> None:
    """Design 3.1."""
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"))
    events = play.act("cancel", comment="no budget")
    assert names(events) == ["action_taken", "instance_ended"]
    assert play.status() == "cancelled"
    assert play.state.ended_at == NOON


def test_cancel_takes_no_record() -> None:
    play = started(SHOP)
    refused("invalid_data", lambda: play.act("cancel", record="lead-1"), "whole instance")


def test_an_operator_can_stop_the_run() -> None:
    """The run itself was cancelled: the instance ends as cancelled, by the system."""
    play = started(SHOP)
    (ended,) = play.give(Stop())
    assert (ended.name, ended.actor, play.status()) == ("instance_ended", "system", "cancelled")


# --- adding records ------------------------------------------------------------------------


def test_a_record_is_added_to_a_running_instance() -> None:
    """Design 6."""
    play = started(SHOP)
    events = play.add("deal", {"amount": 5})
    assert names(events) == ["action_taken", "record_created", "stage_entered"]
    assert only(events, ActionTaken).action == "add"
    assert play.stages() == {"lead-1": "new", "deal-1": "open"}
    play.add("deal")
    assert list(play.state.records) == ["lead-1", "deal-1", "deal-2"]


def test_an_added_record_keeps_the_instance_open() -> None:
    """R4."""
    play = started(SHOP)
    play.add("deal")
    play.act("close", record="lead-1")
    assert play.status() == "active"


def test_adding_what_there_is_none_of_is_refused() -> None:
    play = started(SHOP)
    refused("invalid_data", lambda: play.add("del"), "Did you mean 'deal'?")
    refused("invalid_data", lambda: play.add("contact", {"phone": 1}), "unknown field 'phone'")


# --- comments and assignment ---------------------------------------------------------------


def test_a_comment_is_kept_with_the_one_open_record() -> None:
    """Design 3.1."""
    play = started(SHOP)
    kept = only(play.act("comment", comment="call her"), CommentAdded)
    assert (kept.record, kept.comment, kept.actor) == ("lead-1", "call her", "ann")


def test_a_comment_without_a_record_is_the_instance_s_where_several_are_open() -> None:
    play = started(SHOP, NewRecord("lead"), NewRecord("deal"))
    assert only(play.act("comment", comment="x"), CommentAdded).record is None
    assert only(play.act("comment", comment="x", record="deal-1"), CommentAdded).record == "deal-1"


@pytest.mark.parametrize("comment", [None, ""])
def test_an_empty_comment_is_refused(comment: str | None) -> None:
    play = started(SHOP)
    refused("invalid_data", lambda: play.act("comment", comment=comment), "needs a 'comment'")


def test_assign_replaces_the_assignees() -> None:
    """R12."""
    play = started(SHOP)
    play.act("assign", data={"users": ["ann", "bob", "ann"], "roles": ["sales"]})
    assert play.lead.assignees == Assignees(("ann", "bob"), ("sales",))
    assigned = only(play.act("assign", data={"users": ["bob"]}), Assigned)
    assert assigned.previous == Assignees(("ann", "bob"), ("sales",))
    assert play.lead.assignees == Assignees(("bob",))
    play.act("assign", actor=BOB, data={"users": []})
    assert play.lead.assignees == NOBODY


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "needs 'users' and 'roles'"),
        ({"user": ["ann"]}, "has no 'user'"),
        ({"users": "ann"}, "'users' as a list"),
        ({"roles": [5]}, "'roles' as a list"),
        ({"users": [""]}, "'users' as a list"),
        ({"users": ["x" * 201]}, "'users' as a list"),
    ],
)
def test_assign_says_what_it_takes(data: Document, words: str) -> None:
    """R12."""
    play = started(SHOP)
    refused("invalid_data", lambda: play.act("assign", data=data), words)
    assert play.lead.assignees == NOBODY


def test_entering_a_stage_assigns_it() -> None:
    """Design 3.1; a stage without `assign` keeps whoever is assigned."""
    stages = ["new", {"id": "check", "assign": {"users": ["ann"]}}, "sign", "won"]
    play = started(lead(stages=stages))
    play.act("convert")
    assert play.lead.assignees == Assignees(("ann",))
    play.act("convert")
    assert (play.lead.stage, play.lead.assignees) == ("sign", Assignees(("ann",)))


# --- data ----------------------------------------------------------------------------------


def test_data_is_the_record_s_over_the_instance_s() -> None:
    """R1."""
    go = {**GO, "condition": "data.score > 50 and data.region == 'EU'"}
    play = started(lead({"go": go}), score=40, region="EU")
    play.act("update", data={"score": 60})
    assert play.state.data == {"score": 40, "region": "EU"}
    assert play.lead.data == {"score": 60}
    play.act("go")


def test_an_action_s_data_is_input_and_is_not_kept() -> None:
    """R1: merged only by `set` or by `update`."""
    go = {**GO, "condition": "input.score > 50"}
    play = started(lead({"go": go}))
    refused("condition_not_met", lambda: play.act("go"), "input.score is missing")
    refused("condition_not_met", lambda: play.act("go", data={"score": 50}), "input.score is 50")
    play.act("go", data={"score": 51})
    assert play.lead.data == {}


def test_set_computes_from_everything_in_sight() -> None:
    """R1, design 3.1."""
    go = {
        **GO,
        "set": {
            "total": "data.amount * input.factor",
            "who": "actor.id",
            "when": "now",
            "text": "'won'",
            "flag": True,
            "gone": None,
            "stage": "record.stage",
            "subject": "subject",
            "since": "instance.started_at",
            "list": "[record.created_at, data.amount, record.users]",
        },
    }
    play = started(lead({"go": go}), amount=20)
    changed = only(play.act("go", data={"factor": 1.5}), DataChanged)
    moment = "2026-11-21T12:00:00Z"
    assert play.lead.data == {
        "total": 30.0,
        "who": "ann",
        "when": moment,
        "text": "won",
        "flag": True,
        "gone": None,
        "stage": "new",
        "subject": {"type": "account", "id": "acme"},
        "since": moment,
        "list": [moment, 20, []],
    }
    assert changed.changes == play.lead.data
    assert changed.previous == {}


def test_all_values_of_set_are_computed_from_what_was_before() -> None:
    go = {**GO, "set": {"a": "data.b", "b": "data.a"}}
    play = started(lead({"go": go}), a=1, b=2)
    play.act("go")
    assert play.lead.data == {"a": 2, "b": 1}


def test_a_value_that_cannot_be_computed_refuses_the_action_and_names_what_is_missing() -> None:
    play = started(lead({"go": {**GO, "set": {"total": "data.amount * 2"}}}))
    message = refused("invalid_data", lambda: play.act("go")).message
    assert message == "go.set.total cannot be computed: data.amount is missing."
    assert play.lead.stage == "new"


def test_data_cannot_be_put_into_itself_without_end() -> None:
    """R28: a value that doubles at each turn is refused long before it is too large to count."""
    play = started(lead({"fold": {"from": "new", "to": "new", "set": {"a": "[data, data]"}}}))
    with pytest.raises(Exception, match="cannot be computed") as caught:
        for _ in range(60):
            play.act("fold")
    assert caught.type.__name__ == "Rejected"
    assert play.lead.visit < 30


def test_data_cannot_be_nested_without_end() -> None:
    play = started(lead({"fold": {"from": "new", "to": "new", "set": {"a": "data"}}}))
    with pytest.raises(Exception, match="nested deeper than 32"):
        for _ in range(60):
            play.act("fold")


def test_long_texts_count_for_what_is_computed() -> None:
    lists = "[" + ", ".join(["data.text"] * 150) + "]"
    play = started(lead({"fold": {"from": "new", "to": "new", "set": {"a": lists}}}))
    play.act("update", data={"text": "x" * 10_000})
    refused("invalid_data", lambda: play.act("fold"), "10,000 values or 1,048,576 characters")


def test_update_merges_into_the_record() -> None:
    """R1."""
    play = started(SHOP)
    play.act("update", data={"a": 1, "b": {"c": 1}})
    changed = only(play.act("update", data={"b": 2}), DataChanged)
    assert play.lead.data == {"a": 1, "b": 2}
    assert (changed.changes, changed.previous) == ({"b": 2}, {"b": {"c": 1}})


def test_update_without_any_open_record_changes_the_instance() -> None:
    play = started({"id": "bare"}, a=1)
    play.act("update", data={"b": 2})
    assert play.state.data == {"a": 1, "b": 2}


def test_an_update_needs_data() -> None:
    play = started(SHOP)
    refused("invalid_data", lambda: play.act("update"), "needs 'data'")


def test_a_fields_list_is_closed_and_an_unknown_field_is_refused_by_name() -> None:
    """R1."""
    play = Play(lead(fields=["name", "email"]))
    wrong = [NewRecord("lead", {"nmae": "Ann"})]
    refusal = refused(
        "invalid_data", lambda: play.start(records=wrong), "unknown field 'nmae'", "'name'"
    )
    assert refusal.details["errors"] == [
        {"pointer": "/nmae", "message": "unknown field 'nmae'; did you mean 'name'?"}
    ]
    play.start({"anything": "goes"}, records=[NewRecord("lead", {"name": "Ann"})])
    refused("invalid_data", lambda: play.act("update", data={"phone": 1}), "unknown field 'phone'")
    play.act("update", data={"email": "a@example.com"})


def test_what_set_would_leave_behind_is_judged_by_the_fields() -> None:
    """R1."""
    play = started(lead({"go": {**GO, "set": {"phone": 1}}}, fields=["name"]))
    refused("invalid_data", lambda: play.act("go"), "unknown field 'phone'")
    assert play.lead.stage == "new"


def test_the_data_schema_judges_start_action_and_update() -> None:
    """FR-L2-009: data of every start and action is validated against it."""
    play = Play(lead({"go": GO}, dataSchema={"score": {"type": "number", "maximum": 100}}))
    refused("invalid_data", lambda: play.start({"score": "x"}), "score: 'x' is not a number")
    play.start({"score": 1, "other": "open"})
    refused("invalid_data", lambda: play.act("go", data={"score": 101}), "score: 101 is more than")
    refused("invalid_data", lambda: play.act("update", data={"score": None}), "score")
    refused("invalid_data", lambda: play.add("lead", {"score": []}), "score")
    assert play.lead.data == {}
    play.act("go", data={"score": 100})


def test_the_data_schema_sees_the_record_s_data_over_the_instance_s() -> None:
    """R1: what the instance has need not be said again."""
    schema = {"score": {"type": "number", "required": True}, "name": {"type": "string"}}
    play = Play(lead(dataSchema=schema))
    refused("invalid_data", play.start, "score is required")
    play.start({"score": 1})
    play.act("update", data={"name": "Ann"})


def test_a_data_schema_that_is_closed_stays_closed() -> None:
    """R1: open unless it says otherwise."""
    schema = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    play = Play(lead(dataSchema=schema))
    refused("invalid_data", lambda: play.start({"b": 1}), "unknown field 'b'")


def test_the_input_schema_judges_the_action_s_data_alone() -> None:
    """R1: in place of the `dataSchema`, and before anything else is done."""
    go = {**GO, "input": {"note": {"type": "string", "required": True}}}
    play = started(lead({"go": go}, dataSchema={"note": {"type": "number"}}))
    refusal = refused(
        "invalid_data", lambda: play.act("go", data={"note": 5}), "note: 5 is not text"
    )
    assert refusal.details["errors"] == [{"pointer": "/note", "message": "note: 5 is not text"}]
    refused("invalid_data", lambda: play.act("go"), "note is required")
    play.act("go", data={"note": "fine"})


@pytest.mark.parametrize(
    "value",
    [2**63, "\0", "\ud800", {"\0": 1}, [float("nan")], float("inf")],
)
def test_data_that_no_database_keeps_is_refused_wherever_it_comes_from(value: object) -> None:
    """The last barrier: a signal passes no other."""
    data = {"a": value}
    play = Play(SHOP)
    refused("invalid_data", lambda: play.start(data), "cannot be kept")
    refused("invalid_data", lambda: play.start(records=[NewRecord("lead", data)]))
    play.start()
    refused("invalid_data", lambda: play.act("qualify", data=data))
    refused("invalid_data", lambda: play.act("update", data=data))
    refused("invalid_data", lambda: play.add("lead", data))
    refused("invalid_data", lambda: play.event("x", data))


# --- creating --------------------------------------------------------------------------------


def with_deal(creates: object, **deal: object) -> Document:
    document = lead({"go": {**GO, "creates": creates}}, fields=["name", "amount"])
    document["entities"]["deal"] = {"stages": ["open", "paid"], **deal}
    return document


def test_a_transition_creates_a_record_beside_its_own() -> None:
    """Design 3.1: as in lead → opportunity; it starts in its first stage, and knows its parent."""
    play = started(with_deal("deal"))
    events = play.act("go")
    assert names(events) == [
        "action_taken",
        "stage_entered",
        "record_created",
        "stage_entered",
    ]
    assert only(events, RecordCreated).parent == "lead-1"
    assert play.stages() == {"lead-1": "qualified", "deal-1": "open"}
    assert play.state.records["deal-1"].parent == "lead-1"


def test_a_created_record_takes_over_the_fields_that_both_entities_list() -> None:
    play = started(
        with_deal("deal", fields=["amount", "name", "stage"]), NewRecord("lead", {"name": "Ann"})
    )
    play.act("go")
    assert play.state.records["deal-1"].data == {"name": "Ann"}


@pytest.mark.parametrize("creates", ["deal", {"entity": "deal"}])
def test_without_fields_a_created_record_begins_empty(creates: object) -> None:
    play = started(with_deal(creates), NewRecord("lead", {"name": "Ann"}))
    play.act("go")
    assert play.state.records["deal-1"].data == {}


def test_the_data_of_a_created_record_is_computed() -> None:
    play = started(
        with_deal({"entity": "deal", "data": {"title": "data.name", "size": "input.size"}}),
        NewRecord("lead", {"name": "Ann"}),
    )
    refused("invalid_data", lambda: play.act("go"), "go.creates.data.size", "input.size is missing")
    assert play.lead.stage == "new"
    play.act("go", data={"size": 3})
    assert play.state.records["deal-1"].data == {"title": "Ann", "size": 3}


def test_what_is_computed_for_a_created_record_sees_what_set_has_set() -> None:
    document = with_deal({"entity": "deal", "data": {"size": "data.amount"}})
    document["transitions"]["go"]["set"] = {"amount": "input.size * 2"}
    play = started(document)
    play.act("go", data={"size": 3})
    assert play.state.records["deal-1"].data == {"size": 6}


def test_a_record_that_cannot_be_created_refuses_the_whole_action() -> None:
    """A refusal changes nothing: neither is the lead moved."""
    play = started(with_deal({"entity": "deal", "data": {"phone": 1}}, fields=["name"]))
    before = play.state
    refused("invalid_data", lambda: play.act("go"), "unknown field 'phone'")
    assert play.state is before


def test_an_instance_has_at_most_a_thousand_records() -> None:
    """R28: refused, however the next one would come about."""
    document = lead({"go": {"from": "new", "to": "new", "creates": "lead", "on": {"after": "1h"}}})
    play = started(document, *[NewRecord("lead")] * MOST_RECORDS)
    refused("too_large", lambda: play.add("lead"), "at most 1,000 records")
    events = play.due("lead-1/1/after:go")
    assert names(events) == ["timer_fired", "incident_raised"]
    assert only(events, TimerFired).outcome == "too_large"
    assert len(play.state.records) == MOST_RECORDS
    too_many = [NewRecord("lead")] * (MOST_RECORDS + 1)
    refused("too_large", lambda: Play(lead()).start(records=too_many))


def test_a_transition_to_the_end_that_creates_keeps_the_instance_open() -> None:
    """R4."""
    document = with_deal("deal")
    document["transitions"]["go"]["to"] = "won"
    play = started(document)
    play.act("go")
    assert play.lead.status == "final"
    assert play.status() == "active"


def test_a_refusal_changes_nothing() -> None:
    """Conventions: a refused command raises and changes nothing."""
    play = started(SHOP, NewRecord("lead", {"a": 1}), NewRecord("deal"))
    before = play.state
    for action in ("win", "nonsense", "comment", "update", "assign", "convert"):
        with pytest.raises(Exception, match=":"):
            play.act(action, actor=ANN)
    assert play.state is before

"""`can` answers what the action itself would get, and changes nothing (design 6)."""

import json

import pytest

from nexus.core import State
from nexus.core.commands import Actor, NewRecord
from tests.core.playing import ADMIN, ANN, BOB, Document, Play, lead, refused

GO = {"from": "new", "to": "qualified"}
ROLES = {"seller": {"can": ["go"]}}


def started(definition: object, *records: NewRecord, **data: object) -> Play:
    play = Play(definition)
    play.start(data, records=records)
    return play


def test_what_may_be_taken_is_allowed_with_the_values_that_were_seen() -> None:
    """Design 6: `why` lists each condition with the values it saw."""
    condition = {"all": ["data.score > 50", {"not": "data.region == 'US'"}]}
    play = started(lead({"go": {**GO, "condition": condition}}), score=60, region="EU")
    answer = play.can("go")
    assert (answer["allowed"], answer["code"]) == (True, None)
    assert answer["message"] == "'ann' may take 'go' on 'lead-1'."
    (why,) = answer["why"]
    assert why["values"] == {"data.score": 60, "data.region": "EU"}
    assert [part["result"] for part in why["parts"]] == [True, True]
    json.dumps(answer)


def test_what_may_not_be_taken_says_why_not() -> None:
    """Design 6."""
    play = started(lead({"go": {**GO, "condition": "data.score > 50"}}), score=40)
    answer = play.can("go")
    assert (answer["allowed"], answer["code"]) == (False, "condition_not_met")
    assert "data.score is 40" in answer["message"]
    assert answer["why"][0]["values"] == {"data.score": 40}


def test_an_admin_is_told_that_it_would_be_as_admin() -> None:
    """R11."""
    play = started(lead({"go": GO}, roles=ROLES))
    assert play.can("go", actor=ADMIN)["message"].endswith(", as admin.")
    assert not play.can("go", actor=Actor("s", ("seller",)))["message"].endswith(", as admin.")


def test_an_action_on_the_instance_names_no_record() -> None:
    assert started({"id": "bare"}).can("close")["message"] == "'ann' may take 'close'."


@pytest.mark.parametrize(
    ("action", "record", "code"),
    [
        ("go", None, "ambiguous"),
        ("go", "lead-9", "not_found"),
        ("go", "lead-3", "wrong_stage"),
        ("win", None, "wrong_stage"),
        ("nonsense", None, "not_found"),
        ("later", None, "not_found"),
        ("go", "lead-1", "forbidden"),
        ("assign", "lead-1", "forbidden"),
        ("convert", "lead-1", "forbidden"),
        ("cancel", None, "forbidden"),
        ("cancel", "lead-2", "invalid_data"),
        ("strict", "lead-2", "condition_not_met"),
    ],
)
def test_a_refusal_is_the_one_that_the_action_gets(
    action: str, record: str | None, code: str
) -> None:
    """Design 6: the same code, message and reasons."""
    definition = lead(
        {
            "go": GO,
            "win": {"from": "qualified", "to": "won"},
            "later": {**GO, "on": {"after": "1h"}},
            "strict": {**GO, "condition": "data.x == 1"},
        }
    )
    play = started(definition, *[NewRecord("lead")] * 3)
    play.act("assign", record="lead-1", data={"users": ["bob"]})
    play.act("close", record="lead-3")
    before = play.state
    answer = play.can(action, record=record)
    refusal = refused(code, lambda: play.act(action, record=record))  # type: ignore[arg-type]
    assert answer == {
        "allowed": False,
        "code": code,
        "message": refusal.message,
        "why": refusal.details.get("why", []),
    }
    assert play.state is before


@pytest.mark.parametrize(
    "action", ["go", "assign", "comment", "convert", "update", "close", "cancel"]
)
@pytest.mark.parametrize("actor", [ANN, BOB, ADMIN])
def test_whoever_is_allowed_can(action: str, actor: Actor) -> None:
    """Design 6: with data that is right, the action then passes."""
    definition = lead({"go": {**GO, "by": {"users": ["bob"]}}})
    play = started(definition)
    play.act("assign", actor=ADMIN, data={"users": ["ann"]})
    data: Document = {"users": []} if action == "assign" else {"a": 1}
    if play.can(action, actor=actor)["allowed"]:
        play.act(action, actor=actor, data=data, comment="x")
    else:
        refused("forbidden", lambda: play.act(action, actor=actor, data=data, comment="x"))


def test_the_data_of_an_action_is_not_judged() -> None:
    """Nobody asks with the data in hand."""
    schema = {"note": {"type": "string", "required": True}}
    play = started(lead({"go": {**GO, "input": schema}}))
    assert play.can("go")["allowed"]
    assert play.can("assign")["allowed"]
    assert play.can("comment")["allowed"]


def test_convert_tells_the_condition_of_the_declared_transition() -> None:
    play = started(lead({"go": {**GO, "condition": "data.x == 1"}}), x=2)
    assert play.can("convert")["why"][0]["values"] == {"data.x": 2}
    assert play.can("convert")["code"] == "condition_not_met"


def test_nothing_can_be_done_before_the_start_and_after_the_end() -> None:
    """R4."""
    play = Play(lead({"go": GO}))
    assert play.can("go")["code"] == "wrong_stage"
    play.start()
    play.act("cancel")
    assert play.can("go")["code"] == "wrong_stage"
    assert "cancelled" in play.can("go")["message"]


def test_asking_changes_nothing() -> None:
    """Design 6: no effects."""
    play = started(lead({"go": {**GO, "set": {"a": 1}, "creates": "lead"}}))
    before = play.state
    for action in ("go", "convert", "close", "cancel", "nonsense"):
        play.can(action)
    assert play.state is before
    assert State() == Play(lead()).state


def test_can_sees_what_set_and_creates_would_refuse() -> None:
    """Where they need nothing from the action itself, its answer is the action's."""
    play = started(lead({"go": {**GO, "set": {"y": "data.x + 1"}}}))
    found = play.can("go")
    assert (found["allowed"], found["code"]) == (False, "invalid_data")
    assert "data.x is missing" in found["message"]
    play.act("update", data={"x": 1})
    before = play.state
    assert play.can("go")["allowed"] is True
    assert play.state is before


def test_can_does_not_judge_data_that_comes_with_the_action() -> None:
    play = started(lead({"go": {**GO, "set": {"y": "input.x + 1"}}}))
    assert play.can("go")["allowed"] is True


@pytest.mark.parametrize("opening", ["add", "event"])
def test_can_answers_for_what_is_no_action_on_a_record(opening: str) -> None:
    """R11: open to everybody, unless a role of the definition lists it."""
    assert started(lead()).can(opening)["message"] == f"'ann' may {opening!r}."
    listed = {"teller": {"can": [opening]}, **ROLES}
    play = started(lead({"go": GO}, roles=listed))
    refusal = play.can(opening)
    assert (refusal["allowed"], refusal["code"]) == (False, "forbidden")
    assert "'teller'" in str(refusal["message"])
    assert play.can(opening, actor=Actor("t", ("teller",)))["allowed"] is True
    assert play.can(opening, actor=ADMIN)["allowed"] is True
    assert started(lead({"go": GO}, roles=ROLES)).can(opening)["allowed"] is True
    play.act("cancel", actor=ADMIN)
    assert play.can(opening, actor=ADMIN)["code"] == "wrong_stage"
    assert Play(lead()).can(opening)["code"] == "wrong_stage"


def test_can_asks_for_the_record_that_an_event_is_for() -> None:
    play = started(lead({"go": GO}))
    assert play.can("event", record="lead-1")["allowed"] is True
    assert play.can("event", record="lead-9")["code"] == "not_found"


@pytest.mark.parametrize("opening", ["add", "event"])
def test_a_transition_of_that_name_is_meant_where_there_is_one(opening: str) -> None:
    play = started(lead({opening: {**GO, "condition": "data.x == 1"}}))
    assert play.can(opening)["code"] == "condition_not_met"

"""The form in which commands travel, and what is refused on the way in (design 4, traps of it)."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import nexus.core
from nexus.core import Rejected
from nexus.core.commands import (
    MOST_COMMENT,
    MOST_NAME,
    WIRE_TYPES,
    Act,
    Actor,
    AddRecord,
    CarryOver,
    CompleteTask,
    GiveUp,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
    dump_command,
    parse_command,
)
from nexus.core.state import Subject
from tests.core.playing import ACME, ANN, Document, refused

ACTOR = {"id": "ann"}
EXAMPLES = [
    Start(actor=ANN, subject=ACME),
    Start(
        actor=Actor("ann", ("a", "b")),
        subject=Subject("user", "ü/:%"),
        data={"x": [1, {"y": None}]},
        entity="lead",
        records=(NewRecord("lead", {"a": 1}), NewRecord("deal")),
    ),
    CarryOver(actor=ANN, subject=ACME, origin="deals-1", history=({"seq": 1, "payload": {}},)),
    Act(actor=ANN, action="go"),
    Act(actor=ANN, action="go", record="lead-1", data={"a": 1.5}, comment="hi"),
    AddRecord(actor=ANN, entity="lead", data={"a": True}),
    ReceiveEvent(actor=ANN, event="mail.opened", data={}, record="lead-1"),
    CompleteTask(actor=ANN, task="task-7", data={"reached": True}, comment="done"),
    RetryIncident(actor=ANN, incident="incident-7", comment="the server is back"),
    SkipIncident(actor=ANN, incident="incident-7"),
    GiveUp(actor=ANN),
]


@pytest.mark.parametrize("command", EXAMPLES)
def test_a_command_comes_back_as_it_was(command: WireCommand) -> None:
    """Design 4: the same names as updates and as signals."""
    wire = json.loads(json.dumps(dump_command(command)))
    assert wire["type"] in WIRE_TYPES
    assert parse_command(wire) == command


def test_every_wire_type_has_an_example() -> None:
    assert {type(command) for command in EXAMPLES} == set(WIRE_TYPES.values())


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (None, "an object with a 'type'"),
        ([], "an object with a 'type'"),
        (
            {},
            "event, complete_task, retry_incident, skip_incident, give_up.",
        ),
        ({"type": "timer_due", "timer": "x"}, "No command of type 'timer_due'"),
        ({"type": ["act"]}, "No command of type ['act']"),
        ({"type": "act"}, "missing required field `"),
        ({"type": "act", "actor": ACTOR, "acton": "go"}, "Did you mean 'action'?"),
        ({"type": "act", "actor": ACTOR, "action": 5}, "Expected `str`, got `int` - at `$.action`"),
        ({"type": "act", "actor": "ann", "action": "go"}, "at `$.actor`"),
        ({"type": "act", "actor": {}, "action": "go"}, "`id` - at `$.actor`"),
        ({"type": "act", "actor": ACTOR, "action": "go", "data": []}, "at `$.data`"),
        ({"type": "act", "actor": ACTOR, "action": "go", "comment": 5}, "at `$.comment`"),
        ({"type": "start", "actor": ACTOR, "subject": {"type": "a"}}, "`id` - at `$.subject`"),
        ({"type": "start", "actor": ACTOR, "subject": {}, "records": [{}]}, "at `$"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(wire: object, words: str) -> None:
    """Traps: a malformed signal must be refused, or its workflow task fails for ever."""
    refused("invalid_data", lambda: parse_command(wire), words)


@pytest.mark.parametrize("text", ["", "x\0y", "\ud800", "x" * (MOST_NAME + 1)])
@pytest.mark.parametrize(
    ("wire", "place"),
    [
        ({"type": "act", "actor": {"id": "?"}, "action": "a"}, "actor.id"),
        ({"type": "act", "actor": {"id": "a", "roles": ["b", "?"]}, "action": "a"}, "actor.roles"),
        ({"type": "start", "actor": ACTOR, "subject": {"type": "?", "id": "b"}}, "subject.type"),
        ({"type": "start", "actor": ACTOR, "subject": {"type": "b", "id": "?"}}, "subject.id"),
        ({"type": "event", "actor": ACTOR, "event": "?"}, "event"),
    ],
)
def test_a_text_that_no_database_keeps_is_refused(wire: Document, place: str, text: str) -> None:
    """A signal passes no other barrier, and what cannot be written would be tried for ever."""
    filled = json.loads(json.dumps(wire).replace('"?"', json.dumps(text)))
    refused("invalid_data", lambda: parse_command(filled), f"command's {place} ")


@pytest.mark.parametrize("comment", ["\0", "\udfff", "x" * (MOST_COMMENT + 1)])
def test_a_comment_that_no_database_keeps_is_refused(comment: str) -> None:
    wire = {"type": "act", "actor": ACTOR, "action": "comment", "comment": comment}
    refused("invalid_data", lambda: parse_command(wire), "command's comment ")


def test_the_longest_texts_are_taken() -> None:
    name = "ü" * MOST_NAME
    wire = {
        "type": "act",
        "actor": {"id": name, "roles": [name]},
        "action": "comment",
        "comment": "ü" * MOST_COMMENT,
    }
    assert parse_command(wire).actor == Actor(name, (name,))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = [
    "type",
    "actor",
    "action",
    "data",
    "record",
    "comment",
    "subject",
    "event",
    "entity",
    "records",
]
VALUES = JSON | st.sampled_from([ACTOR, {"id": "a", "type": "b"}, "go", {}, [{"entity": "x"}]])
WIRES = st.dictionaries(st.sampled_from(KEYS), VALUES).flatmap(
    lambda body: st.sampled_from([*WIRE_TYPES, "other"]).map(lambda name: {**body, "type": name})
)


@given(JSON | WIRES)
@example({"type": "act", "actor": {"id": "a", "roles": "abc"}, "action": "x"})
def test_reading_any_json_gives_a_command_or_a_refusal(wire: object) -> None:
    """Traps: parsing raises nothing but `Rejected`."""
    try:
        command = parse_command(wire)
    except Rejected as caught:
        refusal = caught
    else:
        assert parse_command(dump_command(command)) == command
        return
    assert refusal.code == "invalid_data"
    assert refusal.message


def test_the_public_surface_of_the_core_is_what_it_lists() -> None:
    """Conventions: the public surface is what `__all__` lists, and a test holds it."""
    assert nexus.core.__all__ == [
        "Compiled",
        "DefinitionError",
        "NexusError",
        "Problem",
        "Program",
        "Rejected",
        "State",
        "can",
        "decide",
        "evolve",
        "load_definition",
        "program_of",
        "step",
    ]
    for name in nexus.core.__all__:
        assert getattr(nexus.core, name).__doc__, name
        assert getattr(nexus.core, name).__module__.startswith("nexus.core.")

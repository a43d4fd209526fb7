"""Definitions and commands that hypothesis draws: valid ones, and broken ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from nexus.core import Program, State
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CallEnded,
    Command,
    CompleteTask,
    GiveUp,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
)
from nexus.core.state import Subject

Document = dict[str, Any]
Draw = st.DrawFn

EVENTS = ["e1", "e2"]
KEYS = ["a", "b", "c"]
ROLES = ["boss", "clerk"]
USERS = ["ann", "bob"]

ACTORS = st.builds(
    Actor,
    st.sampled_from([*USERS, "eve"]),
    st.lists(st.sampled_from([*ROLES, "admin"]), unique=True, max_size=2).map(tuple),
)
VALUES = st.one_of(
    st.sampled_from([0, 1, 2, "x", "y", True, None, 1.5]),
    st.lists(st.integers(0, 3), max_size=2),
    st.fixed_dictionaries({"n": st.integers(0, 3)}),
)
DATA = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)
CONDITIONS = st.recursive(
    st.sampled_from(
        [
            *("true", "false", "data.a > 1", "data.a < 2", "data.b == 'x'", "has(data.c)"),
            *("data.b", "record.status == 'open'", "instance.status != 'active'"),
            *(
                "event.type == 'e1'",
                "input.a == 1",
                "size(record.users) == 0",
                "data.c.n in [1, 2]",
            ),
        ]
    )
    | st.sampled_from(ROLES).map(lambda role: {"role_check": role})
    | st.just({"segment_check": ["x", 1]}),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": parts})
        | st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"any": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=3,
)
COMPUTED = st.sampled_from(
    [
        *("data.a + 1", "'x'", "data.b", "input.a", "now", "actor.id", "record", "instance"),
        *("[record.created_at, data.c]", "[data, data]", "event.data", "data.missing"),
        *(1, None, True),
    ]
)
ASSIGN = st.fixed_dictionaries(
    {},
    optional={
        "users": st.lists(st.sampled_from(USERS), unique=True, max_size=2),
        "roles": st.lists(st.sampled_from(ROLES), unique=True, max_size=1),
    },
)
BY = st.sampled_from(
    [{"users": ["ann"]}, {"roles": ["boss"]}, {"users": ["ann", "bob"], "roles": ["clerk"]}]
)
TRIGGERS = st.sampled_from(
    [
        "action",
        "action",
        "auto",
        {"event": "e1"},
        {"event": "e2"},
        {"after": "1h"},
        {"after": "P1D"},
    ]
)


def _blocks(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    several = st.lists(inner, max_size=3)
    branches = st.lists(
        st.fixed_dictionaries({"when": STEP_CONDITIONS, "do": inner}), min_size=1, max_size=2
    )
    event = {"event": st.sampled_from(EVENTS)}
    follow = {"timeout": st.just("2h"), "then": inner, "else": inner}
    return st.one_of(
        several,
        st.fixed_dictionaries({"parallel": several}),
        st.fixed_dictionaries({"sequence": several}),
        st.fixed_dictionaries({"inclusive": branches}, optional={"default": inner}),
        st.fixed_dictionaries({"exclusive": branches}, optional={"default": inner}),
        st.fixed_dictionaries({"waitFor": st.fixed_dictionaries(event, optional=follow)}),
    )


STEP_CONDITIONS = st.sampled_from(["true", "false", "data.a > 1", "has(data.c)"])
RUNS = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                {"channel": "email", "with": {"to": "{{ data.b }}"}},
                {"channel": "log"},
                {"wait": "1h"},
                {"waitFor": {"event": "e1"}},
                {"waitFor": {"event": "e2", "timeout": "1h"}},
                {"task": {"title": "Call"}},
                {"task": {"title": "Write", "assign": {"roles": ["boss"]}}},
                {"set": {"a": "data.a + 1"}},
                {"set": {"b": "'x'"}},
                {"start": "other"},
            ]
        ),
        st.fixed_dictionaries({"channel": st.just("log"), "when": STEP_CONDITIONS}),
    ),
    _blocks,
    max_leaves=5,
)


def rarely(draw: Draw, times: int = 3) -> bool:
    """Once in so many times; what hypothesis shrinks to is no."""
    return draw(st.integers(0, times - 1)) == times - 1


@st.composite
def entities(draw: Draw, fewest: int = 0) -> Document:
    body: Document = {}
    names = st.sampled_from(["new", "open", "won", "lost"])
    stages = draw(st.lists(names, unique=True, min_size=fewest, max_size=4))
    if stages:
        body["stages"] = [draw(stage(name)) for name in stages]
    elif draw(st.booleans()):
        body["sla"] = {"duration": "2 days"}
    if rarely(draw, 4):
        body["fields"] = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
    return body


@st.composite
def stage(draw: Draw, name: str) -> object:
    if not rarely(draw, 2):
        return name
    body: Document = {"id": name}
    if rarely(draw, 2):
        body["assign"] = draw(ASSIGN)
    if rarely(draw, 2):
        body["run"] = draw(RUNS)
    if rarely(draw, 4):
        body["final"] = True
    return body


def stages_of(entity: Document) -> tuple[list[str], list[str]]:
    """All stages of a drawn entity, and those that are not final (R3)."""
    listed = entity.get("stages", [])
    ids = [one if isinstance(one, str) else one["id"] for one in listed]
    marked = [one["id"] for one in listed if isinstance(one, dict) and one.get("final")]
    if not listed and "sla" in entity:
        return ["open"], ["open"]
    final = marked or ids[-1:]
    return ids, [one for one in ids if one not in final]


@st.composite
def transition(draw: Draw, entity: str, body: Document, others: Sequence[str]) -> Document:
    ids, leavable = stages_of(body)
    sources = [st.sampled_from(ids), st.lists(st.sampled_from(ids), min_size=1, max_size=2)]
    if leavable:
        sources.append(st.just("*"))
    made: Document = {
        "entity": entity,
        "from": draw(st.one_of(sources)),
        "to": draw(st.sampled_from(ids)),
        "on": draw(TRIGGERS),
    }
    optional: Document = {
        "condition": CONDITIONS,
        "set": st.dictionaries(st.sampled_from(KEYS), COMPUTED, max_size=2),
        "by": BY,
        "interrupts": st.just(True),
        "input": st.just({"a": {"type": "integer"}}),
        "creates": st.sampled_from(others)
        | st.fixed_dictionaries(
            {"entity": st.sampled_from(others)},
            optional={"data": st.dictionaries(st.sampled_from(KEYS), COMPUTED, max_size=1)},
        ),
    }
    for key, strategy in optional.items():
        if rarely(draw):
            made[key] = draw(strategy)
    return made


@st.composite
def definitions(draw: Draw) -> Document:
    """A definition that can run."""
    names = draw(
        st.lists(st.sampled_from(["lead", "deal", "note"]), unique=True, min_size=1, max_size=3)
    )
    # Mostly there is something to walk through.
    fewest = 0 if rarely(draw, 8) else 2
    bodies = {name: draw(entities(fewest if name == names[0] else 0)) for name in names}
    staged = [name for name in names if stages_of(bodies[name])[0]]
    transitions: Document = {}
    if staged:
        for number in range(draw(st.integers(1, 7))):
            entity = draw(st.sampled_from(staged))
            name = draw(st.sampled_from([f"t{number}"] * 8 + ["close", "update"]))
            transitions[name] = draw(transition(entity, bodies[entity], names))
    document: Document = {"id": "drawn", "entities": bodies, "transitions": transitions}
    if rarely(draw, 4):
        can = st.lists(st.sampled_from([*transitions, "update", "convert", "*"]), max_size=3)
        document["roles"] = {
            "boss": {"can": draw(can), "inherits": ["clerk"]},
            "clerk": {"can": draw(can)},
        }
    if rarely(draw):
        document["policy"] = {"selfAssign": draw(st.booleans())}
    if rarely(draw, 4):
        document["dataSchema"] = {"a": {"type": ["integer", "null"]}, "b": {}}
    return document


@st.composite
def commands(draw: Draw, program: Program, state: State) -> Command:
    """Something that might happen to an instance; most of it makes sense, some does not."""
    entity = st.sampled_from([*program.entities] * 5 + ["nonsense"])
    record = st.none() | st.sampled_from([*state.records] * 5 + ["nonsense"])
    actor, data = draw(ACTORS), draw(DATA)
    kinds = ["act"] * 12 + ["add", "event", "event", "start"]
    kinds += ["task", "task"] * bool(state.tasks) + ["incident", "incident"] * bool(state.incidents)
    kind = draw(st.sampled_from([*kinds, "nonsense"]))
    if kind == "start" or state.status == "new":
        records = st.lists(st.builds(NewRecord, entity, DATA), max_size=3)
        return Start(
            actor=actor,
            subject=Subject("account", "acme"),
            data=data,
            entity=draw(st.none() | entity),
            records=tuple(draw(st.just([]) | records)),
        )
    if kind == "task":
        return CompleteTask(actor=actor, task=draw(st.sampled_from([*state.tasks])), data=data)
    if kind == "incident":
        incident = draw(st.sampled_from([*state.incidents]))
        if draw(st.booleans()):
            return SkipIncident(actor=actor, incident=incident)
        return RetryIncident(actor=actor, incident=incident)
    if kind == "nonsense":
        odd: list[Command] = [
            CompleteTask(actor=actor, task="task-3", data=data),
            RetryIncident(actor=actor, incident="incident-3"),
            SkipIncident(actor=actor, incident="nothing"),
            GiveUp(actor=actor),
        ]
        return draw(st.sampled_from(odd))
    if kind == "add":
        return AddRecord(actor=actor, entity=draw(entity), data=data)
    if kind == "event":
        event = draw(st.sampled_from(EVENTS))
        return ReceiveEvent(actor=actor, event=event, data=data, record=draw(record))
    declared = [t.name for t in program.transitions.values() if t.trigger.kind == "action"]
    usual = ["assign", "update", "update", "comment", "convert", "convert"]
    action = draw(st.sampled_from(declared * 3 + usual + ["close", "cancel", "nonsense"]))
    if action == "assign":
        data = draw(ASSIGN)  # type: ignore[arg-type]  # data of another form
    comment = draw(st.sampled_from([None, "hm"]))
    return Act(actor=actor, action=action, record=draw(record), data=data, comment=comment)


@st.composite
def ends(draw: Draw, state: State) -> CallEnded:
    """A call that ends, in whichever way; some that nobody asked for."""
    call = draw(st.sampled_from([*state.calls] * 5 + ["lead-1/1/run", "nonsense"]))
    outcome = draw(st.sampled_from(["done", "done", "failed", "timed_out", "cancelled"]))
    response = draw(st.sampled_from([None, {"status": 200}, "x" * 40_000, {"n": 2**70}, "\x00"]))
    if outcome == "done":
        return CallEnded(call=call, outcome="done", response=response, attempts=2)
    return CallEnded(
        call=call,
        outcome=outcome,  # type: ignore[arg-type]
        code="unreachable",
        message="No answer.\x00",
        attempts=3,
    )


# --- broken documents ----------------------------------------------------------------------

SCRAPS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["new", "*", "lead", "auto", "data.a > 1", "data.a >", "3 days", "2x", "1.0.0"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(["new", "lead", 5, None]), max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "entity", "users", "event", "x/~y"]), st.text(max_size=3)
    ),
).map(copy.deepcopy)  # what is drawn is changed
NAMES = st.sampled_from(
    [
        *("id", "label", "version", "stages", "fields", "from", "to", "on", "by", "set", "creates"),
        *(
            "condition",
            "entity",
            "roles",
            "can",
            "inherits",
            "input",
            "assign",
            "final",
            "x",
            "",
            "a/b",
        ),
    ]
)


@st.composite
def broken(draw: Draw, document: Document) -> object:
    """A document with some of it replaced, removed, renamed or added."""
    root: list[Any] = [copy.deepcopy(document)]
    for _ in range(draw(st.integers(1, 5))):
        container, key = draw(st.sampled_from(_places(root)))
        change = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if change == "replace" or container is root:
            container[key] = draw(SCRAPS)
        elif change == "remove":
            del container[key]
        elif isinstance(container, list):
            container.append(draw(SCRAPS))
        elif change == "rename":
            container[draw(NAMES)] = container.pop(key)
        else:
            container[draw(NAMES)] = draw(SCRAPS)
    return root[0]


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    todo: list[Any] = [root]
    while todo:
        container = todo.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in items:
            found.append((container, key))
            if isinstance(value, dict | list):
                todo.append(value)
    return found

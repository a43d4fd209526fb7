"""The published JSON Schema and the compiler say the same of a definition's form."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.cli.definition_files import definition_files
from nexus.core import DefinitionError, load_definition
from nexus.core.language import (
    DOMAINS,
    ESCALATIONS,
    KEYS,
    LATER_KEYS,
    NO_EFFECT_YET,
    NO_EFFECT_YET_VALUES,
    ON_FAILURE,
    PICKS,
    SCHEMA_ID,
    STEPS,
    STRATEGIES,
    TABLE_NAMES,
)
from nexus.core.problem_codes import PROBLEM_CODES
from nexus.schema import definition_schema
from tests.core import drawn
from tests.core.playing import DEFINITIONS

SCHEMA = json.loads(definition_schema())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

# What the form of a document is: each of these the schema finds as well. One is a warning only,
# since a definition with a key that nobody knows can run; an editor shows both alike.
STRUCTURAL = {
    "wrong_type",
    "missing_key",
    "unknown_key",
    "invalid_name",
    "invalid_id",
    "invalid_version",
    "unknown_domain",
    "unknown_table",
    "unknown_choice",
    "unknown_condition",
    "invalid_condition",  # beyond the bounds on depth and size, which nothing here comes near
    "invalid_quorum",
    "invalid_step",
    "invalid_trigger",
    "nobody_may_take",
}
# What is text with a language of its own: the schema finds some of it, and never more than the
# compiler does.
IN_PART = {
    *("invalid_duration", "invalid_ratio", "out_of_range"),
    *("invalid_expression", "invalid_schema"),
}
# Found before there is a document to look at.
OF_THE_TEXT = {"invalid_text", "invalid_number", "too_deep"}
# All others are about what names refer to and what conditions mean: beyond a schema.

STEP: list[Any] = [
    {
        "channel": "email",
        "name": "welcome",
        "with": {"to": "x"},
        "compensate": False,
        "retry": {"attempts": 3, "initial": "1s", "backoff": 2, "max": "1m"},
        "timeout": "30s",
        "onFailure": "continue",
        "when": "data.a > 1",
    },
    {"parallel": [{"wait": "3 days"}, [{"wait": "1h"}]], "when": "data.a > 1"},
    {"sequence": [[{"set": {"a": "1 + 1", "b": None}}]]},
    {"inclusive": [{"when": "data.a > 1", "do": {"start": "other"}}], "default": []},
    {"exclusive": [{"when": "data.a > 1", "do": [{"start": "other"}]}], "default": {"wait": "1h"}},
    {"task": {"title": "Call", "assign": {"users": ["ann"], "pick": "round_robin"}}},
    {"waitFor": {"event": "e", "timeout": "2 days", "then": [], "else": {"wait": "1h"}}},
    {"split": {"variants": {"a": 1, "b": {}}, "goal": "won"}},
]
LADDER = [{"after": "24h", "action": "notify", "to": {"roles": "boss"}, "repeat": "12h"}]
SLA = {
    "duration": "2 days",
    "warn": ["80%", 0.9],
    "pause": ["open"],
    "calendar": "office",
    "onBreach": [{"action": "reassign"}],
}
ROI = {"threshold": "2x", "budget": 100, "every": "24h", "onBreach": LADDER}
EVERYTHING: dict[str, Any] = {
    "$schema": SCHEMA_ID,
    "id": "everything",
    "label": "Everything",
    "version": "1.0.0",
    "domain": "crm",
    "description": "All keys that there are.",
    "dataSchema": {"a": {"type": "number"}, "b": {"type": ["date", "null"], "required": True}},
    "roles": {"boss": {"label": "Boss", "can": "*", "inherits": ["rep"]}, "rep": {"can": ["go"]}},
    "policy": {"selfAssign": False, "fourEyes": True},
    "sla": SLA,
    "roi": ROI,
    "automation": {"escalation": LADDER, "optimize": STEP},
    "channels": {"welcome": {"channel": "email"}},
    "entities": {
        "lead": {
            "label": "Lead",
            "fields": ["a", "b", "c"],
            "table": "contacts",
            "stages": [
                "new",
                {
                    "id": "open",
                    "label": "Open",
                    "type": "task",
                    "assign": {
                        "users": ["ann", "bob"],
                        "roles": ["boss"],
                        "teams": ["north"],
                        "pick": "least_loaded",
                        "strategy": {"quorum": "60%"},
                    },
                    "run": STEP,
                    "sla": SLA,
                    "escalation": LADDER,
                },
                {"id": "won", "final": True},
            ],
            "sla": SLA,
            "roi": ROI,
            "automation": {"escalation": LADDER},
            "scoring": {},
        },
        "deal": {"fields": {"a": {"type": "integer", "minimum": 1}}},
    },
    "transitions": {
        "go": {
            "label": "Go",
            "entity": "lead",
            "from": ["new"],
            "to": "open",
            "condition": {"all": ["data.a > 1", {"any": [{"not": {"segment_check": [1, "x"]}}]}]},
            "by": {"users": ["ann"], "roles": "boss"},
            "strategy": "unison",
            "input": {"type": "object", "properties": {"a": {"type": "number"}}},
            "set": {"a": "input.a", "b": None, "c": True},
            "creates": {"entity": "deal", "data": {"a": "data.a"}},
            "on": "action",
            "interrupts": False,
        },
        "win": {"from": "*", "to": "won", "on": {"event": "e"}, "creates": "deal"},
        "late": {"from": "open", "to": "won", "on": {"after": "P2D"}},
        "self": {"from": "new", "to": "open", "on": "auto", "condition": {"expression": "data.a"}},
    },
}
GOOD = [EVERYTHING, *(json.loads(p.read_text()) for p in definition_files([DEFINITIONS]))]

SCRAPS = st.one_of(
    drawn.SCRAPS,
    st.sampled_from(
        [
            *("a/b", " a", "a ", "x" * 101, "", "\x07", "né", "a b", "soon", "3", "2 days", "P2D"),
            *("-1h", "1h 30m", "2x", "150%", "0%", "100%", "100.5%", "x%", "60%", "1.0", "01.0.0"),
            *("unison", "most", "round_robin", "continue", "crm", "contacts", "admin", "*", 0, 1),
            *(2.0, 1.5, -1, 1e9, True, False, {"quorum": 2}, {"quorum": 2.0}, {"quorum": 0}, [[]]),
            *({"channel": "x", "wait": "1h"}, {"event": "e"}, {"after": "1h"}, {"after": 5}),
            *({"role_check": "x"}, {"role_check": []}, {"all": []}, {"not": "true"}, {"x": 1}),
            *({"type": "object"}, {"type": "nubmer"}, {"a": {"type": "text"}}, {"a": True}),
            *({"id": "s"}, {"id": "s", "final": 1}, {"users": []}, {"users": ["ann"]}, ["a", "a"]),
        ]
    ),
).map(copy.deepcopy)  # what is drawn is changed
ALL_KEYS = sorted({key for keys in (*KEYS.values(), *LATER_KEYS.values()) for key in keys})


@st.composite
def mutated(draw: st.DrawFn) -> object:
    """A definition of which a little was replaced, removed, renamed or added."""
    document = draw(st.sampled_from(GOOD) | drawn.definitions())
    root: list[Any] = [json.loads(json.dumps(document))]
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(list(places(root))))
        change = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add"]))
        if change == "replace" or container is root:
            container[key] = draw(SCRAPS)
        elif change == "remove":
            del container[key]
        elif isinstance(container, list):
            container.append(draw(SCRAPS))
        elif change == "rename":
            container[draw(st.sampled_from(ALL_KEYS))] = container.pop(key)
        else:
            container[draw(st.sampled_from(ALL_KEYS))] = draw(SCRAPS)
    return root[0]


def places(container: Any) -> Iterator[tuple[Any, Any]]:
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in list(items):
        yield container, key
        if isinstance(value, dict | list):
            yield from places(value)


def codes_of(document: object) -> set[str]:
    try:
        return {w.code for w in load_definition(json.dumps(document)).warnings}
    except DefinitionError as error:
        return {problem.code for problem in error.problems}


def agree(document: object) -> None:
    found = codes_of(document)
    if found & OF_THE_TEXT:
        return  # it was never read
    refused = [str(error)[:300] for error in VALIDATOR.iter_errors(document)]
    if found & STRUCTURAL:
        assert refused, f"only the compiler finds {found & STRUCTURAL}"
    if refused:
        assert found & (STRUCTURAL | IN_PART), refused


@given(mutated())
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_schema_refuses_what_the_compiler_finds_wrong_in_form(document: object) -> None:
    """Schema-valid ⇔ no structural problem; nothing that can run is refused by the schema."""
    agree(document)


def test_a_definition_with_every_key_has_no_fault_in_its_form() -> None:
    assert VALIDATOR.is_valid(EVERYTHING), [str(e) for e in VALIDATOR.iter_errors(EVERYTHING)]
    assert not codes_of(EVERYTHING) & (STRUCTURAL | IN_PART)


@pytest.mark.parametrize("value", [None, 5.5, "", "a/b", [], {}, [5], {"x": 5}, True, "word"])
def test_they_agree_wherever_any_value_stands_in_place_of_another(value: object) -> None:
    """Each place of the definition with every key, one at a time."""
    for path in paths_of(EVERYTHING):
        document = json.loads(json.dumps(EVERYTHING))
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        try:
            agree(document)
        except AssertionError as error:
            raise AssertionError(f"at {path}: {error}") from error


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths_of(inner, (*path, key))


def test_structural_codes_are_codes() -> None:
    assert set(PROBLEM_CODES) >= STRUCTURAL | IN_PART


# --- the two tables of keys --------------------------------------------------------------------


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of the schema that lists its keys and no others."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False and "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_every_key_of_the_language_is_in_the_schema_and_the_other_way_round() -> None:
    in_schema = {tuple(found["properties"]) for found in objects(SCHEMA)}
    triggers_and_conditions = {
        ("event",),
        ("after",),
        ("expression", "role_check", "segment_check", "all", "any", "not"),
    }
    assert in_schema - triggers_and_conditions == {*KEYS.values(), *LATER_KEYS.values()}


def test_every_key_explains_itself() -> None:
    """An editor shows a description for each key, written there or where it refers to."""
    for found in objects(SCHEMA):
        for key, schema in found["properties"].items():
            told = schema
            while "description" not in told and "$ref" in told:
                told = SCHEMA["$defs"][told["$ref"].removeprefix("#/$defs/")]
            assert told.get("description"), (found.get("description"), key)


def test_the_schema_says_of_what_has_no_effect_yet_that_it_has_none() -> None:
    for (kind, key), what in NO_EFFECT_YET.items():
        (found,) = (o for o in objects(SCHEMA) if tuple(o["properties"]) == KEYS[kind])
        said = f"No effect yet in this version: {what}."
        assert said in found["properties"][key]["description"], (kind, key)
    assert definition_schema().count("No effect yet") == len(NO_EFFECT_YET)
    for (kind, key, value), what in NO_EFFECT_YET_VALUES.items():
        (found,) = (o for o in objects(SCHEMA) if tuple(o["properties"]) == KEYS[kind])
        said = f"{value!r} has no effect yet in this version: {what}."
        assert said in found["properties"][key]["description"], (kind, key)


def test_the_schema_lists_the_same_words() -> None:
    found = {tuple(s) for s in enums(SCHEMA)}
    assert found >= {DOMAINS, TABLE_NAMES, PICKS, ON_FAILURE, STRATEGIES, ("action", "auto")}
    step = SCHEMA["$defs"]["step"]["description"]
    assert all(kind in step for kind in STEPS)
    action = SCHEMA["$defs"]["reaction"]["properties"]["action"]["description"]
    assert all(word in action for word in ESCALATIONS)


def enums(schema: Any) -> Iterator[list[str]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            yield schema["enum"]
        for value in schema.values():
            yield from enums(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from enums(value)


def test_the_examples_of_the_schema_are_valid() -> None:
    """Each example fits the schema that it stands in."""

    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            examples = schema.get("examples")
            if isinstance(examples, list):
                own = jsonschema_rs.Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})
                for example in examples:
                    assert own.is_valid(example), example
            for key, value in schema.items():
                if key != "examples":
                    check(value)
        elif isinstance(schema, list):
            for value in schema:
                check(value)

    check(SCHEMA)


def test_the_schema_is_one_of_the_dialect_that_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == SCHEMA_ID
    jsonschema_rs.meta.validate(SCHEMA)

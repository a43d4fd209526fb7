"""The form of keys that have no effect yet: a mistake in one is found today."""

import json
from typing import Any

import pytest

from nexus.core import DefinitionError, Problem, program_of
from tests.core.playing import Document, compiled
from tests.core.test_language_schema import EVERYTHING

LEAD = "/entities/lead"
OPEN = f"{LEAD}/stages/1"
RUN = f"{OPEN}/run"


def problems(document: Document) -> tuple[Problem, ...]:
    try:
        return compiled(document).warnings
    except DefinitionError as error:
        return error.problems


def with_value(pointer: str, value: object) -> Document:
    """The definition with every key, and this value at a place of it."""
    document: Document = json.loads(json.dumps(EVERYTHING))
    *path, last = [int(t) if t.isdigit() else t for t in pointer.split("/")[1:]]
    at: Any = document
    for step in path:
        at = at[step]
    at[last] = value
    return document


@pytest.mark.parametrize(
    ("pointer", "value", "code", "below", "suggestion"),
    [
        ("/sla", {"duration": "2 dayz"}, "invalid_duration", "/duration", "day"),
        ("/sla", {}, "missing_key", "", None),
        ("/sla/warn", "80%", "wrong_type", "", None),
        ("/sla/warn/0", "soon", "invalid_ratio", "", None),
        ("/sla/pause", "opne", "unknown_stage", "", "open"),
        (f"{LEAD}/sla/pause", ["new", "opne"], "unknown_stage", "/1", "open"),
        (f"{OPEN}/sla/calendar", 5, "wrong_type", "", None),
        ("/roi", {"every": "1h"}, "missing_key", "", None),
        (f"{LEAD}/roi/threshold", "-1", "invalid_ratio", "", None),
        ("/roi/budget", True, "wrong_type", "", None),
        ("/roi/every", 5, "invalid_duration", "", None),
        ("/roi/onBreach/0/action", "reasign", "unknown_action", "", "reassign"),
        ("/automation/escalation", {}, "wrong_type", "", None),
        ("/automation/escalation/0", {"action": "notify"}, "missing_key", "", None),
        (f"{OPEN}/escalation/0", {"after": "1h"}, "missing_key", "", None),
        (f"{OPEN}/escalation/0/action", "wni", "unknown_action", "", "win"),
        (f"{OPEN}/escalation/0/to", ["boss"], "wrong_type", "", None),
        (f"{LEAD}/scoring", 5, "wrong_type", "", None),
        ("/channels/welcome", "email", "wrong_type", "", None),
        ("/policy/fourEyes", "yes", "wrong_type", "", None),
        (f"{OPEN}/assign/pick", "roundrobin", "unknown_choice", "", "round_robin"),
        (f"{OPEN}/assign/strategy", "Unison", "unknown_choice", "", "unison"),
        ("/transitions/go/strategy", {"quorom": 2}, "missing_key", "", None),
        ("/transitions/go/strategy", {"quorum": "0%"}, "invalid_quorum", "/quorum", None),
        ("/transitions/go/interrupts", "no", "wrong_type", "", None),
        (f"{RUN}/0", {"channel": "x", "wait": "1h"}, "invalid_step", "", None),
        (f"{RUN}/0", "email", "wrong_type", "", None),
        (f"{RUN}/0/onFailure", "stop", "unknown_choice", "", None),
        (f"{RUN}/0/compensate", True, "wrong_type", "", None),
        (f"{RUN}/0/retry/attempts", 0, "out_of_range", "", None),
        (f"{RUN}/0/when", "data.a >", "invalid_expression", "", None),
        (f"{RUN}/1/parallel", {}, "wrong_type", "", None),
        (f"{RUN}/3/inclusive/0", {"do": []}, "missing_key", "", None),
        (f"{RUN}/4/exclusive", "x", "wrong_type", "", None),
        (f"{RUN}/5/task", {}, "missing_key", "", None),
        (f"{RUN}/6/waitFor", {"timeout": "1h"}, "missing_key", "", None),
        (f"{RUN}/7/split/variants", {}, "wrong_type", "", None),
        (f"{RUN}/0/retries", 3, "unknown_key", "", "retry"),
        ("/$schema", "urn:nexus:definition:9", "unknown_schema", "", "urn:nexus:definition:1"),
        ("/description", "", "wrong_type", "", None),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    pointer: str, value: object, code: str, below: str, suggestion: str | None
) -> None:
    before = {(p.code, p.pointer) for p in problems(EVERYTHING)}
    found = [
        problem
        for problem in problems(with_value(pointer, value))
        if (problem.code, problem.pointer) not in before
    ]
    assert (code, pointer + below) in [(p.code, p.pointer) for p in found]
    if code != "missing_key":
        assert len([p for p in found if p.severity == "error" or p.code == code]) == 1, found
        assert found[0].suggestion == suggestion


def test_what_has_no_effect_says_nothing_of_it_beside_a_mistake_in_it() -> None:
    """Who has to mend it anyway is told the rest when it is mended."""
    found = [p for p in problems(with_value("/sla/duration", "soon")) if p.pointer == "/sla"]
    assert found == []
    assert [p.code for p in problems(EVERYTHING) if p.pointer == "/sla"] == ["no_effect_yet"]


def test_what_is_running_is_not_judged_again() -> None:
    """A definition was accepted once; a check that comes later must not stop its instances."""
    for document in (
        with_value("/sla/duration", "soon"),
        with_value("/transitions/go/set", {"nowhere": 1}),
        with_value("/transitions/self/condition", "1 == 1"),
    ):
        assert program_of(json.dumps(document)).id == "everything"

"""What is remarked of ways through stages, of automatic circles, and of who may take what."""

from typing import Any

import pytest

from nexus.core import DefinitionError, Problem
from tests.core.playing import Document, compiled, lead

A, B, C = "a", "b", "c"
END = {"id": "end", "final": True}
LOST = {"id": "lost", "final": True}


def problems(document: Document) -> tuple[Problem, ...]:
    try:
        return compiled(document).warnings
    except DefinitionError as error:
        return error.problems


def ways(*transitions: tuple[Any, ...], stages: list[object]) -> Document:
    """A lead with transitions (from, to[, more])."""
    return lead(
        {
            f"t{index}": {"from": source, "to": target, **(more[0] if more else {})}
            for index, (source, target, *more) in enumerate(transitions, 1)
        },
        stages,
    )


def places(document: Document) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in problems(document)]


def stage(index: int) -> str:
    return f"/entities/lead/stages/{index}"


# --- stages (R3) -------------------------------------------------------------------------------


def test_a_plain_way_from_first_to_last_is_nothing_to_remark() -> None:
    assert places(ways((A, B), (B, "end"), stages=[A, B, END])) == []


def test_convert_leads_on_from_a_stage_that_nothing_else_leaves() -> None:
    """The author plainly relies on it; that is one remark, not two."""
    assert places(ways((A, B), stages=[A, B, C, END])) == [
        ("no_way_out", stage(1)),
        ("no_way_out", stage(2)),
    ]


def test_a_stage_that_only_convert_reaches_past_declared_ways_is_told() -> None:
    found = problems(ways((A, C), (B, C), (C, "end"), stages=[A, B, C, END]))
    assert [(p.code, p.pointer) for p in found] == [("reached_by_convert_alone", stage(1))]
    assert "'convert' does, from 'a'" in found[0].message


def test_a_stage_behind_a_final_one_is_reached_by_nothing() -> None:
    assert places(ways((A, "end"), stages=[A, END, LOST])) == [("unreachable_stage", stage(2))]


def test_stages_that_only_lead_to_each_other_are_told_with_whom() -> None:
    document = ways((A, "end"), (B, C), (C, B), stages=[A, END, B, C])
    first, second = problems(document)
    assert (first.code, first.pointer) == ("unreachable_stage", stage(2))
    assert "but 'c', which nothing leads to either" in first.message
    assert (second.code, second.pointer) == ("unreachable_stage", stage(3))


def test_a_transition_of_any_kind_is_a_way() -> None:
    document = ways(
        (A, B, {"on": {"after": "1h"}}),
        (B, C, {"on": {"event": "e"}}),
        (C, "end", {"on": "auto", "condition": "data.x"}),
        stages=[A, B, C, END],
    )
    assert places(document) == []


def test_circles_without_an_end_are_told_once() -> None:
    document = ways((A, "end"), (A, B), (B, C), (C, B), stages=[A, B, C, END])
    (problem,) = problems(document)
    assert (problem.code, problem.pointer) == ("no_end_in_sight", stage(1))
    assert "nor from 'c'" in problem.message


def test_one_mistake_is_not_told_again_by_what_follows_from_it() -> None:
    """A transition that cannot be read would be missed by everything that looks at ways."""
    document = ways((A, "bb"), (B, "end"), stages=[A, B, END])
    assert places(document) == [("unknown_stage", "/transitions/t1/to")]


# --- never taken -------------------------------------------------------------------------------


def test_the_second_of_two_on_one_event_is_never_taken() -> None:
    on = {"on": {"event": "e"}}
    document = ways((A, B, on), (A, "end", on), (B, "end"), stages=[A, B, END])
    assert places(document) == [("never_its_turn", "/transitions/t2")]


def test_a_condition_or_another_stage_leaves_the_second_its_turn() -> None:
    on = {"on": {"event": "e"}}
    first = {**on, "condition": "data.x"}
    assert places(ways((A, B, first), (A, "end", on), (B, "end"), stages=[A, B, END])) == []
    assert places(ways((A, B, on), ([A, B], "end", on), stages=[A, B, END])) == []
    other = {"on": {"event": "f"}}
    assert places(ways((A, B, on), (A, "end", other), (B, "end"), stages=[A, B, END])) == []


def test_a_clock_that_another_one_comes_before_is_never_taken() -> None:
    document = ways(
        (A, B, {"on": {"after": "2 days"}}),
        (A, "end", {"on": {"after": "1 day"}}),
        (B, "end"),
        stages=[A, B, END],
    )
    (problem,) = problems(document)
    assert (problem.code, problem.pointer) == ("never_its_turn", "/transitions/t1")
    assert "'t2' is taken before, by a clock that comes due no later" in problem.message


def test_what_is_left_at_once_lets_nothing_else_have_its_turn() -> None:
    document = ways(
        (A, B, {"on": "auto"}),
        (A, "end"),
        (A, "end", {"on": "auto", "condition": "data.x"}),
        (B, "end"),
        stages=[A, B, END],
    )
    assert places(document) == [
        ("auto_without_condition", "/transitions/t1"),
        ("never_its_turn", "/transitions/t2"),
        ("never_its_turn", "/transitions/t3"),
    ]


def test_what_is_always_true_counts_as_no_condition() -> None:
    document = ways(
        (A, B, {"on": "auto", "condition": "1 == 1"}), (A, "end"), (B, "end"), stages=[A, B, END]
    )
    assert [code for code, _ in places(document)] == ["always_true", "never_its_turn"]


# --- circles by themselves (R5) ----------------------------------------------------------------

AUTO: Document = {"on": "auto"}


def auto(condition: object, **more: object) -> Document:
    return {"on": "auto", "condition": condition, **more}


def circle(first: Document, second: Document, **more: Any) -> list[str]:
    document = ways((A, B, first), (B, A, second), (B, "end"), stages=[A, B, END])
    return [code for code, _ in places({**document, **more})]


def test_an_unconditional_circle_is_an_error() -> None:
    """R5: 50 in a row, then an incident; always."""
    assert circle(AUTO, AUTO) == ["endless_auto"]
    document = ways((A, A, AUTO), (A, "end"), stages=[A, END])
    assert places(document) == [("endless_auto", "/transitions/t1")]


def test_a_way_out_that_is_tried_first_may_end_the_circle() -> None:
    document = ways(
        (A, B, AUTO), (B, "end", auto("data.x")), (B, A, AUTO), (A, "end"), stages=[A, B, END]
    )
    assert "endless_auto" not in [code for code, _ in places(document)]
    assert ("auto_loop", "/transitions/t1") in places(document)


def test_conditions_that_nothing_on_the_way_changes_may_go_on_for_ever() -> None:
    assert circle(auto("data.x > 5"), auto("data.y == 1")) == ["auto_loop"]
    assert circle(auto("data.x > 5"), auto("record.parent == null")) == ["auto_loop"]
    assert circle(auto("data.x > 5"), auto("data.x > 3", set={"z": 1})) == ["auto_loop"]
    assert circle(auto("data.x > 5"), auto("'ann' in record.users")) == ["auto_loop"]
    assert circle(auto({"segment_check": "x"}), auto("subject.type == 'a'")) == ["auto_loop"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (auto("data.x > 5"), auto("data.x <= 5")),
        (auto("data.x > 5"), auto({"not": "data.x > 5"})),
        (auto("data.x > 5"), auto("data.y", set={"x": "0"})),
        (auto("data.x > 5"), auto("data.y", set={"x": 0})),
        (auto("size(data) > 5"), auto("data.y", set={"x": 0})),
        (auto("record.data.x > 5"), auto("data.y", set={"x": 0})),
        (auto("record.entered_at > data.y"), auto("data.z")),
        (auto("data.x"), {"condition": "data.y"}),
    ],
)
def test_circles_that_end_are_nothing_to_remark(first: Document, second: Document) -> None:
    assert circle(first, second) == []


def test_assigning_on_the_way_may_end_a_circle() -> None:
    assigned = {"id": "b", "assign": {"users": ["bob"]}}
    document = ways(
        (A, B, auto("not ('bob' in record.users)")),
        (B, A, auto("data.y")),
        (B, "end"),
        stages=[A, assigned, END],
    )
    assert places(document) == []


def test_a_circle_through_a_final_stage_is_none() -> None:
    document = ways((A, "end", AUTO), ("end", A, AUTO), stages=[A, END])
    assert "endless_auto" not in [code for code, _ in places(document)]


def test_long_circles_and_many_ways_are_looked_at_in_bounded_time() -> None:
    names = [f"s{i}" for i in range(40)]
    every = [(a, b, auto("data.x")) for a in names for b in names if a != b]
    document = ways(*every, (names[0], "end"), stages=[*names, END])
    found = [problem for problem in problems(document) if problem.code == "auto_loop"]
    assert len(found) == 1
    around = [(a, b, auto("data.x")) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    (problem,) = problems(ways(*around, (names[0], "end"), stages=[*names, END]))
    assert problem.message.count("→") == 7


# --- people (R11, R13) -------------------------------------------------------------------------

GO = {"from": "a", "to": "end"}


def staffed(roles: object, stages: list[object] | None = None, **go: object) -> Document:
    return lead({"go": {**GO, **go}}, stages or [A, END], roles=roles)


def test_a_transition_that_no_role_can_take_is_told_at_its_name() -> None:
    assert places(staffed({"rep": {"can": ["comment"]}})) == [
        ("no_role_can_take", "/transitions/go")
    ]
    assert places(staffed({})) == [("no_role_can_take", "/transitions/go")]
    assert places(staffed({"rep": {"can": "*"}})) == []
    assert places(staffed({"rep": {}}, on={"event": "e"})) == []


def test_takers_and_assignees_must_be_able_to_take_it() -> None:
    roles = {"rep": {"can": "go"}, "boss": {"can": ["comment"]}}
    by = {"roles": ["rep", "boss", "admin", "bos"], "users": ["ann"]}
    assert places(staffed(roles, by=by)) == [
        ("role_cannot_take", "/transitions/go/by/roles/1"),
        ("undeclared_role", "/transitions/go/by/roles/3"),
    ]
    assigned = [{"id": "a", "assign": {"roles": "boss"}}, END]
    assert places(staffed(roles, assigned)) == [("assignees_cannot_take", "/transitions/go")]
    assert places(staffed(roles, assigned, by={"roles": "rep"})) == []
    named = [{"id": "a", "assign": {"roles": ["boss"], "users": ["ann"]}}, END]
    assert places(staffed(roles, named)) == []


def test_roles_that_are_assigned_or_asked_for_should_be_declared() -> None:
    roles = {"rep": {"can": "*"}}
    stages = [{"id": "a", "assign": {"users": ["ann"], "roles": ["rap", "rep"]}}, END]
    condition = {"any": [{"role_check": ["rep", "admin", "reps"]}, "data.x"]}
    found = problems(staffed(roles, stages, condition=condition))
    assert [(p.code, p.pointer, p.suggestion) for p in found] == [
        ("undeclared_role", f"{stage(0)}/assign/roles/0", "rep"),
        ("undeclared_role", "/transitions/go/condition/any/0/role_check", "rep"),
    ]
    without = staffed(roles, stages, condition=condition)
    del without["roles"]
    assert places(without) == []


@pytest.mark.parametrize("on", ["auto", {"event": "e"}, {"after": "1h"}])
def test_who_may_take_what_nobody_takes_is_odd(on: object) -> None:
    go = {**GO, "on": on, "condition": "data.x", "by": {"users": ["x"]}, "input": {}}
    assert places(lead({"go": go}, [A, END])) == []  # `convert` takes it, and asks for both
    document = lead(
        {"go": go, "b": {"from": "a", "to": "b"}, "c": {**GO, "from": "b"}}, [A, B, END]
    )
    assert places(document) == [
        ("not_by_hand", "/transitions/go/by"),
        ("not_by_hand", "/transitions/go/input"),
    ]


@pytest.mark.parametrize(
    ("strategy", "is_odd"),
    [
        ({"quorum": 3}, True),
        ({"quorum": 3.0}, True),
        ({"quorum": 2}, False),
        ({"quorum": "100%"}, False),
        ("unison", False),
    ],
)
def test_a_quorum_above_the_named_voters_is_odd(strategy: object, is_odd: bool) -> None:
    """R13: it would be lowered, with an incident."""
    two = {"users": ["ann", "bob"]}
    by_hand = lead({"go": {**GO, "by": two, "strategy": strategy}}, [A, END])
    assigned: Document = {"id": "a", "assign": {**two, "strategy": strategy}}
    of_stage = lead({"go": GO}, [assigned, END])
    of_both = lead({"go": {**GO, "strategy": strategy}}, [{"id": "a", "assign": two}, END])
    with_roles = {**two, "roles": ["rep"]}
    open_ended = lead(
        {"go": {**GO, "by": with_roles, "strategy": strategy}},
        [{"id": "a", "assign": {**with_roles, "strategy": strategy}}, END],
    )
    for document, odd in ((by_hand, is_odd), (of_stage, is_odd), (of_both, is_odd)):
        assert ("quorum_above_voters" in [code for code, _ in places(document)]) is odd
    assert "quorum_above_voters" not in [code for code, _ in places(open_ended)]


def test_broken_roles_silence_what_builds_on_them() -> None:
    assert places(staffed({"rep": {"can": "goo"}})) == [("unknown_action", "/roles/rep/can")]

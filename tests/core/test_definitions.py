"""What a definition may say, and what its author is told (design 3.1, R3, R5, R6, FR-L1-001)."""

import json
import re
import time
from typing import Any

import pytest

from nexus.core import DefinitionError, Problem, load_definition, program_of
from nexus.core.compiler.reader import MOST_ERRORS, MOST_WARNINGS
from nexus.core.language import (
    DOMAINS,
    KEYS,
    MOST_STAGES,
    NO_EFFECT_YET,
    NO_EFFECT_YET_VALUES,
    STEPS,
)
from nexus.core.program import BUILT_IN_ACTIONS, LATER_ACTIONS, OPEN_STAGE
from nexus.core.state import Assignees
from tests.core.playing import ANN, Document, Play, compiled, lead, names


def problems(document: object) -> tuple[Problem, ...]:
    """All that is found in a document, whether it can run or not."""
    try:
        return compiled(document).warnings
    except DefinitionError as error:
        return error.problems


def errors(document: object) -> list[Problem]:
    with pytest.raises(DefinitionError) as caught:
        compiled(document)
    return [p for p in caught.value.problems if p.severity == "error"]


def only_error(document: object) -> Problem:
    found = errors(document)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def codes(document: object) -> list[str]:
    return [problem.code for problem in problems(document)]


GO = {"from": "new", "to": "qualified"}

# A sound value of each key that has no effect yet.
LATER: dict[tuple[str, str], object] = {
    ("definition", "sla"): {"duration": "1s"},
    ("definition", "roi"): {"threshold": "2x"},
    ("definition", "automation"): {"escalation": [{"after": "1s", "action": "notify"}]},
    ("step 'channel'", "compensate"): {"to": "x"},
    ("policy", "fourEyes"): True,
    ("entity", "automation"): {"escalation": [{"after": "1s", "action": "optimize"}]},
    ("entity", "sla"): {"duration": "1s", "warn": ["80%"]},
    ("entity", "roi"): {"threshold": 2, "every": "1s"},
    ("entity", "scoring"): {},
    ("stage", "sla"): {"duration": "1s", "pause": ["new"]},
    ("stage", "escalation"): [{"after": "1s", "action": "reassign"}],
    ("assign", "teams"): ["north"],
    ("assign", "pick"): "round_robin",
    ("assign", "strategy"): "unison",
    ("transition", "strategy"): {"quorum": "60%"},
}


# --- how problems are told -----------------------------------------------------------------


def test_an_error_has_file_line_column_pointer_expectation_and_the_nearest_name() -> None:
    """Design 3: located, with what was expected and the nearest valid name."""
    text = """{
  "id": "pipeline",
  "entities": {"lead": {"stages": ["new", "qualified"]}},
  "transitions": {
    "qualify": {"from": "new", "to": "qualifed"}
  }
}"""
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, "pipeline.json")
    (problem,) = (p for p in caught.value.problems if p.severity == "error")
    assert problem == Problem(
        code="unknown_stage",
        message="No stage 'qualifed'; there are new, qualified.",
        pointer="/transitions/qualify/to",
        severity="error",
        expected="one of new, qualified",
        found="'qualifed'",
        suggestion="qualified",
        line=5,
        column=38,
        source="pipeline.json",
    )
    assert str(problem) == (
        "pipeline.json:5:38: error: No stage 'qualifed'; there are new, qualified. "
        "Did you mean 'qualified'? [unknown_stage] (at /transitions/qualify/to)"
    )
    assert str(problem) in str(caught.value)


def test_all_problems_are_told_at_once_in_the_order_of_the_text() -> None:
    """Conventions: all problems of a document are reported at once."""
    found = problems(
        {
            "id": "no spaces",
            "version": "1",
            "domain": "crn",
            "entities": {"lead": {"stages": ["new", "new", 5], "tabel": "contacts"}},
            "transitions": {
                "a": {"from": "new", "to": "nowhere"},
                "b": {"to": "new"},
                "c": {"from": "new"},
                "d": {**GO, "on": "sometimes"},
                "e": {"from": "new", "to": "new", "condition": "data.x >"},
                "f": 7,
            },
            "roles": {"boss": {"can": ["fly"]}},
        }
    )
    assert [(p.code, p.pointer) for p in found if p.severity == "error"] == [
        ("invalid_id", "/id"),
        ("invalid_version", "/version"),
        ("unknown_domain", "/domain"),
        ("duplicate_stage", "/entities/lead/stages/1"),
        ("wrong_type", "/entities/lead/stages/2"),
        ("unknown_stage", "/transitions/a/to"),
        ("missing_key", "/transitions/b"),
        ("missing_key", "/transitions/c"),
        ("unknown_stage", "/transitions/d/to"),
        ("invalid_trigger", "/transitions/d/on"),
        ("invalid_expression", "/transitions/e/condition"),
        ("wrong_type", "/transitions/f"),
        ("unknown_action", "/roles/boss/can/0"),
    ]
    (warning,) = (p for p in found if p.code == "unknown_key")
    assert (warning.pointer, warning.suggestion) == ("/entities/lead/tabel", "table")
    assert [(p.line, p.column) for p in found] == sorted((p.line, p.column) for p in found)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", '{"id": "a", "id": "b"}', b"\xff", '{"id": NaN}']
)
def test_text_that_is_not_json_is_located_too(text: str | bytes) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, "broken.json")
    assert all(p.line >= 1 and p.column >= 1 for p in caught.value.problems)
    assert str(caught.value).startswith("broken.json:1:")


@pytest.mark.parametrize("document", [[], "text", 5, None, True])
def test_a_definition_is_an_object(document: object) -> None:
    assert only_error(document).code == "wrong_type"


def test_a_thousand_errors_are_cut_at_fifty() -> None:
    """Who has more is told the rest the next time, and nobody waits for what nobody reads."""
    stages = [f"stage-{i}-{'x' * 80}" for i in range(400)]
    many = {f"t{i}": {"from": stages[0], "to": f"stage-{i}-{'y' * 60}"} for i in range(3_000)}
    before = time.process_time()
    found = errors(lead(many, stages))
    assert len(found) == MOST_ERRORS
    assert max(len(p.message) for p in found) < 2_000
    assert time.process_time() - before < 5


def test_a_document_of_nothing_but_oddities_is_refused() -> None:
    document = lead() | {f"key-{i}": i for i in range(MOST_WARNINGS + 100)}
    assert only_error(document).code == "too_many_warnings"


def test_a_large_definition_compiles_in_linear_time() -> None:
    """SCL: 500 stages, each reachable from each by name."""
    stages = [f"s{i}" for i in range(MOST_STAGES)]
    many = {f"to-{stage}": {"from": "*", "to": stage, "entity": "lead"} for stage in stages}
    before = time.process_time()
    program = compiled(lead(many, stages)).program
    assert time.process_time() - before < 5
    assert len(program.entities["lead"].exits["s0"].action) == MOST_STAGES
    assert program.entities["lead"].exits[stages[-1]].action == ()


# --- identity ------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["a", "sales-pipeline", "A.b_c-9", "9" * 100])
def test_ids(id_: str) -> None:
    assert compiled(lead(id=id_)).program.id == id_


@pytest.mark.parametrize("id_", ["", "-a", "a b", "a/b", "a" * 101, 5, "é", "a\n", ["a"]])
def test_ids_that_are_none(id_: object) -> None:
    problem = only_error(lead(id=id_))
    assert (problem.code, problem.pointer) == ("invalid_id", "/id")
    assert problem.expected == "an id such as 'sales-pipeline'"


@pytest.mark.parametrize("document", [{}, {"id": None}])
def test_an_id_is_needed(document: object) -> None:
    assert only_error(document).code == "missing_key"


@pytest.mark.parametrize("version", ["0.0.0", "1.0.0", "10.20.30-rc.1+build.5", "1.0.0-alpha"])
def test_versions(version: str) -> None:
    assert compiled(lead(version=version)).program.version == version


@pytest.mark.parametrize(
    "version", ["1", "1.0", "01.0.0", "v1.0.0", "", 1, None, "1.0.0-", "1" * 70]
)
def test_versions_that_are_none(version: object) -> None:
    assert only_error(lead(version=version)).code == "invalid_version"


@pytest.mark.parametrize("domain", DOMAINS)
def test_domains(domain: str) -> None:
    assert compiled(lead(domain=domain)).program.domain == domain


def test_an_unknown_domain_names_the_nearest() -> None:
    problem = only_error(lead(domain="sales-marketing"))
    assert (problem.code, problem.suggestion) == ("unknown_domain", "sales_marketing")


def test_the_label_is_the_id_where_it_is_absent() -> None:
    assert compiled(lead()).program.label == "test"
    assert compiled(lead(label="Test it")).program.label == "Test it"


@pytest.mark.parametrize("label", ["", 5, "x" * 201])
def test_labels_are_short_texts(label: object) -> None:
    assert only_error(lead(label=label)).pointer == "/label"


def test_the_same_text_is_compiled_once() -> None:
    text = json.dumps(lead())
    assert program_of(text) is program_of(text)
    with pytest.raises(DefinitionError):
        program_of("{}")


def test_a_byte_order_mark_changes_nothing() -> None:
    text = json.dumps(lead())
    assert load_definition(b"\xef\xbb\xbf" + text.encode()).program.id == "test"
    assert load_definition("\ufeff" + text).program.id == "test"


# --- entities and stages -------------------------------------------------------------------


def test_a_definition_without_entities_is_odd_and_runs() -> None:
    """R4: it stays open until `close`."""
    assert codes({"id": "bare"}) == ["no_entities"]
    play = Play({"id": "bare"})
    play.start({"a": 1})
    assert play.status() == "active"
    play.act("close")
    assert play.status() == "completed"


def test_an_entity_without_stages_and_clocks_is_plain_data() -> None:
    entity = compiled({"id": "x", "entities": {"contact": {}}}).program.entities["contact"]
    assert entity.first_stage is None
    assert not entity.stages


@pytest.mark.parametrize("key", ["automation", "sla", "roi"])
@pytest.mark.parametrize("more", [{}, {"stages": []}])
def test_an_entity_with_clocks_and_no_stages_has_the_single_stage_open(
    key: str, more: Document
) -> None:
    """Design 3.1. The stage is not final, so its records stay open."""
    document = {"id": "x", "entities": {"deal": {key: LATER["entity", key], **more}}}
    program = compiled(document).program
    assert list(program.entities["deal"].stages) == [OPEN_STAGE]
    assert not program.entities["deal"].stages[OPEN_STAGE].final
    assert program.default_entity == "deal"
    assert codes(document) == ["no_effect_yet"]


def test_the_last_stage_is_final_where_none_is_marked() -> None:
    """R3."""
    stages = compiled(lead()).program.entities["lead"].stages
    assert [stage.final for stage in stages.values()] == [False, False, True]


def test_the_marked_stages_are_final_and_no_others() -> None:
    """R3."""
    marked = [{"id": "lost", "final": True}, "new", "won"]
    stages = compiled(lead(stages=marked)).program.entities["lead"].stages
    assert [stage.final for stage in stages.values()] == [True, False, False]


def test_a_stage_without_a_way_out_that_is_not_final_gets_a_warning() -> None:
    """R3."""
    found = problems(lead({"go": GO}))
    assert [(p.code, p.pointer) for p in found] == [("no_way_out", "/entities/lead/stages/1")]
    assert "only the built-in 'convert' (to 'won') and 'close' do." in found[0].message


def test_the_last_stage_that_is_not_final_is_left_by_close_alone() -> None:
    found = problems(
        lead({"go": {"from": "new", "to": "end"}}, [{"id": "end", "final": True}, "new", "x"])
    )
    assert "only the built-in 'close' does" in found[-1].message


def test_a_single_stage_is_final_at_once_and_its_author_is_told() -> None:
    assert codes(lead(stages=["only"])) == ["only_stage_is_final"]


def test_a_stage_says_label_type_and_whom_it_is_assigned_to() -> None:
    stage = (
        compiled(
            lead(
                stages=[
                    {
                        "id": "new",
                        "label": "Fresh",
                        "type": "task",
                        "assign": {"users": "ann", "roles": ["sales", "sales"]},
                    },
                    "won",
                ]
            )
        )
        .program.entities["lead"]
        .stages["new"]
    )
    assert (stage.label, stage.type) == ("Fresh", "task")
    assert stage.assign == Assignees(("ann",), ("sales",))


@pytest.mark.parametrize(
    ("stage", "code", "pointer"),
    [
        (5, "wrong_type", "/entities/lead/stages/0"),
        ("", "invalid_name", "/entities/lead/stages/0"),
        (" a", "invalid_name", "/entities/lead/stages/0"),
        ("a/b", "invalid_name", "/entities/lead/stages/0"),
        ("x" * 101, "invalid_name", "/entities/lead/stages/0"),
        ({}, "missing_key", "/entities/lead/stages/0"),
        ({"id": 5}, "invalid_name", "/entities/lead/stages/0/id"),
        ({"id": "a", "label": 5}, "wrong_type", "/entities/lead/stages/0/label"),
        ({"id": "a", "final": "yes"}, "wrong_type", "/entities/lead/stages/0/final"),
        ({"id": "a", "assign": []}, "wrong_type", "/entities/lead/stages/0/assign"),
        ({"id": "a", "assign": {"users": 5}}, "wrong_type", "/entities/lead/stages/0/assign/users"),
        (
            {"id": "a", "assign": {"users": [""]}},
            "invalid_name",
            "/entities/lead/stages/0/assign/users/0",
        ),
    ],
)
def test_stages_that_are_none(stage: object, code: str, pointer: str) -> None:
    problem = only_error(lead(stages=[stage, "won"]))
    assert (problem.code, problem.pointer) == (code, pointer)


def test_an_assign_that_names_nobody_is_odd() -> None:
    assert "assigns_nobody" in codes(lead(stages=[{"id": "a", "assign": {}}, "won"]))


def test_stages_are_a_list() -> None:
    assert only_error(lead() | {"entities": {"lead": {"stages": "new"}}}).code == "wrong_type"


@pytest.mark.parametrize("count", [MOST_STAGES, MOST_STAGES + 1])
def test_a_definition_has_at_most_500_stages(count: int) -> None:
    """SCL: 500 stages a definition, all entities together."""
    halves = {"a": count // 2, "b": count - count // 2}
    document = {
        "id": "x",
        "entities": {e: {"stages": [f"{e}{i}" for i in range(n)]} for e, n in halves.items()},
    }
    found = [p.code for p in problems(document) if p.severity == "error"]
    assert found == (["too_many_stages"] if count > MOST_STAGES else [])


@pytest.mark.parametrize("name", ["", "a/b", "\x07", " x", "x" * 101])
@pytest.mark.parametrize("section", ["entities", "transitions", "roles"])
def test_names_that_cannot_stand_in_addresses(section: str, name: str) -> None:
    assert [p.code for p in errors(lead() | {section: {name: {}}})] == ["invalid_name"]


@pytest.mark.parametrize("section", ["entities", "transitions", "roles", "policy"])
def test_sections_are_objects(section: str) -> None:
    found = errors({"id": "x", section: []})
    assert [(p.code, p.pointer) for p in found] == [("wrong_type", f"/{section}")]


def test_the_table_follows_from_the_name_or_is_said() -> None:
    """R31."""
    tables = {
        name: compiled({"id": "x", "entities": {name: body}}).program.entities[name].table
        for name, body in {
            "lead": {},
            "deal": {},
            "campaign": {},
            "pricing": {},
            "prospect": {"table": "contacts"},
            "other": {},
        }.items()
    }
    assert tables == {
        "lead": "contacts",
        "deal": "opportunities",
        "campaign": "campaigns",
        "pricing": "pricings",
        "prospect": "contacts",
        "other": None,
    }


def test_an_unknown_table_names_the_nearest() -> None:
    problem = only_error({"id": "x", "entities": {"lead": {"table": "contact"}}})
    assert (problem.code, problem.suggestion) == ("unknown_table", "contacts")


def test_fields_that_cannot_be_are_refused_where_they_stand() -> None:
    problem = only_error(lead(fields=["name", "name"]))
    assert (problem.code, problem.pointer) == ("invalid_schema", "/entities/lead/fields/1")


# --- transitions ---------------------------------------------------------------------------

TWO = {
    "lead": {"stages": ["new", "open", "won"]},
    "deal": {"stages": ["new", "open", "lost"]},
}


def test_the_entity_of_a_transition_is_found_by_its_stages() -> None:
    """R6: exactly one is eligible."""
    document = {
        "id": "x",
        "entities": TWO,
        "transitions": {"win": {"from": "*", "to": "won"}, "lose": {"from": ["new"], "to": "lost"}},
    }
    program = compiled(document).program
    assert program.transitions["win"].entity == "lead"
    assert program.transitions["win"].sources == ("new", "open")
    assert program.transitions["lose"].entity == "deal"


def test_an_ambiguous_entity_is_an_error_that_lists_them() -> None:
    """R6."""
    document = {"id": "x", "entities": TWO, "transitions": {"go": {"from": "new", "to": "open"}}}
    problem = only_error(document)
    assert (problem.code, problem.pointer) == ("ambiguous_entity", "/transitions/go")
    assert problem.expected == "'entity': one of lead, deal"
    document["transitions"]["go"]["entity"] = "deal"  # type: ignore[index]  # a document
    assert compiled(document).program.transitions["go"].entity == "deal"


def test_stages_of_different_entities_make_no_transition() -> None:
    """R6."""
    document = {"id": "x", "entities": TWO, "transitions": {"go": {"from": "won", "to": "lost"}}}
    assert only_error(document).code == "stages_of_several_entities"


def test_an_unknown_entity_names_the_nearest() -> None:
    problem = only_error(lead({"go": {**GO, "entity": "leed"}}))
    assert (problem.code, problem.pointer) == ("unknown_entity", "/transitions/go/entity")
    assert problem.suggestion == "lead"


def test_unknown_stages_are_told_with_the_stages_of_the_entity_named() -> None:
    found = errors(lead({"go": {"entity": "lead", "from": ["nwe", "new"], "to": "wno"}}))
    assert [(p.code, p.pointer, p.suggestion) for p in found] == [
        ("unknown_stage", "/transitions/go/from/0", "new"),
        ("unknown_stage", "/transitions/go/to", "won"),
    ]


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"from": []}, "wrong_type", "/from"),
        ({"from": [5]}, "invalid_name", "/from/0"),
        ({"from": None}, "invalid_name", "/from"),
        ({"to": ["qualified"]}, "invalid_name", "/to"),
        ({"entity": 5}, "invalid_name", "/entity"),
        ({"label": ""}, "wrong_type", "/label"),
        ({"on": "click"}, "invalid_trigger", "/on"),
        ({"on": None}, "invalid_trigger", "/on"),
        ({"on": {}}, "invalid_trigger", "/on"),
        ({"on": {"event": "a", "after": "1h"}}, "invalid_trigger", "/on"),
        ({"on": {"event": ""}}, "wrong_type", "/on/event"),
        ({"on": {"event": 5}}, "wrong_type", "/on/event"),
        ({"on": {"after": "3 dayz"}}, "invalid_duration", "/on/after"),
        ({"on": {"after": 3}}, "invalid_duration", "/on/after"),
        ({"on": {"after": "0s"}}, "invalid_duration", "/on/after"),
        ({"condition": "data.score >> 5"}, "invalid_expression", "/condition"),
        ({"condition": {"role_chek": "x"}}, "unknown_condition", "/condition/role_chek"),
        ({"condition": 5}, "invalid_condition", "/condition"),
        ({"condition": "scoer > 5"}, "invalid_expression", "/condition"),
        ({"by": []}, "wrong_type", "/by"),
        ({"by": {}}, "nobody_may_take", "/by"),
        ({"by": {"users": 5}}, "wrong_type", "/by/users"),
        ({"input": 5}, "invalid_schema", "/input"),
        ({"input": {"a": {"type": "nubmer"}}}, "invalid_schema", "/input/a/type"),
        ({"set": []}, "wrong_type", "/set"),
        ({"set": {"a": "won"}}, "invalid_expression", "/set/a"),
        ({"set": {"a": [1]}}, "wrong_type", "/set/a"),
        ({"creates": "dael"}, "unknown_entity", "/creates"),
        ({"creates": {}}, "missing_key", "/creates"),
        ({"creates": 5}, "invalid_name", "/creates"),
        (
            {"creates": {"entity": "deal", "data": {"a": "1 +"}}},
            "invalid_expression",
            "/creates/data/a",
        ),
    ],
)
def test_transitions_that_cannot_run(change: Document, code: str, pointer: str) -> None:
    """Each fault is located where it stands."""
    document = lead({"go": {**GO, **change}})
    document["entities"]["deal"] = {}
    problem = only_error(document)
    assert (problem.code, problem.pointer) == (code, f"/transitions/go{pointer}")
    assert problem.line == 1
    assert problem.column > 1


def test_every_stage_means_every_one_that_is_not_final() -> None:
    """R3."""
    program = compiled(lead({"lose": {"from": ["*", "new"], "to": "won"}})).program
    assert program.transitions["lose"].sources == ("new", "qualified")


def test_every_stage_of_an_entity_whose_stages_are_all_final_is_an_error() -> None:
    """R3: it could never be taken, and must not vanish silently."""
    problem = only_error(lead({"again": {"from": "*", "to": "won"}}, ["won"]))
    assert (problem.code, problem.pointer) == ("leaves_no_stage", "/transitions/again/from")


def test_leaving_a_final_stage_is_odd() -> None:
    """R3."""
    found = problems(lead({"reopen": {"from": "won", "to": "new"}}))
    assert ("leaves_final_stage", "/transitions/reopen/from") in [
        (p.code, p.pointer) for p in found
    ]


def test_now_in_an_auto_condition_is_an_error() -> None:
    """R5: nothing would wake it."""
    condition = {"any": ["data.go", {"not": "days_between(record.entered_at, now) > 3"}]}
    problem = only_error(lead({"go": {**GO, "on": "auto", "condition": condition}}))
    assert (problem.code, problem.pointer) == (
        "now_in_auto",
        "/transitions/go/condition/any/1/not",
    )
    assert "after" in (problem.expected or "")


@pytest.mark.parametrize("on", ["action", {"event": "e"}, {"after": "1h"}])
def test_now_in_other_conditions_is_fine(on: object) -> None:
    """R5."""
    condition = "days_between(record.entered_at, now) > 3"
    program = compiled(lead({"go": {**GO, "on": on, "condition": condition}})).program
    assert program.transitions["go"].condition is not None


def test_an_automatic_transition_without_a_condition_is_odd() -> None:
    assert "auto_without_condition" in codes(lead({"go": {**GO, "on": "auto"}}))


def test_data_that_nothing_names_is_odd_and_the_likely_name_is_told() -> None:
    document = lead(
        {"go": {**GO, "condition": "data.score > 1 and data.naem == 'x' and data.extra == 1"}},
        fields=["name"],
        dataSchema={"lead_score": {"type": "number"}},
    )
    document["transitions"]["more"] = {"from": "qualified", "to": "won", "set": {"extra": 1}}
    found = [p for p in problems(document) if p.code == "unknown_data"]
    assert [(p.found, p.suggestion) for p in found] == [
        ("'data.score'", "lead_score"),
        ("'data.naem'", "name"),
    ]
    assert found[0].expected == "data.extra, data.lead_score, data.name"


def test_literals_of_set_are_kept_as_they_are() -> None:
    computed = compiled(lead({"go": {**GO, "set": {"a": 1, "b": None, "c": True, "d": "'x'"}}}))
    kept = computed.program.transitions["go"].set
    assert [(c.key, c.literal, c.expression is None) for c in kept] == [
        ("a", 1, True),
        ("b", None, True),
        ("c", True, True),
        ("d", None, False),
    ]


# --- roles ---------------------------------------------------------------------------------


def can_of(roles: object) -> dict[str, frozenset[str]]:
    can = compiled(lead({"go": GO}, roles=roles)).program.can
    assert can is not None
    return dict(can)


def test_roles_inherit_what_others_can() -> None:
    """R11, design 3.1."""
    assert can_of(
        {
            "boss": {"can": "*", "inherits": "seller"},
            "seller": {"label": "Seller", "can": ["go"], "inherits": ["viewer"]},
            "viewer": {"can": ["comment"]},
        }
    ) == {"boss": {"*", "go", "comment"}, "seller": {"go", "comment"}, "viewer": {"comment"}}


def test_a_circle_of_roles_adds_up() -> None:
    """R11: harmless, as a circle of delegations is."""
    assert can_of(
        {
            "a": {"can": ["go"], "inherits": ["b"]},
            "b": {"can": ["comment"], "inherits": ["c", "b"]},
            "c": {"inherits": ["a"]},
        }
    ) == {role: {"go", "comment"} for role in "abc"}


def test_without_roles_there_is_nothing_to_ask() -> None:
    """R11."""
    assert compiled(lead()).program.can is None


@pytest.mark.parametrize("action", ["go", "start", "add", "*", *BUILT_IN_ACTIONS, *LATER_ACTIONS])
def test_what_a_role_can(action: str) -> None:
    assert can_of({"r": {"can": [action]}}) == {"r": {action}}


def test_unknown_actions_and_roles_name_the_nearest() -> None:
    found = errors(
        lead({"go": GO}, roles={"boss": {"can": ["coment"], "inherits": ["bos"]}, "x": 5})
    )
    assert [(p.code, p.pointer, p.suggestion) for p in found] == [
        ("unknown_action", "/roles/boss/can/0", "comment"),
        ("unknown_role", "/roles/boss/inherits/0", "boss"),
        ("wrong_type", "/roles/x", None),
    ]


def test_a_role_is_not_blamed_for_naming_a_faulty_transition() -> None:
    document = lead({"go": {"from": "new", "to": "nowhere"}}, roles={"boss": {"can": ["go"]}})
    assert only_error(document).code == "unknown_stage"


def test_takers_whom_the_roles_do_not_let_take_are_odd() -> None:
    roles = {"boss": {"can": "go"}, "clerk": {}}
    document = lead({"go": {**GO, "by": {"roles": ["boss", "clerk", "bos"]}}}, roles=roles)
    found = [p for p in problems(document) if p.code in ("role_cannot_take", "undeclared_role")]
    assert [(p.code, p.pointer, p.found, p.suggestion) for p in found] == [
        ("role_cannot_take", "/transitions/go/by/roles/1", "'clerk'", None),
        ("undeclared_role", "/transitions/go/by/roles/2", "'bos'", "boss"),
    ]


def test_a_policy_says_whether_one_may_assign_oneself() -> None:
    """BR-001."""
    assert compiled(lead()).program.self_assign
    assert compiled(lead(policy={})).program.self_assign
    assert not compiled(lead(policy={"selfAssign": False})).program.self_assign
    assert only_error(lead(policy={"selfAssign": "no"})).pointer == "/policy/selfAssign"


# --- keys ----------------------------------------------------------------------------------

# A whole document with one object of each kind, to put keys into.
WHOLE: Document = {
    "id": "whole",
    "policy": {},
    "roles": {"boss": {"can": "*"}},
    "entities": {
        "lead": {
            "stages": [
                {"id": "new", "assign": {"users": ["ann"]}},
                {
                    "id": "qualified",
                    "final": True,
                    "run": [
                        {"channel": "log", "retry": {"attempts": 2}},
                        {"parallel": []},
                        {"sequence": []},
                        {"inclusive": [{"when": "data.a", "do": []}]},
                        {"exclusive": []},
                        {"task": {"title": "Call"}},
                        {"wait": "1h"},
                        {"waitFor": {"event": "called", "timeout": "1h"}},
                        {"set": {}},
                    ],
                },
            ]
        },
        "deal": {},
    },
    "transitions": {
        "go": {**GO, "by": {"users": ["ann"]}, "creates": {"entity": "deal"}},
    },
}
RUN = "/entities/lead/stages/1/run"
PLACES = {
    "definition": "",
    "role": "/roles/boss",
    "policy": "/policy",
    "entity": "/entities/lead",
    "stage": "/entities/lead/stages/0",
    "assign": "/entities/lead/stages/0/assign",
    "transition": "/transitions/go",
    "by": "/transitions/go/by",
    "creates": "/transitions/go/creates",
    "retry": f"{RUN}/0/retry",
    "branch": f"{RUN}/3/inclusive/0",
    "task": f"{RUN}/5/task",
    "waitFor": f"{RUN}/7/waitFor",
    **{f"step '{kind}'": f"{RUN}/{at}" for at, kind in enumerate(STEPS[:9])},
}
# Steps that have no effect yet do not stand in a document that is beyond reproach.
LATER_STEPS = {"step 'split'": {"split": {"variants": {"a": 1}}}, "step 'start'": {"start": "x"}}


def with_key(kind: str, key: str, value: object) -> Document:
    document: Document = json.loads(json.dumps(WHOLE))
    place: Any = document
    for token in PLACES[kind].split("/")[1:]:
        place = place[int(token) if isinstance(place, list) else token]
    place[key] = value
    return document


def test_the_whole_document_is_beyond_reproach() -> None:
    assert problems(WHOLE) == ()
    assert {*PLACES, *LATER_STEPS} == set(KEYS)


@pytest.mark.parametrize("kind", PLACES)
def test_an_unknown_key_is_told_at_the_key_and_ignored(kind: str) -> None:
    """What is odd gets a warning, never a refusal; the nearest key is named."""
    key = KEYS[kind][-1] + "x"
    (problem,) = problems(with_key(kind, key, 1))
    assert (problem.code, problem.severity) == ("unknown_key", "warning")
    assert problem.pointer == f"{PLACES[kind]}/{key}"
    assert problem.suggestion == KEYS[kind][-1]
    text = json.dumps(with_key(kind, key, 1))
    assert text[problem.column - 1 :].startswith(f'"{key}"')


@pytest.mark.parametrize(
    ("kind", "key"), [row for row in NO_EFFECT_YET if row[0] not in LATER_STEPS]
)
def test_a_key_without_effect_says_so_and_has_none(kind: str, key: str) -> None:
    """The issue's table: it loads with a located warning that says exactly that."""
    document = with_key(kind, key, LATER[kind, key])
    (problem,) = problems(document)
    assert (problem.code, problem.pointer) == ("no_effect_yet", f"{PLACES[kind]}/{key}")
    assert NO_EFFECT_YET[kind, key] in problem.message

    def story(definition: object) -> list[object]:
        play = Play(definition)
        play.start(actor=BOSS)
        play.wait(days=1)
        play.act("go", actor=BOSS)
        return [play.events, play.state]

    assert story(document) == story(WHOLE)


@pytest.mark.parametrize("kind", LATER_STEPS)
def test_a_step_without_effect_says_so_and_is_skipped(kind: str) -> None:
    """The rest of the run goes on."""
    document: Document = json.loads(json.dumps(WHOLE))
    document["entities"]["lead"]["stages"][1]["run"].append(LATER_STEPS[kind])
    (problem,) = problems(document)
    key = STEPS[STEPS.index(kind[6:-1])]
    assert (problem.code, problem.pointer) == ("no_effect_yet", f"{RUN}/9/{key}")
    assert NO_EFFECT_YET[kind, key] in problem.message
    play = Play(document)
    play.start(actor=BOSS)
    play.act("go", actor=BOSS)
    assert play.state.records["lead-1"].run["run/9"] == "skipped"
    assert play.state.records["lead-1"].run["run/8"] == "done"


def test_a_value_without_effect_says_so() -> None:
    """Its key has an effect with other values."""
    for (kind, key, value), what in NO_EFFECT_YET_VALUES.items():
        (problem,) = problems(with_key(kind, key, value))
        assert (problem.code, problem.pointer) == ("no_effect_yet", f"{PLACES[kind]}/{key}")
        assert what in problem.message
    assert problems(with_key("step 'channel'", "onFailure", "continue")) == ()
    assert problems(with_key("step 'channel'", "compensate", False)) == ()


BOSS = type(ANN)("ann", ("boss",))


@pytest.mark.parametrize("kind", PLACES)
def test_every_known_key_is_one_that_the_compiler_reads_or_tells_of(kind: str) -> None:
    """The table of keys and the compiler are held equal: a wrong value does not pass unseen."""
    for key in KEYS[kind]:
        assert problems(with_key(kind, key, -5.5)), f"{kind}.{key} is not read at all"


def test_messages_end_as_sentences_and_codes_are_words() -> None:
    """Stable codes; whatever a person reads is a sentence."""
    found = problems(
        lead({"a": {"from": "x", "to": 5, "set": 5, "on": {}}}, roles=5, policy=5, domain=5)
    )
    for problem in found:
        assert re.fullmatch(r"[a-z_]+", problem.code)
        assert problem.message


def test_the_actions_of_a_program_are_its_own_and_the_built_in_ones() -> None:
    program = compiled(
        lead({"go": GO, "close": {"from": "qualified", "to": "won"}, "auto": {**GO, "on": "auto"}})
    ).program
    assert program.actions == ("go", "close", "assign", "cancel", "comment", "convert", "update")


def test_a_warning_does_not_keep_it_from_running() -> None:
    play = Play(lead({"go": {**GO, "colour": "red"}}))
    play.start()
    assert names(play.act("go")) == ["action_taken", "stage_entered"]


@pytest.mark.parametrize(
    ("entities", "pointer"),
    [
        ({"lead": {"stages": {"new": {}, "won": {}}}}, "/entities/lead/stages"),
        ([], "/entities"),
        ({"lead": 7}, "/entities/lead"),
    ],
)
def test_stages_that_cannot_be_read_are_one_problem(entities: object, pointer: str) -> None:
    """Not one more for each transition between them."""
    document = {
        "id": "x",
        "entities": entities,
        "transitions": {"go": {"from": "new", "to": "won"}},
    }
    with pytest.raises(DefinitionError) as caught:
        load_definition(json.dumps(document))
    assert [problem.pointer for problem in caught.value.problems] == [pointer]

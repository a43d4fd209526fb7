"""What is remarked of expressions: names, types, and conditions that are always the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.core import DefinitionError, Problem
from nexus.core.compiler.checks.facts import EntityFacts, Facts, known_data, site_of
from nexus.core.compiler.checks.truth import is_settled
from nexus.core.compiler.checks.written import condition_tree
from nexus.core.language import MEMBERS
from tests.core import drawn
from tests.core.playing import Document, Play, compiled, lead

SCHEMA = {
    "score": {"type": "number", "minimum": 0, "maximum": 100},
    "count": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
    "name": {"type": "string"},
    "region": {"type": "string", "enum": ["EU", "US"]},
    "kind": {"const": "deal"},
    "hot": {"type": "boolean"},
    "maybe": {"type": ["number", "null"]},
    "tags": {"type": "array"},
    "place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {}}},
    "due": {"type": "date"},
    "any": {},
}


def problems(document: Document) -> tuple[Problem, ...]:
    try:
        return compiled(document).warnings
    except DefinitionError as error:
        return error.problems


def go(condition: object = None, on: object = "action", **more: object) -> Document:
    """A definition whose transition `go` has this condition, and is odd in no other way."""
    body: Document = {"from": "new", "to": "qualified", "on": on, **more}
    if condition is not None:
        body["condition"] = condition
    return lead({"go": body, "win": {"from": "qualified", "to": "won"}}, dataSchema=SCHEMA)


def told(document: Document) -> list[tuple[str, str | None]]:
    """(code, what was written there) of each problem."""
    return [(problem.code, problem.found) for problem in problems(document)]


# --- types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("data.score == '50'", "data.score == '50'"),
        ("data.score != 'x'", "data.score != 'x'"),
        ("'x' < data.score", "'x' < data.score"),
        ("data.name > 5", "data.name > 5"),
        ("data.hot > 1", "data.hot"),
        ("data.tags >= data.any", "data.tags"),
        ("data.hot == 1", "data.hot == 1"),
        ("data.score", "data.score"),
        ("not data.name", "data.name"),
        ("data.score > 1 and data.name", "data.name"),
        ("data.name in 5", "5"),
        ("data.any in data.score", "data.score"),
        ("data.score in 'abc'", "data.score in 'abc'"),
        ("data.score in ['a', 'b']", "data.score in ['a', 'b']"),
        ("data.score in record", "data.score in record"),
        ("-data.name > 1", "data.name"),
        ("data.score - data.name > 1", "data.name"),
        ("data.score + data.name > 1", "data.score + data.name"),
        ("data.tags + 1 > 1", "data.tags"),
        ("data.any + data.hot > 1", "data.hot"),
        ("lower(data.score) == 'a'", "data.score"),
        ("size(data.hot) > 1", "data.hot"),
        ("round(data.name, 2) > 1", "data.name"),
        ("starts_with(data.score, 'a')", "data.score"),
        ("contains(data.score, 'a')", "data.score"),
        ("min(data.score) > 1", "data.score"),
        ("max(data.score, 'a') > data.tags", "data.tags"),
        ("days_between(data.score, now) > 1", "data.score"),
        ("days_between(data.due, 'tomorrow') > 1", "'tomorrow'"),
        ("now > 'tomorrow'", "'tomorrow'"),
        ("now == 5", "now == 5"),
        ("record.created_at == 'today'", "'today'"),
        ({"all": ["data.any", {"not": "data.score == 'x'"}]}, "data.score == 'x'"),
        ({"expression": "data.place.city > 5"}, "data.place.city > 5"),
    ],
)
def test_values_that_never_fit_are_told_at_the_smallest_part(condition: object, found: str) -> None:
    """R2: they are unknown, always."""
    assert told(go(condition)) == [("unlike_types", repr(found))]


@pytest.mark.parametrize(
    "condition",
    [
        "data.score == 50",
        "data.score == null",
        "null != data.name",
        "data.maybe > 5 or data.maybe == null",
        "data.any == 'x' or data.any > 5 or data.any",
        "data.name in 'abcdef' and data.any in data.name",
        "data.name in data.place",
        "data.score in [1, 2, data.any]",
        "data.name in data.tags",
        "data.name + 'x' == 'ax'",
        "(data.any + data.score) * 2 > 1",
        "data.any + data.name == 'x'",
        "-data.score < 5 and data.score % 2 == 0",
        "now > data.due and data.due > '2026-01-01' and now > '2026-01-01T00:00:00Z'",
        "record.created_at < now and days_between(record.entered_at, now) > 3",
        "days_between(data.due, '2026-01-01') > 1",
        "min(data.tags) > 1 and max(data.score, 5) > 1 and min(data.any, data.name) == 'x'",
        "size(data.tags) > 0 and size(data.name) > 0 and has(data.any)",
        "round(data.score, 1) > 1.5 and lower(upper(data.name)) == 'a'",
        "contains(data.tags, 5) and starts_with(data.name, 'a')",
        "actor.id in record.users or instance.started_by == actor.id",
        "record.parent == null",
    ],
)
def test_values_that_may_fit_are_nothing_to_remark(condition: str) -> None:
    assert told(go(condition)) == []


@pytest.mark.parametrize(
    ("computed", "code"),
    [
        ({"score": "data.name"}, "unlike_types"),
        ({"name": "1 + 1"}, "unlike_types"),
        ({"hot": "'yes'"}, "unlike_types"),
        ({"region": "'Europe'"}, "never_matches"),
        ({"kind": "'lead'"}, "never_matches"),
        ({"score": "lower(data.score)"}, "unlike_types"),
        ({"name": "data.nmae"}, "unknown_data"),
        ({"name": "input.nmae"}, "unknown_input"),
    ],
)
def test_what_a_transition_computes_has_to_fit_where_it_is_kept(
    computed: Document, code: str
) -> None:
    (problem,) = problems(go(set=computed))
    assert (problem.code, problem.pointer) == (code, f"/transitions/go/set/{next(iter(computed))}")


@pytest.mark.parametrize(
    "computed",
    [
        {"score": "data.score * 2", "name": "data.any", "hot": "data.score > 5"},
        {"due": "now", "any": "now", "region": "'EU'", "kind": None, "maybe": 5},
    ],
)
def test_what_fits_is_nothing_to_remark(computed: Document) -> None:
    assert told(go(set=computed)) == []


# --- values that cannot be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value", "suggestion"),
    [
        ("data.region == 'Eu'", "'Eu'", "EU"),
        ("'UK' == data.region", "'UK'", None),
        ("data.region != 'EUR'", "'EUR'", "EU"),
        ("data.region in ['EU', 'USA']", "'USA'", "US"),
        ("data.kind == 'lead'", "'lead'", None),
        ("record.stage == 'nwe'", "'nwe'", "new"),
        ("record.stage == 'won'", "'won'", None),
        ("record.entity == 'lead' and record.status == 'closed'", "'closed'", None),
    ],
)
def test_a_value_that_is_none_of_the_few_is_told(
    condition: str, value: str, suggestion: str | None
) -> None:
    found = [p for p in problems(go(condition)) if p.code == "never_matches"]
    assert [(p.found, p.suggestion) for p in found] == [(repr(value), suggestion)]


def test_an_event_is_of_one_type() -> None:
    document = go("event.type == 'b' and event.data.x == 1", on={"event": "a"})
    assert told(document) == [("never_matches", "\"'b'\"")]


# --- always the same ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "code", "found"),
    [
        ("1 == 1", "always_true", "1 == 1"),
        ("true", "always_true", "true"),
        ("false or data.hot", "always_false", "false"),
        ("data.hot and 1 > 2", "always_false", "1 > 2"),
        ("not (1 > 2)", "always_false", "1 > 2"),
        ("data.score == data.score", "always_true", "data.score == data.score"),
        ("data.score < data.score", "always_false", "data.score < data.score"),
        ("data.score > 100", "always_false", "data.score > 100"),
        ("data.score <= 100", "always_true", "data.score <= 100"),
        ("0 <= data.score", "always_true", "0 <= data.score"),
        ("data.count < 0.5 and data.count > 9", "always_false", "data.count > 9"),
        ("data.score == -1", "always_false", "data.score == -1"),
        ("data.any in []", "always_false", "data.any in []"),
        ("record.stage == 'new'", "always_true", "record.stage == 'new'"),
        ("data.any > 5 and data.any < 3", "always_false", "data.any < 3"),
        ("data.any > 5 and data.any <= 5", "always_false", "data.any <= 5"),
        ("data.any >= 5 and data.any <= 5 and data.any != 5", "always_false", "data.any != 5"),
        ("data.any == 'a' and data.hot and data.any == 'b'", "always_false", "data.any == 'b'"),
        ("data.any == 1 and data.any == true", "always_false", "data.any == true"),
        ("data.any in [1, 2] and data.any not in [1, 2, 3]", "always_false", None),
        ("data.any == null and data.any > 5", "always_false", "data.any > 5"),
        ("data.any > 'b' and data.any < 'a'", "always_false", "data.any < 'a'"),
        ("data.hot and not data.hot", "always_false", "data.hot"),
        ("data.any != 1 or data.any != 2", "always_true", "data.any != 2"),
        ("data.any > 3 or data.any < 5", "always_true", "data.any < 5"),
        ("data.hot or not data.hot", "always_true", "data.hot"),
        ({"all": ["data.any > 5", "data.hot", "data.any < 3"]}, "always_false", "data.any < 3"),
        ({"any": ["data.any != 1", {"any": ["data.any != 2"]}]}, "always_true", "data.any != 2"),
        ({"all": [{"not": "data.any > 5"}, "data.any > 6"]}, "always_false", "data.any > 6"),
    ],
)
def test_what_is_always_the_same_is_told_where_it_is_settled(
    condition: object, code: str, found: str | None
) -> None:
    (problem,) = problems(go(condition))
    assert problem.code == code
    assert found is None or problem.found == repr(found)


@pytest.mark.parametrize(
    "condition",
    [
        "data.any > 3 and data.any < 5",
        "data.any > 3 or data.any < 2",
        "data.any >= 5 and data.any <= 5",
        "data.any != 1 and data.any != 2",
        "data.any == 1 or data.any == 2",
        "data.any > 5 and data.name == 'x' and data.score < 3",
        "data.any > 5 and data.any == data.score",
        "data.any > 'a' and data.any < 5",
        "data.region == 'EU' or data.region == 'US'",
        "data.region == null",
        "record.created_at > '2026-01-02' and record.created_at < '2026-01-01'",
        "data.any in [data.score, 1] and data.any == 2",
    ],
)
def test_what_may_differ_is_nothing_to_remark(condition: str) -> None:
    assert told(go(condition)) == []


@pytest.mark.parametrize("on", ["auto", {"after": "1h"}])
def test_nobody_has_a_role_where_nobody_acts(on: object) -> None:
    past_the_next = {"to": "won", "condition": {"role_check": "boss"}}
    assert "always_false" in [p.code for p in problems(go(on=on, **past_the_next))]
    # `convert` takes a transition to the next stage, whatever else does; then somebody acts.
    assert told(go({"role_check": "boss"}, on=on)) == []
    assert "always_false" not in [p.code for p in problems(go(on={"event": "e"}, **past_the_next))]


class TestSoundness:
    """What is said to be always so is never otherwise, whatever the data (hypothesis)."""

    ATOMS = st.one_of(
        st.builds(
            "data.{} {} {}".format,
            st.sampled_from("ab"),
            st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
            st.sampled_from(["0", "1", "2", "'x'", "'y'", "true", "null", "data.a", "-1"]),
        ),
        st.builds(
            "data.{} {} {}".format,
            st.sampled_from("ab"),
            st.sampled_from(["in", "not in"]),
            st.sampled_from(["[]", "[1]", "[1, 2]", "['x', null]", "[0, true]"]),
        ),
        st.sampled_from(["data.a", "1 == 1", "1 > 2", "has(data.b)"]),
    )
    EXPRESSIONS = st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=5,
    )
    SCHEMAS: Any = st.sampled_from(
        [
            {},
            {"a": {"type": "integer", "minimum": 0, "maximum": 1}},
            {"a": {"enum": [1, "x"]}, "b": {"type": ["integer", "null"]}},
            {"a": {"const": True}},
        ]
    )

    @given(EXPRESSIONS, SCHEMAS, st.dictionaries(st.sampled_from("ab"), drawn.VALUES))
    @settings(max_examples=500, deadline=None)
    def test_a_verdict_holds_for_any_data(
        self, expression: str, schema: Document, data: Document
    ) -> None:
        document = lead({"go": {"from": "new", "to": "won", "condition": expression}})
        program = Play({**document, "dataSchema": schema}).program
        transition = program.transitions["go"]
        condition = transition.condition
        assert condition is not None
        entity = program.entities["lead"]
        known = EntityFacts(program, entity, known_data(program, "lead"))
        facts = Facts(known, site_of(entity, transition))
        verdict = is_settled(facts, condition_tree(condition, expression, ""))
        assert program.data_schema is not None
        if verdict is None or program.data_schema.validate(data):
            return
        result = condition.holds({"data": data})
        # What is missing is unknown, which is not the opposite.
        assert result is not (not verdict)


# --- names -------------------------------------------------------------------------------------


def test_the_table_of_members_is_what_expressions_see() -> None:
    play = Play(lead({"go": {"from": "new", "to": "won", "on": {"event": "e"}}}))
    play.start()
    from nexus.core.decision import Decision
    from tests.core.playing import ANN

    decision = Decision(play.program, play.state, ANN, play.now)
    decision.received = {"type": "e", "data": {}}
    (record,) = play.state.records.values()
    scope = decision.scope(record)
    for name, members in MEMBERS.items():
        seen = scope[name]
        assert isinstance(seen, dict)
        assert tuple(seen) == members


@pytest.mark.parametrize(
    ("condition", "found", "suggestion"),
    [
        ("record.stgae == 'new'", "record.stgae", "stage"),
        ("record.score > 5", "record.score", "data.score"),
        ("instance.sate == 'x'", "instance.sate", "status"),
        ("subject.kind == 'account'", "subject.kind", "id"),
        ("actor.role == 'boss'", "actor.role", "roles"),
        ("metrics.opens > 5", "metrics.opens", None),
        ("now.year > 2026", "now.year", None),
        ("event.type == 'x'", "event.type", None),
    ],
)
def test_members_that_are_not_there_are_told(
    condition: str, found: str, suggestion: str | None
) -> None:
    (problem,) = [p for p in problems(go(condition)) if p.code == "unknown_member"]
    assert (problem.found, problem.suggestion) == (repr(found), suggestion)


def test_members_of_an_event_are_told_where_there_is_one() -> None:
    found = told(go("event.tpye == 'x'", on={"event": "e"}))
    assert found == [("unknown_member", "'event.tpye'")]


@pytest.mark.parametrize(
    ("condition", "found", "suggestion"),
    [
        ("data.naem == 'x'", "data.naem", "name"),
        ("record.data.naem == 'x'", "record.data.naem", "name"),
        ("instance.data.naem == 'x'", "instance.data.naem", "name"),
        ("data.place.ctiy == 'x'", "data.place.ctiy", "city"),
        ("has(data.nothing)", "data.nothing", None),
        ({"any": ["data.any", {"not": {"expression": "data.naem == 'x'"}}]}, "data.naem", "name"),
    ],
)
def test_data_that_no_schema_names_is_told_with_the_likely_name(
    condition: object, found: str, suggestion: str | None
) -> None:
    (problem,) = problems(go(condition))
    assert problem.code == "unknown_data"
    assert (problem.found, problem.suggestion) == (repr(found), suggestion)


def test_what_names_no_data_says_nothing_of_names() -> None:
    document = go("data.x == 1 and data.place.zip[0] == 1 and data.place.zip.x == 1")
    assert [code for code, _ in told(document)] == ["unknown_data"]
    del document["dataSchema"]
    assert told(document) == []


def test_data_that_another_transition_writes_is_named() -> None:
    document = go("data.found == 1 and data.made == 2")
    document["transitions"]["win"]["set"] = {"found": 1}
    document["transitions"]["win"]["creates"] = {"entity": "lead", "data": {"made": 2}}
    assert told(document) == []
    document["transitions"]["win"]["to"] = "nowhere"
    assert [code for code, _ in told(document)] == ["unknown_stage"]


@pytest.mark.parametrize("on", ["auto", {"after": "1h"}, {"event": "e"}])
def test_only_an_action_has_input(on: object) -> None:
    (problem,) = problems(go("input.x == 1 and data.hot", on=on))
    assert (problem.code, problem.found) == ("unknown_input", "'input.x'")


def test_input_without_a_schema_is_judged_by_the_data_schema() -> None:
    assert told(go("input.score > 5 and input.naem == 'x'")) == [("unknown_input", "'input.naem'")]
    free = go("input.whatever == 5")
    del free["dataSchema"]
    assert told(free) == []


# --- fields ------------------------------------------------------------------------------------


def test_a_closed_schema_keeps_unknown_fields_out() -> None:
    document = go(set={"scoer": 5})
    document["dataSchema"] = {
        "type": "object",
        "properties": {"score": {"type": "number"}},
        "additionalProperties": False,
    }
    (problem,) = problems(document)
    assert (problem.code, problem.suggestion) == ("unknown_field", "score")
    assert "The properties of the dataSchema have no 'scoer'" in problem.message


def test_nothing_can_be_written_where_there_are_no_fields() -> None:
    document = lead(
        {"go": {"from": "new", "to": "won", "set": {"x": 1}}}, stages=["new", "won"], fields=[]
    )
    (problem,) = problems(document)
    assert (problem.code, problem.expected) == ("unknown_field", None)


def test_a_created_record_needs_what_its_entity_requires() -> None:
    document = lead(
        {"go": {"from": "new", "to": "won", "creates": "deal"}},
        stages=["new", "won"],
        fields=["value"],
    )
    document["entities"]["deal"] = {"fields": {"value": {"required": True}, "x": {}}}
    assert told(document) == []  # copied, since both have it
    document["transitions"]["go"]["creates"] = {"entity": "deal", "data": {"x": 1}}
    assert [code for code, _ in told(document)] == ["missing_field"]

"""Conditions in all their forms (design 3.1, R2)."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.core.conditions import Condition, compile_condition
from nexus.core.expressions import DEFAULT_NAMES, Unknown


class Findings:
    """A `Report` that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[dict[str, object]] = []

    def __call__(
        self,
        code: str,
        pointer: str,
        message: str,
        *,
        expected: str | None = None,
        found: object = None,
        suggestion: str | None = None,
        offset: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        self.all.append(
            {
                "code": code,
                "pointer": pointer,
                "message": message,
                "expected": expected,
                "found": found,
                "suggestion": suggestion,
                "offset": offset,
                "excerpt": excerpt,
            }
        )

    @property
    def places(self) -> list[tuple[object, object]]:
        return [(finding["code"], finding["pointer"]) for finding in self.all]


def compiled(doc: object) -> Condition:
    findings = Findings()
    condition = compile_condition(doc, "/c", findings)
    assert condition is not None, findings.all
    assert findings.all == []
    return condition


def refused(doc: object) -> list[dict[str, object]]:
    findings = Findings()
    assert compile_condition(doc, "/c", findings) is None
    return findings.all


SCOPE = {
    "data": {"score": 60, "segment": "gold", "yes": True, "no": False},
    "subject": {"segment": ["vip", "eu"]},
    "actor": {"id": "ann", "roles": ["sales", "manager"]},
}


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("data.score > 50", True),
        ({"expression": "data.score > 90"}, False),
        ({"role_check": "manager"}, True),
        ({"role_check": "admin"}, False),
        ({"role_check": ["admin", "sales"]}, True),
        ({"segment_check": "gold"}, True),
        ({"segment_check": "vip"}, True),
        ({"segment_check": ["silver", "eu"]}, True),
        ({"segment_check": "silver"}, False),
        ({"all": ["data.score > 50", {"role_check": "manager"}]}, True),
        ({"all": ["data.score > 50", {"role_check": "admin"}]}, False),
        ({"any": ["data.score > 90", {"segment_check": "gold"}]}, True),
        ({"any": ["data.score > 90", {"segment_check": "silver"}]}, False),
        ({"not": {"any": ["data.score > 90"]}}, True),
        ({"not": "data.yes"}, False),
    ],
)
def test_conditions_hold_or_do_not(doc: object, expected: bool) -> None:
    condition = compiled(doc)
    assert condition.holds(SCOPE) is expected
    assert condition.explain(SCOPE)["result"] is expected


@pytest.mark.parametrize(
    ("doc", "scope", "missing"),
    [
        ({"role_check": "manager"}, {}, ("actor.roles",)),
        ({"role_check": "manager"}, {"actor": {"roles": None}}, ("actor.roles",)),
        ({"segment_check": "gold"}, {"data": {}}, ("data.segment", "subject.segment")),
        ({"not": {"role_check": "x"}}, {"actor": {}}, ("actor.roles",)),
        ({"all": ["data.a > 1", "data.b > 1"]}, {"data": {}}, ("data.a", "data.b")),
    ],
)
def test_what_is_missing_makes_a_condition_unknown(
    doc: object, scope: dict[str, object], missing: tuple[str, ...]
) -> None:
    condition = compiled(doc)
    assert condition.holds(scope) == Unknown(missing=missing)
    explained = condition.explain(scope)
    assert explained["result"] == "unknown"
    assert str(explained["reason"]).startswith(f"{missing[0]} is missing")


def test_one_segment_that_is_there_suffices_to_say_no() -> None:
    condition = compiled({"segment_check": "gold"})
    assert condition.holds({"data": {"segment": "silver"}}) is False
    assert condition.holds({"subject": {"segment": "gold"}}) is True


def test_segments_may_be_numbers_and_true_is_not_one() -> None:
    condition = compiled({"segment_check": 1})
    assert condition.holds({"data": {"segment": 1}}) is True
    assert condition.holds({"data": {"segment": True}}) is False


TRUTHS = {"data.yes": True, "data.no": False, "data.unknown": None}


@pytest.mark.parametrize(("a", "b"), [*itertools.product(TRUTHS, TRUTHS)])
def test_connectives_mean_what_the_operators_mean(a: str, b: str) -> None:
    """R2: the same in `all`, `any`, `not`."""
    for connective, operator in (("all", "and"), ("any", "or")):
        for left, right in ((a, b), (b, a)):
            object_form = compiled({connective: [left, right]}).holds(SCOPE)
            assert object_form == compiled(f"{left} {operator} {right}").holds(SCOPE)
    assert compiled({"not": a}).holds(SCOPE) == compiled(f"not {a}").holds(SCOPE)


def test_an_explanation_shows_each_part_with_what_it_saw() -> None:
    """Design 9, 6: why, and why not."""
    doc = {"all": ["data.score > 90", {"role_check": "manager"}, {"segment_check": "x"}]}
    scope = {"data": {"score": 60}, "actor": {"roles": ["sales"]}}
    explained = compiled(doc).explain(scope)
    assert explained == {
        "expression": json.dumps(doc),
        "result": False,
        "values": {"data.score": 60, "actor.roles": ["sales"]},
        "missing": ["data.segment", "subject.segment"],
        "parts": [
            {
                "expression": "data.score > 90",
                "result": False,
                "values": {"data.score": 60},
                "missing": [],
            },
            {
                "expression": '{"role_check": "manager"}',
                "result": False,
                "values": {"actor.roles": ["sales"]},
                "missing": [],
            },
            {
                "expression": '{"segment_check": "x"}',
                "result": "unknown",
                "values": {},
                "missing": ["data.segment", "subject.segment"],
                "reason": "data.segment is missing; subject.segment is missing",
            },
        ],
    }


def test_what_a_condition_uses_is_known_before_it_runs() -> None:
    doc = {"any": ["now > data.due", {"not": {"all": [{"role_check": "x"}, "data.due == null"]}}]}
    condition = compiled(doc)
    assert condition.names == {"now", "data", "actor"}
    assert condition.paths == ("now", "data.due", "actor.roles")
    assert compiled({"segment_check": "x"}).names == {"data", "subject"}
    assert compiled({"segment_check": "x"}).paths == ("data.segment", "subject.segment")


class TestProblems:
    def test_all_of_them_are_told_each_at_its_place(self) -> None:
        findings = Findings()
        doc = {
            "all": [
                "data.score >",
                {"any": [{"rol_check": "x"}, {"not": []}, {"a/b~c": 1}]},
                {"role_check": []},
                {"segment_check": [True]},
                "data.score > 50",
                7,
            ]
        }
        assert compile_condition(doc, "/transitions/qualify/condition", findings) is None
        at = "/transitions/qualify/condition/all"
        assert findings.places == [
            ("invalid_expression", f"{at}/0"),
            ("unknown_condition", f"{at}/1/any/0/rol_check"),
            ("invalid_condition", f"{at}/1/any/1/not"),
            ("unknown_condition", f"{at}/1/any/2/a~1b~0c"),
            ("invalid_condition", f"{at}/2/role_check"),
            ("invalid_condition", f"{at}/3/segment_check"),
            ("invalid_condition", f"{at}/5"),
        ]

    def test_an_unknown_condition_comes_with_the_right_names(self) -> None:
        (finding,) = refused({"rolecheck": "manager"})
        assert finding["message"] == (
            "no condition named 'rolecheck'; there are: "
            "expression, role_check, segment_check, all, any, not"
        )
        assert finding["suggestion"] == "role_check"

    def test_a_broken_expression_is_shown_with_its_place(self) -> None:
        (finding,) = refused("data.score > 50 and dta.x == 1")
        assert finding["code"] == "invalid_expression"
        assert finding["message"] == "there is no name 'dta' here"
        assert finding["offset"] == 20
        assert finding["excerpt"] == ("data.score > 50 and dta.x == 1\n                    ^^^")
        assert finding["suggestion"] == "data"
        (empty,) = refused("")
        assert empty["message"] == "the expression ends where a value should stand"

    @pytest.mark.parametrize(
        ("doc", "message"),
        [
            (["data.a"], "a list is no condition: say whether all or any of it must hold"),
            (True, "this is no condition"),
            (None, "this is no condition"),
            ({}, "an empty object is no condition"),
            (
                {"role_check": "a", "segment_check": "b"},
                'a condition has one key; join several with {"all": […]}',
            ),
            ({"all": []}, "all takes a list of conditions, of which there is at least one"),
            ({"any": "data.a"}, "any takes a list of conditions, of which there is at least one"),
            ({"expression": 5}, "an expression is text"),
            ({"role_check": ""}, "role_check takes a role or a list of roles"),
            ({"role_check": {"x": 1}}, "role_check takes a role or a list of roles"),
            ({"segment_check": None}, "segment_check takes a segment or a list of segments"),
        ],
    )
    def test_what_is_no_condition_is_refused(self, doc: object, message: str) -> None:
        (finding,) = refused(doc)
        assert finding["message"] == message
        assert finding["code"] == "invalid_condition"

    def test_nesting_has_an_end(self) -> None:
        doc: object = "data.yes"
        for _ in range(31):
            doc = {"not": doc}
        assert compiled(doc).holds(SCOPE) is False
        (finding,) = refused({"not": doc})
        assert finding["message"] == "the condition is nested deeper than 32"

    def test_work_has_an_end(self) -> None:
        """A condition has as many parts as an expression may have, however they are spread."""
        doc = {"any": ["data.score > 50"] * 99}
        assert compiled(doc).size == 1 + 99 * 4
        (finding,) = refused({"not": {"any": ["data.score > 50"] * 125}})
        assert finding["code"] == "invalid_condition"
        assert finding["message"] == "the condition has 502 parts, at most 500 are allowed"

    def test_names_may_be_fewer(self) -> None:
        findings = Findings()
        names = [name for name in DEFAULT_NAMES if name != "now"]
        assert compile_condition({"not": "now > data.due"}, "/c", findings, names=names) is None
        assert findings.places == [("invalid_expression", "/c/not")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "role_check", "segment_check", "expression"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=10,
)


@given(JSON, st.dictionaries(st.sampled_from(["data", "actor", "subject"]), JSON))
def test_reading_and_asking_never_raise(doc: object, scope: dict[str, object]) -> None:
    findings = Findings()
    condition = compile_condition(doc, "", findings)
    assert (condition is None) == bool(findings.all)
    if condition is not None:
        assert isinstance(condition.holds(scope), bool | Unknown)
        json.dumps(condition.explain(scope), allow_nan=False)

"""Why, and why not: a tree of each part with the values it saw (design 9, 6)."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from nexus.core.conditions import Condition, compile_condition
from nexus.core.expressions import Unknown, parse
from nexus.core.expressions.explanation import MAX_EXPLAINED
from tests.core.test_conditions import Findings

SCOPE: dict[str, object] = {
    "data": {"score": 40, "region": "EU", "tags": ["a", "b"], "name": "Ann", "flag": True},
    "actor": {"id": "ann", "roles": ["rep"]},
}


def compiled(doc: object) -> Condition:
    condition = compile_condition(doc, "", Findings())
    assert condition is not None
    return condition


def every_part(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield told
    for part in told.get("parts", ()):
        yield from every_part(part)


def results(doc: object, scope: dict[str, object] = SCOPE) -> dict[str, object]:
    """Each part that is told, and what it gave."""
    told = compiled(doc).explain(scope)
    return {part["expression"]: part["result"] for part in every_part(told)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.score > 50", {"data.score > 50": False}),
        (
            "lower(data.region) == 'eu'",
            {"lower(data.region) == 'eu'": True, "lower(data.region)": "eu"},
        ),
        (
            "data.score * 2 - 1 >= size(data.tags)",
            {
                "data.score * 2 - 1 >= size(data.tags)": True,
                "data.score * 2 - 1": 79,
                "data.score * 2": 80,
                "size(data.tags)": 2,
            },
        ),
        (
            "data.region in [upper('eu'), data.missing]",
            {
                "data.region in [upper('eu'), data.missing]": True,
                "[upper('eu'), data.missing]": "unknown",
            },
        ),
        ("data.region not in ['EU', 'US']", {"data.region not in ['EU', 'US']": False}),
        ("has(data.x)", {"has(data.x)": False}),
        ("-data.score < -1", {"-data.score < -1": True, "-data.score": -40}),
        (
            "not (data.flag and has(data.x)) == true",
            {
                "not (data.flag and has(data.x)) == true": True,
                "(data.flag and has(data.x)) == true": False,
                "data.flag and has(data.x)": False,
                "data.flag": True,
                "has(data.x)": False,
            },
        ),
        (
            {"all": ["data.flag", {"not": {"role_check": "manager"}}]},
            {
                '{"all": ["data.flag", {"not": {"role_check": "manager"}}]}': True,
                "data.flag": True,
                '{"not": {"role_check": "manager"}}': True,
                '{"role_check": "manager"}': False,
            },
        ),
        ({"segment_check": ["gold"]}, {'{"segment_check": ["gold"]}': "unknown"}),
    ],
)
def test_what_is_computed_on_the_way_is_told(text: object, expected: dict[str, object]) -> None:
    told = results(text)
    # A comparison in parentheses starts at its left side, after the parenthesis.
    assert [*told.values()] == [*expected.values()]
    assert len(told) == len(expected)


def test_parts_that_did_not_have_to_be_asked_are_told_as_well() -> None:
    told = compiled("data.score > 50 and data.region == 'US' and lower(data.x) == 'a'")
    explained = told.explain(SCOPE)
    assert explained["result"] is False
    parts: Any = explained["parts"]
    assert [part["result"] for part in parts] == [False, False, "unknown"]
    assert explained["values"] == {"data.score": 40, "data.region": "EU"}
    assert explained["missing"] == ["data.x"]


@pytest.mark.parametrize("doc", ["data.score", "data.score and data.flag", {"all": ["data.score"]}])
def test_what_is_no_truth_gives_its_reason(doc: object) -> None:
    condition = compiled(doc)
    assert isinstance(condition.holds(SCOPE), Unknown)
    told = condition.explain(SCOPE)
    assert told["reason"] == "data.score is a number, not true or false"
    assert all("reason" in p for p in every_part(told) if p["expression"] == "data.score")


def test_explaining_gives_what_asking_gives() -> None:
    for doc in ("data.flag or data.x", {"any": ["data.x", "data.flag"]}, {"not": "data.x > 1"}):
        condition = compiled(doc)
        held = condition.holds(SCOPE)
        told = condition.explain(SCOPE)["result"]
        assert told == ("unknown" if isinstance(held, Unknown) else held)


class TestBounds:
    """An explanation goes into refusals and the history, so it must not grow with the data."""

    VALUE: ClassVar = {"a": {"b" * 300: ["x" * 500] * 30}, "c": list(range(99))}
    WIDE: ClassVar[dict[str, object]] = {
        "data": dict.fromkeys([f"k{i}" for i in range(200)], VALUE)
    }
    DEEP = "not " * 40 + " (" + " or ".join(f"data.k{i} == 1" for i in range(90)) + ")"

    @pytest.mark.parametrize(
        "doc",
        [
            DEEP,
            " or ".join(f"data.k{i}.a == data.k{i}" for i in range(60)),
            {"any": [f"data.k{i} == 1" for i in range(100)]},
            {"all": [{"not": {"not": {"any": [f"data.k{i}", f"data.x{i}"]}}} for i in range(50)]},
            {"any": [{"segment_check": ["x" * 1000] * 40}] * 400},
            "'" + "\u00e9" * 1_900 + "' == data.k1",
            " + ".join(f"data.{'y' * 90}{i}" for i in range(20)),
        ],
    )
    def test_they_hold_whatever_is_explained(self, doc: object) -> None:
        told = compiled(doc).explain(self.WIDE)
        text = json.dumps(told, ensure_ascii=False)
        assert len(text) < 4 * MAX_EXPLAINED
        assert len(text) < MAX_EXPLAINED or told["cut"] is True

    def test_what_was_left_out_is_said(self) -> None:
        told = compiled(self.DEEP).explain(self.WIDE)
        assert told["cut"] is True
        innermost = [*every_part(told)][-1]
        assert innermost["cut"] is True
        assert "cut" not in compiled("data.k1 == 1").explain(self.WIDE)

    def test_every_condition_left_out_still_counts(self) -> None:
        doc = {"any": [*(f"data.k{i} == 1" for i in range(99)), "true"]}
        told = compiled(doc).explain(self.WIDE)
        assert told["result"] is True
        parts: Any = told["parts"]
        assert len(parts) < 100
        assert told["cut"] is True

    def test_each_part_is_computed_once(self) -> None:
        """However deep it stands: else explaining would cost as often as there are levels."""

        class Counting(dict[str, object]):
            asked = 0

            def __contains__(self, key: object) -> bool:
                Counting.asked += 1
                return super().__contains__(key)

        text = "not " * 50 + "('a' in data)"
        parse(text).explain({"data": Counting()})
        assert Counting.asked <= 2

    def test_long_reasons_are_cut(self) -> None:
        text = " or ".join(f"data.missing_{i} == 1" for i in range(80))
        told = parse(text).explain({"data": {}})
        assert len(str(told["reason"])) == 1_000

"""What scenarios have shown of a definition, and what not."""

from __future__ import annotations

from nexus.channels import load_channels
from nexus.simulation.coverage import Coverage, coverage_of
from nexus.simulation.playing import play
from tests.core.playing import lead
from tests.simulation.playing import Document, program_from, scenarios


def covered(document: Document, *written: Document) -> Coverage:
    program = program_from(document)
    channels = load_channels()
    return coverage_of(
        program, [play(program, one, channels=channels) for one in scenarios(*written)]
    )


def missing(document: Document, *written: Document) -> list[str]:
    return [f"{item.kind}: {item.name}" for item in covered(document, *written).missing]


PIPELINE = lead(
    {
        "qualify": {
            "from": "new",
            "to": "qualified",
            "condition": "data.score > 50",
            "by": {"roles": ["sales"]},
            "input": {"why": {"type": "string"}},
        },
        "win": {"from": "qualified", "to": "won", "on": "auto", "condition": "data.won"},
        "hear": {"from": "new", "to": "won", "on": {"event": "e"}, "condition": "data.heard"},
        "wait": {"from": "new", "to": "won", "on": {"after": "1h"}, "condition": "data.late"},
    }
)


def test_all_that_can_be_shown_is_listed() -> None:
    assert missing(PIPELINE, {"given": {"people": {"eve": []}}, "when": []}) == [
        "stages: qualified",
        "stages: won",
        "transitions: qualify",
        "refusals: qualify: condition_not_met",
        "refusals: qualify: forbidden",
        "refusals: qualify: invalid_data",
        "transitions: win",
        "branches: win: its condition does not hold",
        "transitions: hear",
        "branches: hear: its condition does not hold",
        "transitions: wait",
        "branches: wait: its condition does not hold",
    ]


def test_what_was_shown_is_not_missing() -> None:
    people = {"people": {"ann": ["sales"], "eve": []}}
    first: Document = {
        "given": {**people, "data": {"score": 51}},
        "when": [
            {"event": "e"},
            {"at": "1h"} | {"then": {"stage": "new"}},
            {"do": "qualify", "by": "eve", "then": {"refused": "forbidden"}},
            {"do": "qualify", "data": {"why": 1}, "then": {"refused": "invalid_data"}},
            {"do": "qualify"},
            {"do": "update", "data": {"won": True}},
        ],
    }
    second: Document = {
        "given": people,
        "when": [{"do": "qualify", "then": {"refused": "condition_not_met"}}],
    }
    heard: Document = {"given": {"data": {"heard": True}}, "when": [{"event": "e"}]}
    late: Document = {"given": {"data": {"late": True}}, "when": [{"at": "1h", "then": {}}]}
    shown = covered(PIPELINE, first, second, heard, late)
    assert shown.missing == ()
    assert (shown.of("stages"), shown.of("branches")) == ((3, 3), (3, 3))


RUN = [
    {"name": "maybe", "channel": "log", "when": "data.a > 1"},
    {
        "exclusive": [{"when": "data.a > 1", "do": {"set": {"x": "1"}}}],
        "default": {"set": {"x": "2"}},
    },
    {"inclusive": [{"when": "data.a > 1", "do": {"wait": "1h"}}]},
    {"waitFor": {"event": "e", "timeout": "1h"}, "name": "hear"},
]
RUNNING = lead(
    {"go": {"from": "new", "to": "busy"}}, stages=["new", {"id": "busy", "run": RUN}, "won"]
)
ALL = [
    "branches: busy, maybe: its 'when' holds",
    "branches: busy, maybe: its 'when' does not hold",
    "branches: busy, run/1: branch 1",
    "branches: busy, run/1: default",
    "branches: busy, run/2: branch 1",
    "branches: busy, run/2: no branch",
    "branches: busy, hear: 'e' comes",
    "branches: busy, hear: 'e' does not come in time",
]


def branches(*written: Document) -> list[str]:
    return [one for one in missing(RUNNING, *written) if one.startswith("branches")]


def test_branches_of_a_run_are_shown_each_way() -> None:
    one: Document = {"given": {"data": {"a": 2}}, "when": [{"do": "go"}, {"event": "e"}]}
    other: Document = {
        "given": {"data": {"a": 0}},
        "when": [{"do": "go"}, {"at": "1h", "then": {}}],
    }
    assert branches({"when": []}) == ALL
    assert branches(one) == [ALL[1], ALL[3], ALL[5], ALL[7]]
    assert branches(other) == [ALL[0], ALL[2], ALL[4], ALL[6]]
    assert branches(one, other) == []


def test_stages_of_several_entities_are_told_apart() -> None:
    document = lead({}, stages=["new"])
    document["entities"]["deal"] = {"stages": ["new"]}
    assert missing(document, {"when": []}) == ["stages: deal: new"]

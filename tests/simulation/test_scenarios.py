"""Scenarios: what is given, what happens, and what then is true, or told to be otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus.core.json_text import Positions
from nexus.simulation.documents import DocumentError
from nexus.simulation.reading import read_scenarios
from tests.core.playing import lead
from tests.simulation.playing import Document, complaints, played

PIPELINE = lead(
    {
        "qualify": {
            "from": "new",
            "to": "qualified",
            "condition": "data.score > 50",
            "by": {"roles": ["sales"]},
            "set": {"seen": "now"},
        },
        "win": {"from": "qualified", "to": "won"},
        "forget": {"from": "qualified", "to": "won", "on": {"after": "14 days"}},
    },
    stages=["new", {"id": "qualified", "assign": {"users": ["ann"], "roles": ["sales"]}}, "won"],
    fields=["score", "seen"],
)
PEOPLE = {"ann": ["sales"], "eve": []}


def running(run: object) -> Document:
    return lead(
        {"go": {"from": "new", "to": "busy"}, "done": {"from": "busy", "to": "won"}},
        stages=["new", {"id": "busy", "run": run}, "won"],
    )


def look(then: Document, *when: Document, **given: object) -> Document:
    given = {"people": PEOPLE, "data": {"score": 80}, **given}
    return {"given": given, "when": list(when), "then": then}


# --- what is true ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "then",
    [
        {"status": "active", "stage": "qualified", "stages": {"lead-1": "qualified"}},
        {"assignees": {"users": ["ann"], "roles": ["sales"]}},
        {"data": {"score": 80, "seen": {"contains": "2026-01-05T10:00"}}},
        {"clocks": [{"name": "forget", "due": "14 days 1h"}]},
        {"clocks": [{"due": "2026-01-19T10:00:00Z", "record": "lead-1"}]},
        {"records": {"lead-1": {"stage": "qualified", "status": "open", "data": {}}}},
        {"records": {"lead-1": {"assignees": {"users": ["ann"]}}}},
        {"calls": [], "tasks": [], "incidents": []},
    ],
    ids=str,
)
def test_what_is_as_expected_passes(then: Document) -> None:
    assert complaints(PIPELINE, look(then, {"at": "1h", "do": "qualify"})) == []


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ({"status": "completed"}, "status: completed != active"),
        ({"stage": "won"}, "stage: won != qualified"),
        ({"stages": {"lead-2": "new"}}, "stage of lead-2: new != None"),
        ({"assignees": {"roles": []}}, "assignees: {'roles': []} != {'roles': ['sales']}"),
        ({"data": {"score": 81}}, "data: score: 81 != 80"),
        ({"data": {"worth": 1}}, "data: worth: 1 != (missing)"),
        ({"data": {"score": True}}, "data: score: True != 80"),
        ({"clocks": []}, "clocks: [] != [{'name': 'forget', 'due': '14 days'}]"),
        (
            {"clocks": [{"name": "forget", "due": "3 days"}]},
            (
                "clocks: [{'name': 'forget', 'due': '3 days'}] "
                "!= [{'name': 'forget', 'due': '14 days'}]"
            ),
        ),
        ({"records": {"lead-2": {"stage": "new"}}}, "record lead-2: {'stage': 'new'} != None"),
        ({"records": {"lead-1": {"status": "final"}}}, "status of lead-1: final != open"),
        ({"records": {"lead-1": {"data": {"a": 1}}}}, "data of lead-1: a: 1 != (missing)"),
        ({"calls": [{"channel": "email"}]}, "calls: [{'channel': 'email'}] != []"),
        ({"tasks": [{"title": "Call"}]}, "tasks: [{'title': 'Call'}] != []"),
        ({"incidents": ["http_503"]}, "incidents: [{'code': 'http_503'}] != []"),
    ],
    ids=str,
)
def test_what_is_otherwise_is_told(then: Document, told: str) -> None:
    assert complaints(PIPELINE, look(then, {"do": "qualify"})) == [f"/scenarios/0/then {told}"]


def test_each_look_is_at_its_own_time() -> None:
    when: list[Document] = [
        {"do": "qualify", "then": {"stage": "qualified"}},
        {"at": "13 days", "then": {"stage": "qualified", "status": "active"}},
        {"after": "1 day", "then": {"stage": "won", "clocks": []}},
    ]
    assert complaints(PIPELINE, look({"status": "completed"}, *when)) == []


# --- refusals -------------------------------------------------------------------------------


def test_refusals_are_expected_by_their_code() -> None:
    when: list[Document] = [
        {"do": "qualify", "by": "eve", "then": {"refused": "forbidden", "stage": "new"}},
        {"do": "win", "then": {"refused": "wrong_stage"}},
    ]
    assert complaints(PIPELINE, look({}, *when)) == []


def test_a_refusal_that_nobody_expects_is_told_and_ends_the_run() -> None:
    when: list[Document] = [{"do": "win", "then": {"stage": "won"}}, {"do": "dance"}]
    [told] = complaints(PIPELINE, look({"stage": "won"}, *when))
    assert told.startswith("/scenarios/0/when/0 'win' by 'ann' was refused (wrong_stage): ")


def test_another_refusal_than_expected_is_told() -> None:
    when = {"do": "win", "then": {"refused": "forbidden"}}
    [told] = complaints(PIPELINE, look({}, when))
    assert told == "/scenarios/0/when/0 refused: forbidden != wrong_stage"


def test_what_is_not_refused_although_it_should_be_is_told() -> None:
    [told] = complaints(PIPELINE, look({}, {"do": "qualify", "then": {"refused": "forbidden"}}))
    assert told == "/scenarios/0/when/0 refused: forbidden != None"


def test_a_start_that_is_refused_is_told() -> None:
    [told] = complaints(
        {**PIPELINE, "dataSchema": {"score": {"type": "integer"}}}, look({}, data={"score": "x"})
    )
    assert "'start' by 'ann' was refused (invalid_data)" in told


# --- channels, tasks, incidents -------------------------------------------------------------

RUN = [
    {"name": "mail", "channel": "log", "with": {"message": "Hello {{ data.name }}", "n": 1}},
    {"name": "hook", "channel": "webhook", "with": {"url": "https://example.com", "body": {}}},
]


def test_calls_are_those_since_what_happened_before() -> None:
    sequence = {"sequence": [RUN[0], {"wait": "1h"}, RUN[1]]}
    when: list[Document] = [
        {
            "do": "go",
            "then": {
                "calls": [
                    {"step": "mail", "channel": "log", "with": {"message": "Hello Ann"}},
                ]
            },
        },
        {"at": "30m", "then": {"calls": []}},
        {"at": "2h", "then": {"calls": [{"step": "run/sequence/2", "outcome": "done"}]}},
    ]
    assert complaints(running(sequence), {"given": {"data": {"name": "Ann"}}, "when": when}) == []


def test_answers_are_given_to_the_calls_that_fit_so_many_times() -> None:
    answers = [
        {"step": "hook", "fails": {"code": "http_503"}, "times": 1, "attempts": 3, "after": "7s"},
        {"channel": "webhook", "response": {"status": 200}},
    ]
    when: list[Document] = [
        {
            "do": "go",
            "then": {"incidents": [], "calls": [{"step": "mail"}, {"outcome": "running"}]},
        },
        {
            "after": "7s",
            "then": {"incidents": [{"code": "http_503", "step": "hook", "channel": "webhook"}]},
        },
        {
            "retry": "hook",
            "then": {"incidents": [], "calls": [{"step": "hook", "outcome": "done"}]},
        },
    ]
    assert complaints(running(RUN), {"given": {"answers": answers}, "when": when}) == []


def test_a_call_that_fails_takes_the_pauses_between_its_tries() -> None:
    answers = [{"channel": "webhook", "fails": {"code": "timed_out"}}]
    when: list[Document] = [
        {"do": "go"},
        {"after": "2.9s", "then": {"incidents": []}},
        {"after": "0.1s", "then": {"incidents": ["timed_out"]}},
        {"skip": "timed_out", "then": {"incidents": []}},
    ]
    assert complaints(running(RUN), {"given": {"answers": answers}, "when": when}) == []


def test_tasks_are_completed_by_title_by_step_or_by_id() -> None:
    steps = [
        {"name": "call", "task": {"title": "Call Ann", "assign": {"users": ["ann"]}}},
        {"task": {"title": "Write", "assign": {"roles": ["sales"]}}},
        {"name": "drive", "task": {"title": "Drive there"}},
    ]
    when: list[Document] = [
        {
            "do": "go",
            "then": {"tasks": [{"title": "Write", "roles": ["sales"]}, {"step": "call"}, {}]},
        },
        {"complete": "call", "then": {"tasks": [{"title": "Write"}, {"title": "Drive there"}]}},
        {"complete": "Write", "by": "eve", "then": {"refused": "forbidden"}},
        {"complete": "Write", "data": {"sent": True}},
        {"complete": "task-9", "then": {"tasks": []}},
        {"do": "done", "then": {"stage": "won"}},
    ]
    assert complaints(running(steps), look({}, *when)) == []


@pytest.mark.parametrize(
    ("happening", "words"),
    [
        ({"complete": "Cal Ann"}, "no open task is called 'Cal Ann'; open are: Call Ann"),
        ({"complete": "Cal Ann"}, "Did you mean 'Call Ann'?"),
        ({"retry": "mail"}, "no open incident is called 'mail'; none is open."),
    ],
)
def test_what_is_not_there_is_told_with_what_is(happening: Document, words: str) -> None:
    document = running({"name": "call", "task": {"title": "Call Ann"}})
    [told] = complaints(document, {"when": [{"do": "go"}, happening]})
    assert words in told


def test_two_of_one_name_have_to_be_told_apart() -> None:
    document = running([{"task": {"title": "Call"}}, {"task": {"title": "Call"}}])
    [told] = complaints(document, {"when": [{"do": "go"}, {"complete": "Call"}]})
    assert "'Call' is the name of 2 open tasks" in told


def test_records_are_added_and_named() -> None:
    document = {**PIPELINE, "entities": {**PIPELINE["entities"], "note": {"fields": ["text"]}}}
    when: list[Document] = [
        {"add": "note", "data": {"text": "hm"}},
        {"do": "update", "record": "lead-1", "data": {"score": 1}, "comment": "less"},
        {"event": "nothing"},
    ]
    then = {"records": {"note-1": {"data": {"text": "hm"}}, "lead-1": {"data": {"score": 1}}}}
    assert complaints(document, look(then, *when)) == []


# --- given ----------------------------------------------------------------------------------


def test_a_file_gives_what_its_scenarios_do_not() -> None:
    file = {"people": PEOPLE, "data": {"score": 80, "seen": 1}, "by": "eve"}
    own = {"given": {"data": {"seen": None}, "by": "ann"}, "when": [{"do": "qualify"}]}
    run = played(
        {**PIPELINE, "entities": {"lead": {"stages": ["new", "qualified", "won"]}}}, own, given=file
    )
    assert run.passed
    assert run.simulation.events[0].actor == "ann"
    assert run.simulation.state.data == {"score": 80}


def test_a_start_is_given_its_time_subject_and_records() -> None:
    given = {
        "at": "2026-03-01T08:00:00Z",
        "subject": {"type": "account", "id": "acme"},
        "records": [{"entity": "lead", "data": {"score": 1}}, {"entity": "lead"}],
    }
    run = played(PIPELINE, {"given": given, "then": {"stages": {"lead-2": "new"}}})
    assert run.passed
    subject = run.simulation.state.subject
    assert subject is not None
    assert (subject.id, str(run.simulation.now)) == ("acme", "2026-03-01 08:00:00+00:00")


def test_a_run_in_circles_is_a_failure() -> None:
    circling = lead(
        {
            "there": {"from": "new", "to": "qualified", "on": {"after": "1s"}},
            "back": {"from": "qualified", "to": "new", "on": {"after": "1s"}},
        }
    )
    [told] = complaints(circling, {"when": [{"at": "90 days", "then": {"stage": "new"}}]})
    assert "go in circles" in told


# --- files that cannot be run ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "pointer", "words"),
    [
        ("{", "", "ends where"),
        ("[]", "", "is not an object"),
        ('{"scenarios": []}', "/scenarios", "fewer than 1"),
        ('{"scenarios": [{}]}', "/scenarios/0/name", "name"),
        ('{"scenarios": [{"name": "a", "wen": []}]}', "/scenarios/0/wen", "unknown field 'wen'"),
        ('{"scenarios": [{"name": "a"}, {"name": "a"}]}', "/scenarios/1/name", "'a' as well"),
        (
            '{"scenarios": [{"name": "a", "when": [{"do": "x", "event": "y"}]}]}',
            "/scenarios/0/when/0/event",
            "one at a time",
        ),
        ('{"scenarios": [{"name": "a", "when": [{}]}]}', "/scenarios/0/when/0", "nothing happens"),
        (
            '{"scenarios": [{"name": "a", "when": [{"at": "2 dys", "do": "x"}]}]}',
            "/scenarios/0/when/0/at",
            "'dys'",
        ),
        (
            (
                '{"scenarios": [{"name": "a", "when": ['
                '{"at": "2h", "do": "x"}, {"at": "1h", "do": "y"}]}]}'
            ),
            "/scenarios/0/when/1/at",
            "before what stands before it",
        ),
        (
            '{"scenarios": [{"name": "a", "when": [{"at": "2h", "after": "1h", "do": "y"}]}]}',
            "/scenarios/0/when/0/after",
            "says already",
        ),
        (
            '{"scenarios": [{"name": "a", "when": [{"then": {"refused": "forbidden"}}]}]}',
            "/scenarios/0/when/0/then/refused",
            "nothing happens that could be refused",
        ),
        (
            '{"scenarios": [{"name": "a", "then": {"refused": "forbidden"}}]}',
            "/scenarios/0/then/refused",
            "said of what happens",
        ),
        (
            (
                '{"scenarios": [{"name": "a", "given": {"answers": '
                '[{"response": 1, "fails": {"code": "x"}}]}}]}'
            ),
            "/scenarios/0/given/answers/0/response",
            "has no response",
        ),
        (
            '{"scenarios": [{"name": "a", "given": {"at": "2026-13-01T00:00:00Z"}}]}',
            "/scenarios/0/given/at",
            "date and time",
        ),
        (
            '{"scenarios": [{"name": "a", "when": [{"at": "2026-99-01T00:00:00Z", "do": "x"}]}]}',
            "/scenarios/0/when/0/at",
            "no point in time",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place(
    written: str, pointer: str, words: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        read_scenarios(written.encode(), "x.scenarios.json")
    problem = caught.value.problems[0]
    assert words in problem.message, problem
    assert problem.pointer == pointer
    assert (problem.line, problem.column) == Positions(written).value(pointer) or not pointer
    assert problem.source == "x.scenarios.json"


def test_what_is_read_is_what_was_written() -> None:
    written: dict[str, Any] = {
        "$schema": "urn:nexus:scenarios:1",
        "definition": "other.json",
        "scenarios": [{"name": "a", "when": [{"at": "0s", "do": "x"}]}],
    }
    file = read_scenarios(json.dumps(written).encode(), "x")
    assert file.definition == "other.json"
    assert file.scenarios[0].when[0].what == "x"

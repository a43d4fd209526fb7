"""What a colleague would remark about a stage's run."""

import json
from typing import Any

import pytest

from nexus.core import DefinitionError, Problem, load_definition
from tests.core.kinds import Kinds
from tests.core.playing import Document
from tests.core.test_compiled_runs import RUN, problems, with_run

EMAIL = {"channel": "email", "with": {"to": "x"}}


def found(run: object, **more: object) -> list[tuple[str, str, str | None]]:
    """(code, pointer below the run, suggestion) of everything."""
    return [(p.code, p.pointer.removeprefix(RUN), p.suggestion) for p in problems(run, **more)]


def leaving(run: object, transition: Document) -> list[Problem]:
    """What is said of a transition out of the stage."""
    document = with_run(run)
    document["transitions"] = {"go": {"from": "new", "to": "won", **transition}}
    return list(load(document))


def load(document: object, kinds: Kinds | None = None) -> tuple[Problem, ...]:
    try:
        return load_definition(json.dumps(document), "", kinds).warnings
    except DefinitionError as error:
        return error.problems


DATA: Document = {"dataSchema": {"score": {"type": "number", "maximum": 10}, "a": {}}}

# --- expressions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"wait": "1h", "when": "data.scor > 1"}, ("unknown_data", "/when", "score")),
        ({"wait": "1h", "when": "data.score > 'x'"}, ("unlike_types", "/when", None)),
        ({"wait": "1h", "when": "data.score > 10"}, ("always_false", "/when", None)),
        ({"wait": "1h", "when": "record.stage == 'new'"}, ("always_true", "/when", None)),
        ({"wait": "1h", "when": "record.stgae == 'x'"}, ("unknown_member", "/when", "stage")),
        ({"wait": "1h", "when": "input.a == 1"}, ("unknown_input", "/when", None)),
        ({"wait": "1h", "when": "event.type == 'e'"}, ("unknown_member", "/when", None)),
        ({"wait": "1h", "when": {"role_check": "boss"}}, ("always_false", "/when", None)),
        (
            {"inclusive": [{"when": {"all": ["data.scor > 1"]}, "do": []}]},
            ("unknown_data", "/inclusive/0/when/all/0", "score"),
        ),
        ({"set": {"a": "data.scor"}}, ("unknown_data", "/set/a", "score")),
        ({"set": {"score": "'high'"}}, ("unlike_types", "/set/score", None)),
        ({"set": {"a": "input.x"}}, ("unknown_input", "/set/a", None)),
        (
            [
                [
                    {
                        "waitFor": {
                            "event": "e",
                            "timeout": "1h",
                            "else": {"set": {"a": "event.data.x"}},
                        }
                    }
                ]
            ],
            ("unknown_member", "/0/0/waitFor/else/set/a", None),
        ),
    ],
)
def test_expressions_of_steps_are_looked_at_like_any_other(
    run: object, expected: tuple[str, str, str | None]
) -> None:
    assert found(run, **DATA) == [expected]


def test_an_event_is_seen_by_what_follows_it_and_by_nothing_else() -> None:
    """R8."""
    then = [{"wait": "1h", "when": "event.data.x == 1 and event.type == 'e'"}]
    wait = {"waitFor": {"event": "e", "timeout": "1h", "then": then}}
    assert [(code, place) for code, place, _ in found(wait)] == [
        ("always_true", "/waitFor/then/0/when")
    ]
    then[0]["when"] = "event.type == 'other'"
    assert [code for code, _, _ in found(wait)] == ["never_matches"]


def test_what_a_run_sets_is_data_that_others_may_read() -> None:
    run = [{"set": {"tries": "1"}}, {"wait": "1h", "when": "data.tries == 1"}]
    assert found(run, **DATA) == []


def test_a_field_that_the_record_cannot_have_is_not_set() -> None:
    """R1: it would fail each time."""
    document = with_run({"set": {"nmae": "1"}})
    document["entities"]["lead"]["fields"] = ["name"]
    (error,) = load(document)
    assert (error.code, error.pointer) == ("unknown_field", f"{RUN}/set/nmae")
    assert (error.suggestion, error.severity) == ("name", "error")
    assert "this step would always fail" in error.message


def test_roles_that_a_task_names_are_declared() -> None:
    run = [{"task": {"title": "x", "assign": {"roles": ["bos", "admin"]}}}]
    roles = {"boss": {"can": "*"}}
    assert found(run, roles=roles) == [("undeclared_role", "/0/task/assign/roles/0", "boss")]


# --- steps.<name> ----------------------------------------------------------------------------


def reading(name: str) -> Document:
    return {"wait": "1h", "when": f"steps.{name}.outcome == 'done'"}


NAMED = {**EMAIL, "name": "mail"}
BRANCH = {"when": "data.a", "do": NAMED}


@pytest.mark.parametrize(
    "run",
    [
        [NAMED, reading("mail")],
        {"sequence": [NAMED, reading("mail")]},
        {"sequence": [[NAMED], [reading("mail")]]},
        {"sequence": [EMAIL, reading("email")]},
        [{"sequence": [{"wait": "1h"}, reading("mail")]}, NAMED],
        [{"waitFor": {"event": "e", "timeout": "1h", "then": reading("mail")}}, NAMED],
        {"inclusive": [BRANCH, {"when": "data.b", "do": reading("mail")}]},
        {
            "name": "mail",
            "waitFor": {
                "event": "e",
                "timeout": "1h",
                "else": {"wait": "1h", "when": "has(steps.mail)"},
            },
        },
    ],
)
def test_a_step_may_read_what_has_begun_before_it(run: object) -> None:
    assert found(run) == []


@pytest.mark.parametrize(
    ("run", "place"),
    [
        ([reading("mail"), NAMED], "/0/when"),
        ({"sequence": [reading("mail"), NAMED]}, "/sequence/0/when"),
        ({**NAMED, "when": "has(steps.mail)"}, "/when"),
        (
            {"exclusive": [BRANCH, {"when": "data.b", "do": reading("mail")}]},
            "/exclusive/1/do/when",
        ),
        ({"inclusive": [BRANCH], "default": reading("mail")}, "/default/when"),
        ({"inclusive": [{**BRANCH, "when": "has(steps.mail)"}]}, "/inclusive/0/when"),
        (
            {"waitFor": {"event": "e", "timeout": "1h", "then": NAMED, "else": reading("mail")}},
            "/waitFor/else/when",
        ),
    ],
)
def test_a_step_that_has_not_begun_is_not_read(run: object, place: str) -> None:
    (problem,) = problems(run)
    assert (problem.code, problem.pointer) == ("unknown_step", RUN + place)
    assert "has not begun" in problem.message


def test_unknown_steps_and_members_name_the_nearest() -> None:
    heard = {"waitFor": {"event": "e", "timeout": "1h"}, "name": "heard"}
    run = {"sequence": [NAMED, {"task": {"title": "x"}, "name": "call"}, heard, {"wait": "1h"}]}
    for text, code, suggestion in (
        ("steps.mial.outcome == 'done'", "unknown_step", "mail"),
        ("steps['mial'].outcome == 'done'", "unknown_step", "mail"),
        ("steps.mail.respones == 1", "unknown_member", "response"),
        ("steps.call.response == 1", "unknown_member", None),
        ("steps.mail.outcome == 'success'", "never_matches", None),
        ("steps.call.outcome == 'failed'", "never_matches", None),
        ("steps.mail.outcome > 5", "unlike_types", None),
        ("steps.call.by > 5", "unlike_types", None),
        ("steps.call.data == 'x'", "unlike_types", None),
        ("steps.heard.event.type == 'other'", "never_matches", None),
        ("steps == 1", "unlike_types", None),
    ):
        run["sequence"][3]["when"] = text  # type: ignore[index]
        assert found(run) == [(code, "/sequence/3/when", suggestion)], text
        (problem,) = leaving({"sequence": run["sequence"][:3]}, {"condition": text})
        assert (problem.code, problem.pointer) == (code, "/transitions/go/condition")


def test_a_transition_reads_the_steps_of_the_stages_that_it_leaves() -> None:
    document = with_run(NAMED)
    document["entities"]["lead"]["stages"][1:] = ["open", "won"]
    document["transitions"] = {
        "go": {"from": ["new", "open"], "to": "won", "condition": "steps.mail.response == 1"},
        "on": {"from": "new", "to": "open"},
    }
    assert load(document) == ()
    document["transitions"]["go"]["from"] = "open"
    assert [p.code for p in load(document)] == ["unknown_step"]


# --- branches and joins ----------------------------------------------------------------------


def test_branches_after_one_that_always_holds_never_have_their_turn() -> None:
    always = {"when": "1 == 1", "do": []}
    other = {"when": "data.a", "do": []}
    assert [
        (code, place) for code, place, _ in found({"exclusive": [always, other], "default": []})
    ] == [
        ("always_true", "/exclusive/0/when"),
        ("never_its_turn", "/exclusive/1"),
        ("never_its_turn", "/default"),
    ]
    assert [
        (code, place) for code, place, _ in found({"inclusive": [other, always], "default": []})
    ] == [
        ("always_true", "/inclusive/1/when"),
        ("never_its_turn", "/default"),
    ]


def test_a_gateway_without_a_default_just_joins() -> None:
    """R9."""
    assert found({"exclusive": [{"when": "data.a", "do": []}]}) == []


def test_waiting_without_end_can_keep_a_run_from_joining() -> None:
    """BR-008: no join can hang unseen."""
    wait: Document = {"waitFor": {"event": "e"}}
    (problem,) = leaving([{"sequence": [wait]}], {})
    assert (problem.code, problem.severity) == ("join_can_hang", "warning")
    assert problem.pointer == f"{RUN}/0/sequence/0/waitFor"
    assert leaving(wait, {"interrupts": True}) == []
    assert leaving({"waitFor": {"event": "e", "timeout": "1h"}}, {}) == []


def test_waiting_in_a_final_stage_can_keep_an_instance_from_its_end() -> None:
    """R4."""
    document = with_run([])
    document["entities"]["lead"]["stages"][1] = {"id": "won", "run": {"waitFor": {"event": "e"}}}
    document["transitions"]["go"].pop("interrupts")
    (problem,) = load(document)
    assert problem.code == "join_can_hang"
    assert "the record never ends" in problem.message
    assert problem.expected == "'timeout'"


def test_what_follows_a_timeout_needs_one() -> None:
    assert [(code, place) for code, place, _ in found({"waitFor": {"event": "e", "else": []}})] == [
        ("never_its_turn", "/waitFor/else")
    ]


def test_nothing_is_interrupted_where_nothing_runs() -> None:
    document = with_run([])
    del document["entities"]["lead"]["stages"][0]["run"]
    (problem,) = load(document)
    assert (problem.code, problem.pointer) == ("nothing_to_interrupt", "/transitions/go/interrupts")


# --- transitions beside a run ----------------------------------------------------------------


def ways(run: object, transitions: Document) -> set[str]:
    document = with_run(run)
    document["entities"]["lead"]["stages"][1:] = ["lost", "won"]
    to_won = {name: {"from": "new", "to": "won", **body} for name, body in transitions.items()}
    document["transitions"] = {"lose": {"from": "lost", "to": "won"}, **to_won}
    document["transitions"]["away"] = {"from": "new", "to": "lost", "interrupts": True}
    return {p.code for p in load(document)}


def test_an_automatic_transition_without_condition_means_when_all_is_done() -> None:
    """R7: it waits for the join, and what interrupts has its turn before."""
    auto: Document = {"on": "auto"}
    assert ways(EMAIL, {"go": auto}) == set()
    assert ways(EMAIL, {"go": auto, "late": {"on": {"after": "1h"}}}) == set()
    assert ways(EMAIL, {"go": auto, "hear": {"on": {"event": "e"}}}) == set()
    assert ways(EMAIL, {"go": auto, "by_hand": {}}) == {"never_its_turn"}
    interrupting = {**auto, "interrupts": True}
    assert ways(EMAIL, {"go": interrupting}) == {"auto_without_condition", "never_its_turn"}


def test_what_interrupts_is_not_hidden_by_what_waits() -> None:
    """R7."""
    hear = {"on": {"event": "e"}}
    assert ways(EMAIL, {"a": hear, "b": {**hear, "interrupts": True}}) == set()
    assert ways(EMAIL, {"a": {**hear, "interrupts": True}, "b": hear}) == {"never_its_turn"}
    soon, late = {"on": {"after": "1h"}}, {"on": {"after": "2h"}, "interrupts": True}
    assert ways(EMAIL, {"a": soon, "b": late}) == set()


def circle(run: object) -> set[str]:
    document = with_run(run)
    document["entities"]["lead"]["stages"][1:] = ["open", "won"]
    document["transitions"] = {
        "on": {"from": "new", "to": "open", "on": "auto", "condition": "data.a == 1"},
        "back": {"from": "open", "to": "new", "on": "auto", "condition": "data.a == 1"},
        "end": {"from": "open", "to": "won", "condition": "data.b == 1"},
    }
    return {p.code for p in load(document)}


def test_a_circle_through_a_run_that_takes_time_is_a_rhythm() -> None:
    """R5 counts those in a row."""
    assert circle({"wait": "1 day"}) == set()
    assert circle([[]]) == {"auto_loop"}
    assert circle({"set": {"b": "1"}}) == {"auto_loop"}
    assert circle({"set": {"a": "2"}}) == set()


# --- channels --------------------------------------------------------------------------------


def with_channels(run: object, **channels: Any) -> list[tuple[str, str, str | None]]:
    document = with_run(run, channels=channels)
    return [(p.code, p.pointer, p.suggestion) for p in load(document, Kinds())]


def test_nothing_is_said_of_channels_where_nothing_is_known_of_them() -> None:
    run = {"channel": "emial"}
    assert load(with_run(run)) == ()
    assert with_channels(run) == [("unknown_channel", f"{RUN}/channel", "email")]


def test_names_of_settings_are_channels_too() -> None:
    run = [
        {"channel": "welcome", "with": {"to": "x"}},
        {"channel": "newsletter", "with": {"to": "x"}},
        {"channel": "digest", "with": {"to": "x"}},
    ]
    settings = {"welcome": {"channel": "email", "from": "x"}, "digest": {"channel": "newsletter"}}
    assert with_channels(run, **settings) == []
    assert with_channels([], email={"from": "x"}) == []


def test_what_a_channel_is_told_is_looked_at() -> None:
    run = [{"channel": "email", "with": {"sbject": "x"}}, {"channel": "email"}]
    assert with_channels(run) == [
        ("missing_key", f"{RUN}/0/with", None),
        ("unknown_key", f"{RUN}/0/with/sbject", "subject"),
        ("missing_key", f"{RUN}/1", None),
    ]


def test_settings_are_looked_at_and_connections_refused() -> None:
    settings = {"welcome": {"channel": "email", "fram": "x", "password": "secret"}}
    assert with_channels([], **settings) == [
        ("unknown_key", "/channels/welcome/fram", "from"),
        ("not_for_definitions", "/channels/welcome/password", None),
    ]


def test_settings_of_a_kind_that_nobody_knows_are_told_once() -> None:
    run = [{"channel": "welcome"}, {"channel": "welcome"}]
    assert with_channels(run, welcome={"channel": "emial"}) == [
        ("unknown_channel", "/channels/welcome/channel", "email")
    ]
    assert with_channels(run, welcome={}) == [("unknown_channel", "/channels/welcome", None)]


def test_a_title_that_looks_like_a_template_is_remarked() -> None:
    """It is shown as it stands: rendering happens where channels are called."""
    (problem,) = leaving({"task": {"title": "Call {{ data.name }}"}}, {})
    assert (problem.code, problem.severity) == ("not_a_template", "warning")
    assert problem.pointer.endswith("/run/task/title")

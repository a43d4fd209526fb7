"""What stages run, in words, pictures and differences."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nexus.authoring.differ import compare
from nexus.authoring.explain import explained
from nexus.authoring.mermaid import mermaid
from nexus.authoring.picture import draw
from tests.authoring.walking import loaded
from tests.core.playing import Document

BASE: Document = {
    "id": "deals",
    "version": "1.0.0",
    "channels": {"hello": {"channel": "email", "from": "crm@example.com"}},
    "entities": {
        "lead": {
            "stages": [
                {
                    "id": "new",
                    "run": [
                        {"channel": "email", "name": "welcome", "with": {"to": "x"}},
                        {
                            "task": {"title": "Call Ann", "assign": {"roles": ["rep"]}},
                            "when": "data.score > 5",
                        },
                        {"waitFor": {"event": "replied", "timeout": "2 days"}},
                    ],
                },
                "won",
                {"id": "lost", "final": True},
            ]
        }
    },
    "transitions": {
        "win": {"from": "new", "to": "won"},
        "end": {"from": "won", "to": "lost"},
        "lose": {"from": "new", "to": "lost", "interrupts": True},
    },
}


def with_run(run: object) -> Document:
    document = copy.deepcopy(BASE)
    document["entities"]["lead"]["stages"][0]["run"] = run
    return document


def told(document: Document) -> str:
    return " ".join(explained(loaded(document)).split())


def changes(document: Document, before: Document = BASE) -> list[tuple[str, str, str]]:
    """All differences but that of the content of one version."""
    found = [(c.kind, c.what, c.text) for c in compare(loaded(before), loaded(document))]
    return [change for change in found if change[1] != "version"]


# --- in words --------------------------------------------------------------------------------


def test_an_explanation_tells_what_a_stage_runs_and_what_waits_for_it() -> None:
    text = told(BASE)
    assert (
        'It runs, all together: email "welcome"; the task "Call Ann" for the role rep, if '
        'data.score > 5; waiting for "replied" for at most 2 days. What leads on waits until all '
        'of that has ended, but for "lose".'
    ) in text
    assert 'which moves it to "lost". It stops what is left of the run.' in text


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ([], "It runs nothing."),
        ({"channel": "email"}, "It runs email."),
        ([{"channel": "email"}], "It runs email."),
        ({"wait": "3 days"}, "It runs a wait of 3 days."),
        (
            {"sequence": [{"wait": "1h"}, [{"channel": "a"}, {"channel": "b"}]], "when": "data.x"},
            "It runs, one after another, if data.x: a wait of 1 hour; (all together: a; b).",
        ),
        (
            {"exclusive": [{"when": "data.x", "do": {"channel": "a"}}], "default": []},
            "It runs (the first that fits: a if data.x; else nothing).",
        ),
        ({"inclusive": [{"when": "data.x", "do": [{"channel": "a"}]}]}, "(each that fits: a if"),
        (
            {"waitFor": {"event": "e", "timeout": "1h", "then": {"set": {"a": "1"}}, "else": []}},
            'waiting for "e" for at most 1 hour (then setting a to 1; else nothing).',
        ),
        ({"parallel": [{"sequence": []}, {"channel": "a"}]}, "It runs, all together: nothing; a."),
        ({"start": "other"}, 'It runs "start", which is skipped.'),
        ([{"exclusive": []}, {"set": {}}], "It runs, all together: nothing; setting nothing."),
    ],
)
def test_each_step_has_its_words(run: object, sentence: str) -> None:
    assert sentence in told(with_run(run))


def test_a_final_stage_tells_what_it_runs_as_well() -> None:
    document = copy.deepcopy(BASE)
    document["entities"]["lead"]["stages"][2]["run"] = {"channel": "email"}
    assert 'In "lost": - It runs email. - The record has ended here.' in told(document)


# --- in pictures -----------------------------------------------------------------------------


def test_pictures_say_what_a_stage_runs_and_what_interrupts() -> None:
    program = loaded(BASE).program
    text = mermaid(program)
    assert "new<br/>runs email, task Call Ann, wait for replied" in text
    assert "lose<br/>interrupts the run" in text
    drawn = draw(program)
    assert "runs email, task Call Ann, wait for repl" in drawn
    assert "interrupts the run" in drawn


def test_a_picture_counts_what_is_run_several_times() -> None:
    run = [{"channel": "sms"}, {"channel": "sms"}, {"wait": "1h"}, {"set": {}}]
    assert "runs 2 times sms, wait 1 hour" in mermaid(loaded(with_run(run)).program)
    assert "runs" not in mermaid(loaded(with_run({"set": {}})).program)


# --- in differences --------------------------------------------------------------------------


def changed(*change: tuple[int | str, Any]) -> Document:
    """The definition with values at places of its run; None takes one away."""
    document = copy.deepcopy(BASE)
    run = document["entities"]["lead"]["stages"][0]["run"]
    for key, value in change:
        if value is None:
            del run[int(key)]
        elif key == "+":
            run.append(value)
        else:
            run[int(key)] |= value
    return document


@pytest.mark.parametrize(
    ("document", "kind", "text"),
    [
        (changed(("+", {"channel": "sms"})), "added", "it also runs sms"),
        (changed((0, None)), "removed", 'it does not run email "welcome" any more'),
        (changed((0, {"timeout": "1m"})), "changed", "in its run, welcome: 'timeout' changed"),
        (
            changed((0, {"with": {"to": "y"}, "retry": {"attempts": 1}})),
            "changed",
            "in its run, welcome: 'with' and 'retry' changed",
        ),
        (
            changed((0, {"when": "data.x"})),
            "changed",
            'in its run, welcome: it is email "welcome", if data.x, not email "welcome"',
        ),
        (
            changed((2, {"waitFor": {"event": "replied", "timeout": "3 days"}})),
            "changed",
            (
                'in its run, waiting for "replied": it is waiting for "replied" for at most 3 '
                'days, not waiting for "replied" for at most 2 days'
            ),
        ),
        (
            with_run({"sequence": BASE["entities"]["lead"]["stages"][0]["run"]}),
            "changed",
            "it runs the same steps, arranged or chosen in another way",
        ),
    ],
)
def test_a_difference_of_a_run_is_told_step_by_step(
    document: Document, kind: str, text: str
) -> None:
    assert changes(document) == [(kind, "stage lead/new", text)]


def test_steps_of_the_same_words_are_counted() -> None:
    one, other = [{"channel": "sms"}] * 2, [{"channel": "sms"}, {"channel": "sms", "timeout": "1s"}]
    assert changes(with_run(other), with_run(one)) == [
        ("changed", "stage lead/new", "in its run, sms (2): 'timeout' changed")
    ]


def test_a_run_that_is_new_or_gone_is_told() -> None:
    none = copy.deepcopy(BASE)
    del none["entities"]["lead"]["stages"][0]["run"]
    del none["transitions"]["lose"]["interrupts"]
    assert {kind for kind, what, _ in changes(none) if what.startswith("stage")} == {"removed"}
    new = changes(BASE, none)
    assert ("added", "stage lead/new", 'it also runs email "welcome"') in new
    assert ("changed", "transition lose", "it interrupts a run that is going on") in new


def test_settings_are_compared_by_name() -> None:
    document = copy.deepcopy(BASE)
    document["channels"] = {"hello": {"channel": "email", "from": "x"}, "bye": {"channel": "log"}}
    assert changes(document) == [
        ("changed", "channels/hello", "'from' of the settings hello changed"),
        ("added", "channels/bye", "the settings bye are new"),
    ]
    assert changes(BASE, document)[0] == ("removed", "channels/bye", "the settings bye are gone")


def test_what_has_no_effect_in_a_step_says_so() -> None:
    branch = {"when": "data.x", "do": {"start": "other"}}
    document = changed(
        (0, {"compensate": {}, "onFailure": "rollback"}), ("+", {"exclusive": [branch]})
    )
    place = "/entities/lead/stages/0/run"
    assert [c for c in changes(document) if c[1].startswith("/")] == [
        ("added", f"{place}/0/compensate", "it is new, and has no effect"),
        ("added", f"{place}/0/onFailure", "it is new, and has no effect"),
        ("added", f"{place}/3/exclusive/0/do/start", "it is new, and has no effect"),
    ]

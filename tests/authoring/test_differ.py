"""What changed between two versions, and what that means for running instances."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from nexus.authoring.changes import Change
from nexus.authoring.conditions import CANNOT_TELL, FEWER, MORE
from nexus.authoring.differ import compare
from nexus.core import load_definition
from tests.authoring.walking import ODD, loaded, shipped
from tests.core.playing import Document

BASE: Document = {
    "id": "deals",
    "version": "1.0.0",
    "dataSchema": {"score": {"type": "number"}, "region": {"type": "string"}},
    "roles": {"rep": {"can": ["qualify", "win"]}, "boss": {"can": ["*"], "inherits": ["rep"]}},
    "entities": {
        "lead": {
            "fields": ["score", "region", "value"],
            "stages": [
                "new",
                "qualified",
                {"id": "won", "final": True},
                {"id": "lost", "final": True},
            ],
        },
        "deal": {"stages": ["open", "closed"]},
    },
    "transitions": {
        "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
        "win": {
            "from": "qualified",
            "to": "won",
            "input": {"value": {"type": "number"}},
            "set": {"value": "input.value"},
            "creates": "deal",
        },
        "lose": {"from": ["new", "qualified"], "to": "lost", "by": {"roles": ["boss"]}},
        "forget": {"from": "new", "to": "lost", "on": {"after": "3 days"}},
    },
}


def changed(path: str, value: object = None) -> list[Change]:
    """The differences after one value was replaced, or taken out where None, in version 1.1.0."""
    document: Any = copy.deepcopy(BASE)
    document["version"] = "1.1.0"
    place: Any = document
    *keys, last = path.split("/")
    for key in keys:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is None:
        del place[int(last) if isinstance(place, list) else last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    changes = compare(loaded(BASE), loaded(document))
    assert changes[0] == Change("changed", "version", "version 1.0.0 is now 1.1.0")
    return list(changes[1:])


def test_another_layout_is_no_change() -> None:
    other = load_definition(json.dumps(BASE, indent=7) + "\n\n")
    assert compare(loaded(BASE), other) == ()
    assert compare(shipped("opportunity"), shipped("opportunity")) == ()


def test_other_content_under_the_same_version_is_told() -> None:
    (change,) = compare(loaded(BASE), loaded({**BASE, "label": "Deals"}))[:1]
    assert change.text == "both are version 1.0.0, with other content"
    assert "version_exists" in change.running


def test_two_definitions_are_two_definitions() -> None:
    (change, *_) = compare(loaded(BASE), loaded({**BASE, "id": "other"}))
    assert "nothing moves by itself" in change.running


@pytest.mark.parametrize(
    ("path", "value", "what", "text", "running"),
    [
        ("label", "Deals", "label", "label 'deals' is now 'Deals'", ""),
        ("domain", "crm", "domain", "domain None is now 'crm'", ""),
        ("policy", {"selfAssign": False}, "policy.selfAssign", "people may no longer assign", ""),
        ("dataSchema/age", {"type": "integer"}, "dataSchema/age", 'age is new: {"type": "i', ""),
        ("dataSchema/region", None, "dataSchema/region", "region is gone", ""),
        ("dataSchema/score/type", "integer", "dataSchema/score", "score was {", "changed next"),
        ("dataSchema/score/required", True, "dataSchema/required", "score is needed now", "next"),
        ("dataSchema", None, "dataSchema", "data is not checked any more", ""),
        (
            "dataSchema",
            {
                "type": "object",
                "properties": BASE["dataSchema"],
                "minProperties": 1,
            },
            "dataSchema",
            "the schema as a whole has other rules",
            "changed next",
        ),
        (
            "entities/lead/fields",
            ["score", "value"],
            "entity lead fields/region",
            "region is gone",
            "Records that have region are refused at their next change",
        ),
        ("entities/deal/fields", ["x"], "entity deal fields", "data is checked now", "next"),
        ("roles", None, "roles", "there are no roles any more", ""),
        ("roles/guest", {"can": "comment"}, "role guest", "the role guest may comment", ""),
        ("roles/rep/can", ["qualify", "update"], "role rep", "rep may now update and may no", ""),
        ("entities/lead/label", "Lead", "entity lead", "label 'lead' is now 'Lead'", ""),
        ("entities/deal/table", "pricings", "entity deal", "kept in pricings, not in opp", "stay"),
        ("entities/note", {"fields": ["text"]}, "entity note", "the entity note is new", ""),
        ("entities/lead/stages/1", {"id": "qualified", "final": True}, "stage lead/qualified",
         "it is final now", "would have ended"),
        ("entities/lead/stages/2", "won", "stage lead/won", "it is not final any more", "stay end"),
        ("entities/lead/stages/0", {"id": "new", "label": "New"}, "stage lead/new",
         "label 'new' is now 'New'", ""),
        ("entities/lead/stages/0", {"id": "new", "type": "human"}, "stage lead/new",
         "type None is now 'human'", ""),
        ("entities/lead/stages/0", {"id": "new", "assign": {"roles": ["rep"]}}, "stage lead/new",
         "it assigns the role rep, not whoever was", "keep the assignees"),
        ("transitions/qualify/condition", None, "transition qualify", "no condition any mo", MORE),
        ("transitions/qualify/label", "Q", "transition qualify", "label 'qualify' is now 'Q'", ""),
        ("transitions/qualify/to", "won", "transition qualify", "leads to won, not to qual", ""),
        ("transitions/qualify/by", {"users": ["ann"]}, "transition qualify",
         "it is for ann, not for whoever is assigned", ""),
        ("transitions/lose/from", ["new"], "transition lose", "does not leave qualified any more",
         "Records that stand in qualified can no longer take it."),
        ("transitions/forget/from", ["new", "qualified"], "transition forget",
         "it also leaves qualified", ""),
        ("transitions/forget/on/after", "2 days", "transition forget",
         "it is taken after 2 days, not after 3 days", "may be due for it as soon as"),
        ("transitions/forget/on", "auto", "transition forget", "it is taken automatically",
         "may take it as soon as"),
        ("transitions/forget", None, "transition forget", "the transition forget is gone",
         "Clocks that run for it would be stopped."),
        ("transitions/lose", None, "transition lose", "the transition lose is gone", ""),
        ("transitions/auto", {"entity": "deal", "from": "open", "to": "closed", "on": "auto"},
         "transition auto", "is new: from open to closed, automatically", "stand in open"),
        ("transitions/win/set", None, "transition win", "it sets nothing, not value to input", ""),
        ("transitions/win/creates", None, "transition win", "it creates nothing, not a record", ""),
        ("transitions/win/creates", {"entity": "deal", "data": {"v": "input.value"}},
         "transition win", "creates a record of deal with v from input.value, not a record", ""),
        ("transitions/win/input/value/type", "integer", "transition win",
         "its input/value: value was", ""),
        ("sla", {"duration": "2 days"}, "/sla", "it is new, and has no effect", ""),
        ("description", "What it is.", "/description", "it is new, and has no effect", ""),
        ("entities/lead/stages/0", {"id": "new", "sla": {"duration": "1 day"}},
         "/entities/lead/stages/0/sla", "it is new, and has no effect", ""),
    ],
)  # fmt: skip
def test_one_change_is_told_as_one(
    path: str, value: object, what: str, text: str, running: str
) -> None:
    told = [change for change in changed(path, value) if change.what == what]
    assert len(told) == 1, changed(path, value)
    assert text in told[0].text
    assert running in told[0].running
    assert bool(running) == bool(told[0].running)


def test_what_has_no_effect_is_told_when_it_changes_and_when_it_goes() -> None:
    one, other = ({**BASE, "sla": {"duration": d}} for d in ("1 day", "2 days"))
    assert [c.text for c in compare(loaded(one), loaded(other))][1:] == [
        "it has changed, and has no effect"
    ]
    assert [c.text for c in compare(loaded(one), loaded(BASE))][1:] == [
        "it is gone; it had no effect"
    ]


def test_roles_that_come_and_go_are_told() -> None:
    without = {key: value for key, value in BASE.items() if key != "roles"}
    texts = [change.text for change in compare(loaded(without), loaded(BASE))]
    assert "roles say now who may do what" in texts
    document = copy.deepcopy(BASE)
    del document["roles"]["boss"]
    (gone,) = (c for c in compare(loaded(BASE), loaded(document)) if c.kind == "removed")
    assert gone.what == "role boss"


@pytest.mark.parametrize(
    ("before", "after", "meaning"),
    [
        ("data.score > 50", "data.score > 60", FEWER),
        ("data.score > 50", "data.score >= 50", MORE),
        ("data.score >= 50", "data.score > 50", FEWER),
        ("data.score < 50", "data.score <= 60", MORE),
        ("data.score <= 50", "data.score <= 40", FEWER),
        ("data.score <= 50", "data.score <= 50.0", ""),
        ("data.score > 50", "data.score < 50", CANNOT_TELL),
        ("data.score > 50", "data.value > 50", CANNOT_TELL),
        ("data.score > 50", "data.score > 50 AND data.region == 'EU'", CANNOT_TELL),
        ("data.region == 'EU'", "data.region == 'US'", CANNOT_TELL),
        ("1 < 2", "1 < 3", CANNOT_TELL),
        ("data.score > 50", {"role_check": "boss"}, CANNOT_TELL),
    ],
)
def test_a_condition_is_stricter_or_looser_where_that_can_be_told(
    before: object, after: object, meaning: str
) -> None:
    document = copy.deepcopy(BASE)
    pair = []
    for condition in (before, after):
        document["transitions"]["qualify"]["condition"] = condition
        pair.append(loaded(document))
    changes = [c for c in compare(*pair) if c.what == "transition qualify"]
    assert [change.running for change in changes] == [meaning]


def test_a_new_condition_lets_fewer_pass() -> None:
    (change,) = changed("transitions/lose/condition", "data.score < 10")
    assert (change.text, change.running) == ("it has a condition now: data.score < 10", FEWER)


def replaced(text: str, other: str) -> list[Change]:
    """The differences after a text was replaced everywhere."""
    document = json.dumps({**BASE, "version": "1.1.0"}).replace(text, other)
    return list(compare(loaded(BASE), load_definition(document)))[1:]


@pytest.mark.parametrize("name", ["qualifies", "hot"])
def test_a_renamed_stage_is_guessed_and_told_once(name: str) -> None:
    gone, new = replaced('"qualified"', f'"{name}"')
    assert (gone.kind, gone.what) == ("removed", "stage lead/qualified")
    assert "have no place" in gone.running
    assert f"Perhaps it was renamed to '{name}'." in gone.running
    assert (new.kind, new.what) == ("added", f"stage lead/{name}")


def test_a_stage_renamed_under_its_label_is_guessed() -> None:
    one, other = (
        loaded(
            {
                "id": "x",
                "version": version,
                "entities": {"lead": {"stages": stages}},
            }
        )
        for version, stages in (
            ("1.0.0", ["new", {"id": "q", "label": "Qualified"}, "won"]),
            ("1.1.0", ["new", "extra", {"id": "vetted", "label": "Qualified"}, "won"]),
        )
    )
    (gone,) = (c for c in compare(one, other) if c.kind == "removed")
    assert "Perhaps it was renamed to 'vetted'" in gone.running


def test_a_stage_that_is_simply_gone_is_not_guessed_at() -> None:
    document = copy.deepcopy(BASE)
    document["entities"]["deal"]["stages"] = ["open", "paused", "closed"]
    changes = [c for c in compare(loaded(document), loaded(BASE)) if c.kind == "removed"]
    assert [c.what for c in changes] == ["stage deal/paused"]
    assert "Perhaps" not in changes[0].running


def test_an_entity_that_is_gone_leaves_records_without_a_place() -> None:
    document = copy.deepcopy(BASE)
    del document["entities"]["deal"]
    del document["transitions"]["win"]["creates"]
    (gone,) = (c for c in compare(loaded(BASE), loaded(document)) if c.kind == "removed")
    assert "have no place" in gone.running


def test_another_order_is_a_change_where_order_means_something() -> None:
    document = copy.deepcopy(BASE)
    document["transitions"] = dict(reversed(document["transitions"].items()))
    document["entities"]["lead"]["stages"] = [
        "qualified",
        "new",
        *document["entities"]["lead"]["stages"][2:],
    ]
    document["entities"] = dict(reversed(document["entities"].items()))
    told = {change.what: change for change in compare(loaded(BASE), loaded(document))}
    assert "`convert` goes to the next" in told["entity lead stages"].running
    assert told["entity lead"].text == "new records begin in qualified, not in new"
    assert "tried in this order" in told["transitions"].running
    assert told["start"].text == "a start makes a record of deal, not of lead"


def test_a_transition_may_change_its_entity() -> None:
    document = copy.deepcopy(BASE)
    document["transitions"]["qualify"] = {"from": "open", "to": "closed", "entity": "deal"}
    texts = [c.text for c in compare(loaded(BASE), loaded(document))]
    assert "it is a transition of deal, not of lead" in texts


def test_anything_may_be_compared_with_anything() -> None:
    for one, other in ((ODD, BASE), (BASE, ODD)):
        assert all(change.text for change in compare(loaded(one), loaded(other)))

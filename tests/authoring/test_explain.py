"""A definition in plain sentences."""

from __future__ import annotations

import re

import pytest

from nexus.authoring.explain import explained
from nexus.core import load_definition
from tests.authoring.walking import ODD, SHIPPED, loaded, shipped
from tests.core.playing import DEFINITIONS, Document, lead


def told(document: Document) -> str:
    """The explanation on one line, as a reader takes it in."""
    return " ".join(explained(loaded(document)).split())


def test_it_says_who_may_do_what_when_and_what_comes_next() -> None:
    text = " ".join(explained(shipped("opportunity")).split())
    for sentence in (
        "Opportunity (opportunity, version 1.0.0) From the first talk to the signature.",
        'Starting it makes an opportunity in "Qualification", unless the start asks for other',
        "It ends when every record that has stages has ended.",
        "name (string, needed)",
        'In "Discount to approve" (approval), owed by the roles sales and manager:',
        (
            'The role manager may take "Approve the discount" (approve), which moves it to '
            '"Proposal sent" (proposal), if data.discount <= 40. It sets approved_by to actor.id.'
        ),
        (
            '"Ask a manager" (ask) moves it to "Discount to approve" (approval), as soon as '
            "data.discount > 15."
        ),
        'After 14 days here, "Silence" (stall) moves it to "Stalled".',
        'After 14 days here, "Silence" (stall) moves it to "Stalled", as above.',
        'When "proposal.viewed" happens, "They opened it" (view) moves it to "Negotiation".',
        (
            'Whoever is assigned, with the role sales or manager, may take "Signed" (sign), which '
            'moves it to "Won". It sets signed_at to now. It creates a customer in '
            '"Onboarding", with name from data.name'
        ),
        'From every stage before the end: - The role manager or sales may take "Lost" (lose)',
        "reason (one of price, competitor, no need, no answer, other, needed)",
        "- manager: discover, propose,",
        "The role admin may do everything, and the history says so.",
        "Nothing is odd about it.",
    ):
        assert sentence in text


@pytest.mark.parametrize("name", SHIPPED)
def test_no_line_is_longer_than_a_hundred_columns(name: str) -> None:
    assert max(map(len, explained(shipped(name)).splitlines())) <= 100


def test_what_is_odd_about_a_sample_is_told_with_its_line() -> None:
    path = DEFINITIONS / "sales-pipeline.json"
    text = " ".join(explained(load_definition(path.read_text())).split())
    assert "What is odd:" in text
    assert "Did you mean 'lead_score'? (line 17)" in text
    assert 'No transition leads on; `convert` moves it to "opportunity".' in text
    assert 'Whoever is assigned, else anybody, may take "qualify"' in text
    assert "There are no roles: anybody of the tenant may act" in text


def test_every_form_of_a_condition_is_told() -> None:
    text = told(ODD)
    assert "(data.x > 1 OR data.y == 'a: b; c') and role is boss or rep and not (segment is" in text
    assert "The role r and ann" not in text
    assert 'The role r or ann may take "start"' in text
    assert '"again", which begins it anew' in text
    assert "field_0" in text
    assert "plain data. It has no stages." in text


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (lead({"a": {"from": "new", "to": "won"}}, roles={}), "Nobody but an admin may take"),
        (lead(roles={}), "Nothing leads on, and no role can close it."),
        (
            lead(roles={"x": {"can": ["close"]}}),
            "No transition leads on; `close` ends the record.",
        ),
        (
            lead(
                {"a": {"from": "new", "to": "won", "by": {"users": ["ann"]}}},
                roles={"x": {"can": "a"}},
            ),
            'Ann (with the role x) may take "a"',
        ),
        (lead(roles={"boss": {"can": "*"}}), "- boss: everything."),
        (lead(roles={"idle": {}}), "- idle: nothing."),
        (lead(roles={"x": {"can": ["start"]}}), "Only the role x may start it."),
        (lead(policy={"selfAssign": False}), "Nobody may assign a record to themselves."),
        (lead(dataSchema={"type": "object", "additionalProperties": True}), "Its data: anything."),
        (
            lead({"a": {"from": "new", "to": "won", "set": {"x": 1, "y": None, "z": True}}}),
            "It sets x to 1, y to null and z to true.",
        ),
        (
            lead(fields={"n": {"type": ["number", "null"], "maximum": 5}}),
            "Its own data: n (number or null, at most 5).",
        ),
        ({"id": "x", "entities": {}}, "No kind of record has stages: an instance holds data"),
    ],
)
def test_what_is_rare_is_told_as_well(document: Document, sentence: str) -> None:
    assert sentence in told(document)


def test_what_is_copied_into_a_created_record_is_named() -> None:
    document: Document = {
        "id": "x",
        "entities": {
            "lead": {"fields": ["name", "age"], "stages": ["new", "won"]},
            "deal": {"fields": ["name", "value"], "stages": ["open", "closed"]},
        },
        "transitions": {"win": {"from": "new", "to": "won", "creates": "deal"}},
    }
    assert 'It creates a deal in "open", with name.' in told(document)
    assert re.search(
        r"It creates a deal in \"open\"\.",
        told(
            {
                **document,
                "entities": {
                    "lead": {"stages": ["new", "won"]},
                    "deal": {"stages": ["open", "closed"]},
                },
            }
        ),
    )

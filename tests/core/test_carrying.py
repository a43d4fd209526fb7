"""An instance that began elsewhere goes on here, as it stood; or it is told why it cannot."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from nexus.core import State, program_of
from nexus.core.calls import call_request
from nexus.core.commands import Act, Actor, CarryOver, Start
from nexus.core.events import CarriedOver, InstanceStarted, StageEntered
from nexus.core.fitting import misfits
from nexus.core.restoring import event_of, restore, rows_of
from nexus.core.rows import history_row
from nexus.core.state import Subject
from tests.core.playing import ACME, ADMIN, ANN, BOB, NOON, Document, Play, lead, names, refused

GO = {"from": "new", "to": "qualified"}
LOG = {"channel": "log"}
RUN = [LOG, {"task": {"title": "Call them"}}, {"wait": "2 days"}, {"waitFor": {"event": "e"}}]


def busy() -> Document:
    """A stage with a clock, a call, a task and two kinds of waiting."""
    stages = ["new", {"id": "qualified", "run": {"parallel": RUN}}, "won"]
    win = {"from": "qualified", "to": "won", "on": {"after": "9 days"}}
    return copy.deepcopy(lead({"go": GO, "win": win}, stages=stages))


def played(document: Document | None = None) -> Play:
    play = Play(document or busy())
    play.start({"score": 1})
    play.act("comment", comment="Hello.", actor=BOB)
    play.act("go")
    return play


def rows(play: Play) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.to_builtins([history_row(e) for e in play.events])
    for row in found:
        del row["command"]
    return found


def carry(
    play: Play,
    history: list[dict[str, Any]] | None = None,
    *,
    into: object = None,
    actor: Actor = ANN,
    subject: Subject = ACME,
    days: float = 1,
) -> Play:
    """Carry it over into a program of its own."""
    new = Play(play.program if into is None else into)
    new.now = play.now + timedelta(days=days)
    kept = rows(play) if history is None else history
    command = CarryOver(actor=actor, subject=subject, origin="deals-1", history=tuple(kept))
    new.give(command)
    return new


def test_it_stands_as_it_stood_and_one_event_says_so() -> None:
    play = played()
    carried = carry(play, actor=BOB)
    assert carried.events[:-1] == play.events
    last = carried.events[-1]
    assert last == CarriedOver(
        seq=len(carried.events),
        at=play.now + timedelta(days=1),
        actor="bob",
        origin="deals-1",
        events=len(play.events),
    )
    for what in ("records", "timers", "calls", "tasks", "started_by", "started_at", "data"):
        assert getattr(carried.state, what) == getattr(play.state, what)
    assert carried.state.origin == "deals-1"
    assert len(carried.state.timers) == 2
    assert (len(carried.state.tasks), len(carried.state.calls)) == (1, 1)


def test_it_goes_on_from_there() -> None:
    carried = carry(played())
    assert names(carried.complete(next(iter(carried.state.tasks))))[0] == "task_completed"
    carried.ends(carried.calls()[0])
    carried.event("e")
    carried.wait(10)
    assert carried.lead.stage == "won"


def test_what_follows_by_itself_follows() -> None:
    """A program may know a way that the one before did not."""
    more = busy()
    more["transitions"]["up"] = {"from": "new", "to": "won", "on": "auto", "condition": "true"}
    play = Play(busy())
    play.start()
    carried = carry(play, into=more)
    *_, last, moved, ended = carried.events
    assert names([last, moved, ended]) == ["carried_over", "stage_entered", "instance_ended"]
    assert (last.actor, moved.actor) == ("ann", "system")


def test_calls_keep_their_keys() -> None:
    """Where a call was made at first, it is known by that key."""

    def key(play: Play, instance: str) -> str:
        (call,) = play.state.calls.values()
        request = call_request(
            play.program, play.state, call, tenant="acme", instance=instance, now=play.now
        )
        assert request.instance == instance
        return request.key

    play = played()
    first = carry(play)
    assert key(first, "run-7") == key(play, "deals-1")
    again = Play(play.program)
    again.now = first.now
    command = CarryOver(actor=ANN, subject=ACME, origin="run-7", history=tuple(rows(first)))
    again.give(command)
    assert key(again, "run-8") == key(play, "deals-1")


def test_a_clock_that_is_a_little_ahead_does_not_turn_history_back() -> None:
    play = played()
    carried = carry(play, days=-1 / 1440)
    assert carried.events[-1].at == play.now
    refused("invalid_data", lambda: carry(play, days=-1), "lies in the future")


def test_who_may_start_may_carry_over() -> None:
    document = busy() | {"roles": {"seller": {"can": ["start", "go", "comment"]}}}
    play = Play(document)
    seller = Actor("s", ("seller",))
    play.start(actor=seller)
    assert carry(play, actor=seller).status() == "active"
    assert carry(play, actor=ADMIN).status() == "active"
    refused("forbidden", lambda: carry(play), "'ann' may not 'start'")


def test_a_former_instance_is_treated_as_for_a_start() -> None:
    play = played()
    command = CarryOver(actor=ANN, subject=ACME, origin="d", history=tuple(rows(play)))
    start = Start(actor=ANN, subject=ACME)
    other = Play(busy())
    other.start()
    for opening in (command, start):
        refused("instance_exists", partial(other.give, opening))
    other.act("cancel")
    for opening in (command, start):
        refused("conflict", partial(other.give, opening), "just closing")


def test_what_is_new_still_takes_nothing_else() -> None:
    play = Play(busy())
    refused("wrong_stage", lambda: play.give(Act(actor=ANN, action="go")), "not been started")


def test_one_that_has_ended_comes_along() -> None:
    play = played()
    play.act("cancel")
    play.ends(next(iter(play.state.calls.values())).path, "cancelled")
    carried = carry(play)
    assert carried.state.status == "cancelled"
    assert names(carried.events)[-2:] == ["instance_ended", "carried_over"]


# --- histories that are not whole ---------------------------------------------------------------


def at(index: int, **changes: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(history: list[dict[str, Any]]) -> None:
        history[index] |= changes

    return change


def payload(index: int, **changes: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(history: list[dict[str, Any]]) -> None:
        history[index]["payload"] |= changes

    return change


SUBJECT = {"type": "account", "id": "acme"}
BROKEN: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "nothing": (list.clear, "/history"),
    "no start": (lambda h: h.pop(0), "/history"),
    "another event first": (lambda h: h.insert(0, h.pop(1)), "/history"),
    "a gap": (lambda h: h.pop(1), "/history/1/seq"),
    "seq from 0": (at(0, seq=0), "/history/0/seq"),
    "seq is a text": (at(1, seq="2"), "/history/1/seq"),
    "time goes back": (at(1, at="2020-01-01T00:00:00Z"), "/history/1/at"),
    "no time": (at(1, at="soon"), "/history/1/at"),
    "no zone": (at(1, at="2026-11-21T12:00:00"), "/history/1/at"),
    "no actor": (at(1, actor=""), "/history/1/actor"),
    "an endless actor": (at(1, actor="x" * 201), "/history/1/actor"),
    "an endless comment": (at(3, comment="x" * 10_001), "/history/3/comment"),
    "NUL in a comment": (at(3, comment="\0"), "/history/3/comment"),
    "no such event": (at(3, event="comment_aded"), "/history/3/event"),
    "no such field": (at(3, sequence=4), "/history/3/sequence"),
    "no such fact": (payload(2, stages="new"), "/history/2/payload/stages"),
    "a fact of another type": (payload(2, stage=7), "/history/2/payload/stage"),
    "a fact within": (payload(0, subject={**SUBJECT, "id": 7}), "/history/0/payload/subject/id"),
    "a fact is missing": (lambda h: h[2]["payload"].pop("stage"), "/history/2/payload"),
    "no payload": (at(2, payload=[]), "/history/2/payload"),
    "another definition": (payload(0, definition="x"), "/history/0/payload/definition"),
    "another subject": (payload(0, subject={**SUBJECT, "id": "x"}), "/history/0/payload/subject"),
    "shown is not what happened": (at(2, after="won"), "/history/2/after"),
    "data is not what happened": (at(0, after={"score": 2}), "/history/0/after"),
    "no such record": (at(2, record="lead-7"), "/history/2"),
    "a stage of no record": (at(2, record=None), "/history/2"),
    "an odd record": (at(1, record="lead 1"), "/history/1/record"),
    "a clock without a zone": (
        lambda h: _timers(h).update(due="2026-11-30T12:00:00"),
        "/payload/timers/0/due",
    ),
    "a clock whose words are endless": (
        lambda h: _timers(h).update(summary="x" * 501),
        "/payload/timers/0/summary",
    ),
    "an odd task": (lambda h: _of(h, "task_opened")["task"].update(id="t"), "/payload/task/id"),
}


def _of(history: list[dict[str, Any]], event: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in reversed(history) if row["event"] == event)
    inside: dict[str, Any] = found["payload"]
    return inside


def _timers(history: list[dict[str, Any]]) -> dict[str, Any]:
    first: dict[str, Any] = _of(history, "stage_entered")["timers"][0]
    return first


@pytest.mark.parametrize(("harm", "place"), BROKEN.values(), ids=BROKEN.keys())
def test_a_history_that_is_not_whole_is_refused_with_its_place(
    harm: Callable[[list[dict[str, Any]]], object], place: str
) -> None:
    play = played()
    history = rows(play)
    harm(history)
    refusal = refused("invalid_data", lambda: carry(play, history), place)
    errors: Any = refusal.details["errors"]
    assert [error["pointer"].endswith(place) for error in errors] == [True]


def test_an_incident_has_a_number() -> None:
    play = played(busy())
    play.ends(play.calls()[0], "failed")
    assert carry(play).state.incidents == play.state.incidents
    history = rows(play)
    _of(history, "incident_raised")["incident"] = "incident-x"
    refused("invalid_data", lambda: carry(play, history), "/payload/incident", "incident-1")
    (incident,) = play.state.incidents
    play.skip(incident)
    history = rows(play)
    _of(history, "incident_closed")["incident"]["id"] = "incident-x"
    refused("invalid_data", lambda: carry(play, history), "/payload/incident/id")


def test_a_second_start_is_none() -> None:
    play = played()
    history = rows(play)
    history.append({**history[0], "seq": len(history) + 1, "at": history[-1]["at"]})
    refused("invalid_data", lambda: carry(play, history), "started already")


def test_what_may_be_absent_may_be_absent() -> None:
    play = played()
    history = rows(play)
    for row in history:
        for name in [name for name, value in row.items() if value in (None, {})]:
            del row[name]
        row["payload"] = {k: v for k, v in row.get("payload", {}).items() if v is not None}
    assert carry(play, history).events[:-1] == play.events


def test_a_row_is_read_back_as_what_happened() -> None:
    event = StageEntered(seq=3, at=NOON, actor="ann", record="lead-1", stage="b", previous="a")
    assert event_of(history_row(event)) == event
    started = InstanceStarted(
        seq=1, at=NOON, actor="a", definition="d", version="1", subject=ACME, data={"x": [1, {}]}
    )
    assert restore([history_row(started)]).data == {"x": [1, {}]}
    assert restore([]) == State()
    (row,) = rows_of([_plain(started)])
    assert row == history_row(started)


def _plain(event: InstanceStarted) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(history_row(event))
    del row["command"]
    return row


# --- programs that do not know it ---------------------------------------------------------------


def without(*keys: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        where: Any = document
        for key in keys[:-1]:
            where = where[key]
        del where[keys[-1]]

    return change


def instead(index: int, step: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["entities"]["lead"]["stages"][1]["run"]["parallel"][index] = step

    return change


def fewer_stages(document: Document) -> None:
    document["entities"]["lead"]["stages"][1]["id"] = "seen"
    for transition in document["transitions"].values():
        for side in ("from", "to"):
            transition[side] = transition[side].replace("qualified", "seen")


def renamed(document: Document) -> None:
    document["entities"]["deal"] = document["entities"].pop("lead")


def other_way(document: Document) -> None:
    document["transitions"]["win"]["from"] = "new"


def by_hand(document: Document) -> None:
    del document["transitions"]["win"]["on"]


UNFIT: dict[str, tuple[Callable[[Document], None], str]] = {
    "entity": (renamed, "lead-1 is of the entity 'lead', which there is not."),
    "stage": (fewer_stages, "lead-1 stands in 'qualified', and 'lead' has no such stage."),
    "run": (
        without("entities", "lead", "stages", 1, "run"),
        "lead-1 runs steps in 'qualified', and this stage has none.",
    ),
    "clock": (
        without("transitions", "win"),
        "lead-1 has a clock for 'win', which no clock takes.",
    ),
    "clock by hand": (by_hand, "lead-1 has a clock for 'win', which no clock takes."),
    "clock elsewhere": (
        other_way,
        "lead-1 has a clock for 'win', which does not lead out of 'qualified'.",
    ),
    "call": (instead(0, {"set": {"a": 1}}), "and no channel is called there."),
    "task": (instead(1, LOG), "and there is no task."),
    "wait": (instead(2, LOG), "nothing waits there."),
    "another step": (instead(3, {"wait": "1 day"}), "and that is another step here."),
    "a step less": (
        without("entities", "lead", "stages", 1, "run", "parallel", 3),
        "and there is no such step.",
    ),
}


@pytest.mark.parametrize(("change", "told"), UNFIT.values(), ids=UNFIT.keys())
def test_what_a_program_does_not_know_is_told(
    change: Callable[[Document], None], told: str
) -> None:
    play = played()
    assert misfits(play.program, play.state) == []
    other = busy()
    change(other)
    refusal = refused("conflict", lambda: carry(play, into=other), told)
    found = refusal.details["misfits"]
    assert isinstance(found, list)
    assert any(str(one).endswith(told) for one in found)
    assert found == misfits(Play(other).program, play.state)


def test_all_that_does_not_fit_is_told() -> None:
    play = played()
    other = busy()
    without("transitions", "win")(other)
    instead(1, LOG)(other)
    refusal = refused("conflict", lambda: carry(play, into=other))
    assert len(refusal.details["misfits"]) >= 2  # type: ignore[arg-type]


def test_a_call_that_can_be_tried_again_has_to_be_there() -> None:
    play = played()
    play.ends(play.calls()[0], "failed")
    other = busy()
    instead(0, {"set": {"a": 1}})(other)
    (text, *_) = misfits(Play(other).program, play.state)
    assert text.startswith("incident-")
    assert text.endswith("and no channel is called there.")


def test_plain_data_has_no_stage() -> None:
    play = Play(lead(stages=[]) | {"entities": {"lead": {"fields": ["a"]}}})
    play.start(entity="lead")
    (text,) = misfits(program_of(msgspec.json.encode(lead()).decode()), play.state)
    assert text == "lead-1 stands in no stage, and 'lead' has stages."


def test_a_clock_that_waits_for_the_join_has_to_be_there() -> None:
    play = played()
    play.wait(9)
    assert [one.name for one in play.lead.awaiting] == ["win"]
    assert carry(play).lead.awaiting == play.lead.awaiting
    other = busy()
    without("transitions", "win")(other)
    (text,) = misfits(Play(other).program, play.state)
    assert text == "lead-1 keeps the clock of 'win', which there is not."


def test_a_name_that_is_near_is_told() -> None:
    play = played()
    other = busy()
    text = msgspec.json.encode(other).decode().replace("qualified", "qualify_")
    (found,) = misfits(program_of(text), play.state)
    assert found.endswith("'lead' has no such stage. Did you mean 'qualify_'?")


def test_what_has_ended_needs_its_entities_and_stages_alone() -> None:
    """It is shown, and nothing goes on."""
    play = Play(lead() | {"entities": {"lead": {"fields": ["a"]}}})
    play.start(entity="lead")
    play.act("cancel")
    assert misfits(program_of(msgspec.json.encode(lead()).decode()), play.state) == []

"""From state and events to rows, and the state as bytes (R28, R31, design 4 and 6)."""

import random
import zlib
from collections.abc import Mapping
from datetime import timedelta
from typing import get_args

import msgspec
import pytest

from nexus.core import Program, Rejected, State
from nexus.core.codec import (
    MOST_BYTES,
    Carried,
    decode_carried,
    encode_carried,
    require_room,
    size_of,
)
from nexus.core.commands import Actor, NewRecord, RefusedSignal
from nexus.core.events import AnyEvent, CarriedOver
from nexus.core.projection import HistoryRow, Projection, Snapshot
from nexus.core.restoring import event_of
from nexus.core.rows import (
    Identity,
    history_row,
    instance_row,
    project,
    project_all,
    record_rows,
    snapshot,
    timer_rows,
)
from tests.core.playing import ANN, NOON, Play, lead, refused

IDENTITY = Identity("run-1", "t1", "t1:test:account:acme")
DOCUMENT = lead(
    {
        "go": {"from": "new", "to": "qualified", "set": {"a": "input.n"}, "creates": "deal"},
        "late": {"from": "new", "to": "won", "on": {"after": "3 days"}},
        "later": {
            "from": "new",
            "to": "won",
            "on": {"after": "5 days"},
            "condition": "data.never",
        },
        "seen": {"from": "qualified", "to": "won", "on": {"event": "seen"}},
        "bad": {
            "from": "qualified",
            "to": "won",
            "on": "auto",
            "condition": "data.a == 7",
            "set": {"b": "data.missing"},
        },
    },
    domain="crm",
    version="1.2.3",
)
DOCUMENT["entities"] |= {"deal": {"stages": ["open", "paid"]}, "note": {}}


@pytest.fixture
def play() -> Play:
    play = Play(DOCUMENT)
    play.start(
        {"score": 1},
        records=[NewRecord("lead", {"name": "Ann"}), NewRecord("note"), NewRecord("lead")],
    )
    play.act("assign", record="lead-1", data={"users": ["ann"], "roles": ["sales"]})
    return play


def projected(play: Play, events: list[AnyEvent]) -> Projection:
    return project(IDENTITY, play.program, play.state, [history_row(e, "u-1") for e in events])


# --- the instance and its records ----------------------------------------------------------


def test_the_instance_row_says_where_it_stands(play: Play) -> None:
    """Design 6: `state` is the stage of the first staged record."""
    row = instance_row(IDENTITY, play.program, play.state)
    assert (row.id, row.tenant, row.workflow_id) == ("run-1", "t1", "t1:test:account:acme")
    assert (row.definition, row.version, row.domain) == ("test", "1.2.3", "crm")
    assert (row.subject_type, row.subject_id) == ("account", "acme")
    assert (row.status, row.stage, row.data) == ("active", "new", {"score": 1})
    assert (row.started_by, row.started_at, row.ended_at) == ("ann", NOON, None)
    assert (row.seq, row.updated_at) == (play.state.seq, NOON)


def test_without_staged_records_an_instance_has_no_stage() -> None:
    play = Play({"id": "bare"})
    play.start()
    assert instance_row(IDENTITY, play.program, play.state).stage is None


def test_record_rows_stand_in_order_of_creation(play: Play) -> None:
    """R31: with the typed table that follows them."""
    rows = record_rows(play.program, play.state, ["lead-2", "note-1", "lead-1"])
    assert [(r.id, r.position, r.entity, r.table, r.stage, r.pending) for r in rows] == [
        ("lead-1", 1, "lead", "contacts", "new", True),
        ("note-1", 2, "note", None, None, False),
        ("lead-2", 3, "lead", "contacts", "new", True),
    ]
    first = rows[0]
    assert (first.users, first.roles, first.data) == (("ann",), ("sales",), {"name": "Ann"})
    assert (first.created_at, first.since, first.parent) == (NOON, NOON, None)


def test_a_record_s_due_at_is_its_next_clock(play: Play) -> None:
    rows = record_rows(play.program, play.state, play.state.records)
    assert [row.due_at for row in rows] == [
        NOON + timedelta(days=3),
        None,
        NOON + timedelta(days=3),
    ]


def test_timer_rows_have_the_next_first(play: Play) -> None:
    rows = timer_rows(play.state, ["lead-2", "lead-1"])
    assert [(row.id, row.trigger_at - NOON) for row in rows] == [
        ("lead-1/1/after:late", timedelta(days=3)),
        ("lead-2/1/after:late", timedelta(days=3)),
        ("lead-1/1/after:later", timedelta(days=5)),
        ("lead-2/1/after:later", timedelta(days=5)),
    ]
    assert (rows[0].record, rows[0].kind, rows[0].name) == ("lead-1", "transition", "late")
    assert [row.record for row in timer_rows(play.state, ["lead-2"])] == ["lead-2", "lead-2"]


def test_an_ended_record_waits_for_nobody(play: Play) -> None:
    play.act("close", actor=ANN, record="lead-1")
    row = record_rows(play.program, play.state, ["lead-1"])[0]
    assert (row.status, row.pending, row.due_at) == ("closed", False, None)


def test_an_ended_instance_takes_its_records_out_of_everybody_s_hands(play: Play) -> None:
    """R17: nothing of it is pending any more."""
    events = play.act("cancel")
    projection = projected(play, events)
    assert projection.complete
    assert [(r.status, r.pending) for r in projection.records] == [("closed", False)] * 3
    assert projection.timers == ()
    assert projection.instance.status == "cancelled"
    assert projection.instance.ended_at == NOON


def test_a_final_record_stays_final_in_an_ended_instance() -> None:
    play = Play(lead())
    play.start()
    play.act("convert")
    play.act("convert")
    (row,) = record_rows(play.program, play.state, ["lead-1"])
    assert row.status == "final"


# --- projections ---------------------------------------------------------------------------


def test_a_projection_has_the_records_that_changed_and_their_clocks(play: Play) -> None:
    """Design 4: all rows of one decision."""
    projection = projected(play, play.act("update", record="lead-2", data={"a": 1}))
    assert not projection.complete
    assert [row.id for row in projection.records] == ["lead-2"]
    assert [row.record for row in projection.timers] == ["lead-2", "lead-2"]
    assert [row.event for row in projection.history] == ["action_taken", "data_changed"]
    assert projection.instance.seq == projection.history[-1].seq


def test_a_projection_of_the_instance_alone_has_no_records(play: Play) -> None:
    projection = projected(play, play.act("comment", comment="hi"))
    assert not projection.complete
    assert projection.records == ()
    assert projection.timers == ()


def test_a_projection_of_a_start_is_complete() -> None:
    play = Play(DOCUMENT)
    projection = projected(play, play.start())
    assert projection.complete
    assert len(projection.records) == 1


def test_everything_can_be_projected_for_a_writer_that_lost_its_rows(play: Play) -> None:
    rows = [history_row(event) for event in play.act("comment", comment="hi")]
    projection = project_all(IDENTITY, play.program, play.state, rows)
    assert projection.complete
    assert len(projection.records) == 3
    assert len(projection.timers) == 4
    assert projection.history == rows


def test_a_snapshot_is_the_whole_instance(play: Play) -> None:
    """Shell: what an update is answered with."""
    whole = snapshot(IDENTITY, play.program, play.state)
    everything = project_all(IDENTITY, play.program, play.state, [])
    assert (whole.instance, whole.records, whole.timers) == (
        everything.instance,
        everything.records,
        everything.timers,
    )


# --- history -------------------------------------------------------------------------------


def history(play: Play) -> list[HistoryRow]:
    return [history_row(event) for event in play.events]


def test_history_rows_say_what_stood_there_and_what_stands_there_now(play: Play) -> None:
    """Design 6: seq, at, event, actor, record, before, after, comment, payload."""
    play.events.clear()
    play.act("go", record="lead-1", data={"n": 5}, comment="good")
    taken, changed, entered, created, opened = history(play)
    assert (taken.event, taken.actor, taken.comment) == ("action_taken", "ann", "good")
    assert taken.payload == {"action": "go", "input": {"n": 5}, "override": False}
    assert (taken.before, taken.after) == (None, None)
    assert (changed.before, changed.after, changed.payload) == ({}, {"a": 5}, {})
    assert (entered.record, entered.before, entered.after) == ("lead-1", "new", "qualified")
    assert entered.payload == {
        "stage": "qualified",
        "transition": "go",
        "trigger": "action",
        "final": False,
        "assignees": {"users": ["ann"], "roles": ["sales"]},
        "timers": [],
    }
    assert created.payload == {"entity": "deal", "data": {}, "parent": "lead-1"}
    assert (opened.before, opened.after) == (None, "open")
    assert [row.seq for row in history(play)] == list(range(taken.seq, taken.seq + 5))


def test_history_of_an_assignment_has_both_sides(play: Play) -> None:
    """R12."""
    play.act("assign", record="lead-1", data={"users": ["bob"]})
    row = history(play)[-1]
    assert row.before == {"users": ["ann"], "roles": ["sales"]}
    assert row.after == {"users": ["bob"], "roles": []}


def test_history_of_a_start_and_of_a_closed_record(play: Play) -> None:
    started = history(play)[0]
    assert (started.event, started.before, started.after) == (
        "instance_started",
        None,
        {"score": 1},
    )
    assert started.payload["subject"] == {"type": "account", "id": "acme"}
    play.act("close", record="lead-1")
    closed = history(play)[-1]
    assert (closed.event, closed.before, closed.after) == ("record_closed", "new", None)


def test_a_history_row_names_the_update_that_caused_it(play: Play) -> None:
    """R26: None for clocks and signals."""
    assert history_row(play.events[0]).command is None
    assert history_row(play.events[0], "u-7").command == "u-7"


def test_clocks_are_written_as_text_in_the_history(play: Play) -> None:
    entered = next(row for row in history(play) if row.event == "stage_entered")
    timers = entered.payload["timers"]
    assert isinstance(timers, list)
    assert timers[0]["due"] == "2026-11-24T12:00:00+00:00"


def every_kind(play: Play) -> list[AnyEvent]:
    """Events of all kinds."""
    play.act("comment", comment="x")
    play.act("go", record="lead-1", data={"n": 7})  # the automatic one is refused: an incident
    play.event("seen", {"b": [1]})
    play.give(RefusedSignal(actor=Actor("system:signal"), code="x", message="y"))
    play.wait(days=3)
    play.act("close", record="deal-1")
    carried = CarriedOver(seq=99, at=NOON, actor="ann", origin="elsewhere", events=98)
    return [*play.events, *running_kinds(), carried]


def running_kinds() -> list[AnyEvent]:
    """Events of all kinds that a stage's run leaves."""
    run = [
        {"channel": "email"},
        {"channel": "webhook"},
        {"task": {"title": "Call"}},
        {"waitFor": {"event": "seen", "timeout": "1 day"}},
    ]
    leave = {"from": "work", "to": "done", "on": {"event": "left"}}
    play = Play(lead({"leave": leave}, [{"id": "work", "run": run}, "done", "end"]))
    play.start()
    play.ends("run/0", response={"status": 200})
    play.ends("run/1", "failed")
    play.retry(next(iter(play.state.incidents)))
    play.event("left")
    play.complete(next(iter(play.state.tasks)))
    play.event("seen")  # the join: what was kept has its turn
    play.act("cancel")
    play.ends("run/1", "cancelled")
    closed = Play(lead({"leave": leave}, [{"id": "work", "run": run}, "done", "end"]))
    closed.start()
    closed.act("close")
    return play.events + closed.events


def test_all_events_have_rows_that_are_json(play: Play) -> None:
    """Storage and API read them back as they were written."""
    events = every_kind(play)
    assert {type(event) for event in events} == set(get_args(AnyEvent))
    rows = [history_row(event, "u") for event in events]
    for row, event in zip(rows, events, strict=True):
        text = msgspec.json.encode(row)
        back = msgspec.json.decode(text, type=HistoryRow)
        assert back == row
        assert event_of(row) == event_of(back) == event
        assert set(row.payload).isdisjoint({"seq", "at", "actor", "record", "comment", "name"})


def test_projections_and_snapshots_come_back_from_json_as_they_were(play: Play) -> None:
    """The contract of core, workflow, storage and API."""
    everything = project_all(IDENTITY, play.program, play.state, history(play))
    back = msgspec.json.decode(msgspec.json.encode(everything), type=Projection)
    assert msgspec.json.encode(back) == msgspec.json.encode(everything)
    assert back.instance == everything.instance
    whole = snapshot(IDENTITY, play.program, play.state)
    again = msgspec.json.decode(msgspec.json.encode(whole), type=Snapshot)
    assert msgspec.json.encode(again) == msgspec.json.encode(whole)


# --- the state as bytes --------------------------------------------------------------------


def test_a_state_comes_back_as_it_was(play: Play) -> None:
    """R28, R29: what continue-as-new carries; clocks are state."""
    every_kind(play)
    carried = Carried(play.state, {"u-1": NOON})
    assert decode_carried(encode_carried(carried)) == carried
    assert encode_carried(carried) == encode_carried(decode_carried(encode_carried(carried)))


def test_records_keep_their_order_in_bytes(play: Play) -> None:
    """Traps: a converter that sorts keys changes what is first."""
    state = decode_carried(encode_carried(Carried(play.state))).state
    assert list(state.records) == ["lead-1", "note-1", "lead-2"]


def test_a_new_state_comes_back_too() -> None:
    assert decode_carried(encode_carried(Carried(State()))) == Carried(State())


def test_the_state_is_compressed() -> None:
    """R28."""
    play = Play(lead())
    play.start({"text": "x" * 100_000})
    assert size_of(play.state) > 100_000
    assert len(encode_carried(Carried(play.state))) < 2_000


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"{}", zlib.compress(b"{"), zlib.compress(b"[]")]
)
def test_bytes_that_are_no_state_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a carried state"):
        decode_carried(data)


def noise(size: int) -> str:
    """Text that does not compress below three quarters."""
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
    return "".join(random.Random(7).choices(letters, k=size))


def test_what_does_not_fit_is_refused_and_nothing_has_changed() -> None:
    """R28: `too_large`, before anything changes."""
    play = Play(lead())
    play.start({"a": noise(MOST_BYTES)})
    require_room(play.state)
    before = play.state
    play.act("update", data={"b": noise(MOST_BYTES)[::-1]})
    refused("too_large", lambda: require_room(play.state), "1.5 MiB", "nothing was changed")
    require_room(before)


def test_what_compresses_well_fits() -> None:
    """R28: the limit is that of the compressed state."""
    play = Play(lead())
    play.start({"a": "x" * (2 * MOST_BYTES)})
    require_room(play.state)


def test_the_definition_takes_its_share_of_the_room() -> None:
    """R28: state and definition are carried over together."""
    play = Play(lead())
    play.start({"a": noise(1_200_000)})
    require_room(play.state)
    with pytest.raises(Rejected) as caught:
        require_room(play.state, beside=1_000_000)
    assert caught.value.code == "too_large"


def test_programs_are_not_part_of_a_state(play: Play) -> None:
    """State is data alone: it knows neither code nor definition."""

    def plain(value: object) -> bool:
        if isinstance(value, Mapping):
            return all(plain(item) for item in value.values())
        return not isinstance(value, Program)

    assert plain(msgspec.to_builtins(play.state))

"""What holds for every definition and every sequence of commands (design 1, issue's tests)."""

from __future__ import annotations

import functools
import json
from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from nexus.cli.definition_files import definition_files
from nexus.core import (
    Compiled,
    DefinitionError,
    Program,
    Rejected,
    State,
    can,
    decide,
    evolve,
    load_definition,
    program_of,
    step,
)
from nexus.core.codec import Carried, decode_carried, encode_carried
from nexus.core.commands import (
    Act,
    Actor,
    CallEnded,
    CarryOver,
    Command,
    GiveUp,
    RefusedSignal,
    Start,
    Stop,
    TimerDue,
    dump_command,
    parse_command,
)
from nexus.core.events import (
    AnyEvent,
    CarriedOver,
    ChannelFailed,
    ChannelSucceeded,
    IncidentClosed,
    IncidentRaised,
    IncidentRetried,
    InstanceEnded,
    InstanceEnding,
    StageEntered,
)
from nexus.core.incidents import lingers
from nexus.core.projection import HistoryRow, IncidentRow, Projection, RecordRow, TaskRow, TimerRow
from nexus.core.restoring import event_of, restore
from nexus.core.rows import Identity, history_row, project, snapshot
from nexus.core.state import Record
from nexus.core.steps import Run, WaitForStep
from tests.core import drawn
from tests.core.playing import ACME, ANN, DEFINITIONS, NOON

IDENTITY = Identity("run", "tenant", "workflow")
SETTLING = (
    ChannelFailed,
    ChannelSucceeded,
    IncidentClosed,
    IncidentRaised,
    IncidentRetried,
    InstanceEnding,
)


class Writer:
    """What a storage does with projections, in two dictionaries."""

    def __init__(self) -> None:
        self.records: dict[str, RecordRow] = {}
        self.timers: dict[str, TimerRow] = {}
        self.tasks: dict[str, TaskRow] = {}
        self.incidents: dict[str, IncidentRow] = {}
        self.seq = 0

    def write(self, projection: Projection) -> None:
        if projection.complete:
            self.records.clear()
            self.timers.clear()
            self.tasks.clear()
            opened = [id_ for id_, row in self.incidents.items() if row.closed_at is None]
            for id_ in opened:
                del self.incidents[id_]
        changed = {row.id for row in projection.records}
        self.records.update((row.id, row) for row in projection.records)
        self.timers = {id_: row for id_, row in self.timers.items() if row.record not in changed}
        self.timers.update((row.id, row) for row in projection.timers)
        self.tasks = {id_: row for id_, row in self.tasks.items() if row.record not in changed}
        self.tasks.update((row.id, row) for row in projection.tasks)
        self.incidents.update((row.id, row) for row in projection.incidents)
        for row in projection.history:
            self.seq += 1
            assert row.seq == self.seq


def carried_over(events: list[AnyEvent]) -> CarryOver:
    rows = msgspec.to_builtins([history_row(happened) for happened in events])
    for row in rows:
        del row["command"]
    return CarryOver(actor=ANN, subject=ACME, origin="elsewhere", history=tuple(rows))


def _number(row: TaskRow | IncidentRow) -> int:
    return int(row.id.rpartition("-")[2])


class Instances(RuleBasedStateMachine):
    """One instance of a drawn definition, to which drawn commands happen."""

    def __init__(self) -> None:
        super().__init__()
        self.program: Program = program_of(json.dumps({"id": "none"}))
        self.state = State()
        self.events: list[AnyEvent] = []
        self.writer = Writer()
        self.now = NOON

    @initialize(document=drawn.definitions(), data=drawn.DATA)
    def begin(self, document: drawn.Document, data: drawn.Document) -> None:
        self.program = program_of(json.dumps(document))
        self.give(Start(actor=ANN, subject=ACME, data=data))

    def give(self, command: Command) -> None:
        before = encode_carried(Carried(self.state))
        try:
            events, state = step(self.program, self.state, command, self.now)
        except Rejected as caught:
            refusal = caught
        else:
            assert decide(self.program, self.state, command, self.now) == events
            self.apply(events, state)
            return
        event(refusal.code)
        json.dumps(refusal.details)
        assert encode_carried(Carried(self.state)) == before

    def apply(self, events: tuple[AnyEvent, ...], state: State) -> None:
        """What a shell does with a decision."""
        assert state == functools.reduce(evolve, events, self.state)
        for happened in events:
            event(happened.name)
        self.events += events
        self.state = state
        if self.state.subject is not None:
            rows = [history_row(happened) for happened in events]
            projection = project(IDENTITY, self.program, self.state, rows)
            text = msgspec.json.encode(projection)
            self.writer.write(msgspec.json.decode(text, type=Projection))

    # One rule, since a run in which hypothesis leaves out the commands tells nothing.
    @rule(
        data=st.data(),
        kind=st.sampled_from(["command"] * 7 + ["call"] * 4 + ["time", "time", "shell"]),
    )
    def something_happens(self, data: st.DataObject, kind: str) -> None:
        if kind == "call" and self.state.calls:
            self.give(data.draw(drawn.ends(self.state)))
        elif kind == "time":
            self.time_passes(data.draw(st.sampled_from([0.5, 1, 24])))
        elif kind == "shell" and self.state.status == "active":
            signal = RefusedSignal(actor=Actor("system:signal"), code="wrong_stage", message="no")
            self.give(Stop() if data.draw(st.integers(0, 3)) == 3 else signal)
            self.stale_clocks_change_nothing()
        else:
            self.command(data.draw(drawn.commands(self.program, self.state)))

    def command(self, command: Command) -> None:
        assert not isinstance(command, CallEnded | TimerDue | Stop | RefusedSignal)
        assert parse_command(dump_command(command)) == command
        if isinstance(command, Act):
            self.ask(command)
        self.give(command)

    def ask(self, act: Act) -> None:
        """`can` says what the action gets; its data alone is not judged."""
        answer = can(self.program, self.state, act, self.now)
        json.dumps(answer)
        try:
            decide(self.program, self.state, act, self.now)
        except Rejected as caught:
            refusal = caught
        else:
            assert answer["allowed"] is True
            return
        if answer["allowed"]:
            assert refusal.code in ("invalid_data", "self_assign")
        else:
            assert (answer["code"], answer["message"]) == (refusal.code, refusal.message)

    def time_passes(self, hours: float) -> None:
        until = self.now + timedelta(hours=hours)
        for _ in range(20):  # a shell may be late: what is left comes due the next time
            due = [timer for timer in self.state.timers.values() if timer.due <= until]
            if not due:
                break
            timer = min(due, key=lambda one: (one.due, one.id))
            self.now = max(self.now, timer.due)
            self.give(TimerDue(timer=timer.id))
            assert timer.id not in self.state.timers
        self.now = until

    def stale_clocks_change_nothing(self) -> None:
        armed = {t.id for e in self.events if isinstance(e, StageEntered) for t in e.timers}
        for timer in sorted(armed - set(self.state.timers)):
            stale = TimerDue(timer=timer)
            assert step(self.program, self.state, stale, self.now) == ((), self.state)

    @invariant()
    def events_are_numbered_without_gaps(self) -> None:
        assert [happened.seq for happened in self.events] == list(range(1, len(self.events) + 1))
        assert self.state.seq == len(self.events)

    @invariant()
    def replaying_the_events_gives_the_state(self) -> None:
        assert functools.reduce(evolve, self.events, State()) == self.state

    @invariant()
    def the_state_comes_back_from_bytes(self) -> None:
        assert decode_carried(encode_carried(Carried(self.state))).state == self.state

    @invariant()
    def what_history_tells_is_what_happened(self) -> None:
        rows = [history_row(happened, "command") for happened in self.events]
        text = msgspec.json.encode(rows)
        for told in (rows, msgspec.json.decode(text, type=list[HistoryRow])):
            assert [event_of(row) for row in told] == self.events
            assert restore(told) == self.state

    @invariant()
    def what_is_active_can_be_carried_over(self) -> None:
        """It stands as it stood, with the history that it had, and nothing else follows."""
        if self.state.status != "active":
            return
        command = carried_over(self.events)
        assert parse_command(dump_command(command)) == command
        events, state = step(self.program, State(), command, self.now)
        *before, last = events
        assert before == self.events
        assert last == CarriedOver(
            seq=len(events), at=self.now, actor="ann", origin="elsewhere", events=len(before)
        )
        assert state == replace(
            self.state, seq=len(events), updated_at=self.now, origin="elsewhere"
        )

    @invariant()
    def no_event_follows_the_end(self) -> None:
        """But for what settles the calls that failed before it (R10)."""
        ends = [i for i, happened in enumerate(self.events) if isinstance(happened, InstanceEnded)]
        assert len(ends) == self.state.ended
        for happened in self.events[ends[0] + 1 :] if ends else ():
            assert isinstance(happened, SETTLING)

    @invariant()
    def every_record_stands_in_one_stage_of_its_entity(self) -> None:
        for record in self.state.records.values():
            stages = self.program.entities[record.entity].stages
            if record.stage is None:
                assert not stages
                assert record.visit == 0
                continue
            assert record.visit >= 1
            final = stages[record.stage].final
            assert record.status == ("final" if final else "open") or record.status == "closed"

    @invariant()
    def clocks_belong_to_the_current_visit_of_open_records(self) -> None:
        for id_, timer in self.state.timers.items():
            record = self.state.records[timer.record]
            assert not self.state.ended
            if timer.kind == "wait":
                assert id_ == timer.id == f"{record.id}/{record.visit}/{timer.name}"
                assert record.run[timer.name] == "running"
                continue
            assert id_ == timer.id == f"{record.id}/{record.visit}/after:{timer.name}"
            assert record.status == "open"
            assert record.stage in self.program.transitions[timer.name].sources

    @invariant()
    def an_active_instance_has_something_left_to_do(self) -> None:
        staged = [r for r in self.state.records.values() if r.stage is not None]
        if self.state.status == "active" and staged:
            going_on = any(record.status == "open" or record.running for record in staged)
            assert going_on or self.state.calls

    @invariant()
    def whatever_runs_can_end(self) -> None:
        """Design 9.4: no join hangs."""
        state = self.state
        for record in state.records.values():
            mine = [c for c in state.calls.values() if c.record == record.id and not c.incident]
            now = [call for call in mine if call.visit == record.visit and not call.cancelling]
            assert all(call.cancelling for call in mine if call not in now)
            tasks = [task for task in state.tasks.values() if task.record == record.id]
            clocks = [t for t in state.timers.values() if (t.record, t.kind) == (record.id, "wait")]
            run = self.run_of(record)
            waits = [
                step
                for step in (run.by_path.values() if run else ())
                if isinstance(step, WaitForStep)
                and record.run.get(step.path) == "running"
                and step.waiting not in record.run
            ]
            if record.running:
                assert now or tasks or clocks or waits, record.run
            else:
                assert [*now, *tasks, *clocks, *waits] == [], record.run
                assert "running" not in record.run.values()
            running = {path for path, outcome in record.run.items() if outcome == "running"}
            assert {call.path for call in now} | {task.path for task in tasks} <= running

    def run_of(self, record: Record) -> Run | None:
        stages = self.program.entities[record.entity].stages
        return stages[record.stage].run if record.stage is not None else None

    @invariant()
    def what_has_ended_is_kept_for_failed_calls_alone(self) -> None:
        if self.state.ended:
            assert not self.state.timers
            assert not self.state.tasks
            assert not self.state.calls or lingers(self.state)
            assert all(incident.call for incident in self.state.incidents.values())

    @invariant()
    def giving_up_lets_go_of_what_has_ended(self) -> None:
        if lingers(self.state):
            admin = Actor("root", ("admin",))
            _, state = step(self.program, self.state, GiveUp(actor=admin), self.now)
            for call in list(state.calls):
                ended = CallEnded(call=call, outcome="cancelled")
                _, state = step(self.program, state, ended, self.now)
            assert not lingers(state)
            assert not state.incidents

    @invariant()
    def what_was_projected_is_what_a_snapshot_shows(self) -> None:
        if self.state.subject is None:
            return
        whole = snapshot(IDENTITY, self.program, self.state)
        records = sorted(self.writer.records.values(), key=lambda row: row.position)
        timers = sorted(self.writer.timers.values(), key=lambda row: (row.trigger_at, row.id))
        assert msgspec.json.encode(records) == msgspec.json.encode(whole.records)
        assert msgspec.json.encode(timers) == msgspec.json.encode(whole.timers)
        tasks = sorted(self.writer.tasks.values(), key=_number)
        assert msgspec.json.encode(tasks) == msgspec.json.encode(whole.tasks)
        opened = [row for row in self.writer.incidents.values() if row.closed_at is None]
        opened.sort(key=_number)
        assert msgspec.json.encode(opened) == msgspec.json.encode(whole.incidents)


Instances.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestInstances = Instances.TestCase


# --- definitions -----------------------------------------------------------------------------

SAMPLES = [json.loads(path.read_text()) for path in definition_files([DEFINITIONS])]


def read(text: str) -> None:
    """Loading gives a program, or problems that are located; never anything else."""
    try:
        found = load_definition(text, "drawn.json")
    except DefinitionError as caught:
        error = caught
    else:
        assert isinstance(found, Compiled)
        assert all(problem.severity == "warning" for problem in found.warnings)
        assert found.text == text
        return
    assert any(problem.severity == "error" for problem in error.problems)
    lines = text.split("\n")
    for problem in error.problems:
        assert problem.code
        assert problem.message
        assert problem.source == "drawn.json"
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.pointer == "" or problem.pointer.startswith("/")
        assert str(problem).startswith(f"drawn.json:{problem.line}:{problem.column}: ")


@given(drawn.definitions())
def test_every_drawn_definition_can_run(document: drawn.Document) -> None:
    """What the machine above plays with is what the language allows."""
    assert program_of(json.dumps(document)).id == "drawn"


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
def test_any_document_gives_a_program_or_located_problems(data: st.DataObject) -> None:
    """Design 3: what cannot run gets a located error, never anything else."""
    document = data.draw(st.sampled_from(SAMPLES) | drawn.definitions())
    read(json.dumps(data.draw(drawn.broken(document)), indent=1))


@given(st.data())
def test_any_text_gives_a_program_or_located_problems(data: st.DataObject) -> None:
    """Design 3: the same of texts that are hardly JSON any more."""
    text = json.dumps(data.draw(st.sampled_from(SAMPLES)), indent=1)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    read(text[:start] + data.draw(st.text(max_size=5)) + text[end:])


@given(st.dictionaries(st.text(max_size=8), drawn.SCRAPS, max_size=5))
def test_any_names_and_values_give_a_program_or_located_problems(document: object) -> None:
    """Design 3."""
    read(json.dumps(document))
    read(json.dumps({"id": "x", "entities": document, "transitions": document, "roles": document}))

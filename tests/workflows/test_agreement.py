"""One trace at all levels: the workflow decides what the bare core decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from nexus.core import Rejected, State, load_definition, step
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CallEnded,
    CompleteTask,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
    dump_command,
)
from nexus.core.incidents import lingers
from nexus.core.projection import HistoryRow
from nexus.core.rows import history_row
from nexus.core.state import Subject
from tests.support.histories import call_ended
from tests.workflows.channels import ScriptedChannels
from tests.workflows.harness import ADMIN, ANN, BOB, Harness, eventually
from workflows.contract import COMMAND

ONCE = {"attempts": 1}
RUN = [
    {"channel": "ok", "with": {"who": "{{ data.text }}"}},
    {"channel": "refuses", "when": "data.score > 3"},
    {
        "sequence": [
            {"waitFor": {"event": "opened", "then": {"channel": "once", "retry": ONCE}}},
            {"task": {"title": "Call", "assign": {"users": ["ann"]}}, "name": "called"},
            {
                "exclusive": [
                    {"when": "steps.called.data.score > 2", "do": {"set": {"seen": "1"}}}
                ],
                "default": {"channel": "ok", "name": "last"},
            },
        ]
    },
]

DEFINITION = msgspec.json.encode(
    {
        "id": "agreement",
        "version": "1.0.0",
        "policy": {"selfAssign": False},
        "entities": {
            "lead": {"stages": ["new", {"id": "warm", "run": RUN}, "hot", "lost"]},
            "deal": {"stages": ["open", "won"]},
            "note": {"fields": ["text"]},
        },
        "transitions": {
            "warm_up": {"entity": "lead", "from": "new", "to": "warm"},
            "heat": {"from": "warm", "to": "hot", "on": "auto", "condition": "data.score > 2"},
            "drop": {"entity": "lead", "from": "warm", "to": "lost", "interrupts": True},
            "opened": {"entity": "lead", "from": "new", "to": "warm", "on": {"event": "opened"}},
            "sell": {
                "entity": "lead",
                "from": ["warm", "hot"],
                "to": "lost",
                "set": {"worth": "data.score * 10"},
                "creates": {"entity": "deal", "data": {"value": "data.score"}},
            },
            "win": {"entity": "deal", "from": "open", "to": "won", "by": {"roles": ["sales"]}},
        },
    }
).decode()


@dataclass(frozen=True)
class Settling:
    """A command on the task, or the incident, that has been open the longest."""

    kind: type[CompleteTask] | type[RetryIncident] | type[SkipIncident]
    actor: Actor
    data: Mapping[str, object]

    def on(self, state: State) -> WireCommand:
        if self.kind is CompleteTask:
            task = next(iter(state.tasks), "task-1")
            return CompleteTask(actor=self.actor, task=task, data=self.data)
        incident = next(iter(state.incidents), "incident-1")
        if self.kind is RetryIncident:
            return RetryIncident(actor=self.actor, incident=incident)
        return SkipIncident(actor=self.actor, incident=incident)


ACTORS = st.sampled_from([ANN, BOB, ADMIN, Actor("joe", ("sales",))])
RECORDS = st.none() | st.sampled_from(["lead-1", "lead-2", "deal-1", "note-1", "lead-9"])
ACTIONS = st.sampled_from(
    [
        *("warm_up", "warm_up", "sell", "win", "update", "update", "assign", "comment", "convert"),
        *("close", "cancel", "heat", "drop", "dance"),
    ]
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "score": st.integers(0, 5) | st.just("high"),
        "text": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        "users": st.lists(st.sampled_from(["ann", "bob"]), max_size=2),
    },
)
SETTLING = st.sampled_from([CompleteTask, RetryIncident, SkipIncident])
COMMANDS = st.lists(
    st.builds(Act, actor=ACTORS, action=ACTIONS, record=RECORDS, data=DATA)
    | st.builds(AddRecord, actor=ACTORS, entity=st.sampled_from(["lead", "note", "x"]), data=DATA)
    | st.builds(ReceiveEvent, actor=ACTORS, event=st.sampled_from(["opened", "other"]))
    | st.builds(
        Settling, st.sampled_from([CompleteTask, RetryIncident, SkipIncident]), ACTORS, DATA
    ),
    max_size=12,
)


@dataclass
class BareCore:
    """The smallest of all shells: it keeps the state and the rows, and has no effects."""

    state: State = field(default_factory=State)
    rows: list[HistoryRow] = field(default_factory=list)

    def take(self, command: WireCommand | CallEnded, command_id: str | None = None) -> str:
        """`ok`, or the code of the refusal."""
        try:
            events, self.state = step(_PROGRAM, self.state, command, datetime.now(UTC))
        except Rejected as refusal:
            return refusal.code
        self.rows += [history_row(event, command_id) for event in events]
        return "ok"

    @property
    def over(self) -> bool:
        """Nothing can follow any more."""
        return self.state.ended and not lingers(self.state)

    async def take_what_came_of_calls(self, harness: Harness, instance: str) -> None:
        """Calls end in the workflow, in an order of their own: here each ends as it did there."""
        while self.state.calls:
            said: list[HistoryRow] = []

            def ended(said: list[HistoryRow] = said) -> bool:
                said[:] = harness.history(instance)[len(self.rows) :]
                return bool(said)

            await eventually(ended, what="the end of a call")
            assert self.take(call_ended(said[0])) == "ok"


_PROGRAM = load_definition(DEFINITION).program


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(commands=COMMANDS)
async def test_the_workflow_and_the_bare_core_agree(
    harness: Harness, commands: list[WireCommand | Settling]
) -> None:
    bare, subject = BareCore(), uuid4().hex
    harness.roll_over_after = 25
    async with harness.worker(channels=ScriptedChannels()):
        started, handle = await harness.start(DEFINITION, subject, command_id="0")
        assert started is not None
        instance = started.instance.id
        start = Start(actor=ANN, subject=Subject("lead", subject))
        assert bare.take(start, "0") == "ok"
        for number, drawn in enumerate(commands, start=1):
            if bare.over:
                break
            command = drawn.on(bare.state) if isinstance(drawn, Settling) else drawn
            expected = bare.take(command, str(number))
            try:
                await handle.execute_update(COMMAND, dump_command(command), id=str(number))
                found = "ok"
            except WorkflowUpdateFailedError as failure:
                cause = failure.cause
                found = str(cause.type if isinstance(cause, ApplicationError) else cause)
            assert found == expected, command
            await bare.take_what_came_of_calls(harness, instance)
        if bare.over:
            assert await handle.result() == bare.state.status
        assert _facts(harness.history(instance)) == _facts(bare.rows)
        assert harness.intact(instance)
        if not bare.over:
            await handle.terminate()


MOMENTS = {"at", "opened_at", "raised_at"}


def _facts(rows: list[HistoryRow]) -> Any:
    """What rows say, but for the moments, which each shell has of its own."""
    return _timeless(msgspec.json.decode(msgspec.json.encode(rows)))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in MOMENTS}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return value

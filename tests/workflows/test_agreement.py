"""One trace at all levels: the workflow decides what the bare core decides."""

from __future__ import annotations

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
from nexus.core.commands import Act, Actor, AddRecord, ReceiveEvent, Start, dump_command
from nexus.core.projection import HistoryRow
from nexus.core.rows import history_row
from nexus.core.state import Subject
from tests.workflows.harness import ADMIN, ANN, BOB, Harness
from workflows.contract import COMMAND

DEFINITION = msgspec.json.encode(
    {
        "id": "agreement",
        "version": "1.0.0",
        "policy": {"selfAssign": False},
        "entities": {
            "lead": {"stages": ["new", "warm", "hot", "lost"]},
            "deal": {"stages": ["open", "won"]},
            "note": {"fields": ["text"]},
        },
        "transitions": {
            "warm_up": {"entity": "lead", "from": "new", "to": "warm"},
            "heat": {"from": "warm", "to": "hot", "on": "auto", "condition": "data.score > 2"},
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

ACTORS = st.sampled_from([ANN, BOB, ADMIN, Actor("joe", ("sales",))])
RECORDS = st.none() | st.sampled_from(["lead-1", "lead-2", "deal-1", "note-1", "lead-9"])
ACTIONS = st.sampled_from(
    [
        *("warm_up", "sell", "win", "update", "update", "assign", "comment", "convert", "close"),
        *("cancel", "heat", "dance"),
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
COMMANDS = st.lists(
    st.builds(Act, actor=ACTORS, action=ACTIONS, record=RECORDS, data=DATA)
    | st.builds(AddRecord, actor=ACTORS, entity=st.sampled_from(["lead", "note", "x"]), data=DATA)
    | st.builds(ReceiveEvent, actor=ACTORS, event=st.sampled_from(["opened", "other"])),
    max_size=10,
)


@dataclass
class BareCore:
    """The smallest of all shells: it keeps the state and the rows, and has no effects."""

    state: State = field(default_factory=State)
    rows: list[HistoryRow] = field(default_factory=list)

    def take(self, command: Start | Act | AddRecord | ReceiveEvent, command_id: str) -> str:
        """`ok`, or the code of the refusal."""
        try:
            events, self.state = step(_PROGRAM, self.state, command, datetime.now(UTC))
        except Rejected as refusal:
            return refusal.code
        self.rows += [history_row(event, command_id) for event in events]
        return "ok"


_PROGRAM = load_definition(DEFINITION).program


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(commands=COMMANDS)
async def test_the_workflow_and_the_bare_core_agree(
    harness: Harness, commands: list[Act | AddRecord | ReceiveEvent]
) -> None:
    bare, subject = BareCore(), uuid4().hex
    harness.roll_over_after = 25
    async with harness.worker():
        started, handle = await harness.start(DEFINITION, subject, command_id="0")
        assert started is not None
        start = Start(actor=ANN, subject=Subject("lead", subject))
        assert bare.take(start, "0") == "ok"
        for number, command in enumerate(commands, start=1):
            if bare.state.ended:
                break
            expected = bare.take(command, str(number))
            try:
                await handle.execute_update(COMMAND, dump_command(command), id=str(number))
                found = "ok"
            except WorkflowUpdateFailedError as failure:
                cause = failure.cause
                found = str(cause.type if isinstance(cause, ApplicationError) else cause)
            assert found == expected, command
        if bare.state.ended:
            assert await handle.result() == bare.state.status
        assert _facts(harness.history(started.instance.id)) == _facts(bare.rows)
        assert harness.intact(started.instance.id)
        if not bare.state.ended:
            await handle.terminate()


def _facts(rows: list[HistoryRow]) -> Any:
    """What rows say, but for the moment, which each shell has of its own."""
    facts = msgspec.json.decode(msgspec.json.encode(rows))
    for fact in facts:
        del fact["at"]
    return facts

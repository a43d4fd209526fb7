"""An instance that ran in another process goes on in a workflow, as it stood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from temporalio.client import WorkflowHandle

from nexus.core.commands import ADMIN as ADMIN_ROLE
from nexus.core.commands import Actor, CarryOver, Start, dump_command
from nexus.core.projection import Snapshot
from nexus.core.rows import history_row
from nexus.core.state import Subject
from tests.core.playing import Play
from tests.workflows.channels import ScriptedChannels
from tests.workflows.definitions import SALES, clocked, running
from tests.workflows.harness import ANN, Harness, agree, events, eventually, same
from workflows.contract import COMMAND

SERVICE = Actor("service", (ADMIN_ROLE,))
ABOUT = Subject("lead", "42")


def began(definition: str, before: timedelta) -> Play:
    """An instance in this process, started a while ago."""
    play = Play(msgspec.json.decode(definition))
    play.now = datetime.now(UTC) - before
    play.give(Start(actor=ANN, subject=ABOUT, data={"score": 60}))
    return play


async def carried(
    harness: Harness, definition: str, play: Play, command_id: str | None = None
) -> tuple[Snapshot, WorkflowHandle[Any, Any]]:
    rows = msgspec.to_builtins([history_row(event) for event in play.events])
    for row in rows:
        del row["command"]
    command = CarryOver(actor=SERVICE, subject=ABOUT, origin="deals-1", history=tuple(rows))
    operation = harness.start_operation(definition, ABOUT.id)
    answer: Snapshot = await harness.client.execute_update_with_start_workflow(
        COMMAND,
        dump_command(command),
        start_workflow_operation=operation,
        id=command_id,
        result_type=Snapshot,
    )
    started = await operation.workflow_handle()
    handle = harness.client.get_workflow_handle(
        started.id, first_execution_run_id=answer.instance.id
    )
    return answer, handle


async def test_records_stages_and_history_are_what_they_were(harness: Harness) -> None:
    play = began(SALES, timedelta(days=3))
    play.now += timedelta(hours=1)
    play.act("assign", data={"users": ["joe"]})
    play.now += timedelta(hours=1)
    play.act("comment", actor=Actor("joe"), comment="Called.")
    async with harness.worker():
        answer, handle = await carried(harness, SALES, play, "carried")
        again, _ = await carried(harness, SALES, play, "carried")
        assert same(again, answer)
        instance = answer.instance
        assert same(answer, harness.stored(instance.id))
        assert (instance.status, instance.stage, instance.started_by) == ("active", "new", "ann")
        assert instance.started_at == play.events[0].at
        (record,) = answer.records
        assert (record.id, record.users, record.since) == ("lead-1", ["joe"], play.events[0].at)
        *before, last = harness.history(instance.id)
        rows = [history_row(event, "carried") for event in play.events]
        assert same(before, rows)
        assert (last.event, last.actor) == ("carried_over", "service")
        assert last.payload == {"origin": "deals-1", "events": len(rows)}
        assert harness.intact(instance.id)
        ended = await harness.act(handle, "cancel", actor=SERVICE)
        assert ended.instance.status == "cancelled"
        assert harness.intact(instance.id)
        await handle.result()
        await harness.replay(handle)


async def test_a_clock_that_came_due_fires_at_once_and_a_later_one_at_its_time(
    harness: Harness,
) -> None:
    definition = clocked(soon="1h", late="2h")
    due = began(definition, timedelta(days=1))
    async with harness.worker():
        answer, _ = await carried(harness, definition, due)
        await eventually(lambda: _stage(harness, answer) == "soon", what="the clock that was due")
    later = Harness(harness.client, harness.engine)
    play = began(definition, timedelta(hours=1) - timedelta(seconds=3))
    async with later.worker():
        answer, handle = await carried(later, definition, play)
        assert answer.records[0].stage == "new"
        assert [timer.trigger_at for timer in answer.timers] == [
            play.now + timedelta(hours=hours) for hours in (1, 2)
        ]
        await eventually(lambda: _stage(later, answer) == "soon", what="the clock that comes due")
        await agree(later, handle)
        (fired,) = [row for row in later.history(answer.instance.id) if row.event == "timer_fired"]
        wanted = play.now + timedelta(hours=1)
        assert wanted <= fired.at < wanted + timedelta(seconds=5)
        assert later.intact(answer.instance.id)


def _stage(harness: Harness, answer: Snapshot) -> str | None:
    stored = harness.stored(answer.instance.id)
    assert stored is not None
    return stored.records[0].stage


async def test_a_call_that_was_wanted_is_made_under_its_old_key(harness: Harness) -> None:
    harness.roll_over_after = 1  # what it was elsewhere outlasts continue-as-new
    definition = running({"sequence": [{"channel": "ok"}, {"channel": "ok"}]})
    play = began(definition, timedelta(days=1))
    if not play.state.calls:
        play.act(next(iter(play.program.actions)))
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        answer, handle = await carried(harness, definition, play)
        await eventually(lambda: len(channels.done) == 2, what="the calls")
        await agree(harness, handle)
    (call,) = play.state.calls.values()
    first, second = channels.requests
    assert first.key == f"deals-1/{call.id}"
    assert second.key.startswith("deals-1/lead-1/")
    assert {request.instance for request in channels.requests} == {answer.instance.id}


async def test_a_signal_carries_nothing_over(harness: Harness) -> None:
    async with harness.worker():
        answer, handle = await harness.start(SALES)
        assert answer is not None
        wire = {"type": "carry_over", "subject": {"type": "lead", "id": "42"}}
        await handle.signal(COMMAND, {**wire, "origin": "x", "history": [{}]})
        await eventually(
            lambda: events(harness.history(answer.instance.id))[-1] == "signal_refused",
            what="the refusal",
        )


@pytest.mark.parametrize("definition", [clocked(soon="1h")])
async def test_what_is_refused_leaves_nothing_open(harness: Harness, definition: str) -> None:
    play = began(SALES, timedelta(days=1))
    async with harness.worker():
        refusal = await harness.refused(carried(harness, definition, play))
        assert refusal.code == "invalid_data"
        assert "'sales-pipeline'" in refusal.message
        started, _ = await harness.start(definition)
        assert started is not None
        second = began(definition, timedelta(minutes=1))
        refusal = await harness.refused(carried(harness, definition, second))
        assert refusal.code == "instance_exists"


async def test_one_that_has_ended_comes_along_and_its_workflow_ends(harness: Harness) -> None:
    play = began(SALES, timedelta(days=3))
    play.act("cancel")
    async with harness.worker():
        answer, handle = await carried(harness, SALES, play)
        assert (answer.instance.status, answer.instance.ended_at) == ("cancelled", play.now)
        assert await handle.result() == "cancelled"
        assert same(answer, harness.stored(answer.instance.id))
        assert events(harness.history(answer.instance.id))[-2:] == [
            "instance_ended",
            "carried_over",
        ]
        assert harness.intact(answer.instance.id)
        started, _ = await harness.start(SALES)
        assert started is not None

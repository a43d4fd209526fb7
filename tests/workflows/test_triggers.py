"""What takes a transition without a person: an event from outside, a condition, a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from nexus.core.codec import Carried, encode_carried
from nexus.core.commands import ReceiveEvent
from nexus.core.state import Record, State, Subject, Timer
from storage.engine import Engine
from tests.workflows.definitions import CAMPAIGN, SALES, clocked
from tests.workflows.harness import ANN, Harness, events, eventually, same
from workflows.contract import WORKFLOW, InstanceInput
from workflows.worker import register_search_attributes


@pytest.fixture
async def skipping(time_skipping_env: WorkflowEnvironment, engine: Engine) -> Harness:
    """A Temporal whose clock jumps to the next timer while somebody waits for an outcome."""
    await register_search_attributes(time_skipping_env.client)
    return Harness(time_skipping_env.client, engine)


async def test_events_and_conditions_take_their_transitions(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(CAMPAIGN)
        assert started is not None
        early = await harness.send(handle, ReceiveEvent(actor=ANN, event="email.opened"))
        assert early is not None
        assert early.instance.stage == "draft"
        await harness.act(handle, "launch")
        opened = await harness.send(handle, ReceiveEvent(actor=ANN, event="email.opened"))
        assert opened is not None
        assert opened.instance.stage == "warm"
        cold = await harness.act(handle, "update", data={"clicks": 2})
        assert cold.instance.stage == "warm"
        hot = await harness.act(handle, "update", data={"clicks": 3})
        assert hot.instance.stage == "hot"
        last = harness.history(started.instance.id)[-1]
        assert (last.actor, last.payload["trigger"]) == ("system", "auto")
        assert same(hot, harness.stored(started.instance.id))


async def test_a_clock_comes_due_without_anybody(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(clocked(late="1s"))
        assert started is not None
        instance = started.instance.id
        stored = harness.stored(instance)
        assert stored is not None
        assert [timer.name for timer in stored.timers] == ["to_late"]
        await eventually(
            lambda: (found := harness.stored(instance)) and found.instance.stage == "late"
        )
        fired = harness.history(instance)[-2]
        assert (fired.event, fired.actor, fired.command) == ("timer_fired", "system", None)
        assert fired.at >= started.timers[0].trigger_at
        assert same(await harness.snapshot(handle), harness.stored(instance))
        assert (await harness.event_types(handle)).count("TIMER_FIRED") == 1


async def test_a_clock_may_end_the_instance_and_that_is_projected(harness: Harness) -> None:
    """Nobody waits for an answer then, so the end itself has to wait for the rows."""
    definition = SALES.replace('"condition"', '"on": {"after": "1s"}, "condition"').replace(
        ', "opportunity"', ""
    )
    async with harness.worker():
        started, handle = await harness.start(definition, data={"score": 51})
        assert started is not None
        assert await handle.result() == "completed"
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert (stored.instance.status, stored.instance.stage) == ("completed", "qualified")
        assert harness.intact(started.instance.id)


async def test_leaving_a_stage_cancels_its_clocks_and_coming_back_starts_them_anew(
    harness: Harness,
) -> None:
    async with harness.worker():
        started, handle = await harness.start(clocked(late="1h", later="2h"))
        assert started is not None
        away = await harness.act(handle, "work")
        assert away.timers == []
        back = await harness.act(handle, "rest")
        assert [timer.name for timer in back.timers] == ["to_late", "to_later"]
        assert back.timers[0].trigger_at > started.timers[0].trigger_at
        assert back.timers[0].id != started.timers[0].id
        types = await harness.event_types(handle)
        assert (types.count("TIMER_STARTED"), types.count("TIMER_CANCELED")) == (4, 2)
        await harness.act(handle, "cancel")
        assert await handle.result() == "cancelled"
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert stored.timers == ()


@pytest.mark.parametrize("roll_over_after", [0, 9])
async def test_long_clocks_come_due_in_order(
    skipping: Harness, time_skipping_env: WorkflowEnvironment, roll_over_after: int
) -> None:
    """Three days and ninety, through continue-as-new: deadlines are absolute."""
    skipping.roll_over_after = roll_over_after
    definition = clocked(soon="3 days").replace(
        '"from": ["soon", "busy"], "to": "over"',
        '"from": ["soon", "busy"], "to": "over", "on": {"after": "90 days"}',
    )
    assert "90 days" in definition
    async with skipping.worker():
        started, handle = await skipping.start(definition)
        assert started is not None
        for _ in range(5):
            commented = await skipping.act(handle, "comment", comment="more")
            assert same(commented.timers, started.timers)
        await time_skipping_env.sleep(timedelta(days=94))
        assert await handle.result() == "completed"
        runs = await skipping.runs(handle)
        assert len(runs) == 1 if roll_over_after == 0 else len(runs) > 2
        history = skipping.history(started.instance.id)
        fired = [row for row in history if row.event == "timer_fired"]
        assert [row.payload["transition"] for row in fired] == ["to_soon", "end"]
        waits = [fired[0].at - started.instance.started_at, fired[1].at - fired[0].at]
        for wait, days in zip(waits, (3, 90), strict=True):
            assert timedelta() <= wait - timedelta(days=days) < timedelta(minutes=1)
        assert skipping.intact(started.instance.id)


async def test_overdue_clocks_of_a_new_run_fire_at_once_and_in_due_order(harness: Harness) -> None:
    """As after a long outage: what was carried over is overdue, listed in another order."""
    now = datetime.now(UTC)
    records = {
        f"lead-{n}": Record(
            id=f"lead-{n}",
            entity="lead",
            created_at=now,
            stage="new",
            visit=1,
            entered_at=now - timedelta(days=9),
        )
        for n in (1, 2, 3)
    }
    due = {"lead-1": 1, "lead-2": 3, "lead-3": 2}  # days overdue
    timers = {
        f"{record}/1/after:to_late": Timer(
            id=f"{record}/1/after:to_late",
            record=record,
            kind="transition",
            name="to_late",
            due=now - timedelta(days=days),
            summary="overdue",
        )
        for record, days in due.items()
    }
    state = State(
        status="active",
        subject=Subject("lead", "overdue"),
        started_by="ann",
        started_at=now,
        updated_at=now,
        records=records,
        timers=timers,
    )
    async with harness.worker():
        handle = await harness.client.start_workflow(
            WORKFLOW,
            _handed_over(harness, state, clocked(late="8 days")),
            id=f"{harness.tenant}:overdue",
            task_queue=harness.task_queue,
        )
        instance = handle.first_execution_run_id
        assert instance is not None
        await eventually(lambda: len(harness.history(instance)) == 6)
        fired = [row.record for row in harness.history(instance) if row.event == "timer_fired"]
        assert fired == ["lead-2", "lead-3", "lead-1"]


async def test_an_error_in_a_clock_fails_the_workflow_task_where_people_see_it(
    harness: Harness,
) -> None:
    """It must not be swallowed: the instance would hang while it still answers."""
    now = datetime.now(UTC)
    state = State(
        status="active",
        subject=Subject("lead", "broken"),
        started_by="ann",
        started_at=now,
        updated_at=now,
        records={"lead-1": Record(id="lead-1", entity="lead", created_at=now, stage="new")},
        timers={"x": Timer("x", "lead-1", "transition", "of_another_definition", now, "broken")},
    )
    async with harness.worker():
        handle = await harness.client.start_workflow(
            WORKFLOW,
            _handed_over(harness, state, clocked(late="8 days")),
            id=f"{harness.tenant}:broken",
            task_queue=harness.task_queue,
        )

        async def failed() -> bool:
            return "WORKFLOW_TASK_FAILED" in await harness.event_types(handle)

        await eventually(failed, what="the failed workflow task")
        assert events(harness.history(handle.first_execution_run_id or "")) == []
        await handle.terminate()


def _handed_over(harness: Harness, state: State, definition: str) -> bytes:
    given = InstanceInput(harness.tenant, definition)
    shell = {"tenant": given.tenant, "definition": given.definition}
    return encode_carried(Carried(state, {}, shell))

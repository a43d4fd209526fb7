"""Runs that take long: tasks, waits, kept events, new runs of a workflow, cancels, restarts."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from nexus.core.commands import CompleteTask, ReceiveEvent, RetryIncident
from tests.workflows.channels import ScriptedChannels
from tests.workflows.definitions import call, running
from tests.workflows.harness import (
    ANN,
    BOB,
    Harness,
    agree,
    events,
    eventually,
    until_joined,
)
from workflows.worker import register_search_attributes

CALL_ANN = {"task": {"title": "Call Ann", "assign": {"users": ["bob"]}}, "name": "phoned"}


async def test_a_task_beside_the_channels_joins_when_somebody_entitled_completes_it(
    harness: Harness,
) -> None:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running({"sequence": [CALL_ANN, call("ok", name="after")]}, call("ok", name="beside"))
        )
        assert started is not None
        (task,) = started.tasks
        assert (task.title, task.users) == ("Call Ann", ["bob"])
        complete = CompleteTask(actor=ANN, task=task.id)
        assert (await harness.refused(harness.send(handle, complete))).code == "forbidden"
        done = CompleteTask(actor=BOB, task=task.id, data={"reached": True}, comment="she is in")
        completed = await harness.send(handle, done)
        assert completed is not None
        assert not completed.tasks
        assert (await harness.refused(harness.send(handle, done))).code == "wrong_stage"
        await until_joined(harness, handle)
        (after,) = [one for one in channels.requests if one.step == "run/0/sequence/1"]
        steps = after.scope["steps"]
        assert isinstance(steps, dict)
        assert steps["phoned"] == {"outcome": "done", "by": "bob", "data": {"reached": True}}
        await harness.act(handle, "finish")
        assert await handle.result() == "completed"
        assert harness.intact(started.instance.id)


async def test_a_wait_for_an_event_goes_on_with_what_came_or_did_not(harness: Harness) -> None:
    """R8: one that came early is kept for the step that will wait for it."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(
                {"waitFor": {"event": "opened", "then": call("ok"), "else": call("refuses")}},
                {"waitFor": {"event": "never", "timeout": "1s", "else": call("ok")}},
                {
                    "sequence": [
                        {"wait": "1s"},
                        {"waitFor": {"event": "replied", "timeout": "1h", "then": call("ok")}},
                    ]
                },
            )
        )
        assert started is not None
        for event in ("replied", "opened", "other"):
            await harness.send(handle, ReceiveEvent(actor=ANN, event=event, data={"n": event}))
        joined = await until_joined(harness, handle)
        assert not joined.incidents
        assert channels.steps() == {
            "run/0/waitFor/then": 1,
            "run/1/waitFor/else": 1,
            "run/2/sequence/1/waitFor/then": 1,
        }
        by_step = {request.step: request.scope["event"] for request in channels.requests}
        assert by_step["run/0/waitFor/then"] == {"type": "opened", "data": {"n": "opened"}}
        assert by_step["run/1/waitFor/else"] == {}
        await agree(harness, handle)
        await harness.act(handle, "finish")
        assert harness.intact(started.instance.id)


async def test_two_hundred_parallel_channels_join(harness: Harness) -> None:
    """SCL-001: the history stays far below what Temporal takes."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(running(*(call("ok") for _ in range(200))))
        assert started is not None
        await until_joined(harness, handle, seconds=60)
        assert set(channels.done.values()) == {1}
        assert len(channels.done) == 200
        await harness.act(handle, "finish")
        assert await handle.result() == "completed"
        types = Counter(await harness.event_types(handle))
        print(f"200 channels: {types.total()} events, {types}")
        assert types["WORKFLOW_TASK_FAILED"] == 0
        assert types.total() < 4_096, "continue-as-new is suggested there; 51,200 is the limit"
        assert events(harness.history(started.instance.id)).count("channel_succeeded") == 200
        assert harness.intact(started.instance.id)


async def test_calls_that_carry_much_data_are_started_by_and_by(harness: Harness) -> None:
    """More than one message to Temporal, and one history, could hold."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(*(call("ok") for _ in range(12))), data={"text": "x" * 300_000}
        )
        assert started is not None
        await until_joined(harness, handle, seconds=60)
        assert set(channels.done.values()) == {1}
        assert len(channels.done) == 12
        runs = await harness.runs(handle)
        assert len(runs) > 1, "7 MB, and one run starts 4"
        for run in runs:
            assert "WORKFLOW_TASK_FAILED" not in await harness.event_types(handle, run)
            await harness.replay(handle, run)
        assert harness.intact(started.instance.id)
        await handle.terminate()


async def test_a_call_that_carries_too_much_is_an_incident(harness: Harness) -> None:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(call("ok"), call("ok")), data={"text": "x" * 1_600_000}
        )
        instance = handle.first_execution_run_id
        assert instance is not None

        def joined() -> bool:
            stored = harness.stored(instance)
            return stored is not None and not stored.records[0].running

        await eventually(joined, what="the join")
        stored = harness.stored(instance)
        assert stored is not None
        assert {incident.code for incident in stored.incidents} == {"too_large"}
        assert channels.requests == []
        await handle.terminate()


@pytest.mark.parametrize("cached", [1_000, 0], ids=["cached", "replayed at every task"])
async def test_tasks_waits_events_and_incidents_go_along_into_new_runs(
    harness: Harness, cached: int
) -> None:
    """R29: they are state; a call under way is not, and is awaited."""
    harness.roll_over_after = 30
    channels = ScriptedChannels()
    async with harness.worker(channels=channels, max_cached_workflows=cached):
        started, handle = await harness.start(
            running(
                CALL_ANN,
                call("down"),
                {"sequence": [{"waitFor": {"event": "opened"}}, {"waitFor": {"event": "opened"}}]},
                {"sequence": [{"wait": "8s"}, {"waitFor": {"event": "kept", "then": call("ok")}}]},
                call("slow", timeout="60s"),
            )
        )
        assert started is not None
        instance = started.instance.id
        await eventually(lambda: len(channels.tries) == 2, what="two calls")
        await harness.send(handle, ReceiveEvent(actor=ANN, event="kept", data={"early": True}))
        for _ in range(12):
            await harness.act(handle, "comment", comment="more")
        assert len(await harness.runs(handle)) == 1, "a call is under way"
        channels.go.set()

        async def rolled_over() -> bool:
            return len(await harness.runs(handle)) > 1

        await eventually(rolled_over, what="a new run")
        await harness.send(handle, ReceiveEvent(actor=ANN, event="opened"))
        for _ in range(12):
            await harness.act(handle, "comment", comment="more")
        snapshot = await harness.send(handle, ReceiveEvent(actor=ANN, event="opened"))
        assert snapshot is not None
        assert (len(snapshot.tasks), len(snapshot.incidents)) == (1, 1)
        await agree(harness, handle)
        channels.down.clear()
        retry = RetryIncident(actor=ANN, incident=snapshot.incidents[0].id)
        await harness.send(handle, retry)
        await harness.send(handle, CompleteTask(actor=BOB, task=snapshot.tasks[0].id))
        joined = await until_joined(harness, handle)
        assert not joined.tasks
        assert not joined.timers
        await harness.act(handle, "finish")
        assert await handle.result() == "completed"
        assert len(await harness.runs(handle)) > 2
        assert sorted(channels.done.values()) == [1, 1, 1]
        assert events(harness.history(instance)).count("step_started") == 7
        assert harness.intact(instance)


async def test_a_long_sequence_of_calls_goes_on_in_new_runs(harness: Harness) -> None:
    harness.roll_over_after = 25
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running({"sequence": [call("ok") for _ in range(12)]}, *(call("ok") for _ in range(3)))
        )
        assert started is not None
        await until_joined(harness, handle)
        assert set(channels.done.values()) == {1}
        order = [one.step for one in channels.requests if one.step.startswith("run/0/")]
        assert order == [f"run/0/sequence/{number}" for number in range(12)]
        assert len(await harness.runs(handle)) > 2
        assert harness.intact(started.instance.id)
        await handle.terminate()


async def test_an_operators_cancel_awaits_the_calls_under_way(harness: Harness) -> None:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(call("hangs", timeout="60s"), call("ok"), call("refuses"), CALL_ANN)
        )
        assert started is not None
        await eventually(lambda: len(channels.requests) == 3, what="three calls")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        assert len(channels.cancelled) == 1
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert stored.instance.status == "cancelled"
        assert not stored.tasks
        assert not stored.incidents
        rows = events(harness.history(started.instance.id))
        assert rows.index("instance_ending") < rows.index("instance_ended") == len(rows) - 1
        assert harness.intact(started.instance.id)


async def test_an_operators_cancel_closes_what_incidents_kept_open(harness: Harness) -> None:
    async with harness.worker(channels=ScriptedChannels()):
        started, handle = await harness.start(running(call("refuses")))
        assert started is not None
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.cancel()
        assert await handle.result() == "completed", "the instance had ended before"
        assert harness.history(started.instance.id)[-1].event == "incident_closed"
        assert harness.intact(started.instance.id)


async def test_calls_wait_for_somebody_who_makes_them_and_nothing_else_does(
    harness: Harness,
) -> None:
    """Channels may run in another process, which may come later."""
    channels = ScriptedChannels()
    async with harness.worker():
        started, handle = await harness.start(running(call("ok")))
        assert started is not None
        await harness.act(handle, "comment", comment="no channel yet")
        async with harness.channel_worker(channels):
            joined = await until_joined(harness, handle)
        assert joined.records[0].pending
        other, to_other = await harness.start(running(call("ok"), interrupts=True), "43")
        assert other is not None
        await harness.act(to_other, "finish")
        assert await to_other.result() == "completed", "a call that nobody began is cancelled"
        assert len(channels.requests) == 1
        await handle.terminate()


async def test_a_worker_that_goes_in_the_middle_of_calls_is_replaced(harness: Harness) -> None:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels, graceful_shutdown=timedelta(milliseconds=200)):
        started, handle = await harness.start(
            running(call("slow", timeout="30s"), call("ok"), call("slow", timeout="30s"))
        )
        assert started is not None
        await eventually(lambda: len(channels.requests) == 3, what="three calls")
    channels.go.set()
    async with harness.worker(channels=channels):
        joined = await until_joined(harness, handle)
        assert not joined.incidents
        assert set(channels.done.values()) == {1}
        assert len(channels.done) == 3
        assert harness.intact(started.instance.id)
        await handle.terminate()


async def test_answers_that_meet_what_cancels_them_are_not_thrown_away(harness: Harness) -> None:
    """What was sent was sent: history says so, whichever came first."""
    for number in range(6):
        channels = ScriptedChannels()
        harness.task_queue = f"{harness.task_queue}-{number}"
        async with harness.worker(channels=channels):
            started, handle = await harness.start(
                running(*(call("slow") for _ in range(5)), interrupts=True), str(number)
            )
            assert started is not None
            await eventually(lambda: len(channels.requests) == 5, what="five calls")  # noqa: B023
            finishing = asyncio.create_task(harness.act(handle, "finish"))
            await asyncio.sleep(number * 0.004)
            channels.go.set()
            await finishing
            assert await handle.result() == "completed"
            rows = events(harness.history(started.instance.id))
            assert rows.count("channel_succeeded") == len(channels.done)
            assert rows.count("channel_failed") == 5 - len(channels.done)
            assert harness.intact(started.instance.id)


async def test_long_waits_come_due_without_anybody(
    time_skipping_env: WorkflowEnvironment, harness: Harness
) -> None:
    await register_search_attributes(time_skipping_env.client)
    harness = Harness(time_skipping_env.client, harness.engine, roll_over_after=60)
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(
                {"sequence": [{"wait": "30 days"}, call("ok")]},
                {"waitFor": {"event": "opened", "timeout": "90 days", "else": call("ok")}},
                CALL_ANN,
            )
        )
        assert started is not None
        await time_skipping_env.sleep(timedelta(days=31))
        assert channels.steps() == {"run/0/sequence/1": 1}
        await time_skipping_env.sleep(timedelta(days=60))
        await eventually(lambda: len(channels.done) == 2, what="the second call")
        snapshot = await harness.snapshot(handle)
        assert snapshot is not None
        assert snapshot.records[0].running
        await harness.send(handle, CompleteTask(actor=BOB, task=snapshot.tasks[0].id))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        assert await handle.result() == "completed"
        assert harness.intact(started.instance.id)

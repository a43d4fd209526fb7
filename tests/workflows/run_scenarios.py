"""The shapes that come of what stages run: calls, tasks, waits, incidents. See `scenarios.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from nexus.core.commands import CompleteTask, GiveUp, ReceiveEvent, RetryIncident, SkipIncident
from tests.workflows.channels import ScriptedChannels
from tests.workflows.definitions import call, running
from tests.workflows.harness import ANN, BOB, Handle, Harness, eventually, until_joined

TASK = {"task": {"title": "Call Ann", "assign": {"users": ["bob"]}}, "name": "phoned"}


async def calls_joined(harness: Harness) -> Handle:
    async with harness.worker(channels=ScriptedChannels()):
        _, handle = await harness.start(
            running(
                call("ok", name="first"),
                call("once"),
                call("ok", when="data.score > 9"),
                {
                    "sequence": [
                        {"set": {"greeted": "true"}},
                        {
                            "inclusive": [
                                {"when": "data.greeted", "do": call("ok")},
                                {"when": "steps.first.outcome == 'done'", "do": call("ok")},
                            ],
                            "default": call("ok"),
                        },
                    ]
                },
            )
        )
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def many_calls(harness: Harness) -> Handle:
    async with harness.worker(channels=ScriptedChannels()):
        _, handle = await harness.start(running(*(call("ok") for _ in range(25))))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def calls_that_failed(harness: Harness) -> Handle:
    """Tried again while the instance runs, and after its end, by update and by signal."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(call("down"), call("refuses"), call("hangs", timeout="1s"))
        )
        joined = await until_joined(harness, handle)
        down, refused, hung = (
            next(one.id for one in joined.incidents if one.channel == name)
            for name in ("down", "refuses", "hangs")
        )
        await harness.send(handle, RetryIncident(actor=ANN, incident=down))
        await harness.refused(harness.send(handle, SkipIncident(actor=ANN, incident=down)))
        await eventually(lambda: sum(one.channel == "down" for one in channels.requests) == 4)
        await harness.act(handle, "finish")
        channels.down.clear()
        await eventually(lambda: _open(harness, handle, down), what="the incident raised again")
        await harness.send(handle, RetryIncident(actor=ANN, incident=down))
        await harness.send(handle, SkipIncident(actor=ANN, incident=hung))
        await handle.signal("command", {"type": "retry_incident", "incident": refused})
        await handle.result()
        return handle


async def _open(harness: Harness, handle: Handle, incident: str) -> bool:
    snapshot = await harness.snapshot(handle)
    assert snapshot is not None
    return any(one.id == incident and one.status == "open" for one in snapshot.incidents)


async def given_up_for_a_new_start(harness: Harness) -> Handle:
    async with harness.worker(channels=ScriptedChannels()):
        _, handle = await harness.start(running(call("refuses")))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await harness.refused(harness.start(running(call("refuses"))))
        await harness.send(handle, GiveUp(actor=ANN))
        await handle.result()
        return handle


async def given_up_amid_a_retry(harness: Harness) -> Handle:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(running(call("down"), call("hangs", timeout="1s")))
        joined = await until_joined(harness, handle)
        await harness.act(handle, "finish")
        hung = next(one.id for one in joined.incidents if one.channel == "hangs")
        await harness.send(handle, RetryIncident(actor=ANN, incident=hung))
        await eventually(lambda: sum(one.channel == "hangs" for one in channels.requests) == 3)
        await harness.send(handle, GiveUp(actor=ANN))
        await handle.result()
        return handle


async def interrupted_run(harness: Harness) -> Handle:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(
                call("hangs", timeout="60s"),
                call("slow", timeout="60s"),
                {"wait": "30 days"},
                TASK,
                interrupts=True,
            )
        )
        await eventually(lambda: len(channels.requests) == 2)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def interrupted_before_anybody_called(harness: Harness) -> Handle:
    async with harness.worker():
        _, handle = await harness.start(running(call("ok"), call("ok"), interrupts=True))
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def tasks_waits_and_events(harness: Harness) -> Handle:
    async with harness.worker(channels=ScriptedChannels()):
        started, handle = await harness.start(
            running(
                {"sequence": [TASK, call("ok")]},
                {"waitFor": {"event": "opened", "then": call("ok"), "else": call("refuses")}},
                {"waitFor": {"event": "never", "timeout": "1s", "else": call("ok")}},
                {"sequence": [{"wait": "1s"}, {"waitFor": {"event": "replied"}}]},
            )
        )
        assert started is not None
        for event in ("replied", "opened", "other"):
            await harness.send(handle, ReceiveEvent(actor=ANN, event=event))
        done = CompleteTask(actor=BOB, task=started.tasks[0].id, data={"reached": True})
        await harness.send(handle, done)
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def runs_continued_as_new(harness: Harness) -> Handle:
    """Calls are held back before a new run, and tasks, waits and incidents go along."""
    harness.roll_over_after = 30
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(
                TASK,
                call("down"),
                {"sequence": [call("ok") for _ in range(9)]},
                {"sequence": [{"wait": "6s"}, {"waitFor": {"event": "kept"}}]},
            )
        )
        assert started is not None
        await harness.send(handle, ReceiveEvent(actor=ANN, event="kept"))
        await eventually(lambda: len(channels.done) == 9, what="a sequence of calls")
        for _ in range(12):
            await harness.act(handle, "comment", comment="more")
        channels.down.clear()
        snapshot = await harness.snapshot(handle)
        assert snapshot is not None
        incident = snapshot.incidents[0].id
        await harness.send(handle, RetryIncident(actor=ANN, incident=incident))
        await harness.send(handle, CompleteTask(actor=BOB, task=started.tasks[0].id))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


async def cancelled_amid_calls(harness: Harness) -> Handle:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(call("hangs", timeout="60s"), call("ok"), call("refuses"), TASK)
        )
        await eventually(lambda: len(channels.requests) == 3)
        await handle.cancel()
        await asyncio.gather(handle.result(), return_exceptions=True)
        return handle


async def cancelled_while_incidents_kept_it_open(harness: Harness) -> Handle:
    async with harness.worker(channels=ScriptedChannels()):
        _, handle = await harness.start(running(call("refuses")))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.cancel()
        await handle.result()
        return handle


async def worker_replaced_amid_calls(harness: Harness) -> Handle:
    channels = ScriptedChannels()
    brief = timedelta(milliseconds=200)
    async with harness.worker(channels=channels, graceful_shutdown=brief):
        _, handle = await harness.start(running(call("slow", timeout="30s"), call("ok")))
        await eventually(lambda: len(channels.requests) == 2)
    channels.go.set()
    async with harness.worker(channels=channels):
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle


RUN_SCENARIOS: Mapping[str, Callable[[Harness], Awaitable[Handle]]] = {
    scenario.__name__: scenario
    for scenario in (
        calls_joined,
        many_calls,
        calls_that_failed,
        given_up_for_a_new_start,
        given_up_amid_a_retry,
        interrupted_run,
        interrupted_before_anybody_called,
        tasks_waits_and_events,
        runs_continued_as_new,
        cancelled_amid_calls,
        cancelled_while_incidents_kept_it_open,
        worker_replaced_amid_calls,
    )
}


async def long_waits(harness: Harness, environment: WorkflowEnvironment) -> Handle:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(
                {"sequence": [{"wait": "30 days"}, call("ok")]},
                {"waitFor": {"event": "opened", "timeout": "90 days", "else": call("ok")}},
            )
        )
        await environment.sleep(timedelta(days=91))
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        await handle.result()
        return handle

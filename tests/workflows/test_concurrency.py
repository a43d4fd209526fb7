"""Many at once: one winner, one projection for several, and each command once."""

from __future__ import annotations

import asyncio

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from nexus.core.commands import Actor
from tests.workflows.definitions import SALES
from tests.workflows.harness import ANN, BOB, Handle, Harness, events, same


async def test_of_two_users_who_take_one_transition_exactly_one_wins(harness: Harness) -> None:
    async with harness.worker():
        for attempt in range(20):
            started, handle = await harness.start(SALES, f"lead-{attempt}", data={"score": 60})
            assert started is not None
            outcomes = await asyncio.gather(
                harness.act(handle, "qualify", actor=ANN),
                harness.act(handle, "qualify", actor=BOB),
                return_exceptions=True,
            )
            lost = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            assert len(lost) == 1, outcomes
            assert isinstance(lost[0], WorkflowUpdateFailedError)
            assert isinstance(lost[0].cause, ApplicationError)
            assert lost[0].cause.type == "wrong_stage"
            history = harness.history(started.instance.id)
            assert events(history).count("action_taken") == 1
            winner = "ann" if outcomes[1] is lost[0] else "bob"
            assert [row.actor for row in history if row.event == "action_taken"] == [winner]


async def test_concurrent_commands_are_projected_together(harness: Harness) -> None:
    """A group commit: while one local activity writes, the others gather for the next."""
    async with harness.worker():
        started, handle = await harness.start(SALES)
        assert started is not None
        answers = await asyncio.gather(
            *(harness.act(handle, "update", data={f"key{n}": n}) for n in range(10))
        )
        types = await harness.event_types(handle)
        assert types.count("WORKFLOW_EXECUTION_UPDATE_COMPLETED") == 11
        assert types.count("MARKER_RECORDED") < 11
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert stored.records[0].data == {f"key{n}": n for n in range(10)}
        for number, answer in enumerate(answers):
            assert answer.records[0].data[f"key{number}"] == number
        assert harness.intact(started.instance.id)


async def test_a_command_that_is_repeated_applies_once(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(SALES, data={"score": 60}, command_id="begin")
        again, to_again = await harness.start(SALES, data={"score": 60}, command_id="begin")
        assert started is not None
        assert same(started, again)
        assert to_again.first_execution_run_id in (None, handle.first_execution_run_id)
        first = await harness.act(handle, "qualify", command_id="once")
        second = await harness.act(handle, "qualify", command_id="once")
        assert same(first, second)
        commands = [row.command for row in harness.history(started.instance.id)]
        assert commands == ["begin"] * 3 + ["once"] * 2


async def test_a_command_that_is_repeated_in_a_later_run_applies_once(harness: Harness) -> None:
    harness.roll_over_after = 20
    async with harness.worker():
        started, handle = await harness.start(SALES, command_id="begin")
        assert started is not None
        await harness.act(handle, "update", command_id="once", data={"score": 1})
        await _work_until_new_run(harness, handle)
        await _work_until_new_run(harness, handle)
        answer = await harness.act(handle, "update", command_id="once", data={"score": 1})
        assert answer.records[0].data["score"] != 1
        again, _ = await harness.start(SALES, command_id="begin")
        assert again is not None
        assert again.instance.id == started.instance.id
        history = harness.history(started.instance.id)
        assert [row.command for row in history].count("once") == 2
        assert events(history).count("instance_started") == 1


async def test_nothing_is_lost_when_instances_continue_as_new_under_load(harness: Harness) -> None:
    harness.roll_over_after = 25

    async def user(handle: Handle, name: str) -> None:
        for number in range(25):
            await harness.act(handle, "update", actor=Actor(name), data={f"{name}-{number}": 1})

    async with harness.worker():
        started = [await harness.start(SALES, f"lead-{n}") for n in range(3)]
        await asyncio.gather(
            *(user(handle, name) for _, handle in started for name in ("ann", "bob", "joe"))
        )
        for answer, handle in started:
            assert answer is not None
            instance = answer.instance.id
            assert len(await harness.runs(handle)) > 3
            assert harness.intact(instance)
            stored = harness.stored(instance)
            assert stored is not None
            assert len(stored.records[0].data) == 75
            assert same(stored, await harness.snapshot(handle))


async def _work_until_new_run(harness: Harness, handle: Handle) -> None:
    runs = len(await harness.runs(handle))
    number = 1
    while len(await harness.runs(handle)) == runs:
        number += 1
        await harness.act(handle, "update", data={"score": number})

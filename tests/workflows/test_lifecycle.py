"""One instance from its start to its end, and the next one of the same subject."""

from __future__ import annotations

import base64
import random

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from nexus.core.commands import Act, AddRecord
from storage.engine import Engine
from tests.workflows.definitions import DEALS, SALES
from tests.workflows.harness import ADMIN, ANN, BOB, Harness, events, eventually, same
from workflows.contract import WORKFLOW, InstanceInput


async def test_a_lead_is_refused_updated_qualified_and_converted(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(SALES, data={"score": 40})
        assert started is not None
        instance = started.instance.id
        assert same(started, harness.stored(instance))
        assert (started.instance.status, started.instance.stage) == ("active", "new")

        refusal = await harness.refused(harness.act(handle, "qualify"))
        assert refusal.code == "condition_not_met"
        assert "data.score is 40" in refusal.message
        assert refusal.details["why"][0]["values"] == {"data.score": 40}

        answer = await harness.act(handle, "update", data={"score": 60})
        assert same(answer, harness.stored(instance))
        for action in ("qualify", "convert"):
            answer = await harness.act(handle, action)
            assert same(answer, harness.stored(instance)), action
        assert (answer.instance.status, answer.instance.stage) == ("completed", "opportunity")
        assert await handle.result() == "completed"
        assert events(harness.history(instance)) == [
            *("instance_started", "record_created", "stage_entered"),
            *("action_taken", "data_changed"),
            *("action_taken", "stage_entered"),
            *("action_taken", "stage_entered", "instance_ended"),
        ]
        assert harness.intact(instance)


async def test_a_refusal_leaves_no_event_in_temporals_history(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES, data={"score": 40})
        before = await harness.event_types(handle)
        codes = [
            (await harness.refused(doing)).code
            for doing in (
                harness.act(handle, "qualify"),
                harness.act(handle, "qualify", record="lead-9"),
                harness.act(handle, "dance"),
                harness.act(handle, "update"),
                harness.send(handle, AddRecord(actor=ANN, entity="nobody")),
                handle.execute_update("command", args=[]),
                handle.execute_update("command", args=[{"type": "act"}, 2]),
                handle.execute_update("command", args=["act"]),
                handle.execute_update("command", args=[{"type": "stop", "actor": {"id": "ann"}}]),
            )
        ]
        assert codes == [
            *("condition_not_met", "not_found", "not_found", "invalid_data", "invalid_data"),
            *("invalid_data", "invalid_data", "invalid_data", "invalid_data"),
        ]
        assert await harness.event_types(handle) == before


async def test_a_refused_start_leaves_no_row_and_no_open_workflow(harness: Harness) -> None:
    async with harness.worker():
        refusal = await harness.refused(
            harness.start(SALES, "new-one", data={"lead_score": "high"})
        )
        assert refusal.code == "invalid_data"
        assert "lead_score" in refusal.message
        name = f"{harness.tenant}:sales-pipeline:lead:new-one"
        handle = harness.client.get_workflow_handle(name)
        assert await handle.result() == "refused"
        first = (await handle.describe()).run_id
        assert harness.stored(first) is None
        # The subject is free: the next start is a start.
        started, _ = await harness.start(SALES, "new-one", data={"lead_score": 3})
        assert started is not None
        assert started.instance.id != first


async def test_a_subject_has_one_open_instance_of_a_definition(harness: Harness) -> None:
    """BR-007."""
    async with harness.worker():
        started, handle = await harness.start(SALES)
        refusal = await harness.refused(harness.start(SALES))
        assert refusal.code == "instance_exists"
        assert len(await harness.runs(handle)) == 1
        other, _ = await harness.start(SALES, "43")
        assert started is not None
        assert other is not None
        assert other.instance.id != started.instance.id


async def test_the_next_instance_of_a_subject_is_another_one(harness: Harness) -> None:
    """R25: an action addressed to the old one never reaches the new one."""
    async with harness.worker():
        old, to_old = await harness.start(SALES)
        await harness.act(to_old, "cancel")
        assert await to_old.result() == "cancelled"
        new, to_new = await harness.start(SALES)
        assert old is not None
        assert new is not None
        assert new.instance.id != old.instance.id
        assert new.instance.workflow_id == old.instance.workflow_id

        with pytest.raises(RPCError, match=r"(?i)not found|completed"):
            await harness.act(to_old, "update", data={"score": 99})
        await harness.act(to_new, "update", data={"score": 1})
        stored = harness.stored(new.instance.id)
        assert stored is not None
        assert stored.records[0].data == {"score": 1}
        ended = harness.stored(old.instance.id)
        assert ended is not None
        assert (ended.instance.status, ended.records[0].data) == ("cancelled", {})


async def test_records_walk_by_themselves_and_one_creates_another(harness: Harness) -> None:
    """MAINT-004."""
    async with harness.worker():
        started, handle = await harness.start(DEALS, data={"score": 7})
        assert started is not None
        await harness.send(handle, AddRecord(actor=BOB, entity="lead", data={"score": 9}))
        await harness.send(handle, AddRecord(actor=BOB, entity="contact", data={"name": "Joe"}))
        ambiguous = await harness.refused(harness.act(handle, "qualify"))
        assert ambiguous.code == "ambiguous"
        await harness.act(handle, "qualify", record="lead-2")
        await harness.act(handle, "lose", record="lead-1")
        await harness.act(handle, "assign", record="lead-2", data={"users": ["bob"]})
        forbidden = await harness.refused(harness.act(handle, "lose", record="lead-2"))
        assert forbidden.code == "forbidden"
        await harness.act(handle, "lose", record="lead-2", actor=ADMIN)
        answer = await harness.act(handle, "win")

        stages = {record.id: record.stage for record in answer.records}
        assert stages == {
            "lead-1": "lost",
            "lead-2": "lost",
            "contact-1": None,
            "opportunity-1": "won",
        }
        created = answer.records[-1]
        assert (created.parent, created.data) == ("lead-2", {"value": 900})
        assert answer.instance.status == "completed"
        assert same(answer, harness.stored(started.instance.id))
        assert harness.intact(started.instance.id)


async def test_a_command_to_a_workflow_that_was_never_started_ends_it(harness: Harness) -> None:
    async with harness.worker():
        handle = await harness.client.start_workflow(
            WORKFLOW,
            InstanceInput(harness.tenant, SALES),
            id=f"{harness.tenant}:bare",
            task_queue=harness.task_queue,
        )
        await handle.signal("command", {"type": "act", "action": "qualify"})
        refusal = await harness.refused(
            handle.execute_update(
                "command", {"type": "act", "actor": {"id": "ann"}, "action": "qualify"}
            )
        )
        assert refusal.code == "wrong_stage"
        assert await handle.result() == "refused"


async def test_a_start_that_never_comes_does_not_leave_a_workflow_behind(
    time_skipping_env: WorkflowEnvironment, engine: Engine
) -> None:
    harness = Harness(time_skipping_env.client, engine)
    async with harness.worker():
        outcome = await harness.client.execute_workflow(
            WORKFLOW,
            InstanceInput(harness.tenant, SALES),
            id=f"{harness.tenant}:orphan",
            task_queue=harness.task_queue,
        )
    assert outcome == "refused"


async def test_a_broken_definition_fails_the_workflow_task_where_people_see_it(
    harness: Harness,
) -> None:
    async with harness.worker():
        handle = await harness.client.start_workflow(
            WORKFLOW,
            InstanceInput(harness.tenant, '{"id": "x", "entities": 3}'),
            id=f"{harness.tenant}:broken",
            task_queue=harness.task_queue,
        )

        async def failed() -> bool:
            return "WORKFLOW_TASK_FAILED" in await harness.event_types(handle)

        await eventually(failed, what="the failed workflow task")
        await handle.terminate()


async def test_an_operators_cancel_ends_the_instance_as_cancelled(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(DEALS)
        assert started is not None
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        stored = harness.stored(started.instance.id)
        assert stored is not None
        assert (stored.instance.status, stored.records[0].status) == ("cancelled", "closed")
        last = harness.history(started.instance.id)[-1]
        assert (last.event, last.actor) == ("instance_ended", "system")
        assert harness.intact(started.instance.id)


async def test_a_large_instance_works_and_what_would_not_fit_changes_nothing(
    harness: Harness,
) -> None:
    """R28: a large one answers with nothing, is handed over to new runs, and has a bound."""
    harness.roll_over_after = 12
    async with harness.worker():
        started, handle = await harness.start(SALES, data={"score": 60})
        assert started is not None
        instance = started.instance.id
        for number in range(3):  # 1.4 MB, compressed
            update = Act(actor=ANN, action="update", data={f"key{number}": _noise(number, 600_000)})
            assert await harness.send(handle, update) is None  # more than 512 KiB
        stored = harness.stored(instance)
        assert stored is not None
        assert stored.records[0].data["key2"] == _noise(2, 600_000)
        assert await harness.snapshot(handle) is None

        before = (harness.history(instance), await harness.event_types(handle))
        update = Act(actor=ANN, action="update", data={"key3": _noise(3, 600_000)})
        refusal = await harness.refused(harness.send(handle, update))
        assert refusal.code == "too_large"
        assert (harness.history(instance), await harness.event_types(handle)) == before

        assert await harness.send(handle, Act(actor=ANN, action="qualify")) is None
        assert len(await harness.runs(handle)) > 1
        assert await harness.send(handle, Act(actor=ANN, action="convert")) is None
        assert await handle.result() == "completed"
        assert harness.intact(instance)


def _noise(seed: int, size: int) -> str:
    """Text that does not compress well."""
    return base64.b85encode(random.Random(seed).randbytes(size * 4 // 5)).decode()

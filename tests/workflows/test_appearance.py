"""What a stranger sees: queries, `temporal workflow list`, `show` and the Web UI's details."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from nexus.core.commands import AddRecord
from tests.support.temporal import TemporalServer
from tests.workflows.channels import ScriptedChannels
from tests.workflows.definitions import DEALS, SALES, call, clocked, running
from tests.workflows.harness import ANN, BOB, Handle, Harness, eventually, same, temporal_command


async def test_can_says_why_and_why_not_and_changes_nothing(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES, data={"score": 40})
        before = await harness.event_types(handle)
        no = await harness.can(handle, "qualify")
        assert (no["allowed"], no["code"]) == (False, "condition_not_met")
        assert no["why"][0]["values"] == {"data.score": 40}
        assert (await harness.can(handle, "update"))["allowed"] is True
        assert (await harness.can(handle, "dance"))["code"] == "not_found"
        assert await harness.event_types(handle) == before
        await harness.act(handle, "update", data={"score": 60})
        yes = await harness.can(handle, "qualify")
        assert (yes["allowed"], yes["why"][0]["result"]) == (True, True)


async def test_a_malformed_query_is_answered_in_words(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES)
        for argument in ({}, 3, None, "qualify", {"actor": "ann", "action": "x"}, {"action": 1}):
            answer = await handle.query("can", argument)
            assert answer["allowed"] is False
            assert answer["code"] == "invalid_data"
        assert (await handle.query("can"))["code"] == "invalid_data"
        of_another = {"instance": "x", "actor": {"id": "ann"}, "action": "close"}
        assert (await handle.query("can", of_another))["code"] == "wrong_stage"
        answer = await handle.query("can", {"type": "start", "actor": {"id": "a"}, "action": "x"})
        assert answer["code"] == "not_found"


async def test_the_snapshot_query_says_what_sql_says(harness: Harness) -> None:
    async with harness.worker():
        started, handle = await harness.start(clocked(late="2 days"))
        assert started is not None
        assert same(await harness.snapshot(handle), harness.stored(started.instance.id))
        await harness.act(handle, "work")
        assert same(await harness.snapshot(handle), harness.stored(started.instance.id))


async def test_instances_are_found_by_tenant_definition_stage_and_assignee(
    harness: Harness, temporal_server: TemporalServer, temporal_cli: Path
) -> None:
    async with harness.worker():
        _, handle = await harness.start(DEALS, "42", data={"score": 3})
        await harness.start(DEALS, "43")
        await harness.act(handle, "assign", data={"users": ["ann"], "roles": ["sales"]})
        await harness.send(handle, AddRecord(actor=ANN, entity="lead"))

        async def listed(query: str) -> set[str]:
            query = f"NexusTenant = '{harness.tenant}' AND {query}"
            found = temporal_command(
                temporal_cli,
                temporal_server.address,
                *("workflow", "list", "-q", query, "--output", "json"),
            )
            return {one["execution"]["workflowId"].rsplit(":", 1)[1] for one in json.loads(found)}

        async def is_listed(query: str, *expected: str) -> None:
            async def found() -> bool:
                return await listed(query) == set(expected)

            await eventually(found, what=query)

        await is_listed("NexusDefinition = 'deals'", "42", "43")
        await is_listed("NexusStage = 'new'", "42", "43")
        await is_listed("NexusAssignee = 'ann'", "42")
        await is_listed("NexusAssignee = 'sales'", "42")
        await harness.act(handle, "qualify", record="lead-1")
        await is_listed("NexusStage = 'open'", "42")
        await is_listed("NexusStage = 'qualified'", "42")
        await is_listed("NexusStage = 'new'", "42", "43")  # the other lead still is
        await harness.act(handle, "assign", record="lead-1", data={"users": ["bob"]})
        await is_listed("NexusAssignee = 'bob'", "42")
        await is_listed("NexusAssignee = 'ann'")
        await harness.act(handle, "cancel", actor=BOB)
        await is_listed("ExecutionStatus = 'Running'", "43")


async def test_search_attributes_survive_continue_as_new(harness: Harness) -> None:
    harness.roll_over_after = 10
    async with harness.worker():
        _, handle = await harness.start(SALES)
        while len(await harness.runs(handle)) < 2:
            await harness.act(handle, "comment", comment="more")
        latest = await harness.client.get_workflow_handle(handle.id).describe()
        assert latest.status is WorkflowExecutionStatus.RUNNING
        found = {
            pair.key.name: pair.value for pair in latest.typed_search_attributes.search_attributes
        }
        assert found["NexusTenant"] == harness.tenant
        assert found["NexusStage"] == ["new"]
        assert "| lead-1 | new |" in await _details(harness, handle)


async def test_more_than_the_server_takes_is_left_out_of_search_attributes_and_details(
    harness: Harness,
) -> None:
    async with harness.worker():
        _, handle = await harness.start(DEALS)
        names = [f"user-{n}-{'x' * 180}" for n in range(200)]
        await harness.act(handle, "assign", data={"users": names})
        for _ in range(60):
            await harness.send(handle, AddRecord(actor=ANN, entity="lead"))
        described = await harness.client.get_workflow_handle(handle.id).describe()
        assignees = next(
            pair.value
            for pair in described.typed_search_attributes.search_attributes
            if pair.key.name == "NexusAssignee"
        )
        assert 0 < len(assignees) < 200
        details = await _details(harness, handle)
        assert len(details.encode()) <= 20_000
        assert details.endswith("…")
        assert "WORKFLOW_TASK_FAILED" not in await harness.event_types(handle)


async def test_show_and_details_tell_a_stranger_what_happened(
    harness: Harness, temporal_server: TemporalServer, temporal_cli: Path
) -> None:
    async with harness.worker():
        started, handle = await harness.start(clocked(late="2 days"))
        assert started is not None
        await harness.act(handle, "assign", data={"users": ["ann"], "roles": ["sales"]})
        details = await _details(harness, handle)
        assert "**clocked** 1.0.0 for lead 42: active" in details
        assert "| lead-1 | new | ann, role sales |" in details
        due = started.timers[0].trigger_at
        assert f"{due:%Y-%m-%d %H:%M} UTC: to_late: lead-1 leaves new after 2 days" in details

        def run(command: str) -> str:
            return temporal_command(
                temporal_cli,
                temporal_server.address,
                *("workflow", command, "--workflow-id", handle.id, "--output", "json"),
            )

        shown = json.loads(run("show"))
        timers = [event for event in shown["events"] if event["eventType"].endswith("STARTED")]
        summaries = json.dumps([event.get("userMetadata") for event in timers])
        assert _encoded("to_late: lead-1 leaves new after 2 days") in summaries
        markers = [event for event in shown["events"] if "MARKER" in event["eventType"]]
        told = json.dumps([event.get("userMetadata") for event in markers])
        assert _encoded("ann starts it; lead-1: new") in told
        assert _encoded("ann takes assign") in told
        assert "clocked: lead 42" in run("describe") or _encoded("clocked: lead 42") in run(
            "describe"
        )


async def test_details_and_summaries_tell_what_runs_and_what_needs_a_person(
    harness: Harness,
) -> None:
    async with harness.worker(channels=ScriptedChannels()):
        _, handle = await harness.start(
            running(
                call("refuses"),
                call("hangs", timeout="60s"),
                {"task": {"title": "Call | Ann", "assign": {"users": ["bob"], "roles": ["sales"]}}},
                {"wait": "3 days"},
                {"waitFor": {"event": "opened"}},
                interrupts=True,
            )
        )

        async def shown() -> bool:
            return "Incidents:" in await _details(harness, handle)

        await eventually(shown, what="the incident in the details")
        details = await _details(harness, handle)
        assert (
            "- lead-1: the channel 'hangs', the task 'Call \\| Ann', a wait of 3 days, "
            "the event 'opened'"
        ) in details
        assert "of lead-1: Call \\| Ann (bob, role sales)" in details
        assert "UTC: lead-1 in new: waiting ends after 3 days" in details
        assert "The channel 'refuses' failed in 'new': It is not wanted." in details
        await harness.act(handle, "finish")
        history = await harness.client.get_workflow_handle(handle.id).fetch_history()
        document = json.loads(history.to_json())
        told = json.dumps([event.get("userMetadata") for event in document["events"]])
        assert _encoded("refuses for lead-1 in new (run/0)") in told
        calls = "calls refuses; calls hangs; task 'Call | Ann'"
        assert _encoded(f"ann starts it; lead-1: new; {calls}") in told
        assert _encoded("refuses failed: refused; incident_raised refused") in told
        assert _encoded("ann takes finish; lead-1: run stopped; lead-1: new → done") in told


def _encoded(text: str) -> str:
    import base64

    return base64.b64encode(json.dumps(text, ensure_ascii=False).encode()).decode()


async def _details(harness: Harness, handle: Handle) -> str:
    """The current details, as the Web UI asks for them."""
    metadata: Any = await harness.client.get_workflow_handle(handle.id).query(
        "__temporal_workflow_metadata"
    )
    found: str = metadata.current_details
    return found

"""Signals: fire and forget, for other systems and for a person in the Web UI (R27)."""

from __future__ import annotations

from typing import Any

import pytest

from nexus.core.projection import HistoryRow
from tests.workflows.definitions import CAMPAIGN, SALES
from tests.workflows.harness import ADMIN, Handle, Harness, eventually, token
from workflows.contract import WORKFLOW, InstanceInput, workflow_id

COMMENT = {"type": "act", "action": "comment", "comment": "hello"}


async def _after_signal(harness: Harness, handle: Handle, *arguments: object) -> HistoryRow:
    """The last event after a signal; that an update is still taken shows that nothing is wedged."""
    instance = handle.first_execution_run_id
    assert instance is not None
    before = len(harness.history(instance))
    await handle.signal("command", args=arguments)
    await eventually(lambda: len(harness.history(instance)) > before, what="the signal's event")
    last = harness.history(instance)[-1]
    await harness.act(handle, "comment", actor=ADMIN, comment="still here")
    assert harness.intact(instance)
    return last


async def test_a_signal_is_applied(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES)
        last = await _after_signal(harness, handle, COMMENT)
        assert (last.event, last.actor, last.comment) == ("comment_added", "system:signal", "hello")
        assert last.command is None


async def test_an_event_from_outside_may_come_as_a_signal(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(CAMPAIGN)
        await harness.act(handle, "launch")
        last = await _after_signal(harness, handle, {"type": "event", "event": "email.opened"})
        assert (last.event, last.after) == ("stage_entered", "warm")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "invalid_data"),
        ((COMMENT, COMMENT), "invalid_data"),
        ((1,), "invalid_data"),
        ((None,), "invalid_data"),
        ((["act"],), "invalid_data"),
        (({},), "invalid_data"),
        (({"type": "dance"},), "invalid_data"),
        (({"type": ["act"]},), "invalid_data"),
        (({"type": "stop"},), "invalid_data"),
        (({"type": "act"},), "invalid_data"),
        (({"type": "act", "action": 3},), "invalid_data"),
        (({"type": "act", "action": "comment", "colour": "red"},), "invalid_data"),
        (({"type": "act", "action": "dance"},), "not_found"),
        (({"type": "act", "action": "qualify"},), "condition_not_met"),
        (({"type": "act", "action": "update", "data": {"lead_score": "high"}},), "invalid_data"),
        (({"type": "start", "subject": {"type": "lead", "id": "1"}},), "invalid_data"),
        (({**COMMENT, "actor": {"id": "root", "roles": ["admin"]}},), "forbidden"),
        (({**COMMENT, "token": 7},), "forbidden"),
        (({**COMMENT, "token": "no token at all"},), "forbidden"),
    ],
)
async def test_what_is_wrong_with_a_signal_is_recorded_and_wedges_nothing(
    harness: Harness, arguments: tuple[object, ...], code: str
) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES, data={"score": 1})
        last = await _after_signal(harness, handle, *arguments)
        assert last.event == "signal_refused"
        assert last.actor == "system:signal"
        assert last.payload["code"] == code
        assert last.payload["message"]
        assert "WORKFLOW_TASK_FAILED" not in await harness.event_types(handle)


async def test_a_signal_with_a_token_acts_as_that_user(harness: Harness) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES)
        await harness.act(handle, "assign", data={"users": ["joe"]})
        unsigned = await _after_signal(harness, handle, COMMENT)
        assert (unsigned.event, unsigned.payload["code"]) == ("signal_refused", "forbidden")
        signed = {**COMMENT, "token": token("joe", harness.tenant)}
        last = await _after_signal(harness, handle, signed)
        assert (last.event, last.actor, last.comment) == ("comment_added", "joe", "hello")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"tenant": "another"}, "another tenant"),
        ({"secret": "another-secret-that-is-just-as-long"}, "not valid"),
        ({"valid": -60}, "not valid"),
    ],
    ids=["of another tenant", "forged", "expired"],
)
async def test_a_token_that_is_not_good_here_gives_no_rights(
    harness: Harness, how: dict[str, Any], told: str
) -> None:
    async with harness.worker():
        _, handle = await harness.start(SALES)
        bad = token("root", **{"tenant": harness.tenant, **how})
        last = await _after_signal(harness, handle, {**COMMENT, "token": bad})
        assert (last.event, last.payload["code"]) == ("signal_refused", "forbidden")
        assert told in str(last.payload["message"])


async def test_unsigned_signals_have_the_roles_that_the_instance_was_given(
    harness: Harness,
) -> None:
    harness.signal_roles = ("sales",)
    async with harness.worker():
        _, handle = await harness.start(SALES)
        await harness.act(handle, "assign", data={"roles": ["sales"]})
        last = await _after_signal(harness, handle, COMMENT)
        assert last.event == "comment_added"


async def test_a_signal_to_an_instance_that_has_not_started_is_no_start(harness: Harness) -> None:
    async with harness.worker():
        handle = await harness.client.start_workflow(
            WORKFLOW,
            InstanceInput(harness.tenant, SALES),
            id=workflow_id(harness.tenant, "sales-pipeline", "lead", "42"),
            task_queue=harness.task_queue,
        )
        await handle.signal("command", COMMENT)
        started, _ = await harness.start(SALES)
        assert started is not None
        assert started.instance.seq == 3
        assert harness.intact(started.instance.id)

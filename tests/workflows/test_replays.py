"""Histories of every shape, recorded once and replayed by every later version."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner

from tests.workflows.scenarios import SCENARIOS, SKIPPING_SCENARIOS
from workflows.instance import NexusInstance
from workflows.worker import workflow_runner

HISTORIES = Path(__file__).parent / "histories"
RECORDED = sorted(HISTORIES.glob("*.json"))


async def _replay(document: dict[str, Any], runner: WorkflowRunner) -> Exception | None:
    replayer = Replayer(
        workflows=[NexusInstance],
        workflow_runner=runner,
        data_converter=pydantic_data_converter,
    )
    history = WorkflowHistory.from_json(document["workflow_id"], document)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


def _complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """A failed workflow task at the end of a history is logged, and is no replay failure."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("temporalio") and record.levelno >= logging.WARNING
    ]


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_every_shape_has_been_recorded() -> None:
    names = {path.name.split(".")[0] for path in RECORDED}
    assert names == {*SCENARIOS, *SKIPPING_SCENARIOS}


@pytest.mark.parametrize(
    "runner",
    [workflow_runner(), UnsandboxedWorkflowRunner()],
    ids=["sandboxed", "as-in-production"],
)
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(
    path: Path, runner: WorkflowRunner, caplog: pytest.LogCaptureFixture
) -> None:
    assert await _replay(_document(path), runner) is None
    assert _complaints(caplog) == []


def _without_its_timers(document: dict[str, Any]) -> None:
    document["events"] = [
        event for event in document["events"] if event["eventType"] != "EVENT_TYPE_TIMER_STARTED"
    ]


def _without_its_last_decision(document: dict[str, Any]) -> None:
    """Ends where a worker was about to decide, with a definition that does not compile."""
    started = document["events"][0]["workflowExecutionStartedEventAttributes"]
    payload = started["input"]["payloads"][0]
    given = json.loads(base64.b64decode(payload["data"]))
    given["definition"] = '{"id": "broken", "entities": 3}'
    payload["data"] = base64.b64encode(json.dumps(given).encode()).decode()
    document["events"] = document["events"][:3]


@pytest.mark.parametrize("change", [_without_its_timers, _without_its_last_decision])
async def test_a_history_that_does_not_replay_is_noticed(
    change: Callable[[dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    document = _document(HISTORIES / "still_open.1.json")
    change(document)
    failure = await _replay(document, workflow_runner())
    assert failure is not None or _complaints(caplog)

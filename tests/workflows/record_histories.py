"""Records the histories that `test_replays.py` replays.

    python -m tests.workflows.record_histories [SCENARIO...]

Run by hand, and for shapes that are new: a history that stands there already is left alone, since
it stands for the instances that are running out there. `docs/decisions/recorded-histories.md`
says what it takes to replace one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from nexus.cli.temporal_binary import cache_dir, find_temporal
from nexus.settings import sqlite_url
from storage.engine import create_engine
from storage.migrate import upgrade
from tests.support.services import TEST_SERVER
from tests.support.temporal import TemporalServer
from tests.workflows.harness import Handle, Harness
from tests.workflows.scenarios import SCENARIOS, SKIPPING_SCENARIOS
from workflows.worker import register_search_attributes

HISTORIES = Path(__file__).parent / "histories"
IDENTITY = "recorder"


async def main(wanted: list[str]) -> None:
    wanted = wanted or [*SCENARIOS, *SKIPPING_SCENARIOS]
    missing = [name for name in wanted if not list(HISTORIES.glob(f"{name}.*.json"))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server = TemporalServer(find_temporal(), folder / "temporal")
        server.start()
        try:
            client = await Client.connect(
                server.address, data_converter=pydantic_data_converter, identity=IDENTITY
            )
            await register_search_attributes(client)
            for name in missing:
                if name in SCENARIOS:
                    harness = _harness(client, folder, name)
                    await _save(name, harness, await SCENARIOS[name](harness))
        finally:
            server.stop()
        for name in missing:
            if name in SKIPPING_SCENARIOS:
                await _record_skipping(name, folder)


async def _record_skipping(name: str, folder: Path) -> None:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(
            os.environ.get("NEXUS_TEST_SERVER") or cache_dir() / TEST_SERVER
        ),
        data_converter=pydantic_data_converter,
        identity=IDENTITY,
    )
    async with environment:
        await register_search_attributes(environment.client)
        harness = _harness(environment.client, folder, name)
        await _save(name, harness, await SKIPPING_SCENARIOS[name](harness, environment))


def _harness(client: Client, folder: Path, name: str) -> Harness:
    url = sqlite_url(folder / name)
    upgrade(url)
    return Harness(client, create_engine(url), task_queue=name, tenant="recorded")


async def _save(name: str, harness: Harness, handle: Handle) -> None:
    """One file for each run of the instance, the first run first."""
    runs = reversed(await harness.runs(handle))
    for number, run in enumerate(runs, start=1):
        history = await harness.client.get_workflow_handle(handle.id, run_id=run).fetch_history()
        document = _bare(json.loads(history.to_json()))
        path = HISTORIES / f"{name}.{number}.json"
        path.write_text(json.dumps({"workflow_id": handle.id, **document}, indent=1) + "\n")
        print(f"{path.name}: {len(document['events'])} events", flush=True)


def _bare(value: Any) -> Any:
    """Without what a replay does not look at and what tells of the machine."""
    if isinstance(value, dict):
        return {
            key: _bare(item)
            for key, item in value.items()
            if key not in ("stackTrace", "stickyAttributes", "workerVersion")
        }
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value


if __name__ == "__main__":
    code = 1
    try:
        asyncio.run(main(sys.argv[1:]))
        code = 0
    except Exception:  # noqa: BLE001 - it is told, and is the exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)  # Temporal's core can hang in the interpreter's own end

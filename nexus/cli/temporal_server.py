"""How Temporal's development server is started: the settings that make it quick and durable."""

from __future__ import annotations

from pathlib import Path

from nexus.cli.ports import LOOPBACK

DYNAMIC_CONFIG = {
    # 20 as it comes, which adds 50 ms to every hop between a workflow and an activity.
    "history.transferProcessorMaxPollRPS": "2000",
    # One machine has no use for the four partitions of a cluster.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # An activity may start on the worker that asked for it, without a trip through the queue.
    "system.enableActivityEagerExecution": "true",
}

# What Temporal has acknowledged must survive a crash of the machine.
SQLITE_PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL"}

# The server keeps ended workflows one day as it comes; a person looks for them longer.
RETENTION = "2160h"


def server_command(
    temporal: Path, *, database: Path | None, port: int, ui_port: int | None
) -> list[str]:
    """The command line of the development server.

    Args:
        temporal: The `temporal` command.
        database: The server's SQLite file; None keeps everything in memory.
        port: Port of the frontend (gRPC).
        ui_port: Port of the Web UI; None leaves it out.
    """
    from workflows.contract import SEARCH_ATTRIBUTES

    command = [str(temporal), "server", "start-dev", "--ip", LOOPBACK, "--port", str(port)]
    command += ["--log-level", "warn", "--log-format", "text"]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    if database is not None:
        command += ["--db-filename", str(database)]
        for name, value in SQLITE_PRAGMAS.items():
            command += ["--sqlite-pragma", f"{name}={value}"]
    for name, value in DYNAMIC_CONFIG.items():
        command += ["--dynamic-config-value", f"{name}={value}"]
    for name, value in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={value}"]
    return command


def retention_command(temporal: Path, *, address: str, namespace: str) -> list[str]:
    """The command line that makes ended workflows stay for ninety days."""
    return [
        *(str(temporal), "operator", "namespace", "update", "--namespace", namespace),
        *("--retention", RETENTION, "--address", address),
    ]

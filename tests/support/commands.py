"""Runs the `nexus` command as a person would: another process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys


def nexus(
    *arguments: str, environment: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs `nexus` to its end.

    Args:
        arguments: What follows `nexus`.
        environment: Added to that of the tests.
        timeout: Seconds after which it is a failure.
    """
    return subprocess.run(
        [sys.executable, "-m", "nexus", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
    )


def assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Holds a command to failing with one line that names what is wrong."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("nexus: ")
    assert done.stderr.count("\n") == 1, f"more than one line:\n{done.stderr}"
    for word in words:
        assert word in done.stderr

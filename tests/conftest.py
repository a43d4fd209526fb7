"""Fixtures for all tests, and a safe end of the process."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import settings

from tests.support.services import (
    database_url,
    postgres_server,
    postgres_url,
    sqlite_url,
    temporal_cli,
    temporal_client,
    temporal_server,
    time_skipping_env,
    time_skipping_server,
)

__all__ = [
    "database_url",
    "postgres_server",
    "postgres_url",
    "sqlite_url",
    "temporal_cli",
    "temporal_client",
    "temporal_server",
    "time_skipping_env",
    "time_skipping_server",
]

# A shared machine has slow moments; an example that takes long is no failure of the code.
# The checks draw the same examples each time, so that a commit fails for what is in it; new ones
# are searched for by `scripts/test --hypothesis-profile=search tests/core`.
settings.register_profile("nexus", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=400)
settings.load_profile("nexus")

# Whoever started this in the background may have had it ignore Ctrl-C, and with it all processes
# that tests start and end by that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_status = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process before the interpreter's own end, in which Temporal's core can abort."""
    if _status in config.stash and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_status])

"""No program that was started outlives the one that started it, whatever ended that one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def dies_with_parent(parent: int) -> Callable[[], None] | None:
    """What a child does between fork and exec: on Linux, it asks to be killed with its parent.

    Args:
        parent: Process id of the one that starts the child.
    """
    if sys.platform != "linux":
        return None
    # Loaded here: between fork and exec, as little as possible is done.
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)

    return ask

"""What a part of `nexus dev` does differently. Imports next to nothing, as it has to come first."""

from __future__ import annotations

import os
import signal

SUPERVISED = "NEXUS_SUPERVISED"
"""Set for the parts of `nexus dev`, which ends them itself and in order."""


def leave_interrupts_to_the_supervisor() -> None:
    """Ignore Ctrl-C in a part of `nexus dev`: it reaches the whole process group.

    To be called before anything is imported that takes long enough to be interrupted.
    """
    if os.environ.get(SUPERVISED):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

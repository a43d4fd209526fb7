"""A line for whoever waits: what takes so long, after two seconds of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_AFTER = 2.0
THEN_EVERY = 15.0


def say(line: str) -> None:
    """Writes a line to stderr; stdout belongs to what a command prints."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(
    words: str, *, first_after: float = FIRST_AFTER, then_every: float = THEN_EVERY
) -> Iterator[None]:
    """Says what is being waited for, once it has taken a while.

    Args:
        words: What is going on, as a sentence without a full stop.
        first_after: Seconds until the first line.
        then_every: Seconds between the lines after it.
    """
    done = threading.Event()

    def tell() -> None:
        waited = first_after
        if done.wait(first_after):
            return
        say(f"… {words}")
        while not done.wait(then_every):
            waited += then_every
            say(f"… {words} ({waited:.0f} s)")

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()

"""The log file of a child process, and which of its lines a person should see."""

from __future__ import annotations

import json
from pathlib import Path

LARGEST = 16 * 1024 * 1024
TAIL = 12

_LOUD = frozenset({"warning", "error", "critical"})


class ChildLog:
    """A file of lines that keeps one predecessor, and remembers its last lines.

    Attributes:
        path: The file being written; its predecessor has `.1` added.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path = path
        self._largest = largest
        self._last: list[str] = []
        self._file = path.open("ab")

    def write(self, line: str) -> None:
        """Adds a line."""
        self._last = [*self._last[1 - TAIL :], line]
        if self._file.tell() > self._largest:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab")
        self._file.write(line.encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def last_words(self) -> str:
        """The last line that says something; "" where the child has been silent."""
        return next((line.strip() for line in reversed(self._last) if line.strip()), "")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def loud_line(line: str) -> str | None:
    """What to show of a line: JSON log entries from `warning` up, and nothing that is less.

    A line that is not an entry of ours (a traceback of the interpreter, say) is shown whole.
    """
    if not line.startswith("{"):
        return line or None
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or entry.get("level") not in _LOUD:
        return None
    known = {"level", "event", "timestamp", "logger", "exception"}
    more = " ".join(f"{key}={value}" for key, value in entry.items() if key not in known)
    shown = f"{entry['level']}: {entry.get('event', '')} {more}".rstrip()
    if isinstance(entry.get("exception"), str):
        shown += "\n" + entry["exception"]
    return shown

"""The log file of a child process."""

from __future__ import annotations

from pathlib import Path

LARGEST = 16 * 1024 * 1024
TAIL = 12


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

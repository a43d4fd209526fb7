"""Which lines of a child's log a person at the console should see, and in what words."""

from __future__ import annotations

import json
from collections.abc import Mapping

_LOUD = frozenset({"warning", "error", "critical"})
_KNOWN = frozenset({"level", "event", "timestamp", "logger", "exception"})


class Echo:
    """Chooses the lines of one child: warnings and worse, and what becomes of definitions.

    Remarks on definitions are counted until everything is ready, since a start reads all of
    them anew; after that they are shown, as somebody has just saved the file.

    Attributes:
        remarks: How many have been counted.
    """

    def __init__(self) -> None:
        self.remarks = 0
        self._ready = False

    def everything_is_ready(self) -> None:
        """From now on, remarks are shown."""
        self._ready = True

    def __call__(self, line: str) -> str | None:
        """What to show of a line; None shows nothing.

        A line that is no entry of ours (a traceback of the interpreter, say) is shown whole.
        """
        if not line.startswith("{"):
            return line or None
        try:
            entry = json.loads(line)
        except ValueError:
            return line
        if not isinstance(entry, dict):
            return line
        if "remark" in entry:
            self.remarks += 1
            # It names file, line and severity itself.
            return str(entry["remark"]) if self._ready else None
        if entry.get("event") == "definition_live" and self._ready:
            return f"{entry.get('definition')} {entry.get('version')} is live for new instances"
        return _shown(entry) if entry.get("level") in _LOUD else None


def _shown(entry: Mapping[str, object]) -> str:
    details = {key: value for key, value in entry.items() if key not in _KNOWN}
    lists = [details.pop(key) for key, value in list(details.items()) if isinstance(value, list)]
    words = " ".join(f"{key}={value}" for key, value in details.items())
    lines = [f"{entry['level']}: {entry.get('event', '')} {words}".rstrip()]
    lines += [f"  {item}" for items in lists if isinstance(items, list) for item in items]
    if isinstance(exception := entry.get("exception"), str):
        lines.append(exception)
    return "\n".join(lines)

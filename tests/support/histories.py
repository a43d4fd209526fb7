"""What histories say, read back."""

from __future__ import annotations

from nexus.core.commands import CallEnded
from nexus.core.projection import HistoryRow


def call_ended(row: HistoryRow) -> CallEnded:
    """How a call ended, by the row of `channel_succeeded` or `channel_failed`."""
    facts = dict(row.payload)
    if row.event == "channel_succeeded":
        facts["outcome"] = "done"
    names = ("call", "outcome", "response", "code", "message", "attempts")
    return CallEnded(**{name: facts[name] for name in names if name in facts})  # type: ignore[arg-type]

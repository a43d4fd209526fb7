"""Rows of a history as what was given from outside, and what calls came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nexus.core.calls import idempotency_key
from nexus.core.projection import HistoryRow

_TICK = timedelta(microseconds=1)
_REQUESTS = ("channel_requested", "incident_retried")
_ENDS = ("channel_succeeded", "channel_failed")
_GIVEN = ("instance_started", "action_taken", "event_received", "task_completed")


@dataclass(slots=True)
class LivedCall:
    """One request of a call.

    Attributes:
        seq: Number of the event that requested it.
        ended_at, end: When it ended, and the event that says so; None while it has not.
    """

    seq: int
    ended_at: datetime | None = None
    end: HistoryRow | None = None


@dataclass(slots=True)
class Lived:
    """Something that happened, with the rows that its decision wrote.

    Attributes:
        row: The first of them.
        at: When; never before what stands before it.
    """

    row: HistoryRow
    at: datetime
    rows: list[HistoryRow] = field(default_factory=list)


def lived(history: Sequence[HistoryRow]) -> tuple[list[Lived], Mapping[str, list[LivedCall]]]:
    """What a history tells.

    Returns:
        The start and all that was given from outside, and by the part of a call's key after
        the instance, each time that it was requested.
    """
    reader = _Reader()
    for row in history:
        reader.read(row)
    return reader.given, reader.calls


class _Reader:
    def __init__(self) -> None:
        self.given: list[Lived] = []
        self.calls: dict[str, list[LivedCall]] = {}
        self._current: Lived | None = None
        self._latest: datetime | None = None
        self._fired: set[object] = set()
        self._cancelled = self._ended = False

    def read(self, row: HistoryRow) -> None:
        payload: Any = row.payload
        if self._begins(row):
            self._current = Lived(row, self._moment(row))
            self.given.append(self._current)
        elif self._happens_by_itself(row) or (
            self._current is not None and row.at != self._current.row.at
        ):
            self._current = None
        if self._current is not None:
            self._current.rows.append(row)
        if row.event in _REQUESTS:
            self.calls.setdefault(_key(payload["call"]["id"]), []).append(LivedCall(row.seq))
        elif row.event in _ENDS:
            running = [one for one in self.calls.get(_key(payload["call"]), ()) if one.end is None]
            if running:
                running[0].ended_at, running[0].end = self._end(row, running[0]), row

    def _begins(self, row: HistoryRow) -> bool:
        payload: Any = row.payload
        match row.event:
            case "incident_closed":
                given_up = payload["outcome"] == "dropped" and self._ended
                return payload["outcome"] == "skipped" or given_up
            case "instance_ending" | "instance_ended":
                self._ended = self._ended or row.event == "instance_ended"
                stopped = payload["status"] == "cancelled" and not self._cancelled
                self._cancelled = self._cancelled or stopped
                return bool(stopped)
            case "action_taken" if payload["action"] == "cancel" and row.record is None:
                self._cancelled = True
        return row.event in _GIVEN or row.event == "incident_retried"

    def _happens_by_itself(self, row: HistoryRow) -> bool:
        if row.event == "timer_fired":
            # One that waited for the join has its second turn in the decision that joins.
            first = row.payload["timer"] not in self._fired
            self._fired.add(row.payload["timer"])
            return first
        return row.event in (*_ENDS, "signal_refused")

    def _moment(self, row: HistoryRow) -> datetime:
        self._latest = row.at if self._latest is None else max(row.at, self._latest)
        return self._latest

    def _end(self, row: HistoryRow, call: LivedCall) -> datetime:
        """When a call ended: a little after what was given before it in the same moment.

        Time that passes ends calls before anything is given, so the order would be lost. A call
        that was requested by that, and took no time, ends with it.
        """
        moment = self._moment(row)
        last = self.given[-1]
        if last.at == moment and call.seq < last.row.seq:
            self._latest = moment = moment + _TICK
        return moment


def _key(call: str) -> str:
    return idempotency_key("", call).partition("/")[2]

"""Projections as the workflow would send them, with little to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nexus.core.projection import HistoryRow, InstanceRow, Projection, RecordRow, TimerRow

START = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def instance(seq: int, when: datetime, **changes: Any) -> InstanceRow:
    values: dict[str, Any] = {
        "id": "run-1",
        "tenant": "acme",
        "workflow_id": "acme:sales:user:7",
        "definition": "sales",
        "version": "1.0.0",
        "domain": "crm",
        "subject_type": "user",
        "subject_id": "7",
        "status": "active",
        "stage": "new",
        "data": {"region": "EU"},
        "started_by": "ann",
        "started_at": START,
        "ended_at": None,
        "seq": seq,
        "updated_at": when,
    }
    return InstanceRow(**{**values, **changes})


def record(id: str = "lead-1", **changes: Any) -> RecordRow:  # noqa: A002 - the field's name
    values: dict[str, Any] = {
        "id": id,
        "position": int(id.rpartition("-")[2]),
        "entity": id.rpartition("-")[0],
        "table": None,
        "stage": "new",
        "status": "open",
        "data": {},
        "users": (),
        "roles": (),
        "pending": True,
        "running": False,
        "parent": None,
        "created_at": START,
        "since": START,
        "due_at": None,
    }
    return RecordRow(**{**values, **changes})


def timer(of: str = "lead-1", when: datetime = START, path: str = "remind") -> TimerRow:
    return TimerRow(
        id=f"{of}/1/{path}",
        record=of,
        kind="transition",
        name=path,
        trigger_at=when,
        summary=f"{path} of {of}",
    )


def event(seq: int, when: datetime, name: str = "action_taken", **changes: Any) -> HistoryRow:
    values: dict[str, Any] = {
        "seq": seq,
        "at": when,
        "event": name,
        "actor": "ann",
        "on_behalf_of": None,
        "record": "lead-1",
        "before": None,
        "after": None,
        "comment": None,
        "payload": {"action": "qualify"},
        "command": None,
    }
    return HistoryRow(**{**values, **changes})


@dataclass(frozen=True)
class Batch:
    """A projection of the events `first` to `last`, decided at `seconds`."""

    first: int
    last: int
    seconds: float
    records: Sequence[RecordRow] = (record(),)
    timers: Sequence[TimerRow] = ()
    comment: str | None = None
    complete: bool = False
    row: Mapping[str, Any] = field(default_factory=dict)

    def projection(self) -> Projection:
        when = at(self.seconds)
        return Projection(
            instance=instance(self.last, when, **self.row),
            records=self.records,
            timers=self.timers,
            history=[
                event(seq, when, comment=self.comment) for seq in range(self.first, self.last + 1)
            ],
            complete=self.complete,
        )

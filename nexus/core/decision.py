"""A decision in the making: the events so far, and the state that they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from nexus.core.commands import Actor
from nexus.core.events import AnyEvent, Event
from nexus.core.evolve import evolve
from nexus.core.program import Program
from nexus.core.state import Data, Record, State

E = TypeVar("E", bound=Event)


class Decision:
    """Collects events and applies each at once, so that the next rule sees what the last one did.

    Attributes:
        program: The definition.
        state: The state after the events so far.
        actor: Who causes what is emitted now; clocks and automatic
            transitions are the system's.
        now: When all of it happens, timezone-aware.
        events: What was decided, in order.
        received: The event from outside that is being handled, for conditions.
    """

    __slots__ = ("actor", "events", "now", "program", "received", "state")

    def __init__(self, program: Program, state: State, actor: Actor, now: datetime) -> None:
        self.program = program
        self.state = state
        self.actor = actor
        self.now = now
        self.events: list[AnyEvent] = []
        self.received: Mapping[str, object] = {}

    def emit(self, kind: type[E], /, **facts: object) -> None:
        """Add an event of this kind and apply it."""
        event = kind(seq=self.state.seq + 1, at=self.now, actor=self.actor.id, **facts)  # type: ignore[arg-type]
        self.events.append(event)  # type: ignore[arg-type]
        self.state = evolve(self.state, event)  # type: ignore[arg-type]

    def mark(self) -> tuple[int, State]:
        """Where the decision stands, for `back_to`."""
        return len(self.events), self.state

    def back_to(self, mark: tuple[int, State]) -> None:
        """Undo what was emitted since then."""
        count, self.state = mark
        del self.events[count:]

    def open_records(self) -> list[Record]:
        """The records that can still change, in order of creation."""
        return [record for record in self.state.records.values() if record.status == "open"]

    def data_of(self, record: Record | None) -> Data:
        """The record's data over the instance's (R1)."""
        if record is None:
            return self.state.data
        return {**self.state.data, **record.data}

    def scope(self, record: Record | None, given: Data | None = None) -> dict[str, object]:
        """The names that conditions and expressions see; `given` is the action's data, `input`."""
        state = self.state
        return {
            "data": self.data_of(record),
            "record": {} if record is None else _describe_record(record),
            "instance": {
                "status": state.status,
                "data": state.data,
                "started_by": state.started_by,
                "started_at": state.started_at,
            },
            "subject": {}
            if state.subject is None
            else {"type": state.subject.type, "id": state.subject.id},
            "actor": {"id": self.actor.id, "roles": self.actor.roles},
            "event": self.received,
            "input": given if given is not None else {},
            "steps": self._describe_steps(record),
            "metrics": {},
            "now": self.now,
        }

    def _describe_steps(self, record: Record | None) -> dict[str, object]:
        """What has become of the named steps of a record's stage visit, as far as they began."""
        if record is None or record.stage is None or not record.run:
            return {}
        run = self.program.entities[record.entity].stages[record.stage].run
        assert run is not None
        return {
            name: {
                "outcome": record.run[path],
                **record.steps.get(path, record.steps.get(f"{path}/waitFor", {})),
            }
            for name, path in run.paths.items()
            if path in record.run
        }


def _describe_record(record: Record) -> dict[str, object]:
    return {
        "id": record.id,
        "entity": record.entity,
        "stage": record.stage,
        "status": record.status,
        "data": record.data,
        "users": record.assignees.users,
        "roles": record.assignees.roles,
        "created_at": record.created_at,
        "entered_at": record.entered_at,
        "parent": record.parent,
    }

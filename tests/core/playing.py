"""Playing a definition in tests: commands in, events out, the state in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from nexus.core import (
    Compiled,
    Program,
    Rejected,
    State,
    can,
    load_definition,
    program_of,
    step,
)
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CallEnded,
    Command,
    CompleteTask,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    TimerDue,
)
from nexus.core.errors import RefusalCode
from nexus.core.events import AnyEvent, Event
from nexus.core.state import Record, Subject

E = TypeVar("E", bound=Event)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DEFINITIONS = Path(__file__).parents[2] / "definitions"

ANN = Actor("ann")
BOB = Actor("bob")
ADMIN = Actor("root", ("admin",))
ACME = Subject("account", "acme")

Document = dict[str, Any]


def compiled(document: object) -> Compiled:
    return load_definition(json.dumps(document, ensure_ascii=False))


def lead(
    transitions: Mapping[str, object] | None = None,
    stages: Sequence[object] = ("new", "qualified", "won"),
    fields: object = None,
    **rest: object,
) -> Document:
    """A definition with the one entity `lead`."""
    entity: Document = {"stages": list(stages)}
    if fields is not None:
        entity["fields"] = fields
    return {
        "id": "test",
        "entities": {"lead": entity},
        "transitions": dict(transitions or {}),
        **rest,
    }


class Play:
    """One instance, driven by hand."""

    def __init__(self, definition: object) -> None:
        # As a running instance has it, so that the rules are tested also where an author
        # would have been told.
        self.program: Program = (
            definition
            if isinstance(definition, Program)
            else program_of(json.dumps(definition, ensure_ascii=False))
        )
        self.state = State()
        self.now = NOON
        self.events: list[AnyEvent] = []

    def give(self, command: Command) -> list[AnyEvent]:
        events, self.state = step(self.program, self.state, command, self.now)
        self.events += events
        return list(events)

    def start(
        self,
        data: Mapping[str, object] | None = None,
        *,
        entity: str | None = None,
        records: Sequence[NewRecord] = (),
        actor: Actor = ANN,
    ) -> list[AnyEvent]:
        return self.give(
            Start(
                actor=actor,
                subject=ACME,
                data=data or {},
                entity=entity,
                records=tuple(records),
            )
        )

    def act(
        self,
        action: str,
        *,
        actor: Actor = ANN,
        record: str | None = None,
        data: Mapping[str, object] | None = None,
        comment: str | None = None,
    ) -> list[AnyEvent]:
        return self.give(
            Act(actor=actor, action=action, record=record, data=data or {}, comment=comment)
        )

    def add(
        self, entity: str, data: Mapping[str, object] | None = None, *, actor: Actor = ANN
    ) -> list[AnyEvent]:
        return self.give(AddRecord(actor=actor, entity=entity, data=data or {}))

    def event(
        self,
        event: str,
        data: Mapping[str, object] | None = None,
        *,
        record: str | None = None,
        actor: Actor = ANN,
    ) -> list[AnyEvent]:
        return self.give(ReceiveEvent(actor=actor, event=event, data=data or {}, record=record))

    def ends(
        self,
        path: str,
        outcome: Literal["done", "failed", "timed_out", "cancelled"] = "done",
        *,
        response: object = None,
        code: str = "unreachable",
        record: str = "lead-1",
        attempts: int = 1,
    ) -> list[AnyEvent]:
        """The call of this step, in whichever visit, comes to this."""
        found = [
            call.id
            for call in self.state.calls.values()
            if call.path == path and call.record == record
        ]
        assert len(found) == 1, (path, list(self.state.calls))
        failure = {} if outcome == "done" else {"code": code, "message": "No answer."}
        return self.give(
            CallEnded(
                call=found[0], outcome=outcome, response=response, attempts=attempts, **failure
            )
        )

    def complete(
        self,
        task: str,
        *,
        actor: Actor = ANN,
        data: Mapping[str, object] | None = None,
        comment: str | None = None,
    ) -> list[AnyEvent]:
        return self.give(CompleteTask(actor=actor, task=task, data=data or {}, comment=comment))

    def retry(self, incident: str, *, actor: Actor = ANN) -> list[AnyEvent]:
        return self.give(RetryIncident(actor=actor, incident=incident))

    def skip(self, incident: str, *, actor: Actor = ANN) -> list[AnyEvent]:
        return self.give(SkipIncident(actor=actor, incident=incident))

    def calls(self) -> list[str]:
        """The paths of the calls that are wanted and not being cancelled."""
        return [call.path for call in self.state.calls.values() if not call.cancelling]

    def due(self, timer: str) -> list[AnyEvent]:
        """The clock of this id comes due, now."""
        return self.give(TimerDue(timer=timer))

    def wait(self, days: float) -> list[AnyEvent]:
        """Time passes, and every clock that comes due on the way does so in order."""
        until = self.now + timedelta(days=days)
        events: list[AnyEvent] = []
        while timers := [t for t in self.state.timers.values() if t.due <= until]:
            timer = min(timers, key=lambda t: (t.due, t.id))
            self.now = timer.due
            events += self.due(timer.id)
        self.now = until
        return events

    def can(self, action: str, *, actor: Actor = ANN, record: str | None = None) -> dict[str, Any]:
        return can(
            self.program, self.state, Act(actor=actor, action=action, record=record), self.now
        )

    @property
    def lead(self) -> Record:
        return self.state.records["lead-1"]

    def status(self) -> str:
        return self.state.status

    def stages(self) -> dict[str, str | None]:
        return {record.id: record.stage for record in self.state.records.values()}


def refused(code: RefusalCode, do: Callable[[], object], *words: str) -> Rejected:
    """The refusal of what is tried; its message says these words."""
    with pytest.raises(Rejected) as caught:
        do()
    assert caught.value.code == code, caught.value
    for word in words:
        assert word in caught.value.message
    json.dumps(caught.value.details)
    return caught.value


def whys(refusal: Rejected) -> list[dict[str, Any]]:
    """The explanations of a refusal's conditions."""
    found = refusal.details["why"]
    assert isinstance(found, list)
    return found


def names(events: Sequence[AnyEvent]) -> list[str]:
    return [event.name for event in events]


def only(events: Sequence[AnyEvent], kind: type[E]) -> E:
    """The one event of this kind."""
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, names(events)
    return found[0]

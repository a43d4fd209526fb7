"""One instance in four shells at once: the platform, a model's column, the simulator, the core.

The platform goes first. In which order its channel calls ended, and with what, is
chance; so the others are told that, and everything else they have to come to by
themselves.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from nexus.channels import load_channels
from nexus.core import Program, Rejected, State, program_of, step
from nexus.core.calls import CallRequest
from nexus.core.commands import (
    Act,
    Actor,
    AddRecord,
    CallEnded,
    CompleteTask,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    TimerDue,
    WireCommand,
)
from nexus.core.projection import HistoryRow, Snapshot
from nexus.core.rows import Identity, history_row, snapshot
from nexus.crm import HasCrm
from nexus.local import LATER, Level1Warning
from nexus.local.configuration import configure
from nexus.local.domains import CRM
from nexus.local.in_column import InColumn
from nexus.local.spec import spec_of
from nexus.simulation import Answer, Simulation
from storage.engine import Engine
from storage.history import list_history
from storage.instances import get
from storage.scope import reading
from tests.platform.company import Company
from tests.support.histories import call_ended
from tests.support.processes import wait_until
from tests.support.receiver import Receiver

_ENDED = ("channel_succeeded", "channel_failed")
_BEGUN = ("channel_requested", "incident_retried")
_MOST_ROWS = 1_000


class Circling(Exception):
    """The definition goes through a channel in a circle, by itself, for ever."""


class Bare:
    """The smallest of all shells: a state, and the events that led to it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state = State()
        self.rows: list[HistoryRow] = []

    def take(
        self, command: WireCommand | CallEnded | TimerDue, now: datetime | None = None
    ) -> tuple[str, str]:
        """`("ok", "")`, or the code and the message of the refusal."""
        now = now or datetime.now(UTC)
        try:
            events, self.state = step(self.program, self.state, command, now)
        except Rejected as refusal:
            return refusal.code, refusal.message
        self.rows += map(history_row, events)
        return "ok", ""


class Modelled:
    """Level 1: the instance in the column of a plain object."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        class Model(HasCrm):
            crm_definition = document

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Level1Warning)
            self.backend = InColumn(Model(), spec_of(Model(), CRM))

    def take(self, command: WireCommand) -> tuple[str, str] | None:
        """As `Bare.take`; None for what means something else here: it would begin an instance."""
        state = self.backend.kept().state
        begins = isinstance(command, Start | AddRecord)
        if state.status == "new" if not isinstance(command, Start) else state.ended:
            return None
        if begins and state.ended:
            return None
        try:
            self.backend.give(command, _NothingAround())
        except Rejected as refusal:
            return refusal.code, refusal.message
        return "ok", ""


class _NothingAround:
    """No guards, no hooks, nobody listens."""

    wants_record = wants_entries = False

    def ahead(self, record: object) -> None:
        """Nothing is asked."""

    def done(self, record: object) -> None:
        """Nothing runs."""

    def happened(self, entries: object) -> None:
        """Nobody is told."""


class Trace:
    """The same commands, given to all four."""

    def __init__(
        self, company: Company, engine: Engine, receiver: Receiver, document: Mapping[str, Any]
    ) -> None:
        """Store the definition; nothing has been started.

        Args:
            company: The tenant, which has no other instance.
            engine: Of the platform's database.
            receiver: What webhooks of the definition reach; nothing else does.
            document: The definition.
        """
        stored = company.client.post("/v1/definitions", json=document)
        assert stored.status_code == 201, stored.text
        self._company, self._engine, self._receiver = company, engine, receiver
        self._name = document["id"]
        self._program = program_of(msgspec.json.encode(document).decode())
        self._clients: dict[Actor, httpx.Client] = {}
        self.bare = Bare(self._program)
        # What calls come to the platform says, in its order: so they are handed on here.
        configure(channels=lambda _: LATER)
        self.model = Modelled(document)
        self._simulation: Simulation | None = None
        self.instance: str | None = None
        self._rows: list[HistoryRow] = []

    def close(self) -> None:
        """End the instance, which may go on for ever, and close the connections to the API."""
        configure(channels=None)
        if self.instance is not None:
            self._company.client.post(f"/v1/instances/{self.instance}/cancel", json={})
        for client in self._clients.values():
            client.close()

    @property
    def simulation(self) -> Simulation:
        """The simulated one; it needs to know what the platform calls its own."""
        if self._simulation is None:
            self._simulation = Simulation(
                self._program,
                answering=self._answer,
                channels=load_channels(),
                tenant=self._company.tenant,
                instance=self.instance or "",
            )
        return self._simulation

    def take(self, command: WireCommand) -> None:
        """Give a command to all four; each has to do the same with it."""
        before = len(self._rows)
        answered = self._platform(command)
        if self.instance is not None:
            self._rows = self._quiet()
        bare = self.bare.take(command)
        if isinstance(command, Start | RetryIncident | SkipIncident) and bare[0] != "ok":
            # What instance, or what incident, is meant the API says in words of its own.
            assert answered[0] == bare[0], f"platform and core: {command}"
        else:
            assert answered == bare, f"platform and core: {command}"
        modelled = self.model.take(command)
        assert modelled in (bare, None), f"model and core: {command}"
        for row in self._rows[before:]:
            if row.event in _ENDED:
                self.bare.take(call_ended(row))
                self.model.backend.call_came_to(call_ended(row))
        simulated = self._simulate(command)
        assert simulated == bare, f"simulator and core: {command}"

    def elapse(self, seconds: float) -> None:
        """Let so much time pass in all four: the clocks that come due by then fire."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)

        def fired() -> bool:
            due = [timer.trigger_at for timer in self._stored().timers]
            return datetime.now(UTC) >= until and all(moment > until for moment in due)

        wait_until(fired, seconds=60, what="the clocks")
        self._rows = self._quiet()
        bare = self.bare
        while timers := [one for one in bare.state.timers.values() if one.due <= until]:
            first = min(timers, key=lambda timer: (timer.due, timer.id))
            bare.take(TimerDue(timer=first.id), first.due)
        self.model.backend.look()
        self.simulation.advance(self.simulation.now + timedelta(seconds=seconds))

    def compare(self) -> None:
        """Events, rows, and what the receiver got: all the same."""
        told = [timeless(row) for row in self._rows]
        assert told == [timeless(row) for row in self.bare.rows], "platform and core"
        simulated = [timeless(history_row(event)) for event in self.simulation.events]
        assert told == simulated, "platform and simulator"
        kept = self.model.backend.kept()
        assert told == [timeless(row) for row in kept.history], "platform and model"
        if self.instance is None:
            return
        stored = self._stored()
        row = stored.instance
        identity = Identity(id=row.id, tenant=row.tenant, workflow_id=row.workflow_id)
        for state in (self.simulation.state, self.bare.state, kept.state):
            assert timeless(snapshot(identity, self._program, state)) == timeless(stored)
        received = {request.key: request.json for request in self._receiver.requests}
        made = {
            call.request.key: call.content["body"]
            for call in self.simulation.calls
            if call.kind == "webhook" and call.outcome in ("done", "failed")
        }
        assert timeless(made) == timeless(received)
        assert all(count == 1 for count in self._receiver.succeeded.values())

    # --- the platform -----------------------------------------------------------------------

    def _platform(self, command: WireCommand) -> tuple[str, str]:
        client = self._client(command.actor)
        path, body = self._request(command)
        answer = client.post(path, json=body)
        if answer.is_success:
            if self.instance is None:
                self.instance = str(answer.json()["id"])
            return "ok", ""
        problem = answer.json()
        return str(problem["code"]), str(problem["detail"])

    def _request(self, command: WireCommand) -> tuple[str, dict[str, object]]:
        here = f"/v1/instances/{self.instance}"
        match command:
            case Start():
                body = msgspec.to_builtins(command)
                del body["actor"]
                given = {key: value for key, value in body.items() if value not in (None, [])}
                return "/v1/instances", {**given, "definition": self._name}
            case Act():
                more = {"record": command.record, "comment": command.comment}
                return f"{here}/actions/{command.action}", _named(more, data=command.data)
            case AddRecord():
                return f"{here}/records", {"entity": command.entity, "data": command.data}
            case ReceiveEvent():
                more = {"record": command.record}
                return f"{here}/events", _named(more, type=command.event, data=command.data)
            case CompleteTask():
                return f"{here}/tasks/{command.task}/complete", {"data": command.data}
            case RetryIncident() | SkipIncident():
                number = command.incident.removeprefix("incident-")
                how = "retry" if isinstance(command, RetryIncident) else "skip"
                return f"/v1/incidents/{self.instance}-{number}/{how}", {}
            case _:
                raise AssertionError(f"the API has no {command}")

    def _client(self, actor: Actor) -> httpx.Client:
        if actor not in self._clients:
            self._clients[actor] = self._company.platform.client(
                actor.id, *actor.roles, tenant=self._company.tenant
            )
        return self._clients[actor]

    def _quiet(self) -> list[HistoryRow]:
        """The history, once no call is under way."""
        found: list[HistoryRow] = []

        def quiet() -> bool:
            found[:] = self._history()
            if len(found) > _MOST_ROWS:
                raise Circling
            begun = sum(row.event in _BEGUN for row in found)
            return begun == sum(row.event in _ENDED for row in found)

        wait_until(quiet, seconds=60, what="the end of all calls")
        return found

    def _history(self) -> list[HistoryRow]:
        assert self.instance is not None
        with reading(self._engine, self._company.tenant) as session:
            rows: list[HistoryRow] = []
            cursor: str | None = None
            while True:
                page = list_history(session, self.instance, limit=200, cursor=cursor)
                rows += page.items
                cursor = page.next
                if cursor is None:
                    return rows

    def _stored(self) -> Snapshot:
        assert self.instance is not None
        with reading(self._engine, self._company.tenant) as session:
            stored = get(session, self.instance)
        assert stored is not None
        return stored

    # --- the simulator ----------------------------------------------------------------------

    def _simulate(self, command: WireCommand) -> tuple[str, str]:
        simulation = self.simulation
        self._base = simulation.now
        try:
            simulation.give(command)
        except Rejected as refusal:
            return refusal.code, refusal.message
        # Less than any clock is set to, and more than all the calls together take.
        simulation.advance(self._base + timedelta(milliseconds=50))
        return "ok", ""

    def _answer(self, request: CallRequest) -> Answer:
        """What the platform's call came to, and when: in the order of the history."""
        path = f"{request.record}/{self._visit(request)}/{request.step}"
        made = sum(call.request.key == request.key for call in self.simulation.calls) - 1
        ends = [row for row in self._rows if row.event in _ENDED and row.payload["call"] == path]
        row = ends[made]
        due = self._base + timedelta(microseconds=row.seq)
        ended = call_ended(row)
        if ended.outcome == "cancelled":
            return Answer(after=due - self.simulation.now, when_cancelled="ends_in_time")
        return Answer(
            outcome=ended.outcome,
            response=ended.response,
            code=ended.code,
            message=ended.message,
            attempts=ended.attempts,
            after=due - self.simulation.now,
            when_cancelled="is_done",
        )

    def _visit(self, request: CallRequest) -> str:
        return request.key.split("/")[2]


def _named(more: Mapping[str, object], **body: object) -> dict[str, object]:
    return {**body, **{key: value for key, value in more.items() if value is not None}}


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(Z|\+00:00)?")


def timeless(value: object) -> Any:
    """What something says as JSON, but for moments and the ids of requests.

    A clock that an event sets keeps its length: it is due so long after the event.
    """
    plain = msgspec.json.decode(msgspec.json.encode(value))
    return _timeless(plain, plain.get("at") if isinstance(plain, dict) else None)


def _timeless(value: Any, at: str | None) -> Any:
    if isinstance(value, dict):
        return {
            key: _length(item, at)
            if at and key == "due" and "summary" in value
            else _timeless(item, at)
            for key, item in value.items()
            if key != "command"
        }
    if isinstance(value, list):
        return [_timeless(item, at) for item in value]
    if isinstance(value, str):
        return _MOMENT.sub("(a moment)", value)
    return value


def _length(due: str, at: str) -> str:
    return str(datetime.fromisoformat(due) - datetime.fromisoformat(at))

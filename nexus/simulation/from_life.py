"""From a real instance's history to a scenario, with personal values replaced.

Theory of operation. What people and the world did is read from the history's
rows; what followed by itself is not, since it follows again. A simulation is
driven along: it shows which roles somebody needs for what they did, and when a
call was requested, so that its answer comes at the very moment at which it came.
What is expected are the stages of the history, and the end that the rows show.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nexus.core.calls import CallRequest
from nexus.core.commands import (
    ADMIN,
    SYSTEM,
    Act,
    Actor,
    AddRecord,
    CompleteTask,
    NewRecord,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
)
from nexus.core.durations import format_duration
from nexus.core.errors import NexusError, Rejected
from nexus.core.program import Program
from nexus.core.projection import HistoryRow, Snapshot
from nexus.core.state import Subject
from nexus.simulation.disguise import Disguise
from nexus.simulation.generated import people_of
from nexus.simulation.lived import Lived, lived
from nexus.simulation.simulator import Answer, Simulation, TooLong

if TYPE_CHECKING:
    from nexus.channels import Channels

NOT_YET = timedelta(days=3650)  # a call that has not ended
Json = dict[str, Any]


class NotTold(NexusError):
    """A history cannot be made a scenario of."""


def scenario_of(
    program: Program,
    document: object,
    snapshot: Snapshot,
    history: Sequence[HistoryRow],
    *,
    channels: Channels | None = None,
) -> Json:
    """A file of one scenario, as JSON, that tells an instance's life with other people.

    Args:
        program: The definition, in the instance's version.
        document: The same as JSON: what it names is not personal.
        snapshot: The instance as it stands.
        history: All of its events, oldest first.
        channels: The channels whose contents are checked, as when the scenario is played.

    Raises:
        NotTold: The history is not whole.
    """
    if not history or history[0].event != "instance_started":
        raise NotTold("The history does not begin with the start of the instance.")
    return _Telling(program, Disguise(document), snapshot, history, channels).told()


class _Telling:
    def __init__(
        self,
        program: Program,
        disguise: Disguise,
        snapshot: Snapshot,
        history: Sequence[HistoryRow],
        channels: Channels | None,
    ) -> None:
        self._program = program
        self._disguise = disguise
        self._snapshot = snapshot
        self._history = history
        (self._start, *self._lived), self._calls = lived(history)
        self._people: dict[str, tuple[str, ...]] = {}
        for row in history:
            self._meet(row)
        self._answers: list[Json] = []
        self._simulation = Simulation(
            program, at=self._start.at, answering=self._answer, channels=channels
        )

    def told(self) -> Json:
        """The whole file."""
        start = self._start_command()
        self._give(start)
        when = [self._happening(one) for one in self._lived]
        last = self._history[-1].at
        if not self._lived or self._lived[-1].at < last:
            self._advance(last)
            when.append({"at": last.isoformat(), "then": {"status": self._status}})
        given: Json = {
            "at": self._start.at.isoformat(),
            "people": {name: list(roles) for name, roles in self._people.items()},
            "by": start.actor.id,
            "subject": {"type": start.subject.type, "id": start.subject.id},
            "data": start.data,
            "records": [{"entity": one.entity, "data": one.data} for one in start.records],
            "answers": self._answers,
        }
        scenario = {
            "name": "as it happened",
            "given": {key: value for key, value in given.items() if value},
            "when": when,
            "then": self._end(),
        }
        return {
            "$schema": "urn:nexus:scenarios:1",
            "description": f"From the life of an instance of {self._program.id} "
            f"{self._program.version}, with other people and other words.",
            "scenarios": [scenario],
        }

    @property
    def _status(self) -> str:
        return self._snapshot.instance.status

    # --- who ------------------------------------------------------------------------------

    def _meet(self, row: HistoryRow) -> None:
        """Name whoever acts, or is assigned, before their names come as texts."""
        name = self._disguise.person(row.actor)
        if row.payload.get("override"):
            self._people[name] = (ADMIN,)
        elif row.actor != SYSTEM:
            self._people.setdefault(name, ())
        for assignees in (row.after, row.payload.get("assignees")):
            if row.event in ("assigned", "stage_entered") and isinstance(assignees, Mapping):
                for user in assignees.get("users", ()):
                    self._disguise.person(user)

    def _roles(self) -> Iterator[tuple[str, ...]]:
        """Further roles that somebody may need, the fewest first."""
        state = self._simulation.state
        found = dict.fromkeys(role for roles in people_of(self._program).values() for role in roles)
        assigned = [record.assignees for record in state.records.values()]
        assigned += [task.assignees for task in state.tasks.values()]
        found |= dict.fromkeys(role for one in assigned for role in one.roles)
        found.pop(ADMIN, None)
        yield from ((role,) for role in found)
        yield from itertools.combinations(found, 2)
        yield (ADMIN,)

    def _give(self, command: WireCommand) -> None:
        """Do it, with the roles that it takes; what is refused is left to whoever plays it."""
        who = command.actor.id
        has = self._people.get(who, ())
        for more in itertools.chain([()], self._roles()):
            roles = tuple(dict.fromkeys((*has, *more)))
            try:
                self._simulation.give(replace(command, actor=Actor(who, roles)))
            except Rejected as rejected:
                if rejected.code not in ("forbidden", "condition_not_met"):
                    return
            except TooLong:
                return
            else:
                if roles:
                    self._people[who] = roles
                return

    # --- what happened ------------------------------------------------------------------------

    def _start_command(self) -> Start:
        row, disguise = self._start.row, self._disguise
        subject: Any = row.payload["subject"]
        data = row.after if isinstance(row.after, Mapping) else {}
        records = tuple(
            NewRecord(str(one.payload["entity"]), disguise.data(_data(one, "data")))
            for one in self._start.rows
            if one.event == "record_created" and one.payload.get("parent") is None
        )
        plain = len(records) == 1 and records[0] == NewRecord(self._program.default_entity or "")
        return Start(
            actor=Actor(disguise.person(row.actor)),
            subject=Subject(subject["type"], disguise.text(subject["id"])),
            data=disguise.data(data),
            records=() if plain else records,
        )

    def _happening(self, lived: Lived) -> Json:
        self._advance(lived.at)
        row = lived.row
        actor = Actor(self._disguise.person(row.actor))
        comment = self._disguise.text(row.comment) if row.comment else None
        command, said = self._command(lived, actor, comment)
        self._give(command)
        told: Json = {"at": lived.at.isoformat(), "by": actor.id, **said}
        if comment is not None:
            told["comment"] = comment
        stages = {
            one.record: one.after
            for one in lived.rows
            if one.event == "stage_entered" and one.record is not None
        }
        if stages:
            told["then"] = {"stages": stages}
        return {key: value for key, value in told.items() if value != {} and value is not None}

    def _command(self, lived: Lived, actor: Actor, comment: str | None) -> tuple[WireCommand, Json]:
        row, disguise = lived.row, self._disguise
        payload: Any = row.payload
        match row.event:
            case "action_taken" if payload["action"] == "add" and row.record is None:
                made = next(one for one in lived.rows if one.event == "record_created")
                entity, data = str(made.payload["entity"]), disguise.data(_data(row, "input"))
                return AddRecord(actor=actor, entity=entity, data=data), {
                    "add": entity,
                    "data": data,
                }
            case "action_taken":
                action, data = payload["action"], disguise.data(_data(row, "input"))
                act = Act(actor=actor, action=action, record=row.record, data=data, comment=comment)
                return act, {"do": action, "record": row.record, "data": data}
            case "event_received":
                data = disguise.data(_data(row, "data"))
                came = ReceiveEvent(
                    actor=actor, event=payload["event"], data=data, record=row.record
                )
                return came, {"event": payload["event"], "record": row.record, "data": data}
            case "task_completed":
                data, record = disguise.data(_data(row, "data")), str(row.record)
                state = self._simulation.state
                stage = state.records[record].stage if record in state.records else None
                name = self._step(record, stage, payload["step"])
                found = next(
                    (
                        t.id
                        for t in state.tasks.values()
                        if (t.record, t.path) == (record, payload["step"])
                    ),
                    str(payload["task"]),
                )
                done = CompleteTask(actor=actor, task=found, data=data, comment=comment)
                return done, {"complete": name, "record": record, "data": data}
            case "incident_retried":
                id_, name = self._incident(payload["incident"], payload["call"])
                retried = RetryIncident(actor=actor, incident=id_, comment=comment)
                return retried, {"retry": name, "record": row.record}
            case "incident_closed":
                incident = payload["incident"]
                id_, name = self._incident(incident["id"], incident["call"], incident["cause"])
                skipped = SkipIncident(actor=actor, incident=id_, comment=comment)
                return skipped, {"skip": name, "record": row.record}
            case _:  # stopped by an operator
                return Act(actor=Actor(SYSTEM), action="cancel"), {"do": "cancel"}

    def _step(self, record: str, stage: str | None, path: str) -> str:
        entity = self._program.entities.get(record.rpartition("-")[0])
        known = entity.stages.get(stage or "") if entity else None
        return known.run.name_of(path) if known and known.run else path

    def _incident(
        self, lived: str, call: Mapping[str, Any] | None, cause: str = ""
    ) -> tuple[str, str]:
        """The id that an incident has in the simulation, and the clearest name that is its own."""
        incidents = self._simulation.state.incidents
        wanted = call["id"] if call else None
        found = next(
            (
                one
                for one in incidents.values()
                if (one.call.id if one.call else None) == wanted and cause in ("", one.cause)
            ),
            None,
        )
        if found is None:
            return lived, lived
        if call is None:
            return found.id, found.id
        name = self._step(call["record"], call["stage"], call["path"])
        alike = [
            one
            for one in incidents.values()
            if one.record == found.record
            and one.call is not None
            and self._step(one.call.record, one.call.stage, one.call.path) == name
        ]
        return found.id, name if len(alike) == 1 else found.id

    def _advance(self, until: datetime) -> None:
        try:
            self._simulation.advance(until)
        except TooLong:
            self._simulation.now = max(until, self._simulation.now)

    # --- what calls came to -------------------------------------------------------------------

    def _answer(self, request: CallRequest) -> Answer:
        made = self._simulation.calls
        # The call in question stands there already; one whose content was refused counts as well.
        number = sum(
            (one.request.key, one.request.operation) == (request.key, request.operation)
            for one in made
        )
        lived = self._calls.get(request.key.partition("/")[2], ())
        if number > len(lived):
            return Answer()
        call = lived[number - 1]
        told: Json = {
            "channel": request.channel,
            "step": self._step(request.record, request.stage, request.step),
            "record": request.record,
            "times": 1,
        }
        answer = Answer(after=NOT_YET)
        if call.end is not None and call.ended_at is not None:
            after = max(call.ended_at - self._simulation.now, timedelta())
            answer = self._ended(call.end, after, told)
        told["after"] = format_duration(answer.after) if answer.after else "0s"
        self._answers.append(told)
        return answer

    def _ended(self, end: HistoryRow, after: timedelta, told: Json) -> Answer:
        payload: Any = end.payload
        attempts = max(int(payload.get("attempts", 1)), 1)
        if end.event == "channel_succeeded":
            response = self._disguise.value(payload["response"])
            told |= {"response": response, "attempts": attempts}
            return Answer(response=response, attempts=attempts, after=after)
        if payload["outcome"] == "cancelled":
            # It is cancelled again, and before it would have ended.
            return Answer(after=after)
        timed_out = payload["outcome"] == "timed_out"
        code = "timed_out" if timed_out else payload["code"] or "failed"
        told |= {"fails": {"code": code}, "attempts": attempts}
        return Answer(
            outcome="timed_out" if timed_out else "failed",
            code=code,
            message="as the scenario has it",
            attempts=attempts,
            after=after,
        )

    # --- how it stands then -------------------------------------------------------------------

    def _end(self) -> Json:
        snapshot = self._snapshot
        stage_of = {record.id: record.stage for record in snapshot.records}
        stages = {id_: stage for id_, stage in stage_of.items() if stage is not None}
        then: Json = {"status": self._status}
        if stages:
            then["stages"] = stages
        then["tasks"] = [
            {
                "step": self._step(one.record, stage_of.get(one.record), one.step),
                "record": one.record,
            }
            for one in snapshot.tasks
        ]
        incidents: list[Json] = []
        for incident in snapshot.incidents:
            told: Json = {"code": incident.code}
            if incident.record is not None:
                told["record"] = incident.record
                if incident.step is not None:
                    told["step"] = self._step(incident.record, incident.stage, incident.step)
            incidents.append(told)
        then["incidents"] = incidents
        return then


def as_text(told: Json) -> str:
    """A scenario file's text."""
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def _data(row: HistoryRow, key: str) -> Mapping[str, object]:
    data = row.payload.get(key)
    return data if isinstance(data, Mapping) else {}

"""What a scenario expects at a moment, compared with what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nexus.core.durations import format_duration, parse_duration
from nexus.core.expressions import to_json
from nexus.core.program import Program
from nexus.core.rows import first_stage
from nexus.core.state import Assignees, Record
from nexus.simulation.simulator import MadeCall, Simulation


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be.

    Attributes:
        what: What is compared, such as `stage`.
        expected: What should be; JSON.
        actual: What is; JSON.
    """

    what: str
    expected: object
    actual: object


def differences(
    program: Program,
    simulation: Simulation,
    expected: Mapping[str, object],
    calls: Sequence[MadeCall],
    start: datetime,
) -> list[Difference]:
    """Where a run is not as expected.

    Args:
        program: The compiled definition.
        simulation: The run, as it stands.
        expected: A `then` of a scenario.
        calls: The calls that it may speak of.
        start: When the run began.
    """
    seen = _Seen(program, simulation, calls, start)
    found = []
    for key, wanted in expected.items():
        if key != "refused":
            found += _LOOKS[key](seen, wanted)
    return found


class _Seen:
    """What there is to compare with."""

    def __init__(
        self,
        program: Program,
        simulation: Simulation,
        calls: Sequence[MadeCall],
        start: datetime,
    ) -> None:
        self.program = program
        self.simulation = simulation
        self.state = simulation.state
        self.made = calls
        self.start = start

    @property
    def first(self) -> Record | None:
        return next((r for r in self.state.records.values() if r.stage is not None), None)

    def data_of(self, record: Record | None) -> object:
        return to_json({**self.state.data, **(record.data if record else {})})

    def step_name(self, record: str, stage: str, path: str) -> str:
        run = self.program.entities[self.state.records[record].entity].stages[stage].run
        assert run is not None
        return run.name_of(path)

    # --- what a `then` can name -------------------------------------------------------------

    def status(self, wanted: Any) -> list[Difference]:
        return _unlike("status", wanted, self.state.status)

    def stage(self, wanted: Any) -> list[Difference]:
        return _unlike("stage", wanted, first_stage(self.state))

    def stages(self, wanted: Any) -> list[Difference]:
        records = self.state.records
        actual = {id_: records[id_].stage if id_ in records else None for id_ in wanted}
        return [
            difference
            for id_, stage in wanted.items()
            for difference in _unlike(f"stage of {id_}", stage, actual[id_])
        ]

    def assignees(self, wanted: Any) -> list[Difference]:
        record = self.first
        return _assignees("assignees", wanted, record.assignees if record else Assignees())

    def data(self, wanted: Any) -> list[Difference]:
        return _part("data", wanted, self.data_of(self.first))

    def records(self, wanted: Any) -> list[Difference]:
        found = []
        for id_, parts in wanted.items():
            record = self.state.records.get(id_)
            if record is None:
                found.append(Difference(f"record {id_}", parts, None))
                continue
            if "stage" in parts:
                found += _unlike(f"stage of {id_}", parts["stage"], record.stage)
            if "status" in parts:
                found += _unlike(f"status of {id_}", parts["status"], record.status)
            if "data" in parts:
                found += _part(f"data of {id_}", parts["data"], to_json(record.data))
            if "assignees" in parts:
                found += _assignees(f"assignees of {id_}", parts["assignees"], record.assignees)
        return found

    def calls(self, wanted: Any) -> list[Difference]:
        actual = [
            {
                "channel": made.request.channel,
                "step": self.step_name(made.request.record, made.request.stage, made.request.step),
                "record": made.request.record,
                "with": to_json(made.content),
                "outcome": made.outcome,
            }
            for made in self.made
        ]
        paths = [made.request.step for made in self.made]
        return _same_ones("calls", wanted, actual, paths)

    def tasks(self, wanted: Any) -> list[Difference]:
        actual, paths = [], []
        for task in self.state.tasks.values():
            record = self.state.records[task.record]
            assert record.stage is not None
            who = task.assignees or record.assignees
            actual.append(
                {
                    "title": task.title,
                    "step": self.step_name(task.record, record.stage, task.path),
                    "record": task.record,
                    "users": sorted(who.users),
                    "roles": sorted(who.roles),
                }
            )
            paths.append(task.path)
        sorted_ones = [
            {key: sorted(value) if isinstance(value, list) else value for key, value in one.items()}
            for one in wanted
        ]
        return _same_ones("tasks", sorted_ones, actual, paths)

    def clocks(self, wanted: Any) -> list[Difference]:
        timers = sorted(self.state.timers.values(), key=lambda timer: (timer.due, timer.id))
        actual = [
            {
                "name": timer.name,
                "record": timer.record,
                "due": format_duration(timer.due - self.start),
            }
            for timer in timers
        ]
        told = []
        for one in wanted:
            due = one.get("due")
            told.append({**one, **({} if due is None else {"due": self._due(due)})})
        return _same_ones("clocks", told, actual, [timer.name for timer in timers])

    def _due(self, due: str) -> str:
        try:
            moment = datetime.fromisoformat(due)
        except ValueError:
            return format_duration(parse_duration(due))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return format_duration(moment - self.start)

    def incidents(self, wanted: Any) -> list[Difference]:
        actual: list[dict[str, object]] = []
        paths: list[str] = []
        for incident in self.state.incidents.values():
            call = incident.call
            told: dict[str, object] = {"code": incident.code}
            if incident.record is not None:
                told["record"] = incident.record
            if call is not None:
                told["step"] = self.step_name(call.record, call.stage, call.path)
                told["channel"] = call.channel
            actual.append(told)
            paths.append(call.path if call else "")
        objects = [{"code": one} if isinstance(one, str) else one for one in wanted]
        return _same_ones("incidents", objects, actual, paths)


_LOOKS: Mapping[str, Callable[[_Seen, Any], list[Difference]]] = {
    "status": _Seen.status,
    "stage": _Seen.stage,
    "stages": _Seen.stages,
    "assignees": _Seen.assignees,
    "data": _Seen.data,
    "records": _Seen.records,
    "calls": _Seen.calls,
    "tasks": _Seen.tasks,
    "clocks": _Seen.clocks,
    "incidents": _Seen.incidents,
}


def _unlike(what: str, wanted: object, actual: object) -> list[Difference]:
    return [] if wanted == actual else [Difference(what, wanted, actual)]


def _assignees(what: str, wanted: Mapping[str, Any], actual: Assignees) -> list[Difference]:
    is_ = {"users": sorted(actual.users), "roles": sorted(actual.roles)}
    should = {key: sorted(names) for key, names in wanted.items()}
    same = all(is_[key] == names for key, names in should.items())
    return [] if same else [Difference(what, should, {key: is_[key] for key in should})]


def _part(what: str, wanted: Mapping[str, object], actual: object) -> list[Difference]:
    """Where data has not what was named; what is beyond that is not looked at."""
    assert isinstance(actual, Mapping)
    return [
        Difference(f"{what}: {key}", value, actual.get(key, MISSING))
        for key, value in wanted.items()
        if not fits(value, actual.get(key, MISSING))
    ]


MISSING = "(missing)"


def fits(wanted: object, actual: object) -> bool:
    """Whether a value is what was expected; `{"contains": text}` fits a text with that in it."""
    if isinstance(wanted, Mapping):
        if set(wanted) == {"contains"} and isinstance(actual, str):
            return str(wanted["contains"]) in actual
        return (
            isinstance(actual, Mapping)
            and set(wanted) <= set(actual)
            and all(fits(value, actual[key]) for key, value in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(actual, list | tuple)
            and len(wanted) == len(actual)
            and all(fits(one, other) for one, other in zip(wanted, actual, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    return wanted == actual


def _same_ones(
    what: str,
    wanted: Sequence[Mapping[str, object]],
    actual: Sequence[Mapping[str, object]],
    paths: Sequence[str],
) -> list[Difference]:
    """Where a list of things is another than expected, in whatever order.

    Each that was expected takes the first that fits it and is not taken; `step` may name a path.
    """
    left = list(range(len(actual)))
    lacking = []
    for one in wanted:
        found = next((at for at in left if _is_meant(one, actual[at], paths[at])), None)
        if found is None:
            lacking.append(one)
        else:
            left.remove(found)
    if not lacking and not left:
        return []
    keys = {key for one in wanted for key in one} or {"channel", "title", "name", "code", "due"}
    shown = [{key: value for key, value in one.items() if key in keys} for one in actual]
    return [Difference(what, list(wanted), shown)]


def _is_meant(wanted: Mapping[str, object], actual: Mapping[str, object], path: str) -> bool:
    return all(
        (key == "step" and value == path) or fits(value, actual.get(key))
        for key, value in wanted.items()
    )

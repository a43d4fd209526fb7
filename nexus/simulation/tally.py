"""What many runs came to, added up: the funnel, times in stages, load, and how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nexus.core.events import (
    ActionTaken,
    ChannelFailed,
    ChannelRequested,
    IncidentRaised,
    RecordCreated,
    StageEntered,
    TaskCompleted,
)
from nexus.core.program import Program
from nexus.simulation.living import Living
from nexus.simulation.simulator import Simulation

StageOf = tuple[str, str]  # entity, stage


@dataclass(slots=True)
class Tally:
    """Sums over runs; two of them add up to that of both.

    Attributes:
        runs: How many.
        reached: Runs in which a record reached a stage.
        visits: Seconds of each visit of a stage that was left.
        staying: Records that stand in a stage in the end.
        taken: How often each transition was taken.
        acted: Actions and tasks by each person.
        assigned: Visits of stages assigned to each assignee: `user …` or `role …`.
        held: Seconds of these, for those that were left.
        ended: Runs by how they ended; those that have not are `active`, those that did not begin
            `not started`.
        lasted: Seconds from start to end of each run that has ended.
        refused: What was tried and refused, by `action: code`.
        calls: Channel calls.
        failed: Of these, those that did not succeed, by `channel: code`.
        incidents: By code.
        too_long: Runs that went in circles.
    """

    runs: int = 0
    reached: Counter[StageOf] = field(default_factory=Counter)
    visits: dict[StageOf, list[float]] = field(default_factory=dict)
    staying: Counter[StageOf] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    acted: Counter[str] = field(default_factory=Counter)
    assigned: Counter[str] = field(default_factory=Counter)
    held: dict[str, list[float]] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    lasted: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    incidents: Counter[str] = field(default_factory=Counter)
    too_long: int = 0

    def add(self, simulation: Simulation, living: Living, *, too_long: bool = False) -> None:
        """Count one run in."""
        self.runs += 1
        self.too_long += too_long
        self.refused.update(living.refused)
        state = simulation.state
        self.ended[state.status if state.status != "new" else "not started"] += 1
        if state.started_at is not None and state.ended_at is not None:
            self.lasted.append((state.ended_at - state.started_at).total_seconds())
        entities: dict[str, str] = {}
        entered: dict[str, StageEntered] = {}
        reached: set[StageOf] = set()
        for event in simulation.events:
            match event:
                case RecordCreated():
                    entities[event.record or ""] = event.entity
                case StageEntered():
                    record = event.record or ""
                    if record in entered:
                        self._left(entities[record], entered[record], event)
                    entered[record] = event
                    reached.add((entities[record], event.stage))
                    if event.transition is not None:
                        self.taken[event.transition] += 1
                    for name in _names(event):
                        self.assigned[name] += 1
                case ActionTaken() | TaskCompleted():
                    self.acted[event.actor] += 1
                case ChannelRequested():
                    self.calls[event.call.channel] += 1
                case ChannelFailed():
                    self.failed[f"{event.channel}: {event.code}"] += 1
                case IncidentRaised():
                    self.incidents[event.code] += 1
                case _:
                    pass
        self.reached.update(reached)
        for record, event in entered.items():
            self.staying[entities[record], event.stage] += 1

    def _left(self, entity: str, entered: StageEntered, left: StageEntered) -> None:
        seconds = (left.at - entered.at).total_seconds()
        self.visits.setdefault((entity, entered.stage), []).append(seconds)
        for name in _names(entered):
            self.held.setdefault(name, []).append(seconds)

    def merge(self, other: Tally) -> None:
        """Count the runs of another in."""
        self.runs += other.runs
        self.too_long += other.too_long
        for mine, theirs in (
            (self.reached, other.reached),
            (self.staying, other.staying),
            (self.taken, other.taken),
            (self.acted, other.acted),
            (self.assigned, other.assigned),
            (self.ended, other.ended),
            (self.refused, other.refused),
            (self.calls, other.calls),
            (self.failed, other.failed),
            (self.incidents, other.incidents),
        ):
            mine.update(theirs)  # type: ignore[arg-type]
        for stage, seconds in other.visits.items():
            self.visits.setdefault(stage, []).extend(seconds)
        for name, seconds in other.held.items():
            self.held.setdefault(name, []).extend(seconds)
        self.lasted += other.lasted


def _names(event: StageEntered) -> list[str]:
    """The assignees of a visit; nobody owes anything in a final stage."""
    if event.final:
        return []
    users = [f"user {user}" for user in event.assignees.users]
    return users + [f"role {role}" for role in event.assignees.roles]


def at_share(seconds: Sequence[float], share: float) -> float | None:
    """The value below which that share lies, interpolated as `statistics.quantiles` does it.

    None without any values.
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """One stage of the funnel.

    Attributes:
        reached: Runs in which a record reached it.
        share: That, of all runs.
        staying: Records that stand in it in the end.
        median, p90: Seconds of a visit, of those that were left; None without any.
    """

    entity: str
    stage: str
    final: bool
    reached: int
    share: float
    staying: int
    median: float | None
    p90: float | None


def funnel(program: Program, tally: Tally) -> list[StageLine]:
    """A line for each stage, in the order of the definition."""
    lines = []
    for entity in program.entities.values():
        for stage in entity.stages.values():
            key = (entity.name, stage.id)
            seconds = tally.visits.get(key, [])
            lines.append(
                StageLine(
                    entity=entity.name,
                    stage=stage.id,
                    final=stage.final,
                    reached=tally.reached[key],
                    share=tally.reached[key] / tally.runs if tally.runs else 0.0,
                    staying=tally.staying[key],
                    median=at_share(seconds, 0.5),
                    p90=at_share(seconds, 0.9),
                )
            )
    return lines


def as_document(program: Program, tally: Tally) -> Mapping[str, object]:
    """What the runs came to, as JSON; durations in seconds."""
    return {
        "definition": {"id": program.id, "version": program.version},
        "runs": tally.runs,
        "ended": dict(sorted(tally.ended.items())),
        "lasted": {"median": at_share(tally.lasted, 0.5), "p90": at_share(tally.lasted, 0.9)},
        "funnel": [
            {
                "entity": line.entity,
                "stage": line.stage,
                "final": line.final,
                "reached": line.reached,
                "share": round(line.share, 4),
                "staying": line.staying,
                "median": line.median,
                "p90": line.p90,
            }
            for line in funnel(program, tally)
        ],
        "transitions": {name: tally.taken[name] for name in program.transitions},
        "load": {
            "acted": dict(sorted(tally.acted.items())),
            "assigned": {
                name: {
                    "visits": tally.assigned[name],
                    "median": at_share(tally.held.get(name, []), 0.5),
                    "p90": at_share(tally.held.get(name, []), 0.9),
                }
                for name in sorted(tally.assigned)
            },
        },
        "calls": dict(sorted(tally.calls.items())),
        "failed": dict(sorted(tally.failed.items())),
        "incidents": dict(sorted(tally.incidents.items())),
        "refused": dict(sorted(tally.refused.items())),
        "too_long": tally.too_long,
    }

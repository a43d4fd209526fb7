"""The path that one instance took through its definition, told by its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nexus.core.projection import HistoryRow

StageOf = tuple[str, str]  # entity, stage


@dataclass(frozen=True, slots=True)
class Walk:
    """Where records of an instance have been, and where they are.

    Attributes:
        visits: How often each stage was entered.
        taken: How often each transition was taken from each stage.
        converted: Entity, stage left and stage entered of each `convert` without a transition.
        standing: The open records that stand in each stage.
        ended: The records that ended in each stage.
    """

    visits: Mapping[StageOf, int] = field(default_factory=dict)
    taken: Mapping[tuple[str, str], int] = field(default_factory=dict)
    converted: frozenset[tuple[str, str, str]] = frozenset()
    standing: Mapping[StageOf, tuple[str, ...]] = field(default_factory=dict)
    ended: Mapping[StageOf, tuple[str, ...]] = field(default_factory=dict)


def walk_of(history: Iterable[HistoryRow]) -> Walk:
    """The path that a history tells.

    Args:
        history: All events of one instance, in order.
    """
    entities: dict[str, str] = {}
    place: dict[str, str] = {}
    ended: set[str] = set()
    visits: dict[StageOf, int] = {}
    taken: dict[tuple[str, str], int] = {}
    converted: set[tuple[str, str, str]] = set()
    over = False
    for row in history:
        record, payload = row.record, row.payload
        if row.event == "instance_ended":
            over = True
        if record is None:
            continue
        if row.event == "record_created":
            entities[record] = str(payload["entity"])
        elif row.event == "record_closed":
            ended.add(record)
        elif row.event == "stage_entered":
            entity, stage = entities[record], str(payload["stage"])
            place[record] = stage
            visits[entity, stage] = visits.get((entity, stage), 0) + 1
            if payload.get("final"):
                ended.add(record)
            transition = payload.get("transition")
            if transition is not None:
                way = (str(transition), str(row.before))
                taken[way] = taken.get(way, 0) + 1
            elif row.before is not None:
                converted.add((entity, str(row.before), stage))
    standing: dict[StageOf, tuple[str, ...]] = {}
    finished: dict[StageOf, tuple[str, ...]] = {}
    for record, stage in place.items():
        group = finished if over or record in ended else standing
        where = (entities[record], stage)
        group[where] = (*group.get(where, ()), record)
    return Walk(visits, taken, frozenset(converted), standing, finished)

"""Ways through the stages of an entity: in, out, to the end, and never taken (R3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nexus.core.compiler.reader import below
from nexus.core.errors import Report
from nexus.core.program import Entity, Exits, Transition
from nexus.core.reasons import several

Verdicts = Mapping[str, bool | None]
"""Transition → what its condition always gives; None where that depends."""


def check_stages(report: Report, entity: Entity) -> None:
    """Report stages that nothing leads to, out of, or to the end from."""
    _Stages(report, entity).check()


def every_exit(exits: Exits) -> tuple[Transition, ...]:
    """All transitions out of a stage, whatever takes them."""
    return exits.action + exits.auto + exits.event + exits.after


class _Stages:
    def __init__(self, report: Report, entity: Entity) -> None:
        self._report = report
        self._entity = entity
        self._ways = {
            # Nothing leaves a final stage, whatever the definition says.
            stage.id: ()
            if stage.final
            else tuple(dict.fromkeys(t.target for t in every_exit(entity.exits[stage.id])))
            for stage in entity.stages.values()
        }

    def check(self) -> None:
        first = self._entity.first_stage
        assert first is not None
        reached = self._closure([first], self._onward)
        for index, stage in enumerate(self._entity.stages.values()):
            place = below(below(below("/entities", self._entity.name), "stages"), index)
            if stage.id not in reached:
                self._not_reached(stage.id, first, reached, place)
            if not stage.final and not self._ways[stage.id]:
                self._no_way_out(stage.id, place)
        self._no_end(reached)

    def _onward(self, stage: str) -> Iterable[str]:
        """Where a record gets from a stage; by `convert` alone where nothing else is declared."""
        if self._ways[stage] or self._entity.stages[stage].final:
            return self._ways[stage]
        following = self._entity.stage_after(stage)
        return () if following is None else (following,)

    @staticmethod
    def _closure(start: Iterable[str], onward: object) -> set[str]:
        assert callable(onward)
        seen: set[str] = set()
        todo = list(start)
        while todo:
            stage = todo.pop()
            if stage not in seen:
                seen.add(stage)
                todo += onward(stage)
        return seen

    def _not_reached(self, stage: str, first: str, reached: set[str], place: str) -> None:
        order = list(self._entity.stages)
        before = order[order.index(stage) - 1]
        sources = [source for source, ways in self._ways.items() if stage in ways]
        if before in reached and not self._entity.stages[before].final:
            self._report(
                "reached_by_convert_alone",
                place,
                f"No transition leads to the stage {stage!r} of {self._entity.name!r}; only the "
                f"built-in 'convert' does, from {before!r}.",
                expected=f"a transition to {stage!r}",
                found=stage,
            )
            return
        said = f"Nothing leads to the stage {stage!r} of {self._entity.name!r}"
        if sources:
            said += f" but {several(map(repr, sources), ' and ')}, which nothing leads to either"
        self._report(
            "unreachable_stage",
            place,
            f"{said}: its records begin in {first!r} and never get there.",
            expected=f"a transition to {stage!r}",
            found=stage,
        )

    def _no_way_out(self, stage: str, place: str) -> None:
        following = self._entity.stage_after(stage)
        by_hand = f"'convert' (to {following!r}) and 'close' do" if following else "'close' does"
        self._report(
            "no_way_out",
            place,
            f"No transition leaves the stage {stage!r} of {self._entity.name!r}; "
            f"only the built-in {by_hand}.",
            expected=f'a transition from {stage!r}, or "final": true',
            found=stage,
        )

    def _no_end(self, reached: set[str]) -> None:
        """Stages that have ways out, and none of them to an end that others do reach."""
        stages = self._entity.stages
        ends = [stage.id for stage in stages.values() if stage.final and stage.id in reached]
        backward: dict[str, list[str]] = {stage: [] for stage in stages}
        for source in stages:
            for target in self._onward(source):
                backward[target].append(source)
        ending = self._closure(ends, backward.__getitem__)
        lost = [
            stage
            for stage in stages
            if stage in reached and stage not in ending and self._ways[stage]
        ]
        if not ends or not lost:
            return
        place = below(below("/entities", self._entity.name), "stages")
        others = f", nor from {several(map(repr, lost[1:]), ' and ')}" if lost[1:] else ""
        self._report(
            "no_end_in_sight",
            below(place, list(stages).index(lost[0])),
            f"From {lost[0]!r} no transitions lead to a final stage of {self._entity.name!r}"
            f"{others}; only the built-in 'close' ends such a record.",
            expected=f"a way to {several(map(repr, ends), ' or ')}",
            found=lost[0],
        )


def check_turns(report: Report, entity: Entity, verdicts: Verdicts) -> None:
    """Report transitions that another one comes before, in every stage that they leave."""
    before: dict[str, Transition] = {}
    free: set[str] = set()
    for stage in entity.stages.values():
        if stage.final:
            continue
        hidden = dict(_hidden(entity.exits[stage.id], verdicts, runs=stage.run is not None))
        before.update({name: first for name, first in hidden.items() if name not in before})
        free |= {t.name for t in every_exit(entity.exits[stage.id]) if t.name not in hidden}
    for name, first in before.items():
        if name not in free:
            report(
                "never_its_turn",
                below("/transitions", name),
                f"{name!r} is never taken: wherever it could be, {first.name!r} is taken before, "
                f"{_why(first)}.",
                expected=f"a condition for {first.name!r}, or {name!r} before it",
                found=name,
            )


def _hidden(exits: Exits, verdicts: Verdicts, *, runs: bool) -> Iterator[tuple[str, Transition]]:
    """(transition out of a stage, the one that is always taken before it).

    While the stage runs something, only what interrupts is taken; what came meanwhile has its
    turn before any automatic transition (R7).
    """

    def always(transition: Transition) -> bool:
        return verdicts[transition.name] is True

    at_once = next(filter(always, exits.auto), None)
    if at_once is not None:
        position = exits.auto.index(at_once)
        later = exits.auto[position + 1 :]
        waits = runs and not at_once.interrupts
        others = exits.action if waits else (*exits.action, *exits.event, *exits.after)
        for transition in (*later, *others):
            if not waits or not transition.interrupts:
                yield transition.name, at_once
        if not waits:
            return
    first_of_event: dict[str, Transition] = {}
    for transition in exits.event:
        event = transition.trigger.event
        if event in first_of_event:
            if not (runs and transition.interrupts and not first_of_event[event].interrupts):
                yield transition.name, first_of_event[event]
        elif always(transition):
            first_of_event[event] = transition
    due = sorted(exits.after, key=lambda transition: transition.trigger.after)
    soonest = next(filter(always, due), None)
    if soonest is not None:
        for transition in due[due.index(soonest) + 1 :]:
            if not (runs and transition.interrupts and not soonest.interrupts):
                yield transition.name, soonest


def _why(first: Transition) -> str:
    return {
        "auto": "by itself and always",
        "event": "by the same event",
        "after": "by a clock that comes due no later",
    }.get(first.trigger.kind, "always")

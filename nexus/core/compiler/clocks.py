"""The form of clocks and of what they set off: SLA, ROI, escalation, automation."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from nexus.core.compiler.forms import duration, needed, ratio, takers, wrong
from nexus.core.compiler.reader import (
    as_name,
    as_names,
    as_object,
    below,
    known_keys,
    unknown_name,
)
from nexus.core.compiler.steps import compile_run
from nexus.core.errors import Report
from nexus.core.language import ESCALATIONS


class Names(Struct, frozen=True):
    """What the keys may refer to.

    Attributes:
        actions: What an escalation may take.
        stages: Stages of the entity meant, or of all; what an SLA may pause in.
    """

    actions: Collection[str]
    stages: Collection[str]


def check_clocks(report: Report, body: Mapping[str, object], pointer: str, names: Names) -> None:
    """`sla`, `roi`, `automation`, `escalation`, `scoring` of a definition, an entity or a stage."""
    if "sla" in body:
        _sla(report, body["sla"], below(pointer, "sla"), names)
    if "roi" in body:
        _roi(report, body["roi"], below(pointer, "roi"), names)
    if "automation" in body:
        _automation(report, body["automation"], below(pointer, "automation"), names)
    if "escalation" in body:
        _ladder(report, body["escalation"], below(pointer, "escalation"), "'escalation'", names)
    if "scoring" in body and not isinstance(body["scoring"], dict | list):
        wrong(
            report, below(pointer, "scoring"), "'scoring'", "an object or a list", body["scoring"]
        )


def _sla(report: Report, value: object, pointer: str, names: Names) -> None:
    body = as_object(report, value, pointer, "'sla'")
    if body is None:
        return
    known_keys(report, "sla", body, pointer)
    if needed(report, "sla", body, "duration", pointer, "how long it may take"):
        duration(report, body["duration"], below(pointer, "duration"))
    if "warn" in body:
        place = below(pointer, "warn")
        if not isinstance(body["warn"], list):
            wrong(report, place, "'warn'", "a list of shares", body["warn"])
        else:
            for index, share in enumerate(body["warn"]):
                ratio(report, share, below(place, index))
    if "pause" in body:
        place = below(pointer, "pause")
        given = body["pause"]
        for index, stage in enumerate(as_names(report, given, place, "'pause'")):
            if stage not in names.stages:
                here = below(place, index) if isinstance(given, list) else place
                unknown_name(report, "unknown_stage", here, "stage", stage, names.stages)
    if "calendar" in body and not isinstance(body["calendar"], str | dict):
        place = below(pointer, "calendar")
        wrong(report, place, "'calendar'", "a name or an object", body["calendar"])
    _on_breach(report, body, pointer, names)


def _roi(report: Report, value: object, pointer: str, names: Names) -> None:
    body = as_object(report, value, pointer, "'roi'")
    if body is None:
        return
    known_keys(report, "roi", body, pointer)
    if needed(report, "roi", body, "threshold", pointer, "the return that is wanted"):
        ratio(report, body["threshold"], below(pointer, "threshold"))
    budget = body.get("budget", 0)
    if isinstance(budget, bool) or not isinstance(budget, int | float | str) or budget == "":
        place = below(pointer, "budget")
        wrong(report, place, "'budget'", "a number or an expression", budget)
    if "every" in body:
        duration(report, body["every"], below(pointer, "every"))
    _on_breach(report, body, pointer, names)


def _automation(report: Report, value: object, pointer: str, names: Names) -> None:
    body = as_object(report, value, pointer, "'automation'")
    if body is None:
        return
    known_keys(report, "automation", body, pointer)
    if "escalation" in body:
        place = below(pointer, "escalation")
        _ladder(report, body["escalation"], place, "'escalation'", names)
    if "optimize" in body:
        compile_run(report, body["optimize"], below(pointer, "optimize"), told=True)


def _on_breach(report: Report, body: Mapping[str, object], pointer: str, names: Names) -> None:
    if "onBreach" in body:
        place = below(pointer, "onBreach")
        _ladder(report, body["onBreach"], place, "'onBreach'", names, timed=False)


def _ladder(
    report: Report, value: object, pointer: str, what: str, names: Names, *, timed: bool = True
) -> None:
    """What is done, one rung after another; `timed` ones say when."""
    if not isinstance(value, list):
        wrong(report, pointer, what, "a list", value)
        return
    for index, rung in enumerate(value):
        place = below(pointer, index)
        body = as_object(report, rung, place, f"An element of {what}")
        if body is None:
            continue
        known_keys(report, "escalation", body, place)
        if timed and "after" not in body:
            needed(report, "escalation", body, "after", place, "how long it waits")
        for key in ("after", "repeat"):
            if key in body:
                duration(report, body[key], below(place, key))
        if needed(report, "escalation", body, "action", place, "what is done"):
            _action(report, body["action"], below(place, "action"), names)
        if "to" in body:
            takers(report, body["to"], below(place, "to"), "'to'")


def _action(report: Report, value: object, pointer: str, names: Names) -> None:
    name = as_name(report, value, pointer, "'action'")
    if name is not None and name not in ESCALATIONS and name not in names.actions:
        known = (*ESCALATIONS, *names.actions)
        unknown_name(report, "unknown_action", pointer, "action", name, known)

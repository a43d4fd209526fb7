"""Runs on a virtual clock, as the API answers them. Nothing is stored, and nothing is sent."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from api.problems import Problem, invalid_data, located
from api.schemas import SimulationBody
from nexus.channels import Channels
from nexus.core import Program
from nexus.core.durations import DurationError, parse_duration
from nexus.core.expressions import to_json
from nexus.core.rows import first_stage
from nexus.simulation import START, Simulation, TooLong
from nexus.simulation.coverage import coverage_of
from nexus.simulation.documents import DocumentError
from nexus.simulation.generated import generated_data
from nexus.simulation.living import Living
from nexus.simulation.playing import play
from nexus.simulation.population import Population
from nexus.simulation.reading import read_scenarios
from nexus.simulation.reports import (
    call_document,
    coverage_document,
    entry_document,
    scenario_document,
)
from nexus.simulation.timeline import timeline

# Of one request, so that it takes a second or two at most.
MOST_EVENTS = 10_000
MOST_DETAILS = 20_000  # bytes of what one line of a timeline says


def length_of(body: SimulationBody) -> timedelta:
    """How long a run goes.

    Raises:
        Problem: `until` is no duration.
    """
    try:
        return parse_duration(body.until)
    except DurationError as error:
        raise invalid_data(f"until: {error.message}", located("/until", error.message)) from None


def simulated(
    program: Program, body: SimulationBody, channels: Channels, tenant: str, until: timedelta
) -> dict[str, object]:
    """What came of a run, or of scenarios.

    Args:
        program: The compiled definition.
        body: What was asked for.
        channels: The channels whose contents are rendered.
        tenant: Whose they are.
        until: How long a run by chance goes.

    Raises:
        Problem: Scenarios that cannot be run; a start that is refused.
    """
    named = {"definition": program.id, "version": program.version}
    if body.scenarios is not None:
        return {**named, **_scenarios(program, body.scenarios, channels, tenant)}
    return {**named, **_by_chance(program, body, channels, tenant, until)}


def _scenarios(
    program: Program, document: Mapping[str, Any], channels: Channels, tenant: str
) -> dict[str, object]:
    try:
        file = read_scenarios(json.dumps(document).encode(), "scenarios")
    except DocumentError as error:
        errors = [
            located(f"/scenarios{problem.pointer}", problem.message, problem.code)
            for problem in error.problems
        ]
        raise invalid_data(
            f"The scenarios cannot be run: {error.problems[0].message}.", *errors
        ) from None
    left = MOST_EVENTS
    played = []
    for scenario in file.scenarios:
        one = play(program, scenario, channels=channels, most_events=left, tenant=tenant)
        left = max(0, left - len(one.simulation.events))
        played.append(one)
    return {
        "passed": all(one.passed for one in played),
        "scenarios": [scenario_document(one, most=MOST_DETAILS) for one in played],
        "coverage": coverage_document(coverage_of(program, played)),
    }


def _by_chance(
    program: Program, body: SimulationBody, channels: Channels, tenant: str, until: timedelta
) -> dict[str, object]:
    rng = random.Random(body.seed)  # noqa: S311 - chance, not secrets
    people = {name: tuple(roles) for name, roles in body.people.items()} or None
    simulation = Simulation(program, channels=channels, tenant=tenant, most_events=MOST_EVENTS)
    living = Living(simulation, Population(people=people), rng)
    try:
        living.start({**generated_data(program.data_schema, rng), **body.data})
        if living.not_started is not None:
            who, rejected = living.not_started
            raise Problem(
                rejected.code, f"{who!r} cannot start it: {rejected.message}", rejected.details
            )
        living.live(START + until)
    except TooLong as error:
        raise invalid_data(str(error), located("/definition", str(error))) from None
    state = simulation.state
    return {
        "timeline": [entry_document(entry, MOST_DETAILS) for entry in timeline(simulation)],
        "calls": [call_document(call, MOST_DETAILS) for call in simulation.calls],
        "instance": {
            "status": state.status,
            "state": first_stage(state),
            "data": to_json(state.data),
            "records": [
                {
                    "id": record.id,
                    "entity": record.entity,
                    "stage": record.stage,
                    "status": record.status,
                    "data": to_json(record.data),
                }
                for record in state.records.values()
            ],
        },
    }

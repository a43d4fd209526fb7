"""Scenarios in tests: a definition and a file as they are written, and what came of it."""

from __future__ import annotations

import json
from typing import Any

from nexus.channels import load_channels
from nexus.core import load_definition
from nexus.core.program import Program
from nexus.simulation.playing import Played, play
from nexus.simulation.reading import read_scenarios
from nexus.simulation.scenarios import Scenario

Document = dict[str, Any]


def program_from(document: object) -> Program:
    return load_definition(json.dumps(document)).program


def scenarios(*written: Document, **more: object) -> list[Scenario]:
    """The scenarios of a file; each is called after its number if it has no name."""
    named = [{"name": f"scenario {at}", **one} for at, one in enumerate(written)]
    text = json.dumps({"scenarios": named, **more}).encode()
    return list(read_scenarios(text, "x.scenarios.json").scenarios)


def played(document: object, written: Document, **more: object) -> Played:
    """What came of one scenario."""
    [scenario] = scenarios(written, **more)
    return play(program_from(document), scenario, channels=load_channels())


def complaints(document: object, written: Document, **more: object) -> list[str]:
    """Each failure of a scenario in a line: its place, and what is otherwise."""
    found = []
    for failure in played(document, written, **more).failures:
        differences = [f"{d.what}: {d.expected} != {d.actual}" for d in failure.differences]
        found.append(f"{failure.pointer} {'; '.join(differences) or failure.message}")
    return found

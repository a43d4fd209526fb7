"""What came of runs, as JSON: for programs, over the API and from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import msgspec

from nexus.core.expressions import to_json
from nexus.core.json_text import Positions
from nexus.simulation.coverage import KINDS, Coverage
from nexus.simulation.playing import Failure, Played
from nexus.simulation.simulator import MadeCall
from nexus.simulation.timeline import Entry, timeline


def entry_document(entry: Entry, most: int | None = None) -> dict[str, object]:
    """A line of a timeline; `since` in seconds.

    Args:
        entry: The line.
        most: Bytes of details as JSON; larger ones are left out, which is said.
    """
    return {
        "at": entry.at.isoformat(),
        "since": round(entry.since.total_seconds(), 6),
        "kind": entry.kind,
        "who": entry.who,
        "record": entry.record,
        "what": entry.what,
        "why": entry.why,
        "details": _bounded(dict(entry.details), most),
    }


def _bounded(value: object, most: int | None) -> object:
    if most is None:
        return value
    size = len(msgspec.json.encode(value))
    return value if size <= most else {"dropped": f"{size:,} bytes"}


def call_document(call: MadeCall, most: int | None = None) -> dict[str, object]:
    """A call that would have been made; `most` is of its content."""
    return {
        "channel": call.request.channel,
        "kind": call.kind,
        "record": call.request.record,
        "stage": call.request.stage,
        "step": call.request.step,
        "with": _bounded(to_json(call.content), most),
        "requested_at": call.requested_at.isoformat(),
        "ended_at": None if call.ended_at is None else call.ended_at.isoformat(),
        "outcome": call.outcome,
        "code": call.code or None,
    }


def scenario_document(
    played: Played, positions: Positions | None = None, most: int | None = None
) -> dict[str, object]:
    """What came of a scenario.

    Args:
        played: The scenario, played.
        positions: Of its file, for lines and columns; None where it came without one.
        most: Bytes of the details of each line of its timeline.
    """
    return {
        "name": played.scenario.name,
        "passed": played.passed,
        "failures": [_failure(failure, positions) for failure in played.failures],
        "timeline": [
            entry_document(entry, most) for entry in timeline(played.simulation, played.refusals)
        ],
    }


def _failure(failure: Failure, positions: Positions | None) -> dict[str, object]:
    found: dict[str, object] = {
        "pointer": failure.pointer,
        "message": failure.message,
        "at": failure.at.isoformat(),
        "differences": [asdict(difference) for difference in failure.differences],
    }
    if positions is not None:
        found["line"], found["column"] = positions.value(failure.pointer)
    return found


def coverage_document(coverage: Coverage) -> Mapping[str, object]:
    """What was covered, and what was not, by kind."""
    return {
        kind: {
            "covered": coverage.of(kind)[0],
            "of": coverage.of(kind)[1],
            "missing": [item.name for item in coverage.missing if item.kind == kind],
        }
        for kind in KINDS
    }

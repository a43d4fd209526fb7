"""Definitions of these tests, and the history of an instance that walked through one."""

from __future__ import annotations

import json
from pathlib import Path

from nexus.authoring.walk import Walk, walk_of
from nexus.core import Compiled, load_definition
from nexus.core.commands import Actor
from nexus.core.rows import history_row
from tests.core.playing import DEFINITIONS, Document, Play

ROOT = Path(__file__).parents[2]
SHIPPED = ("inbound-lead", "lead-outreach", "opportunity")

SUE = Actor("sue", ("sales",))
MAX = Actor("max", ("manager",))


def shipped(name: str) -> Compiled:
    path = DEFINITIONS / f"{name}.json"
    return load_definition(path.read_bytes(), str(path))


def loaded(document: Document) -> Compiled:
    return load_definition(json.dumps(document, ensure_ascii=False))


def walk(play: Play) -> Walk:
    """The path of an instance, as its history tells it."""
    return walk_of([history_row(event) for event in play.events])


# Everything that a diagram has to draw: several entities, plain data, ways back and onto
# itself, records that create others to both sides, letters that mean something elsewhere.
ODD: Document = {
    "id": "odd",
    "label": 'Odd: "quoted" [x]; <b> #1 {y} % `z` \\ & more',
    "entities": {
        "lead": {"stages": ["new", "done"]},
        "contact": {"fields": [f"field_{n}" for n in range(14)]},
        "deal": {"stages": [{"id": "open", "label": "Öffnen & 会議 <x>"}, "won"]},
        "follow_up": {"stages": ["todo", "doing", "unreachable", "done now"]},
        "many": {"stages": ["a", "b", "c", "d", "e", "f", "g"]},
        "loose": {},
    },
    "transitions": {
        "again": {"from": "new", "to": "new", "creates": "contact"},
        "finish": {
            "from": "new",
            "to": "done",
            "creates": "follow_up",
            "condition": {
                "all": [
                    "data.x > 1 OR data.y == 'a: b; c'",
                    {"role_check": ["rep", "boss"]},
                    {"not": {"segment_check": "gold"}},
                ]
            },
        },
        "win": {"from": "open", "to": "won", "creates": "lead"},
        "start": {
            "from": "todo",
            "to": "doing",
            "creates": "follow_up",
            "by": {"users": ["ann"], "roles": ["r"]},
        },
        "back": {"from": "doing", "to": "todo"},
        "skip": {"from": ["a", "c"], "to": "b"},
        "jump": {"from": "*", "entity": "many", "to": "g", "on": {"event": "x:y"}},
        "leap": {"from": ["a", "b", "c", "d", "e"], "to": "f", "on": {"after": "2 days"}},
        "drop": {"from": ["b", "e"], "to": "a"},
    },
}

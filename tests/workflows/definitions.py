"""The definitions that these tests run: each shows what the shell has to do, and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "definitions"

SALES = (FOLDER / "sales-pipeline.json").read_text()


def _text(**document: Any) -> str:
    return json.dumps(document)


# Several kinds of records, roles, data computed on the way, a record that creates another.
DEALS = _text(
    id="deals",
    version="1.0.0",
    entities={
        "lead": {"stages": ["new", "qualified", "lost"]},
        "opportunity": {"stages": ["open", "won"]},
        "contact": {"fields": ["name", "email"]},
    },
    transitions={
        "qualify": {
            "entity": "lead",
            "from": "new",
            "to": "qualified",
            "set": {"rating": "data.score * 2"},
            "creates": {"entity": "opportunity", "data": {"value": "data.score * 100"}},
        },
        "lose": {"entity": "lead", "from": ["new", "qualified"], "to": "lost"},
        "win": {"entity": "opportunity", "from": "open", "to": "won"},
    },
)

# Taken by themselves, by an event from outside, and by clocks.
CAMPAIGN = _text(
    id="campaign",
    version="1.0.0",
    entities={"campaign": {"stages": ["draft", "running", "warm", "hot", "done"]}},
    transitions={
        "launch": {"from": "draft", "to": "running"},
        "opened": {"from": "running", "to": "warm", "on": {"event": "email.opened"}},
        "heat": {"from": "warm", "to": "hot", "on": "auto", "condition": "data.clicks > 2"},
        "finish": {"from": ["running", "warm", "hot"], "to": "done"},
    },
)


def clocked(**after: str) -> str:
    """A lead that waits in `new`; each named clock takes it to a stage of its own name."""
    stages = ["new", "busy", *after, "over"]
    transitions: dict[str, Any] = {
        f"to_{name}": {"from": "new", "to": name, "on": {"after": wait}}
        for name, wait in after.items()
    }
    transitions["work"] = {"from": "new", "to": "busy"}
    transitions["rest"] = {"from": "busy", "to": "new"}
    transitions["end"] = {"from": [*after, "busy"], "to": "over"}
    return _text(
        id="clocked",
        version="1.0.0",
        entities={"lead": {"stages": stages}},
        transitions=transitions,
    )


QUICKLY = {"attempts": 2, "initial": "0.05s"}


def call(channel: str, **more: Any) -> dict[str, Any]:
    """A step that calls a channel of `ScriptedChannels`, tried again at once."""
    return {"channel": channel, "retry": QUICKLY, **more}


def running(*run: Any, **finish: Any) -> str:
    """A lead whose first stage runs these steps together; `finish` leaves it, if it can."""
    return _text(
        id="running",
        version="1.0.0",
        entities={"lead": {"stages": [{"id": "new", "run": list(run)}, "done"]}},
        transitions={"finish": {"from": "new", "to": "done", **finish}},
    )

"""The keys of the definition language, version 1, and which of them have no effect yet.

One table each: the compiler reads them, and a test holds the documentation to
them. `NO_EFFECT_YET` shrinks to nothing as the platform grows.
"""

from __future__ import annotations

from collections.abc import Mapping

DOMAINS = ("crm", "sales_marketing")

# What kind of object has which keys.
KEYS: Mapping[str, tuple[str, ...]] = {
    "definition": (
        "$schema",
        "id",
        "label",
        "version",
        "domain",
        "description",
        "dataSchema",
        "roles",
        "policy",
        "entities",
        "transitions",
        "sla",
        "roi",
        "automation",
        "channels",
    ),
    "role": ("label", "can", "inherits"),
    "policy": ("selfAssign", "fourEyes"),
    "entity": (
        "label",
        "fields",
        "stages",
        "table",
        "automation",
        "sla",
        "roi",
        "scoring",
    ),
    "stage": ("id", "label", "type", "assign", "run", "sla", "escalation", "final"),
    "assign": ("users", "roles", "teams", "pick", "strategy"),
    "transition": (
        "label",
        "entity",
        "from",
        "to",
        "condition",
        "by",
        "strategy",
        "input",
        "set",
        "creates",
        "on",
        "interrupts",
    ),
    "by": ("users", "roles"),
    "creates": ("entity", "data"),
}

# What stands below keys that have no effect yet: its form is checked all the same.
LATER_KEYS: Mapping[str, tuple[str, ...]] = {
    "automation": ("escalation", "optimize"),
    "escalation": ("after", "action", "to", "repeat"),
    "sla": ("duration", "warn", "pause", "calendar", "onBreach"),
    "roi": ("threshold", "budget", "every", "onBreach"),
    "quorum": ("quorum",),
    "retry": ("attempts", "initial", "backoff", "max"),
    "branch": ("when", "do"),
    "task": ("title", "assign"),
    "waitFor": ("event", "timeout", "then", "else"),
    "split": ("variants", "goal"),
    "step 'channel'": ("channel", "with", "compensate", "retry", "timeout", "onFailure", "when"),
    "step 'parallel'": ("parallel", "when"),
    "step 'sequence'": ("sequence", "when"),
    "step 'inclusive'": ("inclusive", "default", "when"),
    "step 'exclusive'": ("exclusive", "default", "when"),
    "step 'task'": ("task", "when"),
    "step 'wait'": ("wait", "when"),
    "step 'waitFor'": ("waitFor", "when"),
    "step 'set'": ("set", "when"),
    "step 'split'": ("split", "when"),
    "step 'start'": ("start", "when"),
}
STEPS = tuple(kind[6:-1] for kind in LATER_KEYS if kind.startswith("step "))

STRATEGIES = ("any", "unison", "majority")
PICKS = ("round_robin", "least_loaded")
ON_FAILURE = ("continue", "rollback")
ESCALATIONS = ("notify", "reassign", "optimize")  # or any transition

SCHEMA_ID = "urn:nexus:definition:1"  # what `$schema` may name

# (kind, key) → what does not happen yet.
NO_EFFECT_YET: Mapping[tuple[str, str], str] = {
    ("definition", "sla"): "no deadline is tracked",
    ("definition", "roi"): "no return is computed",
    ("definition", "automation"): "nothing escalates",
    ("definition", "channels"): "no channel is called",
    ("policy", "fourEyes"): "one person may act twice",
    ("entity", "automation"): "nothing escalates",
    ("entity", "sla"): "no deadline is tracked",
    ("entity", "roi"): "no return is computed",
    ("entity", "scoring"): "no score is computed",
    ("stage", "run"): "the stage is entered and none of its steps is run",
    ("stage", "sla"): "no deadline is tracked",
    ("stage", "escalation"): "nothing escalates",
    ("assign", "teams"): "no team is assigned",
    ("assign", "pick"): "all who are named are assigned",
    ("assign", "strategy"): "one assignee's action is enough",
    ("transition", "strategy"): "one person's action is enough",
    ("transition", "interrupts"): "there is no run to interrupt",
}

# Keys that give an entity clocks, and so at least one stage (design 3.1).
CLOCK_KEYS = ("automation", "sla", "roi")

# Entities that a typed table follows (R31), unless they say which.
TABLES: Mapping[str, str] = {
    "lead": "contacts",
    "contact": "contacts",
    "opportunity": "opportunities",
    "deal": "opportunities",
    "campaign": "campaigns",
    "pricing": "pricings",
}
TABLE_NAMES = ("contacts", "opportunities", "campaigns", "pricings")

# What expressions see below each name of their scope; `data` and `input` have what schemas say.
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "record": (
        *("id", "entity", "stage", "status", "data", "users", "roles"),
        *("created_at", "entered_at", "parent"),
    ),
    "instance": ("status", "data", "started_by", "started_at"),
    "subject": ("type", "id"),
    "actor": ("id", "roles"),
    "event": ("type", "data"),
}

MOST_STAGES = 500
MOST_LABEL = 200  # characters of what people read in its place
MOST_NAME = 100  # characters of an id, a stage, an entity, a transition

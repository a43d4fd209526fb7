"""The keys of the definition language, version 1, and which of them have no effect yet.

One table each: the compiler reads them, and a test holds the documentation to
them. `NO_EFFECT_YET` shrinks to nothing as the platform grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

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
    "retry": ("attempts", "initial", "backoff", "max"),
    "branch": ("when", "do"),
    "task": ("title", "assign"),
    "waitFor": ("event", "timeout", "then", "else"),
    "step 'channel'": (
        *("channel", "name", "with", "compensate", "retry", "timeout", "onFailure", "when"),
    ),
    "step 'parallel'": ("parallel", "when"),
    "step 'sequence'": ("sequence", "when"),
    "step 'inclusive'": ("inclusive", "default", "when"),
    "step 'exclusive'": ("exclusive", "default", "when"),
    "step 'task'": ("task", "name", "when"),
    "step 'wait'": ("wait", "when"),
    "step 'waitFor'": ("waitFor", "name", "when"),
    "step 'set'": ("set", "when"),
    "step 'split'": ("split", "when"),
    "step 'start'": ("start", "when"),
}

# What stands below keys that have no effect yet: its form is checked all the same.
LATER_KEYS: Mapping[str, tuple[str, ...]] = {
    "automation": ("escalation", "optimize"),
    "escalation": ("after", "action", "to", "repeat"),
    "sla": ("duration", "warn", "pause", "calendar", "onBreach"),
    "roi": ("threshold", "budget", "every", "onBreach"),
    "quorum": ("quorum",),
    "split": ("variants", "goal"),
}
STEPS = tuple(kind[6:-1] for kind in KEYS if kind.startswith("step "))

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
    ("policy", "fourEyes"): "one person may act twice",
    ("entity", "automation"): "nothing escalates",
    ("entity", "sla"): "no deadline is tracked",
    ("entity", "roi"): "no return is computed",
    ("entity", "scoring"): "no score is computed",
    ("stage", "sla"): "no deadline is tracked",
    ("stage", "escalation"): "nothing escalates",
    ("assign", "teams"): "no team is assigned",
    ("assign", "pick"): "all who are named are assigned",
    ("assign", "strategy"): "one assignee's action is enough",
    ("transition", "strategy"): "one person's action is enough",
    ("step 'channel'", "compensate"): "no call is undone",
    ("step 'split'", "split"): "the step is skipped",
    ("step 'start'", "start"): "the step is skipped",
}
# (kind, key, value) of those that have an effect with other values.
NO_EFFECT_YET_VALUES: Mapping[tuple[str, str, str], str] = {
    ("step 'channel'", "onFailure", "rollback"): "the failure becomes an incident",
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
# Below `steps.<name>`, by the kind of the step.
STEP_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "channel": ("outcome", "response"),
    "task": ("outcome", "by", "data"),
    "waitFor": ("outcome", "event"),
}

MOST_STAGES = 500
MOST_STEPS = 1_000  # of one stage
MOST_LABEL = 200  # characters of what people read in its place
MOST_NAME = 100  # characters of an id, a stage, an entity, a transition

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = timedelta(milliseconds=100), timedelta(hours=1)  # of one try
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=1), timedelta(days=1)  # between two tries
MOST_ATTEMPTS = 100
MOST_BACKOFF = 100

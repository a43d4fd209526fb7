"""New definitions to begin with. They run as they are, and their labels say what each part does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

from nexus.authoring.fmt import formatted

Kind = Literal["lead", "campaign", "approval"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SCHEMA = "urn:nexus:definition:1"
"""What `$schema` says; `nexus schema` prints the schema of that name."""


def new_definition(name: str, kind: Kind) -> str:
    """The text of a new definition.

    Args:
        name: Its id.
        kind: What it is to begin with.
    """
    document = {"$schema": SCHEMA, "id": name, "version": "1.0.0", **_DOCUMENTS[kind]}
    document["label"] = name.replace("-", " ").replace("_", " ").capitalize()
    return formatted(json.dumps(document))


def guide(name: str, kind: Kind, path: str) -> str:
    """What to read and do next, a few lines for a person.

    Args:
        name: The definition's id.
        kind: What it was made as.
        path: The file that it was written to.
    """
    steps = "\n".join(f"  {what:<14} {meaning}" for what, meaning in _GUIDE[kind])
    return (
        f"{path} is a definition that runs as it is. Its parts:\n\n"
        f"  {'id':<14} what a start names: {name!r}; raise `version` with every change\n"
        f"{steps}\n\n"
        "Next:\n\n"
        f"  nexus validate {path}     # what is wrong or odd, with its place\n"
        f"  nexus explain {path}      # the same in plain sentences\n"
        f"  nexus diagram {path}      # the same as a picture\n"
        f"  nexus simulate {path}     # a run on a virtual clock; nothing is sent\n\n"
        "Saved into the definitions folder, it is live for new instances at once.\n"
    )


_DOCUMENTS: Mapping[Kind, Mapping[str, Any]] = {
    "lead": {
        "domain": "crm",
        "description": (
            "A lead walks from new to won or lost. 'dataSchema' says what data there is, "
            "'stages' where a lead can stand, 'transitions' what moves it and when."
        ),
        "dataSchema": {
            "email": {"type": "string", "format": "email"},
            "score": {"type": "number", "description": "From 0 to 100; conditions read it."},
        },
        "entities": {
            "lead": {
                "label": "Lead",
                "stages": [
                    {"id": "new", "label": "New: a start begins here"},
                    {"id": "qualified", "label": "Qualified"},
                    {"id": "won", "label": "Won: the record ends here", "final": True},
                    {"id": "lost", "label": "Lost: and here", "final": True},
                ],
            }
        },
        "transitions": {
            "qualify": {
                "label": "An action with a condition",
                "from": "new",
                "to": "qualified",
                "condition": "data.score > 50",
            },
            "win": {
                "label": "An action that asks for data and keeps it",
                "from": "qualified",
                "to": "won",
                "input": {"value": {"type": "number", "minimum": 0, "required": True}},
                "set": {"value": "input.value"},
            },
            "lose": {"label": "An action from any stage", "from": "*", "to": "lost"},
            "forget": {
                "label": "A clock, counted from entering the stage",
                "from": "new",
                "to": "lost",
                "on": {"after": "30 days"},
            },
        },
    },
    "campaign": {
        "domain": "sales_marketing",
        "description": (
            "A campaign is planned, approved by marketing, runs for a time, and is closed. "
            "'roles' says who can take which action, 'on' what takes a transition."
        ),
        "dataSchema": {
            "segment": {"type": "string", "description": "Whom it is for."},
            "budget": {"type": "number", "minimum": 0},
        },
        "roles": {
            "marketing": {
                "label": "Marketing",
                "can": ["launch", "stop", "comment", "update", "assign"],
            }
        },
        "entities": {
            "campaign": {
                "label": "Campaign",
                "stages": [
                    {
                        "id": "plan",
                        "label": "Planned: owed by marketing",
                        "assign": {"roles": ["marketing"]},
                    },
                    {"id": "active", "label": "Active"},
                    {"id": "closed", "label": "Closed", "final": True},
                ],
            }
        },
        "transitions": {
            "launch": {
                "label": "An action of a role",
                "from": "plan",
                "to": "active",
                "condition": "has(data.segment) AND data.budget > 0",
            },
            "sell_out": {
                "label": "An event from outside",
                "from": "active",
                "to": "closed",
                "on": {"event": "stock.empty"},
            },
            "expire": {
                "label": "A clock",
                "from": "active",
                "to": "closed",
                "on": {"after": "14 days"},
            },
            "stop": {"label": "Stopped by hand", "from": ["plan", "active"], "to": "closed"},
        },
    },
    "approval": {
        "description": (
            "A request is decided by a manager, at once if it is small. 'assign' says who owes "
            "the next step, 'by' who may take it, 'auto' takes a transition by itself."
        ),
        "dataSchema": {
            "amount": {"type": "number", "minimum": 0, "required": True},
            "reason": {"type": "string"},
        },
        "roles": {
            "employee": {"label": "Employee", "can": ["resubmit", "withdraw", "comment", "update"]},
            "manager": {
                "label": "Manager",
                "can": ["approve", "reject", "send_back"],
                "inherits": ["employee"],
            },
        },
        "policy": {"selfAssign": False},
        "entities": {
            "request": {
                "label": "Request",
                "stages": [
                    {
                        "id": "submitted",
                        "label": "Submitted: owed by the managers",
                        "assign": {"roles": ["manager"]},
                    },
                    {
                        "id": "returned",
                        "label": "Returned: owed by the employee",
                        "assign": {"roles": ["employee"]},
                    },
                    {"id": "approved", "label": "Approved", "final": True},
                    {"id": "rejected", "label": "Rejected", "final": True},
                ],
            }
        },
        "transitions": {
            "small": {
                "label": "Taken by itself when the amount is small",
                "from": "submitted",
                "to": "approved",
                "condition": "data.amount <= 100",
                "on": "auto",
            },
            "approve": {
                "label": "Approve",
                "from": "submitted",
                "to": "approved",
                "by": {"roles": ["manager"]},
                "set": {"decided_by": "actor.id"},
            },
            "reject": {
                "label": "Reject",
                "from": "submitted",
                "to": "rejected",
                "by": {"roles": ["manager"]},
                "input": {"reason": {"type": "string", "minLength": 1, "required": True}},
                "set": {"reason": "input.reason", "decided_by": "actor.id"},
            },
            "send_back": {
                "label": "Ask for more",
                "from": "submitted",
                "to": "returned",
                "by": {"roles": ["manager"]},
            },
            "resubmit": {"label": "Submit again", "from": "returned", "to": "submitted"},
            "withdraw": {
                "label": "Withdraw",
                "from": ["submitted", "returned"],
                "to": "rejected",
                "by": {"roles": ["employee"]},
            },
            "expire": {
                "label": "Nobody decided for two weeks",
                "from": "submitted",
                "to": "rejected",
                "set": {"reason": "'nobody decided'"},
                "on": {"after": "14 days"},
            },
        },
    },
}

_GUIDE: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    "lead": (
        ("dataSchema", "what data there is; a condition on anything else is remarked upon"),
        ("stages", "where a lead can stand, the first one first; `final` ones end it"),
        ("qualify", "an action: POST …/actions/qualify, refused while its condition does not hold"),
        ("win", "`input` is asked for, `set` keeps it: text stands in quotes, as in \"'won'\""),
        ("lose", '`"*"` is every stage that is not final'),
        ("forget", 'a clock: "on": {"after": "30 days"}'),
    ),
    "campaign": (
        ("roles", "who can take which action; leave it out, and anybody of the tenant may"),
        ("assign", "whose dashboard shows the campaign while it is planned"),
        ("launch", "an action, refused while its condition does not hold"),
        ("sell_out", 'an event: POST …/events {"type": "stock.empty"}'),
        ("expire", 'a clock: "on": {"after": "14 days"}'),
    ),
    "approval": (
        ("roles", "who can take which action; managers can do what employees can"),
        ("policy", "nobody assigns a request to themselves"),
        ("assign", "whose dashboard shows the request while it waits"),
        ("small", "`auto`: taken as soon as its condition holds"),
        ("by", "who may take it, whoever is assigned"),
        ("expire", 'a clock: "on": {"after": "14 days"}'),
    ),
}

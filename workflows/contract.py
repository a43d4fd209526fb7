"""What others must know to talk to the workflow: its names, its input, its workflow id.

Apart from the workflow module itself, so that clients need not import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

WORKFLOW = "NexusInstance"
COMMAND = "command"  # the update and the signal
CAN = "can"  # queries
SNAPSHOT = "snapshot"

PROJECT = "project"  # local activities
AUTHENTICATE = "authenticate"
CALL_CHANNEL = "call_channel"  # an activity of the queue that `channel_queue` names

SEARCH_ATTRIBUTES = {
    "NexusTenant": "Keyword",
    "NexusDefinition": "Keyword",
    "NexusStage": "KeywordList",
    "NexusAssignee": "KeywordList",
    "NexusSla": "Keyword",
}


@dataclass(frozen=True)
class InstanceInput:
    """The input of one workflow.

    Everything that a decision depends on stands here or in the state, since a
    replay must find it unchanged: nothing is read from the environment. Later
    runs of the same instance take bytes in place of this: it, with the state.

    Attributes:
        tenant: The tenant that owns the instance.
        definition: Text of the definition, byte for byte, order of keys
            included.
        signal_roles: Roles of `system:signal`, the actor of unsigned signals.
        roll_over_after: Continue as new at this number of history events even
            if the server does not suggest it yet; 0 leaves it to the server.
    """

    tenant: str
    definition: str
    signal_roles: tuple[str, ...] = ()
    roll_over_after: int = 0


def channel_queue(task_queue: str) -> str:
    """The task queue of channel calls, beside that of the workflows."""
    return f"{task_queue}-channels"


def workflow_id(tenant: str, definition: str, subject_type: str, subject_id: str) -> str:
    """`{tenant}:{definition}:{subject type}:{subject id}`, each part percent-encoded (R25)."""
    return ":".join(quote(part, safe="") for part in (tenant, definition, subject_type, subject_id))

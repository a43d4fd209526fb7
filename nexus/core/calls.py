"""A channel call as it leaves the core: all that whoever makes it has to know.

A shell hands a `CallRequest` to a channel and gives the core a `CallEnded` with
what came of it. Nothing in here reaches a network; `nexus.channels` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from nexus.core.state import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """One call of a channel.

    Attributes:
        key: The idempotency key: the same for every attempt and every retry of this call, and of
            no other call of any instance. Letters, digits, `-`, `_`, `~`, `%` and `/` alone.
        instance: Id of the instance.
        definition: Id of its definition.
        version: Version of that.
        record: Id of the record whose stage runs this.
        stage: That stage.
        step: Static path of the step in it.
        operation: `execute`, or `compensate` to undo what `key` did.
        channel: A kind of channel, or the name of settings.
        settings: What the definition's `channels` say of this name; never a secret.
        given: The step's `with`, whose texts are templates over `scope`.
        scope: The names that templates see; JSON.
        requested_at: When it was decided, the same for every attempt; timezone-aware.
    """

    key: str
    tenant: str
    instance: str
    definition: str
    version: str
    record: str
    stage: str
    step: str
    channel: str
    requested_at: datetime
    operation: Literal["execute", "compensate"] = "execute"
    settings: Data = field(default_factory=dict)
    given: Data = field(default_factory=dict)
    scope: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """What a channel answered to a call that succeeded.

    Attributes:
        response: JSON, what `steps.<name>.response` shows.
        attempts: How often it was tried.
    """

    response: object = None
    attempts: int = 1

"""A channel call as it leaves the core: all that whoever makes it has to know.

A shell hands a `CallRequest` to a channel and gives the core a `CallEnded` with
what came of it. Nothing in here reaches a network; `nexus.channels` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

import msgspec

from nexus.core.commands import SYSTEM_ACTOR
from nexus.core.decision import Decision
from nexus.core.expressions import to_json
from nexus.core.program import Program
from nexus.core.state import Call, Data, Record, State
from nexus.core.steps import ChannelStep, Run

# Between the end of a try and the moment at which it is given up from outside, so that whoever
# makes a call has the time to say itself that its time was up.
GRACE = timedelta(seconds=5)
MOST_ANSWER = 65_536  # bytes of a channel's answer as JSON; instances keep fewer


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


def plain_response(response: object) -> object:
    """What a channel answered as JSON knows it, or why it is left out.

    One that is too large, or no JSON, is not an error, since the call was made.
    """
    try:
        encoded = msgspec.json.encode(response)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return {"dropped": f"the answer is no JSON: {error}"}
    if len(encoded) > MOST_ANSWER:
        return {
            "dropped": f"the answer has {len(encoded):,} bytes, and at most {MOST_ANSWER:,} "
            "are taken"
        }
    return msgspec.json.decode(encoded)


def idempotency_key(instance: str, call_id: str) -> str:
    """`instance/record/visit/path`, fit for a header, and without a full stop.

    What is signed with a webhook is `id.timestamp.body`, so an id may hold none.
    """
    parts = (instance, *call_id.split("/"))
    return "/".join(quote(part, safe="").replace(".", "%2E") for part in parts)


def step_scope(decision: Decision, record: Record, run: Run, path: str) -> dict[str, object]:
    """The names that a step sees: `event` is the one that it follows, if it follows one."""
    waiting = run.heard.get(path)
    event = record.steps.get(waiting, {}).get("event", {}) if waiting else {}
    return {**decision.scope(record), "event": event}


def step_of(program: Program, state: State, call: Call) -> ChannelStep:
    """The step that a call is made for; its record may have left the stage since."""
    run = program.entities[state.records[call.record].entity].stages[call.stage].run
    assert run is not None
    step = run.by_path[call.path]
    assert isinstance(step, ChannelStep)
    return step


def call_request(
    program: Program, state: State, call: Call, *, tenant: str, instance: str, now: datetime
) -> CallRequest:
    """What a channel is asked to do for a call that is wanted.

    Args:
        program: The compiled definition.
        state: The instance as it stands when the call begins.
        call: One of its calls.
        tenant: The tenant that owns the instance.
        instance: Its id. The key of one that was carried over names the instance that it was.
        now: When the call begins, timezone-aware.
    """
    step = step_of(program, state, call)
    record = state.records[call.record]
    run = program.entities[record.entity].stages[call.stage].run
    decision = Decision(program, state, SYSTEM_ACTOR, now)
    if record.visit == call.visit and run is not None:
        scope = step_scope(decision, record, run, call.path)
    else:
        scope = decision.scope(record)
    names = to_json(scope)
    assert isinstance(names, dict)
    return CallRequest(
        key=idempotency_key(state.origin or instance, call.id),
        tenant=tenant,
        instance=instance,
        definition=program.id,
        version=program.version,
        record=call.record,
        stage=call.stage,
        step=call.path,
        channel=call.channel,
        requested_at=now,
        settings=program.channels.get(call.channel, {}),
        given=step.given,
        scope=names,
    )

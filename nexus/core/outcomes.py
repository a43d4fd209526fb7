"""How calls and tasks end, and what that means for the run that waits for them."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from nexus.core.authority import authorize, is_assigned
from nexus.core.commands import CallEnded, CompleteTask
from nexus.core.decision import Decision
from nexus.core.errors import Rejected
from nexus.core.events import ChannelFailed, ChannelSucceeded, IncidentClosed, TaskCompleted
from nexus.core.incidents import raise_incident
from nexus.core.json_text import check_data
from nexus.core.reasons import several
from nexus.core.runs import advance
from nexus.core.state import Call, Task

MOST_RESPONSE = 32_768  # bytes of one answer, as JSON
MOST_RESPONSES = 262_144  # bytes of all answers of one stage visit
MOST_MESSAGE = 2_000  # characters of a failure


def call_ended(decision: Decision, call: Call, ended: CallEnded) -> None:
    """Note what became of a call, raise its incident if it failed, and go on with its run (R10).

    A call that nobody wants any more is noted, and that is all.
    """
    incident = decision.state.incidents.get(call.incident) if call.incident else None
    if ended.outcome == "done":
        response, dropped = _kept(decision, call, ended.response)
        decision.emit(
            ChannelSucceeded,
            record=call.record,
            call=call.id,
            step=call.path,
            channel=call.channel,
            response=response,
            dropped=dropped,
            attempts=ended.attempts,
        )
        if incident is not None:
            decision.emit(IncidentClosed, record=call.record, incident=incident, outcome="resolved")
    else:
        message = _plain(ended.message)
        decision.emit(
            ChannelFailed,
            record=call.record,
            call=call.id,
            step=call.path,
            channel=call.channel,
            outcome=ended.outcome,
            code=_plain(ended.code)[:100],
            message=message,
            attempts=ended.attempts,
        )
        given_up = call.incident is not None and incident is None
        if not call.cancelling and not given_up:
            raise_incident(
                decision,
                _plain(ended.code)[:100] or ended.outcome,
                f"The channel {call.channel!r} failed in {call.stage!r}: {message}",
                call.id,
                record=call.record,
                call=replace(call, incident=call.incident),
                attempts=ended.attempts,
            )
    if call.visit == decision.state.records[call.record].visit:
        advance(decision, call.record)


def complete_task(decision: Decision, command: CompleteTask) -> None:
    """Somebody entitled has done the work of a task: its step ends.

    Raises:
        Rejected: `not_found`; `wrong_stage`, if it is not open any more; `forbidden`.
    """
    task = _open_task(decision, command.task)
    override = _authorize(decision, task)
    decision.emit(
        TaskCompleted,
        record=task.record,
        comment=command.comment,
        task=task.id,
        step=task.path,
        title=task.title,
        data=dict(command.data),
        override=override,
    )
    advance(decision, task.record)


def _open_task(decision: Decision, task_id: str) -> Task:
    state = decision.state
    task = state.tasks.get(task_id)
    if task is not None:
        return task
    number = task_id.removeprefix("task-")
    if number.isascii() and number.isdigit() and len(number) < 10 and 0 < int(number) <= state.seq:
        raise Rejected(
            "wrong_stage",
            f"{task_id!r} is not open: it was completed, or its stage was left.",
        )
    there = f"open are: {several(state.tasks)}" if state.tasks else "none is open"
    raise Rejected("not_found", f"No task {task_id!r} in this instance; {there}.")


def _authorize(decision: Decision, task: Task) -> bool:
    """Who is named by a task may complete it; else who may act on its record (R11)."""
    actor = decision.actor
    if not task.assignees:
        record = decision.state.records[task.record]
        return authorize(decision.program, actor, "complete", (record,))
    if is_assigned(actor, task.assignees):
        return False
    if actor.is_admin:
        return True
    who = [*map(repr, task.assignees.users), *(f"the role {r!r}" for r in task.assignees.roles)]
    raise Rejected(
        "forbidden",
        f"{actor.id!r} may not complete {task.id!r}: {task.title!r} is for {several(who)}.",
    )


def _kept(decision: Decision, call: Call, response: object) -> tuple[object, str | None]:
    """The answer as the state keeps it, or why it does not."""
    if findings := check_data(response):
        return None, f"it cannot be kept: {findings[0][1]}"
    size = len(msgspec.json.encode(response))
    if size > MOST_RESPONSE:
        return None, f"it has {size:,} bytes, and at most {MOST_RESPONSE:,} are kept"
    record = decision.state.records[call.record]
    used = sum(len(msgspec.json.encode(left)) for left in record.steps.values())
    if size > 100 and used + size > MOST_RESPONSES:
        return None, f"answers of one stage are kept up to {MOST_RESPONSES:,} bytes in all"
    return response, None


def _plain(text: str) -> str:
    """A channel's words as they can be kept: no NUL, no half characters, and not too long."""
    text = text.replace("\x00", "").encode(errors="replace").decode()
    return text if len(text) <= MOST_MESSAGE else text[: MOST_MESSAGE - 1] + "…"

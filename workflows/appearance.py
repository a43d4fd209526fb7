"""How an instance looks in Temporal's Web UI and in `temporal workflow list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from nexus.core.program import Program
from nexus.core.projection import HistoryRow
from nexus.core.reasons import several
from nexus.core.runs import what_runs
from nexus.core.state import RUN_ROOT, Assignees, Call, Record, State
from nexus.core.steps import Run

TENANT = SearchAttributeKey.for_keyword("NexusTenant")
DEFINITION = SearchAttributeKey.for_keyword("NexusDefinition")
STAGE = SearchAttributeKey.for_keyword_list("NexusStage")
ASSIGNEE = SearchAttributeKey.for_keyword_list("NexusAssignee")

MOST_DETAILS = 18_000  # bytes; the server takes 20,000
MOST_ATTRIBUTE = 1_900  # bytes; the server takes 2,048
MOST_LISTED = 50
MOST_SUMMARY = 200  # bytes; the server takes 400


def search_attributes(
    tenant: str, program: Program, state: State
) -> list[SearchAttributeUpdate[Any]]:
    """What instances are found by: tenant, definition, stages and assignees of open records."""
    records = [record for record in state.records.values() if record.stage is not None]
    opened = [record for record in records if record.status == "open" and not state.ended]
    stages = dict.fromkeys(record.stage or "" for record in (opened or records))
    assignees = dict.fromkeys(
        name for record in opened for name in (*record.assignees.users, *record.assignees.roles)
    )
    return [
        TENANT.value_set(tenant),
        DEFINITION.value_set(program.id),
        STAGE.value_set(_fitting(stages)),
        ASSIGNEE.value_set(_fitting(assignees)),
    ]


def _fitting(values: Iterable[str]) -> list[str]:
    """As many values as the server takes."""
    fitting: list[str] = []
    room = MOST_ATTRIBUTE
    for value in values:
        room -= len(value.encode()) + 4
        if room < 0:
            break
        fitting.append(value)
    return fitting


def details(program: Program, state: State) -> str:
    """Records, stages, assignees and what comes due, as Markdown."""
    subject = state.subject
    about = f"{subject.type} {subject.id}" if subject else "nobody"
    lines = [f"**{program.label}** {program.version} for {about}: {state.status}", ""]
    if state.records:
        lines += ["| record | stage | assigned to | since |", "| --- | --- | --- | --- |"]
        records = list(state.records.values())
        lines += [_line(program, record) for record in records[:MOST_LISTED]]
        if len(records) > MOST_LISTED:
            lines.append(f"| and {len(records) - MOST_LISTED} more | | | |")
    lines += _running(program, state)
    timers = sorted(state.timers.values(), key=lambda timer: timer.due)[:MOST_LISTED]
    if timers:
        lines += ["", "Due:", ""]
        lines += [f"- {timer.due:%Y-%m-%d %H:%M} UTC: {_cell(timer.summary)}" for timer in timers]
    return shortened("\n".join(lines), MOST_DETAILS)


def call_summary(call: Call) -> str:
    """What an activity that calls a channel is for, in one line."""
    again = f", to settle {call.incident}" if call.incident else ""
    summary = f"{call.channel} for {call.record} in {call.stage} ({call.path}){again}"
    return shortened(_cell(summary), MOST_SUMMARY)


def told(rows: Sequence[HistoryRow]) -> str:
    """What was decided, in one line: the summary of the projection that writes it."""
    said = dict.fromkeys(filter(None, (_told(row) for row in rows)))
    return shortened("; ".join(said), MOST_SUMMARY)


def _told(row: HistoryRow) -> str:
    payload = row.payload
    match row.event:
        case "instance_started":
            return f"{row.actor} starts it"
        case "carried_over":
            return f"{row.actor} carries {payload['events']} events over"
        case "action_taken":
            return f"{row.actor} takes {payload['action']}"
        case "stage_entered":
            came_from = f"{row.before} → " if row.before else ""
            return f"{row.record}: {came_from}{row.after}"
        case "event_received":
            return f"event {payload['event']}"
        case "event_applied":
            return f"event {payload['event']} has its turn"
        case "channel_requested":
            return f"calls {_in(payload, 'call', 'channel')}"
        case "channel_succeeded":
            return f"{payload['channel']} done"
        case "channel_failed":
            return f"{payload['channel']} {payload['outcome']}: {payload['code']}"
        case "task_opened":
            return f"task {_in(payload, 'task', 'title')!r}"
        case "task_completed":
            return f"{row.actor} completes {payload['title']!r}"
        case "step_ended" if payload["step"] == RUN_ROOT:
            return f"{row.record}: run joined"
        case "run_stopped":
            return f"{row.record}: run stopped"
        case "incident_retried":
            return f"{row.actor} retries {payload['incident']}"
        case "incident_closed":
            return f"{_in(payload, 'incident', 'id')} {payload['outcome']}"
        case "timer_fired":
            return f"clock of {payload['transition']}: {payload['outcome']}"
        case "incident_raised" | "signal_refused":
            return f"{row.event} {payload['code']}"
        case "instance_ending":
            return f"ending: {payload['status']}"
        case "instance_ended":
            return f"ended: {payload['status']}"
        case _:
            return ""


def _in(payload: Mapping[str, object], outer: str, inner: str) -> object:
    inside = payload[outer]
    return inside.get(inner) if isinstance(inside, Mapping) else None


def _line(program: Program, record: Record) -> str:
    if record.stage is None:
        stage = "(data)"
    else:
        stage = program.entities[record.entity].stages[record.stage].label
        if record.status != "open":
            stage += f" ({record.status})"
    since = f"{record.entered_at:%Y-%m-%d %H:%M}" if record.entered_at else ""
    return f"| {record.id} | {_cell(stage)} | {_people(record.assignees)} | {since} |"


def _running(program: Program, state: State) -> list[str]:
    """What runs, who is asked for something, and what needs a person."""
    lines: list[str] = []
    running = [
        f"- {record.id}: {_cell(several(what_runs(record, run)))}"
        for record in state.records.values()
        if record.running and (run := _run_of(program, record)) is not None
    ]
    if running:
        lines += ["", "Running:", "", *running[:MOST_LISTED]]
    if state.tasks:
        lines += ["", "Tasks:", ""]
        for task in list(state.tasks.values())[:MOST_LISTED]:
            who = task.assignees or state.records[task.record].assignees
            lines.append(f"- {task.id} of {task.record}: {_cell(task.title)} ({_people(who)})")
    if state.incidents:
        lines += ["", "Incidents:", ""]
        for incident in list(state.incidents.values())[:MOST_LISTED]:
            again = ", tried again" if incident.retrying else ""
            lines.append(f"- {incident.id}{again}: {_cell(incident.message)}")
    return lines


def _run_of(program: Program, record: Record) -> Run | None:
    return program.entities[record.entity].stages[record.stage].run if record.stage else None


def _people(who: Assignees) -> str:
    return _cell(", ".join([*who.users, *(f"role {role}" for role in who.roles)])) or "-"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def shortened(text: str, most: int) -> str:
    """The text in at most so many bytes of UTF-8, with an ellipsis where it was cut."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - 3].decode(errors="ignore") + "…"

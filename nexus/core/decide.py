"""decide(program, state, command, now) -> events: all that an instance does is decided here.

Theory of operation. A command is something that happened. Deciding on it
either raises `Rejected`, and nothing has changed, or gives the events that
follow; `evolve` applies them. Both are pure: `now` comes from the shell, and
nothing reads a clock, a database or the network. A decision goes through

    1. the gate: a new instance takes only `Start` or `CarryOver`, an ended one nothing;
    2. the command's own rule (`actions`, `transitions`);
    3. settling: automatic transitions, then the end (R4, R5).

Each event is applied as soon as it is decided, so every later rule of the same
decision sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nexus.core.actions import Admission, admit, perform, require_listening
from nexus.core.arrivals import receive, timer_due
from nexus.core.authority import authorize_opening
from nexus.core.commands import (
    SYSTEM_ACTOR,
    Act,
    AddRecord,
    CallEnded,
    CarryOver,
    Command,
    CompleteTask,
    GiveUp,
    NewRecord,
    ReceiveEvent,
    RefusedSignal,
    RetryIncident,
    SkipIncident,
    Start,
    Stop,
    TimerDue,
)
from nexus.core.decision import Decision
from nexus.core.errors import Rejected, nearest
from nexus.core.events import (
    ActionTaken,
    AnyEvent,
    InstanceStarted,
    SignalRefused,
)
from nexus.core.incidents import lingers, retry, skip
from nexus.core.outcomes import call_ended, complete_task
from nexus.core.program import Program, Transition
from nexus.core.reasons import several
from nexus.core.settling import give_up, settle, stop
from nexus.core.state import State, Subject
from nexus.core.transitions import create_record
from nexus.core.validation import check_plain, check_start

_OPENINGS = ("add", "event")  # what a running instance is asked for, beside actions on records


def decide(program: Program, state: State, command: Command, now: datetime) -> tuple[AnyEvent, ...]:
    """The events that follow from a command.

    Args:
        program: The compiled definition.
        state: The instance as it stands.
        command: What happened.
        now: When, timezone-aware.

    Raises:
        Rejected: The command is refused; nothing has changed.
    """
    return step(program, state, command, now)[0]


def step(
    program: Program, state: State, command: Command, now: datetime
) -> tuple[tuple[AnyEvent, ...], State]:
    """`decide`, with the state that its events lead to.

    Raises:
        Rejected: The command is refused; nothing has changed.
    """
    match command:
        case TimerDue():
            if command.timer not in state.timers:
                return (), state
            decision = Decision(program, state, SYSTEM_ACTOR, now)
            timer_due(decision, state.timers[command.timer])
        case RefusedSignal():
            decision = Decision(program, state, command.actor, now)
            decision.emit(SignalRefused, code=command.code, message=command.message)
            return tuple(decision.events), decision.state
        case CallEnded():
            if command.call not in state.calls:
                return (), state
            decision = Decision(program, state, SYSTEM_ACTOR, now)
            call_ended(decision, state.calls[command.call], command)
        case Stop():
            decision = Decision(program, state, command.actor, now)
            stop(decision)
        case Start() | CarryOver():
            decision = Decision(program, state, command.actor, now)
            _require_new(decision, command.subject)
            if isinstance(command, Start):
                _start(decision, command)
            else:
                # Hardly any instance is carried over, and who runs none does without the reader.
                from nexus.core.carrying import carry_over

                carry_over(decision, command)
        case RetryIncident() | SkipIncident() | GiveUp() if lingers(state):
            decision = Decision(program, state, command.actor, now)
            _handle(decision, command)
        case _:
            _gate(state)
            decision = Decision(program, state, command.actor, now)
            _handle(decision, command)
    settle(decision)
    return tuple(decision.events), decision.state


def can(program: Program, state: State, act: Act, now: datetime) -> dict[str, object]:
    """Whether an action would be admitted now, and why or why not. Nothing is changed.

    `add` and `event`, which are no actions on a record, can be asked for as well; a transition of
    that name is meant where there is one.

    Returns:
        `{"allowed": bool, "code": str | None, "message": str, "why": [...]}`; `why`
        lists each condition with the values it saw. Data that comes with the action is
        not judged; what the transition computes from the data that is there, is.
    """
    try:
        admission = admitted(program, state, act, now)
    except Rejected as refusal:
        why = refusal.details.get("why", [])
        return {"allowed": False, "code": refusal.code, "message": refusal.message, "why": why}
    if admission is None:
        return _allowed(f"{act.actor.id!r} may {act.action!r}.")
    reasons: list[object] = []
    transition, record = admission.transition, admission.record
    if transition is not None and transition.condition is not None:
        scope = Decision(program, state, act.actor, now).scope(record, act.data)
        reasons.append(transition.condition.explain(scope))
    on = f" on {record.id!r}" if record else ""
    as_admin = ", as admin" if admission.override else ""
    return _allowed(f"{act.actor.id!r} may take {act.action!r}{on}{as_admin}.", reasons)


def admitted(program: Program, state: State, act: Act, now: datetime) -> Admission | None:
    """The same without words: on what the action would be taken, and how. Nothing is changed.

    Returns:
        None for `add` and `event`, which are taken on nothing.

    Raises:
        Rejected: It would be refused.
    """
    _gate(state)
    decision = Decision(program, state, act.actor, now)
    if act.action in _OPENINGS and act.action not in program.transitions:
        if act.action == "event" and act.record is not None:
            require_listening(decision, act.record)
        authorize_opening(program, act.actor, act.action)
        return None
    admission = admit(decision, act)
    transition = admission.transition
    if transition is not None and not transition.uses_input and _computes(program, transition):
        perform(decision, act, admission)
    return admission


def _computes(program: Program, transition: Transition) -> bool:
    """Taking it computes something from data, which may come to nothing that can be kept."""
    stage = program.entities[transition.entity].stages[transition.target]
    return bool(transition.set or transition.creates or stage.run)


def _allowed(message: str, why: Sequence[object] = ()) -> dict[str, object]:
    return {"allowed": True, "code": None, "message": message, "why": list(why)}


def _gate(state: State) -> None:
    if state.status == "new":
        raise Rejected("wrong_stage", "This instance has not been started.")
    if state.ended:
        raise Rejected("wrong_stage", f"This instance has ended: it is {state.status}.")
    if state.ending is not None:
        raise Rejected(
            "wrong_stage",
            f"This instance is ending as {state.ending}, as soon as {several(state.calls)} has "
            "settled.",
        )


def _handle(
    decision: Decision,
    command: Act | AddRecord | ReceiveEvent | CompleteTask | RetryIncident | SkipIncident | GiveUp,
) -> None:
    if not isinstance(command, RetryIncident | SkipIncident | GiveUp):
        check_plain(command.data)
    match command:
        case GiveUp():
            if not lingers(decision.state):
                raise Rejected("conflict", "This instance is open: it has nothing to give up.")
            authorize_opening(decision.program, command.actor, "start")
            give_up(decision)
        case CompleteTask():
            complete_task(decision, command)
        case RetryIncident():
            retry(decision, command.incident, command.comment)
        case SkipIncident():
            skip(decision, command.incident, command.comment)
        case Act():
            perform(decision, command, admit(decision, command))
        case AddRecord():
            _entity_named(decision.program, command.entity)
            authorize_opening(decision.program, command.actor, "add")
            decision.emit(ActionTaken, action="add", input=dict(command.data))
            create_record(decision, command.entity, command.data, "action")
        case ReceiveEvent():
            if command.record is not None:
                require_listening(decision, command.record)
            authorize_opening(decision.program, command.actor, "event")
            receive(decision, command.event, command.data, command.record)


def _require_new(decision: Decision, subject: Subject) -> None:
    program, state = decision.program, decision.state
    if lingers(state):
        raise Rejected(
            "conflict",
            f"The former instance of {program.id!r} for this subject is kept for "
            f"{several(state.incidents) or 'a call under way'}: have it give that up, and start "
            "again.",
            {"keeps": list(state.incidents)},
        )
    if state.ended:
        raise Rejected(
            "conflict",
            f"The former instance of {program.id!r} for this subject is just closing "
            f"({state.status}): start again.",
        )
    if state.status != "new":
        raise Rejected(
            "instance_exists",
            f"{subject.type} {subject.id!r} has an open instance of {program.id!r} already.",
        )


def _start(decision: Decision, command: Start) -> None:
    program = decision.program
    check_plain(command.data)
    records = list(command.records)
    if command.entity is not None:
        records.insert(0, NewRecord(command.entity))
    elif not records and program.default_entity is not None:
        records = [NewRecord(program.default_entity)]
    for record in records:
        check_plain(record.data)
        _entity_named(program, record.entity)
    authorize_opening(program, command.actor, "start")
    check_start(program, command.data)
    decision.emit(
        InstanceStarted,
        definition=program.id,
        version=program.version,
        subject=command.subject,
        data=dict(command.data),
    )
    for record in records:
        create_record(decision, record.entity, record.data, "start")


def _entity_named(program: Program, name: str) -> None:
    if name not in program.entities:
        near = nearest(name, program.entities)
        hint = f" Did you mean {near!r}?" if near else ""
        raise Rejected(
            "invalid_data",
            f"{program.id!r} has no entity {name!r}.{hint} "
            f"There are: {several(program.entities) or 'none'}.",
        )

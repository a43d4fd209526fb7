"""What a person can do with a record: the definition's transitions, and the built-in actions.

An action is first admitted (it exists, it fits the record's stage, the actor is
entitled, its condition holds) and then applied. `can` asks for the admission
alone, so its answer is the one that the action would get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from nexus.core.authority import authorize
from nexus.core.commands import ADMIN, Act
from nexus.core.decision import Decision
from nexus.core.durations import format_duration
from nexus.core.errors import Rejected, nearest
from nexus.core.events import ActionTaken, Assigned, CommentAdded, RecordClosed
from nexus.core.incidents import resolve_leaving
from nexus.core.program import BUILT_IN_ACTIONS, LATER_ACTIONS, Program, Transition
from nexus.core.reasons import several
from nexus.core.record_data import change_data
from nexus.core.runs import run_of_record, stop_run, what_runs
from nexus.core.settling import end
from nexus.core.state import Assignees, Record
from nexus.core.transitions import enter_stage, hindrance, take
from nexus.core.validation import check_input


class Admission(Struct, frozen=True):
    """An action that may be taken now.

    Attributes:
        record: What it is taken on; None for the instance as a whole.
        transition: The transition that it takes, if it takes one.
        override: The actor is entitled as admin only (R11).
    """

    record: Record | None
    transition: Transition | None = None
    override: bool = False


def admit(decision: Decision, act: Act) -> Admission:
    """Whether this action may be taken now. Looks at everything but the action's data.

    Raises:
        Rejected: `not_found`, `ambiguous`, `wrong_stage`, `forbidden` or
            `condition_not_met`.
    """
    transition = decision.program.transitions.get(act.action)
    if transition is not None:
        return _admit_transition(decision, act, transition)
    if act.action not in BUILT_IN_ACTIONS:
        raise unknown_action(decision.program, act.action)
    return _ADMITTING[act.action](decision, act)


def perform(decision: Decision, act: Act, admission: Admission) -> None:
    """Do what was admitted.

    Raises:
        Rejected: `invalid_data` or `self_assign`.
    """
    if admission.transition is not None:
        check_input(decision.program, admission.transition, decision.data_of(admission.record), act)
    record = admission.record
    decision.emit(
        ActionTaken,
        record=record.id if record else None,
        comment=act.comment,
        action=act.action,
        input=dict(act.data),
        override=admission.override,
    )
    if admission.transition is not None:
        assert record is not None
        take(decision, admission.transition, record, "action", act.data)
    else:
        _PERFORMING[act.action](decision, act, record)


# --- admission -----------------------------------------------------------------------------


def _admit_transition(decision: Decision, act: Act, transition: Transition) -> Admission:
    if transition.trigger.kind != "action":
        raise Rejected("not_found", f"{act.action!r} is not an action: {_taken_by(transition)}.")
    records = decision.state.records
    if act.record is None:
        eligible = [
            record
            for record in decision.open_records()
            if record.entity == transition.entity and record.stage in transition.sources
        ]
        if not eligible:
            raise _wrong_stage(transition, records.values())
        record = _only(eligible, act.action)
    else:
        record = _existing(decision, act.record)
        fits = record.entity == transition.entity and record.stage in transition.sources
        if not fits or record.status != "open":
            raise _wrong_stage(transition, (record,))
    override = authorize(decision.program, decision.actor, act.action, (record,), transition)
    _require_joined(decision, record, transition)
    reason = hindrance(decision, transition, record, act.data)
    if reason is not None:
        raise reason.reject()
    return Admission(record, transition, override)


def _admit_on_staged(decision: Decision, act: Act) -> Admission:
    record = _eligible(decision, act, lambda record: record.stage is not None, "has stages")
    return Admission(
        record, None, authorize(decision.program, decision.actor, act.action, (record,))
    )


def _admit_convert(decision: Decision, act: Act) -> Admission:
    record = _eligible(decision, act, lambda record: record.stage is not None, "has stages")
    assert record.stage is not None
    entity = decision.program.entities[record.entity]
    target = entity.stage_after(record.stage)
    if target is None:
        raise Rejected(
            "wrong_stage", f"{record.id!r} stands in {record.stage!r}, the last listed stage."
        )
    exits = entity.exits[record.stage]
    ways = (*exits.action, *exits.auto, *exits.event, *exits.after)
    declared = [transition for transition in ways if transition.target == target]
    if not declared:
        override = authorize(decision.program, decision.actor, act.action, (record,))
        _require_joined(decision, record)
        return Admission(record, None, override)
    # A declared way to the next stage keeps its own conditions, takers and roles, whatever takes
    # it: converting is no way around them. The first that is open to the actor is taken.
    first_refusal: Rejected | None = None
    for transition in declared:
        by_hand = transition.trigger.kind == "action"
        names = (act.action, transition.name) if by_hand else (act.action,)
        override = False
        try:
            for name in names:
                passed = authorize(decision.program, decision.actor, name, (record,), transition)
                override = override or passed
            _require_joined(decision, record, transition)
        except Rejected as refusal:
            first_refusal = first_refusal or refusal
            continue
        reason = hindrance(decision, transition, record, act.data)
        if reason is None:
            return Admission(record, transition, override)
        first_refusal = first_refusal or reason.reject()
    assert first_refusal is not None
    raise first_refusal


def _require_joined(
    decision: Decision, record: Record, transition: Transition | None = None
) -> None:
    """Refuse to leave a stage whose run is going on (R7)."""
    if not record.running or (transition is not None and transition.interrupts):
        return
    run = run_of_record(decision, record)
    assert run is not None
    waits = several(what_runs(record, run))
    raise Rejected(
        "run_in_progress",
        f"{record.id!r} cannot leave {record.stage!r} yet: what it runs has not ended; it waits "
        f"for {waits}.",
        {"record": record.id, "waits_for": what_runs(record, run)},
    )


def _admit_update(decision: Decision, act: Act) -> Admission:
    if act.record is None and not decision.open_records():
        return _admit_on_instance(decision, act)
    record = _eligible(decision, act, lambda _: True, "is open")
    return Admission(
        record, None, authorize(decision.program, decision.actor, act.action, (record,))
    )


def _admit_comment(decision: Decision, act: Act) -> Admission:
    if act.record is None and len(decision.open_records()) != 1:
        return _admit_on_instance(decision, act)
    return _admit_update(decision, act)


def _admit_close(decision: Decision, act: Act) -> Admission:
    if act.record is None and not _staged(decision):
        return _admit_on_instance(decision, act)
    if act.record is not None and _existing(decision, act.record).stage is None:
        return _admit_update(decision, act)
    return _admit_on_staged(decision, act)


def _admit_on_instance(decision: Decision, act: Act) -> Admission:
    if act.record is not None:
        raise Rejected(
            "invalid_data", f"{act.action!r} is for the whole instance; it takes no record."
        )
    records = decision.open_records()
    return Admission(None, None, authorize(decision.program, decision.actor, act.action, records))


_ADMITTING: Mapping[str, Callable[[Decision, Act], Admission]] = {
    "assign": _admit_on_staged,
    "cancel": _admit_on_instance,
    "close": _admit_close,
    "comment": _admit_comment,
    "convert": _admit_convert,
    "update": _admit_update,
}


# --- doing ---------------------------------------------------------------------------------


def _assign(decision: Decision, act: Act, record: Record | None) -> None:
    assert record is not None
    unknown = [key for key in act.data if key not in ("users", "roles")]
    if unknown or not act.data:
        what = f"has no {unknown[0]!r}; it takes" if unknown else "needs"
        raise Rejected("invalid_data", f"'assign' {what} 'users' and 'roles', lists of names.")
    users, roles = (_names(act, "users"), _names(act, "roles"))
    _require_known_roles(decision, roles)
    if not decision.program.self_assign and decision.actor.id in users:
        raise Rejected("self_assign", "This definition lets nobody assign a record to themselves.")
    decision.emit(
        Assigned, record=record.id, assignees=Assignees(users, roles), previous=record.assignees
    )


def _require_known_roles(decision: Decision, roles: tuple[str, ...]) -> None:
    """A definition with `roles` lets nobody act through a role that it does not name."""
    can = decision.program.can
    for role in roles:
        if can is not None and role != ADMIN and role not in can:
            near = nearest(role, can)
            hint = f" Did you mean {near!r}?" if near else ""
            raise Rejected(
                "invalid_data",
                f"This definition has no role {role!r}, so nobody could act through it.{hint} "
                f"There are: {', '.join(can) or 'none'}.",
            )


def _cancel(decision: Decision, _act: Act, _record: Record | None) -> None:
    end(decision, "cancelled")


def _close(decision: Decision, _act: Act, record: Record | None) -> None:
    if record is None:
        end(decision, "completed")
    else:
        stop_run(decision, record.id)
        resolve_leaving(decision, record.id)
        decision.emit(RecordClosed, record=record.id, stage=record.stage)


def _comment(decision: Decision, act: Act, record: Record | None) -> None:
    if not act.comment:
        raise Rejected("invalid_data", "'comment' needs a 'comment', the text to keep.")
    decision.emit(CommentAdded, record=record.id if record else None, comment=act.comment)


def _convert(decision: Decision, _act: Act, record: Record | None) -> None:
    assert record is not None
    assert record.stage is not None
    target = decision.program.entities[record.entity].stage_after(record.stage)
    assert target is not None
    enter_stage(decision, record.id, target, "action", None)


def _update(decision: Decision, act: Act, record: Record | None) -> None:
    if not act.data:
        raise Rejected("invalid_data", "'update' needs 'data', the values to change.")
    change_data(decision, record, act.data)


_PERFORMING: Mapping[str, Callable[[Decision, Act, Record | None], None]] = {
    "assign": _assign,
    "cancel": _cancel,
    "close": _close,
    "comment": _comment,
    "convert": _convert,
    "update": _update,
}


# --- finding what is meant (R6) ------------------------------------------------------------


def _eligible(decision: Decision, act: Act, fits: Callable[[Record], bool], needed: str) -> Record:
    if act.record is not None:
        record = open_record(decision, act.record)
        if not fits(record):
            raise Rejected("wrong_stage", f"{act.action!r} takes a record that {needed}.")
        return record
    eligible = [record for record in decision.open_records() if fits(record)]
    if not eligible:
        raise Rejected("wrong_stage", f"No open record here {needed}, as {act.action!r} needs.")
    return _only(eligible, act.action)


def open_record(decision: Decision, record_id: str) -> Record:
    """The record of this id, which can still change.

    Raises:
        Rejected: `not_found`, or `wrong_stage` where it has ended (R4).
    """
    record = _existing(decision, record_id)
    if record.status != "open":
        where = f" in {record.stage!r}" if record.stage is not None else ""
        raise Rejected("wrong_stage", f"{record.id!r} has ended{where}.")
    return record


def require_listening(decision: Decision, record_id: str) -> None:
    """Refuse an event for a record that is not there, or has ended with nothing running.

    Raises:
        Rejected: `not_found` or `wrong_stage`.
    """
    if not _existing(decision, record_id).running:
        open_record(decision, record_id)


def _only(eligible: list[Record], action: str) -> Record:
    if len(eligible) > 1:
        ids = [record.id for record in eligible]
        raise Rejected(
            "ambiguous",
            f"{action!r} could be taken on {several(ids)}: say which 'record'.",
            {"records": ids},
        )
    return eligible[0]


def _existing(decision: Decision, record_id: str) -> Record:
    record = decision.state.records.get(record_id)
    if record is None:
        ids = list(decision.state.records)
        there = f"there are: {several(ids)}" if ids else "it has none"
        raise Rejected("not_found", f"No record {record_id!r} in this instance; {there}.")
    return record


def _staged(decision: Decision) -> bool:
    return any(record.stage is not None for record in decision.state.records.values())


def _names(act: Act, key: str) -> tuple[str, ...]:
    names = act.data.get(key, [])
    if not isinstance(names, list) or not all(
        isinstance(name, str) and 0 < len(name) <= 200 for name in names
    ):
        raise Rejected(
            "invalid_data", f"'assign' takes {key!r} as a list of names of up to 200 characters."
        )
    return tuple(dict.fromkeys(names))


def _wrong_stage(transition: Transition, records: Iterable[Record]) -> Rejected:
    stand = [
        f"{record.id!r} {'stands' if record.status == 'open' else 'has ended'} in {record.stage!r}"
        for record in records
        if record.stage is not None
    ]
    return Rejected(
        "wrong_stage",
        f"{transition.name!r} takes a {transition.entity} from "
        f"{several(map(repr, transition.sources), ' or ')}; "
        f"{several(stand) or 'there is none'}.",
        {"from": list(transition.sources)},
    )


def unknown_action(program: Program, action: str) -> Rejected:
    """The refusal of an action that a definition does not have, with the nearest it has."""
    actions = program.actions
    if action in LATER_ACTIONS:
        return Rejected(
            "not_found",
            f"{action!r} ({LATER_ACTIONS[action]}) is not available in this version of Nexus.",
        )
    near = nearest(action, actions)
    hint = f" Did you mean {near!r}?" if near else ""
    return Rejected(
        "not_found",
        f"No action {action!r}.{hint} There are: {several(actions)}.",
        {"actions": list(actions)},
    )


def _taken_by(transition: Transition) -> str:
    trigger = transition.trigger
    if trigger.kind == "auto":
        return "it is taken by itself, as soon as its condition holds"
    if trigger.kind == "event":
        return f"it is taken by the event {trigger.event!r}"
    return f"it is taken {format_duration(trigger.after)} after its stage was entered"

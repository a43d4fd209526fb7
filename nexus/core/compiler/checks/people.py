"""Who may take what: transitions that nobody can, roles that nobody has (R11, R13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexus.core.compiler.checks.written import Check, Tree, leaves
from nexus.core.compiler.forms import quorum_of
from nexus.core.compiler.reader import below
from nexus.core.errors import Report, nearest
from nexus.core.program import Entity, Program, Stage, Transition
from nexus.core.reasons import several

_ADMIN = "admin"  # may do everything, and needs no declaration

Document = Mapping[str, object]


def check_people(
    report: Report,
    program: Program,
    transition: Transition,
    body: Document,
    condition: Tree | None,
) -> None:
    """Report what keeps people from taking a transition."""
    place = below("/transitions", transition.name)
    if transition.trigger.kind != "action":
        # `convert` may take it by hand, and asks for both.
        converted = program.entities[transition.entity].is_taken_by_convert(transition)
        for key in ("by", "input"):
            if key in body and not converted:
                report(
                    "not_by_hand",
                    below(place, key),
                    f"{key!r} has no effect here: {transition.name!r} is not an action that "
                    "somebody takes.",
                    expected='"on": "action", or none',
                )
    elif program.can is not None:
        _takers(report, program, transition, place, body)
    if program.can is not None and condition is not None:
        for leaf in leaves(condition):
            if isinstance(leaf, Check) and leaf.membership.paths == ("actor.roles",):
                _roles_checked(report, program, leaf)
    _quorums(report, program, transition, place, body)


def check_assigned(report: Report, program: Program, entity: Entity, body: Document) -> None:
    """Report roles in `assign` that are not declared, and quorums above the voters named there."""
    stages = body.get("stages")
    for index, document in enumerate(stages if isinstance(stages, list) else ()):
        assign = document.get("assign") if isinstance(document, dict) else None
        if not isinstance(assign, dict):
            continue
        place = below(below(below("/entities", entity.name), "stages"), index)
        here = below(place, "assign")
        if program.can is not None:
            check_declared(
                report, program, assign.get("roles"), below(here, "roles"), "This assigns"
            )
        stage = list(entity.stages.values())[index]
        if stage.assign is not None and not stage.assign.roles:
            _quorum(report, assign.get("strategy"), below(here, "strategy"), stage.assign.users)


def _takers(
    report: Report, program: Program, transition: Transition, place: str, body: Document
) -> None:
    assert program.can is not None
    able = {role for role, can in program.can.items() if transition.name in can or "*" in can}
    if not able:
        report(
            "no_role_can_take",
            place,
            f"No role of this definition can take {transition.name!r}: only an admin may.",
            expected=f"{transition.name!r} in the 'can' of a role",
            found=transition.name,
        )
        return
    by = body.get("by")
    if isinstance(by, dict):
        named = by.get("roles")
        check_declared(report, program, named, below(below(place, "by"), "roles"), "'by' names")
        for role, here in _named(named, below(below(place, "by"), "roles")):
            if role in program.can and role not in able:
                report(
                    "role_cannot_take",
                    here,
                    f"'by' names the role {role!r}, whose 'can' does not have "
                    f"{transition.name!r}: it may not take it.",
                    expected=f"{transition.name!r} in the 'can' of {role!r}",
                    found=role,
                )
        return
    for name in transition.sources:
        _assignees(
            report, program.entities[transition.entity].stages[name], transition, place, able
        )


def _assignees(
    report: Report, stage: Stage, transition: Transition, place: str, able: Iterable[str]
) -> None:
    """Only those whom the stage is assigned to may take it, and of their roles none can."""
    assign = stage.assign
    if assign is None or assign.users or any(role in able for role in assign.roles):
        return
    roles = several(map(repr, assign.roles), " and ")
    report(
        "assignees_cannot_take",
        place,
        f"The stage {stage.id!r} is assigned to {roles}, and 'can' does not let "
        f"{'that role' if len(assign.roles) == 1 else 'those roles'} take {transition.name!r}.",
        expected=f"{transition.name!r} in the 'can' of {assign.roles[0]!r}, or 'by'",
        found=transition.name,
    )


def _roles_checked(report: Report, program: Program, check: Check) -> None:
    wanted = [role for role in check.membership.wanted if isinstance(role, str)]
    for role in sorted(wanted):
        _one_declared(report, program, role, below(check.pointer, "role_check"), "This asks for")


def check_declared(report: Report, program: Program, value: object, place: str, said: str) -> None:
    """Report roles that the definition's `roles` do not have.

    Args:
        report: Takes them.
        program: One that has `roles`.
        value: A role, or a list of them.
        place: Its pointer.
        said: How the sentence about it begins.
    """
    for role, here in _named(value, place):
        _one_declared(report, program, role, here, said)


def _one_declared(report: Report, program: Program, role: str, place: str, said: str) -> None:
    assert program.can is not None
    if role in program.can or role == _ADMIN:
        return
    report(
        "undeclared_role",
        place,
        f"{said} the role {role!r}, which is none of the definition's roles: whoever has it alone "
        "can do nothing here.",
        expected=several(program.can) or "a role in 'roles'",
        found=role,
        suggestion=nearest(role, program.can),
    )


def _named(value: object, place: str) -> list[tuple[str, str]]:
    """(name, pointer) of one name, or of a list of them."""
    if isinstance(value, str):
        return [(value, place)]
    listed = value if isinstance(value, list) else []
    return [(name, below(place, i)) for i, name in enumerate(listed) if isinstance(name, str)]


def _quorums(
    report: Report, program: Program, transition: Transition, place: str, body: Document
) -> None:
    if "strategy" not in body:
        return
    here = below(place, "strategy")
    if transition.users is not None:
        if not transition.roles:
            _quorum(report, body["strategy"], here, sorted(transition.users))
        return
    for name in transition.sources:
        assign = program.entities[transition.entity].stages[name].assign
        if assign is not None and not assign.roles:
            _quorum(report, body["strategy"], here, assign.users)
            return


def _quorum(report: Report, strategy: object, place: str, voters: Iterable[str]) -> None:
    """R13: a quorum above the number of voters would be lowered to it, with an incident."""
    named = list(voters)
    count = quorum_of(strategy.get("quorum")) if isinstance(strategy, dict) else None
    if isinstance(count, int) and count > len(named):
        report(
            "quorum_above_voters",
            below(place, "quorum"),
            f"{count} votes are wanted and only {several(map(repr, named), ' and ')} can vote: "
            f"the quorum would be lowered to {len(named)}.",
            expected=f"at most {len(named)}",
            found=count,
        )

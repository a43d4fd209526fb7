"""A whole definition, from its text to its program."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from nexus.core.channel_kinds import ChannelKinds
from nexus.core.compiler.checks.channels import ChannelChecks
from nexus.core.compiler.entities import compile_entities
from nexus.core.compiler.later import check_later
from nexus.core.compiler.reader import (
    Problems,
    TooManyProblems,
    as_flag,
    as_name,
    as_names,
    as_object,
    as_text,
    below,
    known_keys,
    unknown_name,
)
from nexus.core.compiler.remarks import remark
from nexus.core.compiler.settings import compile_channels
from nexus.core.compiler.transitions import compile_transitions
from nexus.core.errors import DefinitionError, Problem, nearest
from nexus.core.json_text import Positions, load
from nexus.core.language import DOMAINS, MOST_LABEL
from nexus.core.problem_codes import PROBLEM_CODES
from nexus.core.program import (
    BUILT_IN_ACTIONS,
    LATER_ACTIONS,
    OTHER_ABILITIES,
    Entity,
    Exits,
    Program,
    Transition,
)
from nexus.core.schemas import compile_data_schema

NO_VERSION = "0.0.0"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SEMVER = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)


class Compiled(Struct, frozen=True):
    """A definition that can run.

    Attributes:
        text: As it was given, byte for byte.
        warnings: What is odd about it, in document order.
    """

    program: Program
    text: str
    warnings: tuple[Problem, ...]


def load_definition(
    text: str | bytes, source: str = "", channels: ChannelKinds | None = None
) -> Compiled:
    """Read, check and compile a definition.

    Args:
        text: JSON, at most 1 MiB, UTF-8 where it is bytes.
        source: File name for messages.
        channels: The channels that there are; None where nothing is known of them, and so nothing
            said.

    Raises:
        DefinitionError: It cannot run; carries every problem, with line and column (the
            first 50 errors, if there are more).
    """
    document = load(text, source)
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    problems = Problems()
    program: Program | None = None
    try:
        program = _program(problems, document)
        if program is not None and isinstance(document, dict):
            check_later(problems, document)
            remark(problems, program, document)
            if channels is not None:
                _check_channels(ChannelChecks(problems, program, channels), problems, program)
    except TooManyProblems:
        program = None
    found = _located(_worth_telling(problems), text, source)
    if program is None or problems.any_error:
        raise DefinitionError(found)
    return Compiled(program, text, found)


_ALL_STAGES = re.compile(r"/entities(/[^/]+(/stages)?)?")


@lru_cache(maxsize=256)
def program_of(text: str) -> Program:
    """The program of a definition's text, compiled once per process.

    The text was accepted once, so nothing is asked of it that running it does not need: a check
    that is added later must not stop what is running.

    Raises:
        DefinitionError: It cannot run.
    """
    problems = Problems()
    try:
        program = _program(problems, load(text, ""))
    except TooManyProblems:
        program = None
    if program is None or problems.any_error:
        raise DefinitionError(_located(problems.found, text, ""))
    return program


def _check_channels(checks: ChannelChecks, problems: Problems, program: Program) -> None:
    if not problems.any_error_below("/channels"):
        checks.check_settings("/channels")
    for name, entity in program.entities.items():
        place = below(below("/entities", name), "stages")
        for index, stage in enumerate(entity.stages.values()):
            here = below(place, index)
            if stage.run is not None and not problems.any_error_below(place):
                checks.check_run(stage.run, here)


def _worth_telling(problems: Problems) -> list[Problem]:
    """All that was found, but for what would only distract from an error beside it."""
    # Where stages could not be read, each transition between them would be called wrong as well.
    unread = any(
        problem.code == "wrong_type" and _ALL_STAGES.fullmatch(problem.pointer)
        for problem in problems.found
    )
    return [
        problem
        for problem in problems.found
        if not (unread and problem.code == "unknown_stage")
        and (problem.code != "no_effect_yet" or not problems.any_error_below(problem.pointer))
    ]


def _located(problems: Iterable[Problem], text: str, source: str) -> tuple[Problem, ...]:
    """The problems with line and column, in the order in which a reader meets them."""
    problems = list(problems)
    if not problems:
        return ()
    positions = Positions(text)
    placed = []
    for problem in problems:
        if problem.offset is not None:
            line, column = positions.inside(problem.pointer, problem.offset)
        else:
            at_key = PROBLEM_CODES[problem.code].at_key
            line, column = (positions.key if at_key else positions.value)(problem.pointer)
        placed.append(dataclasses.replace(problem, line=line, column=column, source=source))
    return tuple(sorted(placed, key=lambda problem: (problem.line, problem.column)))


def _program(problems: Problems, document: object) -> Program | None:
    body = as_object(problems, document, "", "A definition")
    if body is None:
        return None
    known_keys(problems, "definition", body, "")
    id_, version, domain = _identity(problems, body)
    label = (
        as_text(problems, body["label"], "/label", "A label", MOST_LABEL)
        if "label" in body
        else None
    )
    schema = (
        compile_data_schema(body["dataSchema"], "/dataSchema", problems)
        if "dataSchema" in body
        else None
    )
    entities = compile_entities(problems, _section(problems, body, "entities"), "/entities")
    transitions = compile_transitions(
        problems, _section(problems, body, "transitions"), "/transitions", entities
    )
    own: dict[str, list[Transition]] = {name: [] for name in entities}
    for transition in transitions.values():
        own[transition.entity].append(transition)
    entities = {
        name: replace(entity, exits=_exits(entity, own[name])) for name, entity in entities.items()
    }
    can = (
        _roles(problems, _section(problems, body, "roles"), body.get("transitions"))
        if "roles" in body
        else None
    )
    return Program(
        id=id_ or "",
        label=label or id_ or "",
        version=version or NO_VERSION,
        domain=domain,
        entities=entities,
        transitions=transitions,
        data_schema=schema,
        can=can,
        self_assign=_self_assign(problems, _section(problems, body, "policy")),
        default_entity=next((name for name, entity in entities.items() if entity.stages), None),
        has_auto=any(t.trigger.kind == "auto" for t in transitions.values()),
        channels=compile_channels(problems, _section(problems, body, "channels"), "/channels"),
    )


def _section(problems: Problems, body: Mapping[str, object], key: str) -> dict[str, object]:
    if key not in body:
        return {}
    return as_object(problems, body[key], f"/{key}", f"'{key}'") or {}


def _identity(
    problems: Problems, body: Mapping[str, object]
) -> tuple[str | None, str | None, str | None]:
    id_ = body.get("id")
    if id_ is None:
        problems("missing_key", "", "A definition needs an 'id'.", expected="'id'")
    elif not isinstance(id_, str) or not _ID.fullmatch(id_):
        problems(
            "invalid_id",
            "/id",
            "An id is 1 to 100 letters, digits, '.', '_', '-', and begins with a letter or digit.",
            expected="an id such as 'sales-pipeline'",
            found=id_,
        )
    version = body.get("version", NO_VERSION)
    if not isinstance(version, str) or not _SEMVER.fullmatch(version) or len(version) > 64:
        problems(
            "invalid_version",
            "/version",
            "A version is three numbers, as semantic versioning has it.",
            expected="a version such as '1.0.0'",
            found=version,
        )
    domain = body.get("domain")
    if "domain" in body and domain not in DOMAINS:
        problems(
            "unknown_domain",
            "/domain",
            f"No domain {domain!r}; there are {', '.join(DOMAINS)}.",
            expected=" or ".join(DOMAINS),
            found=domain,
            suggestion=nearest(str(domain), DOMAINS),
        )
    return (
        id_ if isinstance(id_, str) else None,
        version if isinstance(version, str) else None,
        domain if isinstance(domain, str) else None,
    )


def _exits(entity: Entity, transitions: Iterable[Transition]) -> dict[str, Exits]:
    """What leads out of each stage, in document order."""
    leaving: dict[str, list[Transition]] = {stage: [] for stage in entity.stages}
    for transition in transitions:
        for stage in transition.sources:
            leaving[stage].append(transition)
    exits = {}
    for stage, own in leaving.items():
        by_kind = {
            kind: tuple(t for t in own if t.trigger.kind == kind)
            for kind in ("action", "auto", "event", "after")
        }
        exits[stage] = Exits(**by_kind)
    return exits


def _roles(
    problems: Problems, roles: Mapping[str, object], transitions: object
) -> dict[str, frozenset[str]]:
    """Role → what it can do, with what it inherits.

    `transitions` is the document's section: a role that names a faulty one is right to.
    """
    declared = list(transitions) if isinstance(transitions, dict) else []
    own: dict[str, frozenset[str]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    known = dict.fromkeys((*declared, *BUILT_IN_ACTIONS, *LATER_ACTIONS, *OTHER_ABILITIES, "*"))
    for role, value in roles.items():
        place = below("/roles", role)
        body = as_object(problems, value, place, f"The role {role!r}")
        if as_name(problems, role, place, "A role's name") is None or body is None:
            continue
        known_keys(problems, "role", body, place)
        if "label" in body:
            as_text(problems, body["label"], below(place, "label"), "A label", MOST_LABEL)
        listed = body.get("can", [])
        can = as_names(problems, listed, below(place, "can"), "'can'")
        for index, action in enumerate(can):
            if action not in known:
                here = _element(listed, below(place, "can"), index)
                unknown_name(problems, "unknown_action", here, "action", action, known)
        own[role] = frozenset(can)
        parents[role] = as_names(
            problems, body.get("inherits", []), below(place, "inherits"), "'inherits'"
        )
    for role, names in parents.items():
        inheriting = roles[role]
        assert isinstance(inheriting, dict)
        for index, name in enumerate(names):
            if name not in own:
                place = below(below("/roles", role), "inherits")
                here = _element(inheriting["inherits"], place, index)
                unknown_name(problems, "unknown_role", here, "role", name, own)
    return {role: _inherited(role, own, parents) for role in own}


def _element(listed: object, pointer: str, index: int) -> str:
    """Where one of the names stands: in a list, or alone in the list's place."""
    return below(pointer, index) if isinstance(listed, list) else pointer


def _inherited(
    role: str, own: Mapping[str, frozenset[str]], parents: Mapping[str, tuple[str, ...]]
) -> frozenset[str]:
    """Everything that a role can do. A circle of inheritance adds up to the union of its roles."""
    seen: set[str] = set()
    todo = [role]
    while todo:
        name = todo.pop()
        if name not in seen and name in own:
            seen.add(name)
            todo += parents[name]
    return frozenset().union(*(own[name] for name in seen))


def _self_assign(problems: Problems, policy: Mapping[str, object]) -> bool:
    known_keys(problems, "policy", policy, "/policy")
    if "selfAssign" not in policy:
        return True
    return (
        as_flag(problems, policy["selfAssign"], "/policy/selfAssign", "'selfAssign'") is not False
    )

"""Names that expressions read, and fields that transitions write."""

from __future__ import annotations

from nexus.core.compiler.checks.facts import Facts, data_keys, schemas_at
from nexus.core.compiler.checks.written import Written, computed_of, paths_at
from nexus.core.compiler.reader import below
from nexus.core.errors import Report, nearest
from nexus.core.expressions.nodes import Node, Path
from nexus.core.language import MEMBERS, STEP_MEMBERS
from nexus.core.program import Entity, Transition
from nexus.core.reasons import several
from nexus.core.schemas import DataSchema


def check_names(report: Report, facts: Facts, written: Written) -> None:
    """Report what an expression reads that nothing will ever be at."""
    # Most paths are those of other transitions of the entity, where they were found to be fine.
    fine = facts.shared.fine
    if all(path in fine for path in written.expression.paths):
        return
    seen: set[Path] = set()
    for path, node in paths_at(written.expression.tree):
        if path in seen:
            continue
        seen.add(path)
        if path.root == "input":
            _input(report, facts, written, path, node)
        elif path.root == "event":
            _event(report, facts, written, path, node)
        elif path.root == "steps":
            _steps(report, facts, written, path, node)
        elif _leads_somewhere(report, facts, written, path, node):
            fine.add(str(path))


def _leads_somewhere(
    report: Report, facts: Facts, written: Written, path: Path, node: Node
) -> bool:
    keys = data_keys(path)
    if keys:
        return _data(report, facts, written, path, keys, node)
    return _member(report, facts, written, path, node)


def _data(
    report: Report,
    facts: Facts,
    written: Written,
    path: Path,
    keys: tuple[str | int, ...],
    node: Node,
) -> bool:
    known, depth = facts.known, 0
    if known is None:
        return True
    if str(keys[0]) in known:
        known, depth = _known_inside(facts, keys)
    if known is None or str(keys[depth]) in known:
        return True
    prefix = Path(path.root, path.keys[: len(path.keys) - len(keys) + depth])
    name = Path(path.root, (*prefix.keys, keys[depth]))
    where = (
        "neither the dataSchema nor the fields name" if depth == 0 else "its schema does not name"
    )
    if depth == 0 and facts.entity.fields is None:
        where = "the dataSchema does not name"
    elif depth == 0 and facts.program.data_schema is None:
        where = f"the fields of {facts.entity.name!r} do not name"
    written.tell(
        report,
        "unknown_data",
        node,
        f"This reads {name}, which {where}.",
        expected=several(f"{prefix}.{one}" for one in sorted(known)),
        suggestion=_likely(str(keys[depth]), known),
    )
    return False


def _known_inside(facts: Facts, keys: tuple[str | int, ...]) -> tuple[set[str] | None, int]:
    """The first level below the data's own keys whose schema does not name the key there."""
    for depth in range(1, len(keys)):
        if not isinstance(keys[depth], str):
            return None, 0
        known: set[str] = set()
        for schema in schemas_at(facts.shared.judges(), keys[:depth]):
            properties = schema.get("properties")
            known |= set(properties) if isinstance(properties, dict) else set()
        if not known:
            return None, 0
        if keys[depth] not in known:
            return known, depth
    return None, 0


def _likely(key: str, known: set[str]) -> str | None:
    """The name probably meant: one that is close, or the only one that has the key as a part."""
    containing = [name for name in sorted(known) if key in name.split("_")]
    return (containing[0] if len(containing) == 1 else None) or nearest(key, sorted(known))


def _input(report: Report, facts: Facts, written: Written, path: Path, node: Node) -> None:
    site = facts.site
    if site.kind != "action":
        written.tell(
            report,
            "unknown_input",
            node,
            f"There is no input here: {site.taken}, and only an action brings some.",
            expected="data, record or event",
        )
        return
    judges = [judge.properties for judge in facts.judges_input() if judge.properties]
    if not path.keys or not judges:
        return
    known = {key for properties in judges for key in properties}
    key = str(path.keys[0])
    if site.input is None and facts.known is not None:
        known |= facts.known
    if key not in known:
        whose = f"input of {site.name}" if site.input else "dataSchema"
        written.tell(
            report,
            "unknown_input",
            node,
            f"This reads input.{key}, which the {whose} does not name.",
            expected=several(f"input.{name}" for name in sorted(known)),
            suggestion=_likely(key, known),
        )


def _event(report: Report, facts: Facts, written: Written, path: Path, node: Node) -> None:
    site = facts.site
    if site.event is not None:
        _member(report, facts, written, path, node)
        return
    of_step = site.kind == "step"
    written.tell(
        report,
        "unknown_member",
        node,
        "There is no event here: steps in the 'then' of a 'waitFor' alone see one."
        if of_step
        else f"There is no event here: {site.taken}.",
        expected="steps.<name>.event of a 'waitFor' before" if of_step else '"on": {"event": …}',
    )


def _steps(report: Report, facts: Facts, written: Written, path: Path, node: Node) -> None:
    if not path.keys:
        return
    name, known = str(path.keys[0]), facts.site.steps
    step = known.get(name)
    if step is None:
        late = name in known
        there = [one for one, other in known.items() if other is not None]
        where = several(map(repr, facts.site.stages), " and ")
        what = f"steps.{name}, " if name.isidentifier() else f"steps[{name!r}], "
        written.tell(
            report,
            "unknown_step",
            node,
            f"This reads {what}"
            + (
                "a step that has not begun when this is looked at."
                if late
                else f"and no step of {where} has that name."
            ),
            expected=several(f"steps.{one}" for one in there) or "'name' on a step",
            suggestion=None if late else nearest(name, there),
        )
        return
    members = STEP_MEMBERS[step.kind]
    if len(path.keys) > 1 and path.keys[1] not in members:
        key = str(path.keys[1])
        written.tell(
            report,
            "unknown_member",
            node,
            f"There is no {key!r} in steps.{name}; a {step.kind} has {', '.join(members)}.",
            expected=", ".join(f"steps.{name}.{member}" for member in members),
            suggestion=nearest(key, members),
        )


def _member(report: Report, facts: Facts, written: Written, path: Path, node: Node) -> bool:
    if path.root == "metrics" or (path.root == "now" and path.keys):
        why = "now is a moment" if path.keys and path.root == "now" else "nothing is measured yet"
        written.tell(report, "unknown_member", node, f"There is no {path}: {why}.")
        return False
    members = MEMBERS.get(path.root)
    if members is None or not path.keys or path.keys[0] in members:
        return True
    key = str(path.keys[0])
    # Who writes `record.score` means the record's data.
    in_data = "data" in members and facts.known is not None and key in facts.known
    written.tell(
        report,
        "unknown_member",
        node,
        f"There is no {path.root}.{key}; {path.root} has {', '.join(members)}.",
        expected=", ".join(f"{path.root}.{member}" for member in members),
        suggestion=f"data.{key}" if in_data else nearest(key, members),
    )
    return False


def check_fields(report: Report, facts: Facts, transition: Transition) -> None:
    """Report data that a transition writes where it can never be kept."""
    creates = transition.creates
    created = facts.program.entities[creates.entity] if creates else None
    for section, computed, pointer in computed_of(transition):
        entity = facts.entity if section == "set" else created
        assert entity is not None
        check_field(report, facts, entity, computed.key, pointer)
    if creates is None or created is None or created.fields is None:
        return
    required = created.fields.schema.get("required")
    given = {computed.key for computed in creates.data} | set(creates.copied)
    lacking = [key for key in required if key not in given] if isinstance(required, list) else []
    if lacking:
        report(
            "missing_field",
            below(below("/transitions", transition.name), "creates"),
            f"Every {created.name} must have {several(map(repr, lacking), ' and ')}, and this "
            f"creates one without: {transition.name!r} would always be refused.",
            expected=f"{lacking[0]!r} in 'data'",
        )


def check_field(report: Report, facts: Facts, entity: Entity, key: str, pointer: str) -> None:
    """Report a key that is written where it can never be kept."""
    closed = _closed(facts, entity, key)
    if closed is not None:
        whose, names = closed
        what = "this step would always fail" if facts.site.kind == "step" else ""
        report(
            "unknown_field",
            pointer,
            f"{whose} have no {key!r}: {what or f'{facts.site.name} would always be refused'}.",
            expected=several(sorted(names)) or None,
            found=key,
            suggestion=_likely(key, set(names)),
        )


def _closed(facts: Facts, entity: Entity, key: str) -> tuple[str, tuple[str, ...]] | None:
    """Whose closed schema keeps a field out, and what it lets in."""
    judges: list[tuple[str, DataSchema | None]] = [
        (f"The fields of {entity.name!r}", entity.fields),
        ("The properties of the dataSchema", facts.program.data_schema),
    ]
    for whose, schema in judges:
        if schema is not None and schema.closed and key not in (schema.properties or ()):
            return whose, schema.properties or ()
    return None

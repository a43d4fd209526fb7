"""What a colleague would remark about a definition, and what they would not let pass.

Each part is looked at only where what it builds on is sound, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus.core.compiler.checks.facts import EntityFacts, Facts, known_data, site_of
from nexus.core.compiler.checks.flow import check_stages, check_turns
from nexus.core.compiler.checks.loops import check_loops
from nexus.core.compiler.checks.names import check_fields, check_names
from nexus.core.compiler.checks.people import check_assigned, check_people
from nexus.core.compiler.checks.runs import RunChecks
from nexus.core.compiler.checks.truth import check_truth
from nexus.core.compiler.checks.types import Types, check_computed
from nexus.core.compiler.checks.written import (
    Leaf,
    Tree,
    Written,
    computed_of,
    condition_tree,
    leaves,
)
from nexus.core.compiler.reader import Problems, below
from nexus.core.expressions.nodes import Node
from nexus.core.program import Entity, Program, Stage, Transition

Document = Mapping[str, object]


def remark(problems: Problems, program: Program, document: Document) -> None:
    """Report what is odd, and what would always be refused when it is tried."""
    if not program.entities and not problems.any_error_below("/entities"):
        problems(
            "no_entities",
            "",
            f"{program.id!r} has no entities: an instance of it holds data and stays open until "
            "'close'.",
        )
    _Remarks(problems, program, document).make()


class _Remarks:
    def __init__(self, problems: Problems, program: Program, document: Document) -> None:
        self._problems = problems
        self._program = program
        self._transitions = _section(document, "transitions")
        self._entities = _section(document, "entities")
        self._trees: dict[str, Tree] = {}
        self._facts: dict[str, Facts] = {}
        self._verdicts: dict[str, bool | None] = {}

    def make(self) -> None:
        program, problems = self._program, self._problems
        sound_roles = not problems.any_error_below("/roles")
        schemas = ["/dataSchema", *(f"{below('/entities', e)}/fields" for e in program.entities)]
        sound_data = not problems.any_error_below(*schemas)
        written_elsewhere = self._written_by_faulty()
        shared: dict[str, EntityFacts] = {}
        for name, entity in program.entities.items():
            own = known_data(program, name)
            known = None if own is None else own | written_elsewhere
            shared[name] = EntityFacts(program, entity, known)
        for transition in program.transitions.values():
            own_facts = shared[transition.entity]
            facts = Facts(own_facts, site_of(own_facts.entity, transition))
            self._facts[transition.name] = facts
            body = self._transitions[transition.name]
            faulty = set[Node]()
            if transition.condition is not None:
                place = below(below("/transitions", transition.name), "condition")
                tree = condition_tree(transition.condition, body["condition"], place)
                self._trees[transition.name] = tree
            place = below("/transitions", transition.name)
            if sound_data and not problems.any_error_below(below(place, "input")):
                faulty = self._values(transition, facts)
            self._verdict(transition, facts, faulty)
            self._interrupts(transition)
            if sound_roles:
                tree_or_none = self._trees.get(transition.name)
                check_people(problems, program, transition, body, tree_or_none)
        for name in program.entities:
            self._runs(shared[name], sound_data)
        if problems.any_error_below("/transitions", "/entities"):
            return  # what is missing there would be missed in the flow as well
        for name, entity in program.entities.items():
            if entity.declared:
                self._flow(entity)
            if sound_roles:
                check_assigned(problems, program, entity, self._entities[name])

    def _written_by_faulty(self) -> set[str]:
        """Data that transitions write of which the program knows only a part."""
        keys: set[str] = set()
        for name, body in self._transitions.items():
            if isinstance(body, dict) and self._problems.any_error_below(
                below("/transitions", name)
            ):
                creates = body.get("creates")
                data = creates.get("data") if isinstance(creates, dict) else None
                for section in (body.get("set"), data):
                    keys.update(section if isinstance(section, dict) else ())
        return keys

    def _values(self, transition: Transition, facts: Facts) -> set[Node]:
        """What the transition's expressions read and write; the nodes that are told of."""
        problems, faulty = self._problems, set[Node]()
        seen: dict[str, Written] = {}
        tree = self._trees.get(transition.name)
        for leaf in leaves(tree) if tree is not None else ():
            if isinstance(leaf, Leaf):
                seen[leaf.written.pointer] = leaf.written
        for written in seen.values():
            check_names(problems, facts, written)
            types = Types(problems, facts, written)
            types.truth(written.expression.tree)
            faulty |= types.faulty
        for section, computed, pointer in computed_of(transition):
            if computed.expression is None:
                continue
            written = Written(computed.expression, pointer)
            check_names(problems, facts, written)
            types = Types(problems, facts, written)
            if section == "set":
                check_computed(types, written, facts, computed)
            else:
                types.kinds(written.expression.tree)
        check_fields(problems, facts, transition)
        return faulty

    def _verdict(self, transition: Transition, facts: Facts, faulty: set[Node]) -> None:
        """What the condition always gives, with a report of what is always the same."""
        tree = self._trees.get(transition.name)
        verdict: bool | None = True
        if tree is not None:
            verdict = check_truth(self._problems, facts, tree, faulty)
        self._verdicts[transition.name] = verdict

    def _interrupts(self, transition: Transition) -> None:
        stages = self._program.entities[transition.entity].stages
        if transition.interrupts and not any(stages[s].run for s in transition.sources):
            self._problems(
                "nothing_to_interrupt",
                below(below("/transitions", transition.name), "interrupts"),
                f"{transition.name!r} has nothing to interrupt: no stage that it leaves has a "
                "'run'.",
                expected="'run' in one of its stages, or no 'interrupts'",
            )

    def _runs(self, shared: EntityFacts, sound_data: bool) -> None:
        for stage, body, place in _staged(shared.entity, self._entities[shared.entity.name]):
            if stage.run is not None and not self._problems.any_error_below(place):
                checks = RunChecks(self._problems, shared, stage, stage.run, sound_data=sound_data)
                checks.check(body["run"], below(place, "run"))

    def _flow(self, entity: Entity) -> None:
        problems, verdicts = self._problems, self._verdicts
        check_stages(problems, entity)
        if check_loops(problems, entity, verdicts, self._facts, self._trees):
            return  # nothing else in the circle has its turn, and that is why
        check_turns(problems, entity, verdicts)
        for transition in self._program.transitions.values():
            is_own = transition.entity == entity.name
            if (
                is_own
                and transition.trigger.kind == "auto"
                and transition.condition is None
                and not _follows_runs(entity, transition)
            ):
                problems(
                    "auto_without_condition",
                    below("/transitions", transition.name),
                    f"{transition.name!r} is taken as soon as its stage is entered: it is "
                    "automatic and has no condition.",
                    expected="a condition",
                )


def _section(document: Document, key: str) -> dict[str, Document]:
    section = document.get(key)
    return section if isinstance(section, dict) else {}


def _staged(entity: Entity, document: Document) -> Iterator[tuple[Stage, Document, str]]:
    """The stages that are written as objects, with that and its place."""
    listed = document.get("stages")
    place = below(below("/entities", entity.name), "stages")
    for index, body in enumerate(listed if isinstance(listed, list) else ()):
        id_ = body.get("id") if isinstance(body, dict) else None
        if isinstance(id_, str) and id_ in entity.stages:
            yield entity.stages[id_], body, below(place, index)


def _follows_runs(entity: Entity, transition: Transition) -> bool:
    """Whether an automatic transition waits for the join of a run, wherever it leaves from."""
    runs = all(entity.stages[stage].run is not None for stage in transition.sources)
    return runs and not transition.interrupts

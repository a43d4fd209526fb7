"""What is odd in the steps of a stage's run: names, conditions, branches, waiting without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nexus.core.compiler.checks.facts import EntityFacts, Facts, Site
from nexus.core.compiler.checks.flow import every_exit
from nexus.core.compiler.checks.names import check_field, check_names
from nexus.core.compiler.checks.people import check_declared
from nexus.core.compiler.checks.truth import check_truth
from nexus.core.compiler.checks.types import Types, check_computed
from nexus.core.compiler.checks.written import Leaf, Written, condition_tree, leaves
from nexus.core.compiler.reader import below
from nexus.core.conditions import Condition
from nexus.core.errors import Report
from nexus.core.expressions.nodes import Node
from nexus.core.program import Stage
from nexus.core.steps import (
    GatewayStep,
    ParallelStep,
    Run,
    SequenceStep,
    SetStep,
    Step,
    TaskStep,
    WaitForStep,
    children,
)

Above = tuple[tuple[Step, int], ...]
"""The blocks around a step from the outermost on, each with which of its steps leads there."""


class RunChecks:
    """Looks at one stage's run, in the form of which nothing was wrong."""

    def __init__(
        self, report: Report, shared: EntityFacts, stage: Stage, run: Run, *, sound_data: bool
    ) -> None:
        """Prepare.

        Args:
            report: Takes what is odd.
            shared: What is known of the entity's records.
            stage: Whose run it is.
            run: The run.
            sound_data: The schemas can be trusted, so that data is looked at as well.
        """
        self._report = report
        self._shared = shared
        self._stage = stage
        self._run = run
        self._sound_data = sound_data
        self._facts: dict[str | None, Facts] = {}  # by the event that is seen, without `steps`
        self._above: dict[str, Above] = {}
        exits = shared.entity.exits.get(stage.id)
        self._interrupted = exits is not None and any(
            transition.interrupts for transition in every_exit(exits)
        )

    def check(self, document: object, pointer: str) -> None:
        """Report what is odd.

        Args:
            document: The run as it stands in the definition.
            pointer: Its place.
        """
        self._note_above(self._run.root, ())
        self._step(self._run.root, document, pointer)

    def _note_above(self, step: Step, above: Above) -> None:
        self._above[step.path] = above
        for index, child in enumerate(children(step)):
            self._note_above(child, (*above, (step, index)))

    def _step(self, step: Step, document: Any, pointer: str) -> None:
        if isinstance(document, list):
            self._listed(step, document, pointer)
            return
        if step.when is not None:
            self._condition(step, step.when, document["when"], below(pointer, "when"))
        match step:
            case ParallelStep() | SequenceStep():
                self._listed(step, document[step.kind], below(pointer, step.kind))
            case GatewayStep():
                self._gateway(step, document, pointer)
            case TaskStep():
                self._task(document["task"], below(pointer, "task"))
            case WaitForStep():
                self._wait_for(step, document["waitFor"], below(pointer, "waitFor"))
            case SetStep():
                self._set(step, below(pointer, "set"))
            case _:
                pass

    def _listed(self, step: Step, documents: list[object], pointer: str) -> None:
        for index, (child, document) in enumerate(zip(children(step), documents, strict=True)):
            self._step(child, document, below(pointer, index))

    # --- expressions --------------------------------------------------------------------------

    def _facts_of(self, step: Step, names: frozenset[str]) -> Facts:
        """What is known where a step's expressions are looked at, which read these names."""
        waiting = self._run.heard.get(step.path)
        event: str | None = None
        if waiting is not None:
            waits = self._run.by_path[waiting.removesuffix("/waitFor")]
            assert isinstance(waits, WaitForStep)
            event = waits.event
        if "steps" in names:
            return self._at(event, _Seen(self._run, self._above, step))
        if event not in self._facts:
            self._facts[event] = self._at(event, {})
        return self._facts[event]

    def _at(self, event: str | None, steps: Mapping[str, Step | None]) -> Facts:
        site = Site(
            kind="step",
            taken="steps run by themselves",
            name=f"the run of {self._stage.id!r}",
            stages=(self._stage.id,),
            event=event,
            open=not self._stage.final,
            steps=steps,
        )
        return Facts(self._shared, site)

    def _condition(
        self, step: Step, condition: Condition, document: object, pointer: str
    ) -> bool | None:
        """Look at a condition that stands at a step. Returns what it always gives, if anything."""
        facts = self._facts_of(step, condition.names)
        tree = condition_tree(condition, document, pointer)
        faulty: set[Node] = set()
        seen = {
            leaf.written.pointer: leaf.written for leaf in leaves(tree) if isinstance(leaf, Leaf)
        }
        for written in seen.values() if self._sound_data else ():
            check_names(self._report, facts, written)
            types = Types(self._report, facts, written)
            types.truth(written.expression.tree)
            faulty |= types.faulty
        return check_truth(self._report, facts, tree, faulty)

    # --- steps --------------------------------------------------------------------------------

    def _gateway(self, gateway: GatewayStep, document: Any, pointer: str) -> None:
        place = below(pointer, gateway.kind)
        always: int | None = None
        for index, (branch, body) in enumerate(
            zip(gateway.branches, document[gateway.kind], strict=True)
        ):
            here = below(place, index)
            if always is not None and gateway.kind == "exclusive":
                self._never(here, "This branch", always)
            verdict = self._condition(gateway, branch.when, body["when"], below(here, "when"))
            if verdict is True and always is None:
                always = index
            self._step(branch.step, body["do"], below(here, "do"))
        if gateway.default is not None:
            here = below(pointer, "default")
            if always is not None:
                self._never(here, "'default'", always)
            self._step(gateway.default, document["default"], here)

    def _never(self, pointer: str, what: str, always: int) -> None:
        self._report(
            "never_its_turn",
            pointer,
            f"{what} never runs: branch {always + 1} always does.",
            expected=f"a condition for branch {always + 1} that does not always hold",
        )

    def _task(self, task: Mapping[str, object], pointer: str) -> None:
        assign, program = task.get("assign"), self._shared.program
        if isinstance(assign, dict) and program.can is not None:
            place = below(below(pointer, "assign"), "roles")
            check_declared(self._report, program, assign.get("roles"), place, "This assigns")

    def _wait_for(self, step: WaitForStep, document: Any, pointer: str) -> None:
        if step.timeout is None and not self._interrupted:
            what = "the record never ends" if self._stage.final else "nothing leaves the stage"
            self._report(
                "join_can_hang",
                pointer,
                f"If {step.event!r} never happens, the run of {self._stage.id!r} never joins and "
                f"{what}: there is no 'timeout', and no transition out of the stage interrupts.",
                expected="'timeout'"
                + ("" if self._stage.final else ', or "interrupts": true on a transition'),
                found=step.event,
            )
        for key, branch in (("then", step.then), ("else", step.otherwise)):
            if branch is not None:
                self._step(branch, document[key], below(pointer, key))
        if step.otherwise is not None and step.timeout is None:
            self._report(
                "never_its_turn",
                below(pointer, "else"),
                "'else' never runs: without a 'timeout' the step waits for as long as it takes.",
                expected="'timeout'",
            )

    def _set(self, step: SetStep, pointer: str) -> None:
        for computed in step.set if self._sound_data else ():
            place = below(pointer, computed.key)
            expression = computed.expression
            facts = self._facts_of(step, frozenset() if expression is None else expression.names)
            if expression is not None:
                written = Written(expression, place)
                check_names(self._report, facts, written)
                check_computed(Types(self._report, facts, written), written, facts, computed)
            check_field(self._report, facts, self._shared.entity, computed.key, place)


class _Seen(Mapping[str, Step | None]):
    """The named steps of a run as one of them sees them: None for those that never begin before.

    Each is looked for when it is asked for: there may be a thousand names, and a thousand steps
    that read one of them.
    """

    def __init__(self, run: Run, above: Mapping[str, Above], step: Step) -> None:
        self._run = run
        self._above = above
        self._step = step

    def __len__(self) -> int:
        return len(self._run.paths)

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.paths)

    def __getitem__(self, name: str) -> Step | None:
        path = self._run.paths[name]
        return self._run.by_path[path] if self._may_precede(path) else None

    def _may_precede(self, path: str) -> bool:
        own_path = self._step.path
        above, others = self._above[own_path], self._above[path]
        if any(block.path == path for block, _ in above):
            return True  # it is around this one
        if path == own_path or any(block.path == own_path for block, _ in others):
            return False
        shared = 0
        while (
            above[shared][0].path == others[shared][0].path
            and above[shared][1] == others[shared][1]
        ):
            shared += 1
        (block, own), (_, other) = above[shared], others[shared]
        match block:
            case SequenceStep():
                return other < own
            case WaitForStep() | GatewayStep(kind="exclusive"):
                return False
            case GatewayStep() if block.default is not None and len(block.branches) in (own, other):
                return False
        # All begin together, in the order of the document, and some of what is in them later.
        return other < own or any(
            (isinstance(around, SequenceStep) and index > 0) or isinstance(around, WaitForStep)
            for around, index in above[shared + 1 :]
        )

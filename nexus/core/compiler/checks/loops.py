"""Automatic transitions that lead in a circle (R5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from nexus.core.compiler.checks.facts import Facts
from nexus.core.compiler.checks.flow import Verdicts
from nexus.core.compiler.checks.truth import is_settled
from nexus.core.compiler.checks.written import Leaf, Tree, join, leaves, paths_at
from nexus.core.compiler.reader import below
from nexus.core.errors import Report
from nexus.core.program import Entity, Stage, Transition
from nexus.core.steps import ChannelStep, SetStep, TaskStep, WaitForStep, WaitStep

_MOST_TRIED = 200  # ways into a circle that are looked at, of one entity
# What stays as it is while a record walks in a circle by itself.
_STEADY = ("id", "entity", "status", "created_at", "parent")

Edge = tuple[str, Transition]  # from a stage, by a transition


def check_loops(
    report: Report,
    entity: Entity,
    verdicts: Verdicts,
    facts: Mapping[str, Facts],
    trees: Mapping[str, Tree],
) -> bool:
    """Report circles of automatic transitions in which nothing can change what keeps them going.

    Returns:
        Whether there is one that is always walked.
    """
    edges = _edges(entity, verdicts)
    endless = _endless(edges, verdicts)
    if endless:
        names = [transition.name for _, transition in endless]
        report(
            "endless_auto",
            below("/transitions", names[0]),
            f"This goes on without end: {_told(endless)}, by itself and always. After 50 in a row "
            "all of it is undone.",
            expected="a condition that comes not to hold, or another way to take it",
            found=names[0],
        )
        return True
    for cycle in _cycles(edges):
        transitions = [transition for _, transition in cycle]
        if _keeps_going(transitions, entity, facts, trees):
            report(
                "auto_loop",
                below("/transitions", transitions[0].name),
                f"This may go on without end: {_told(cycle)}, by itself. Nothing on the way "
                "changes what the conditions look at.",
                expected="conditions that do not hold together, or a 'set' that ends it",
                found=transitions[0].name,
            )
            break
    return False


def _edges(entity: Entity, verdicts: Verdicts) -> dict[str, list[Transition]]:
    """The automatic transitions that can be taken, by the stage that they leave."""
    edges: dict[str, list[Transition]] = {}
    for stage in entity.stages.values():
        for transition in () if stage.final or _takes_time(stage) else entity.exits[stage.id].auto:
            verdict = verdicts[transition.name]
            if verdict is not False:
                edges.setdefault(stage.id, []).append(transition)
            if verdict is True:
                break  # those after it never have their turn
    return edges


def _takes_time(stage: Stage) -> bool:
    """Whether what it runs may wait for something, so that a circle through it is no haste."""
    steps = stage.run.by_path.values() if stage.run is not None else ()
    return any(isinstance(s, ChannelStep | TaskStep | WaitStep | WaitForStep) for s in steps)


def _endless(edges: Mapping[str, list[Transition]], verdicts: Verdicts) -> list[Edge]:
    """A circle in which each transition is always the one that is taken."""
    surely = {stage: own[0] for stage, own in edges.items() if verdicts[own[0].name] is True}
    done: set[str] = set()
    for start in surely:
        walk: dict[str, Transition] = {}
        stage = start
        while stage in surely and stage not in done and stage not in walk:
            walk[stage] = surely[stage]
            stage = surely[stage].target
        if stage in walk:
            order = list(walk)
            return [(one, walk[one]) for one in order[order.index(stage) :]]
        done.update(walk)
    return []


def _cycles(edges: Mapping[str, list[Transition]]) -> list[list[Edge]]:
    """A shortest circle through each transition, as far as there are any, each once."""
    found: dict[frozenset[tuple[str, str]], list[Edge]] = {}
    tried = 0
    for stage, own in edges.items():
        for transition in own:
            tried += 1
            if tried > _MOST_TRIED:
                return list(found.values())
            back = _shortest(edges, transition.target, stage)
            if back is not None:
                cycle = [(stage, transition), *back]
                found.setdefault(frozenset((s, t.name) for s, t in cycle), cycle)
    return list(found.values())


def _shortest(edges: Mapping[str, list[Transition]], start: str, end: str) -> list[Edge] | None:
    came: dict[str, Edge | None] = {start: None}
    todo = deque([start])
    while todo:
        stage = todo.popleft()
        if stage == end:
            way: list[Edge] = []
            step = came[stage]
            while step is not None:
                way.append(step)
                step = came[step[0]]
            return way[::-1]
        for transition in edges.get(stage, ()):
            if transition.target not in came:
                came[transition.target] = (stage, transition)
                todo.append(transition.target)
    return None


def _keeps_going(
    cycle: Sequence[Transition],
    entity: Entity,
    facts: Mapping[str, Facts],
    trees: Mapping[str, Tree],
) -> bool:
    """Whether the conditions can hold all at once, and nothing on the way changes that."""
    changed = {computed.key for transition in cycle for computed in transition.set}
    for transition in cycle:
        run = entity.stages[transition.target].run
        for step in run.by_path.values() if run is not None else ():
            changed.update(one.key for one in (step.set if isinstance(step, SetStep) else ()))
    assigns = any(entity.stages[transition.target].assign for transition in cycle)
    conditions = [trees[t.name] for t in cycle if t.name in trees]
    for tree in conditions:
        for leaf in leaves(tree):
            if isinstance(leaf, Leaf) and _is_moved(leaf, changed, assigns):
                return False
    # The facts of one stand for all, but for the stages, which none of them looks at.
    return is_settled(facts[cycle[0].name], join(True, conditions)) is not False


def _is_moved(leaf: Leaf, changed: set[str], assigns: bool) -> bool:
    """Whether a part of a condition looks at something that the circle changes."""
    for path, _node in paths_at(leaf.node):
        keys = path.keys
        if path.root == "record":
            if keys[:1] == ("data",):
                keys = keys[1:]
            elif keys[:1] in (("users",), ("roles",)):
                if assigns:
                    return True
                continue
            elif keys[:1] and keys[0] in _STEADY:
                continue
            else:
                return True
        elif path.root != "data":
            continue
        if changed and (not keys or keys[0] in changed):
            return True
    return False


def _told(cycle: Sequence[Edge]) -> str:
    """The circle as it is walked: "'new' → 'open' ('go') → 'new' ('back')"."""
    steps = "".join(f" → {t.target!r} ({t.name!r})" for _, t in cycle[:6])
    return f"{cycle[0][0]!r}{steps}" + (" → …" if len(cycle) > 6 else "")

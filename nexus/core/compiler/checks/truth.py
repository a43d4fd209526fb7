"""Conditions that always hold, or never do, whatever the data is."""

from __future__ import annotations

from collections.abc import Sequence

from nexus.core.compiler.checks.domains import Claim, Domain, claim_of
from nexus.core.compiler.checks.facts import Facts
from nexus.core.compiler.checks.written import Check, Join, Leaf, Negation, Tree, paths_at
from nexus.core.errors import Report
from nexus.core.expressions.compiler import compile_tree
from nexus.core.expressions.nodes import Compare, Node, Path, path_of
from nexus.core.reasons import several

_AT_ONCE = ("==", ">=", "<=")


def is_settled(facts: Facts, tree: Tree) -> bool | None:
    """What a condition always gives; None where that depends, or cannot be told."""
    return _Judge(None, facts, set()).judge(tree)


def check_truth(report: Report, facts: Facts, tree: Tree, faulty: set[Node]) -> bool | None:
    """Report the parts of a condition that always hold or never do.

    Args:
        report: Takes `always_true` and `always_false`, each at the smallest part that is to blame.
        facts: What is known of the names.
        tree: The condition.
        faulty: Nodes of which something else was reported.

    Returns:
        What the condition always gives; None where that depends.
    """
    return _Judge(report, facts, faulty).judge(tree)


class _Judge:
    def __init__(self, report: Report | None, facts: Facts, faulty: set[Node]) -> None:
        self._report = report
        self._facts = facts
        self._faulty = faulty

    def judge(self, tree: Tree) -> bool | None:
        if isinstance(tree, Join):
            return self._joined(tree)
        if isinstance(tree, Negation):
            inner = self.judge(tree.part)
            return None if inner is None else not inner
        return self._check(tree) if isinstance(tree, Check) else self._leaf(tree)

    def _tell(self, leaf: Leaf, verdict: bool, why: str) -> bool:
        if self._report is not None:
            code = "always_true" if verdict else "always_false"
            leaf.written.tell(self._report, code, leaf.node, why)
        return verdict

    def _check(self, check: Check) -> bool | None:
        site = self._facts.site
        nobody = site.kind in ("auto", "after", "step")
        if not nobody or check.membership.paths != ("actor.roles",):
            return None
        if site.converted:
            return None  # then somebody acts after all
        if self._report is not None:
            self._report(
                "always_false",
                check.pointer,
                f"This asks for a role, and nobody acts here: {site.taken}.",
                expected="a condition on data, or an action",
            )
        return False

    def _leaf(self, leaf: Leaf) -> bool | None:
        node = leaf.node
        text = leaf.written.text(node)
        if next(paths_at(node), None) is None:
            result = compile_tree(node, leaf.written.expression.text)[1]({})
            if not isinstance(result, bool):
                return None
            return self._tell(leaf, result, f"{text} {_holds(result)}, whatever the data is.")
        same = _of_itself(node)
        if same is not None:
            assert isinstance(node, Compare)
            side = leaf.written.text(node.left)
            return self._tell(
                leaf, same, f"This compares {side} with itself, so it {_holds(same)}."
            )
        claim = claim_of(node)
        if claim is None:
            return None
        about = self._facts.about(claim.path)
        if about.values is None and not about.bounds and claim.values:
            return None  # one claim leaves something of what may be anything
        told = node in self._faulty
        for verdict, claimed in ((False, claim), (True, claim.negated())):
            if not Domain(self._facts, claimed.path).narrow(claimed):
                if told:
                    return verdict
                return self._tell(leaf, verdict, f"{text} {_holds(verdict)}: {self._why(claim)}.")
        return None

    def _why(self, claim: Claim) -> str:
        """What is known of the path that settles a claim about it."""
        about = self._facts.about(claim.path)
        if not claim.values:
            return "nothing is in an empty list"
        if about.values is not None:
            return f"{claim.path} is {several(map(str, about.values), ' or ')} here"
        spoken = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
        bounds = [f"{spoken[sign]} {limit}" for sign, limit in about.bounds]
        return f"its schema has {claim.path} {' and '.join(bounds)}"

    def _joined(self, tree: Join) -> bool | None:
        settling = not tree.every
        results = [self.judge(part) for part in tree.parts]
        if settling in results:
            return settling
        if all(result is not None for result in results):
            return tree.every
        open_parts = [p for p, result in zip(tree.parts, results, strict=True) if result is None]
        return settling if self._contradict(open_parts, tree.every) else None

    def _contradict(self, parts: Sequence[Tree], every: bool) -> bool:
        """Whether parts that depend each on its own leave nothing to depend on together."""
        claims: dict[Path, list[tuple[Claim, Leaf, bool]]] = {}
        for part in parts if len(parts) > 1 else ():
            leaf, turned = (part.part, True) if isinstance(part, Negation) else (part, False)
            claim = claim_of(leaf.node) if isinstance(leaf, Leaf) else None
            if claim is None or not isinstance(leaf, Leaf) or leaf.node in self._faulty:
                continue
            claimed = claim.negated() if turned is every else claim
            claims.setdefault(claim.path, []).append((claimed, leaf, turned))
        for path, made in claims.items():
            domain = Domain(self._facts, path) if len(made) > 1 else None
            for index, (claim, leaf, _) in enumerate(made):
                if domain is not None and not domain.narrow(claim):
                    texts = [one.written.text(one.node) for _, one, _ in made[: index + 1]]
                    turned = any(turned for _, _, turned in made)
                    self._tell(leaf, not every, _together(texts, path, every, turned))
                    return True
        return False


def _together(texts: list[str], path: Path, every: bool, turned: bool) -> str:
    if turned:  # `not` stands before some of them
        said = "hold at once" if every else "fail at once"
        return f"With what stands beside it, this can never {said}, whatever {path} is."
    listed = f"{', '.join(texts[:-1])} and {texts[-1]}"
    if every:
        return f"{listed} can never hold at once."
    return f"One of {listed} always holds, whatever {path} is."


def _holds(verdict: bool) -> str:
    return "always holds" if verdict else "never holds"


def _of_itself(node: Node) -> bool | None:
    """What a comparison of a path with itself gives; None where it is none."""
    if not isinstance(node, Compare) or node.operator in ("in", "not in"):
        return None
    left, right = path_of(node.left), path_of(node.right)
    return node.operator in _AT_ONCE if left is not None and left == right else None

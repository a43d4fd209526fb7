"""The steps of a stage's `run`, compiled: a static tree, each node of which has a path.

The path is the place in the document below the stage, with `/` between its
parts: `run/0`, `run/1/parallel/0`, `run/waitFor/then`. It stays the same for as
long as the definition does, so `record/visit/path` names one effect for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import ClassVar, Literal

from msgspec import Struct, field

from nexus.core.conditions import Condition
from nexus.core.expressions import Expression
from nexus.core.state import NOBODY, Assignees, Data


class Computed(Struct, frozen=True):
    """A value of `set` or `creates.data`: an expression, or else a literal."""

    key: str
    expression: Expression | None
    literal: object = None


class Retry(Struct, frozen=True):
    """How often a call is tried, and how long is waited between two tries (R10).

    Attributes:
        attempts: Tries in all, the first included.
        initial: The first pause.
        backoff: What each pause is multiplied by for the next.
        maximum: The longest pause.
    """

    attempts: int = 3
    initial: timedelta = timedelta(seconds=1)
    backoff: float = 2.0
    maximum: timedelta = timedelta(minutes=1)


DEFAULT_RETRY = Retry()
DEFAULT_TIMEOUT = timedelta(seconds=10)  # of one try


class BaseStep(Struct, frozen=True, kw_only=True):
    """What every step has.

    Attributes:
        path: Static path below its stage.
        when: It is skipped unless this holds when its turn comes.
        name: By which `steps.<name>` shows what became of it; "" for none.
    """

    path: str
    when: Condition | None = None
    name: str = ""


class ChannelStep(BaseStep, frozen=True, kw_only=True):
    """One call of a channel.

    Attributes:
        channel: A kind of channel, or named settings of one.
        given: `with`, whose texts are templates.
        timeout: Of one try.
    """

    kind: ClassVar[str] = "channel"

    channel: str
    given: Data = field(default_factory=dict)
    retry: Retry = DEFAULT_RETRY
    timeout: timedelta = DEFAULT_TIMEOUT


class ParallelStep(BaseStep, frozen=True, kw_only=True):
    """All start together; it ends when all have ended (BR-008)."""

    kind: ClassVar[str] = "parallel"

    steps: tuple[Step, ...] = ()


class SequenceStep(BaseStep, frozen=True, kw_only=True):
    """One after another, whatever became of the one before (R9)."""

    kind: ClassVar[str] = "sequence"

    steps: tuple[Step, ...] = ()


class Branch(Struct, frozen=True):
    """One branch of a gateway."""

    when: Condition
    step: Step


class GatewayStep(BaseStep, frozen=True, kw_only=True):
    """Every true branch (`inclusive`), or the first (`exclusive`), else the default; joined."""

    kind: Literal["inclusive", "exclusive"]
    branches: tuple[Branch, ...] = ()
    default: Step | None = None

    @property
    def choices(self) -> tuple[Step, ...]:
        """The steps of its branches, and the default last."""
        branches = tuple(branch.step for branch in self.branches)
        return branches if self.default is None else (*branches, self.default)


class TaskStep(BaseStep, frozen=True, kw_only=True):
    """Work for a person. Nobody assigned means those who are assigned to the record."""

    kind: ClassVar[str] = "task"

    title: str
    assign: Assignees = NOBODY


class WaitStep(BaseStep, frozen=True, kw_only=True):
    """Durable waiting."""

    kind: ClassVar[str] = "wait"

    wait: timedelta


class WaitForStep(BaseStep, frozen=True, kw_only=True):
    """Waits for an event from outside; `then` follows it, `otherwise` (`else`) its absence.

    Attributes:
        timeout: How long it waits; None for as long as it takes.
    """

    kind: ClassVar[str] = "waitFor"

    event: str
    timeout: timedelta | None = None
    then: Step | None = None
    otherwise: Step | None = None

    @property
    def waiting(self) -> str:
        """Path of the waiting itself, which ends before the branch that follows it."""
        return f"{self.path}/waitFor"


class SetStep(BaseStep, frozen=True, kw_only=True):
    """Computes data of the record."""

    kind: ClassVar[str] = "set"

    set: tuple[Computed, ...] = ()


class LaterStep(BaseStep, frozen=True, kw_only=True):
    """A step that this version understands and cannot take: `split`, `start`. It is skipped."""

    kind: str


Step = (
    ChannelStep
    | ParallelStep
    | SequenceStep
    | GatewayStep
    | TaskStep
    | WaitStep
    | WaitForStep
    | SetStep
    | LaterStep
)


class Run(Struct, frozen=True):
    """What a stage runs.

    Attributes:
        root: The outermost step, of path `run`; an array is a `ParallelStep`.
        by_path: Every step of the tree.
        paths: Name of a step → its path, for `steps.<name>`.
        events: The events that some `waitFor` in it waits for.
        heard: Path of a step → path of the waiting whose event it sees: that of the nearest
            `waitFor` in the `then` of which it stands.
    """

    root: Step
    by_path: Mapping[str, Step]
    paths: Mapping[str, str]
    events: frozenset[str] = frozenset()
    heard: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, path: str) -> str:
        """The name of the step of a path; the path itself where it has none."""
        return next((name for name, where in self.paths.items() if where == path), path)


def children(step: Step) -> tuple[Step, ...]:
    """The steps directly below one, in document order."""
    match step:
        case ParallelStep() | SequenceStep():
            return step.steps
        case GatewayStep():
            return step.choices
        case WaitForStep():
            return tuple(one for one in (step.then, step.otherwise) if one is not None)
        case _:
            return ()


def walk(step: Step) -> Iterator[Step]:
    """A step and all below it, in document order."""
    yield step
    for child in children(step):
        yield from walk(child)


def run_of(root: Step) -> Run:
    """A stage's run, from its outermost step.

    A step of a channel that has no name is called after its channel, where it is
    the only step that could be.
    """
    steps = list(walk(root))
    paths = {step.name: step.path for step in steps if step.name}
    unnamed = [step for step in steps if isinstance(step, ChannelStep) and not step.name]
    channels = [step.channel for step in unnamed]
    for step in unnamed:
        if channels.count(step.channel) == 1:
            paths.setdefault(step.channel, step.path)
    heard: dict[str, str] = {}
    for each in steps:  # outer ones come first, so the nearest is what stays
        if isinstance(each, WaitForStep) and each.then is not None:
            heard.update((below.path, each.waiting) for below in walk(each.then))
    return Run(
        root=root,
        by_path={step.path: step for step in steps},
        paths=paths,
        events=frozenset(step.event for step in steps if isinstance(step, WaitForStep)),
        heard=heard,
    )

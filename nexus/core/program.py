"""What a definition compiles to: everything resolved, nothing left to look up by text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from msgspec import Struct, field

from nexus.core.conditions import Condition
from nexus.core.schemas import DataSchema
from nexus.core.state import Assignees, Data
from nexus.core.steps import Computed, Run

TriggerKind = Literal["action", "auto", "event", "after"]

OPEN_STAGE = "open"  # the only stage of an entity that has clocks and no stages

BUILT_IN_ACTIONS = ("assign", "cancel", "close", "comment", "convert", "update")
# What a role can be listed for besides actions, since it is no action on a record.
OTHER_ABILITIES = ("start", "add", "event", "complete", "retry", "skip")
# Built-in actions of the language that this version cannot take yet, and what they would do.
LATER_ACTIONS: Mapping[str, str] = {
    "attach": "attaching files",
    "optimize": "optimizing a campaign",
    "rollback": "rolling a stage back",
}


class Creates(Struct, frozen=True):
    """The record that a transition creates beside its own.

    Attributes:
        data: What its data is computed from.
        copied: Fields taken over from the record as they are.
    """

    entity: str
    data: tuple[Computed, ...] = ()
    copied: tuple[str, ...] = ()


class Trigger(Struct, frozen=True):
    """What takes a transition; `after` is counted from entering the stage."""

    kind: TriggerKind = "action"
    event: str = ""
    after: timedelta = timedelta()


class Transition(Struct, frozen=True):
    """One way from stages of an entity to a stage of it.

    Attributes:
        sources: The stages that it leaves from, `"*"` resolved.
        users, roles: Who may take it (`by`); both None where `by` is absent.
        input: What the action's data must look like; None for anything.
        interrupts: It may be taken while its stage's run is going on, and stops that.
    """

    name: str
    label: str
    entity: str
    sources: tuple[str, ...]
    target: str
    trigger: Trigger = Trigger()
    condition: Condition | None = None
    users: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    input: DataSchema | None = None
    set: tuple[Computed, ...] = ()
    creates: Creates | None = None
    interrupts: bool = False

    @property
    def uses_input(self) -> bool:
        """Something that it computes needs the action's data, or its data has a schema."""
        computed = (*self.set, *(self.creates.data if self.creates else ()))
        return self.input is not None or any(
            one.expression is not None and "input" in one.expression.names for one in computed
        )


class Exits(Struct, frozen=True):
    """The transitions out of one stage, by what takes them, each in document order."""

    action: tuple[Transition, ...] = ()
    auto: tuple[Transition, ...] = ()
    event: tuple[Transition, ...] = ()
    after: tuple[Transition, ...] = ()


class Stage(Struct, frozen=True):
    """One stage. Entering it assigns `assign`, None keeps whoever is assigned, and runs `run`."""

    id: str
    label: str
    type: str | None = None
    final: bool = False
    assign: Assignees | None = None
    run: Run | None = None


class Entity(Struct, frozen=True):
    """One kind of record.

    Attributes:
        stages: By id, in document order; empty for plain data.
        exits: Transitions out of each stage.
        declared: The definition lists its stages; False for one with clocks alone.
        fields: What its records' data may hold; None for anything.
        table: Typed table that follows its records (R31).
    """

    name: str
    label: str
    stages: Mapping[str, Stage] = field(default_factory=dict)
    exits: Mapping[str, Exits] = field(default_factory=dict)
    declared: bool = True
    fields: DataSchema | None = None
    table: str | None = None

    @property
    def first_stage(self) -> str | None:
        """Where a new record begins; None for plain data."""
        return next(iter(self.stages), None)

    def is_taken_by_convert(self, transition: Transition) -> bool:
        """Whether `convert` takes this transition from one of its stages, whatever else does."""
        return any(self.stage_after(stage) == transition.target for stage in transition.sources)

    def stage_after(self, stage: str) -> str | None:
        """The next listed stage; None after the last."""
        order = list(self.stages)
        index = order.index(stage) + 1
        return order[index] if index < len(order) else None


class Program(Struct, frozen=True):
    """A compiled definition.

    Attributes:
        entities: By name, in document order.
        transitions: By name, in document order.
        can: Role → the actions that it may take, inheritance resolved; None
            where the definition has no `roles`. `"*"` is every action.
        self_assign: Somebody may assign a record to themselves (BR-001).
        default_entity: Of which a start creates a record (R4); None without any
            that has stages.
        has_auto: Some transition is taken as soon as its condition holds.
        channels: Named settings of channels, as the definition gives them.
    """

    id: str
    label: str
    version: str
    domain: str | None
    entities: Mapping[str, Entity]
    transitions: Mapping[str, Transition]
    data_schema: DataSchema | None = None
    can: Mapping[str, frozenset[str]] | None = None
    self_assign: bool = True
    default_entity: str | None = None
    has_auto: bool = False
    channels: Mapping[str, Data] = field(default_factory=dict)

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action a person can take: declared, then built-in ones not replaced."""
        declared = tuple(t.name for t in self.transitions.values() if t.trigger.kind == "action")
        return declared + tuple(name for name in BUILT_IN_ACTIONS if name not in self.transitions)

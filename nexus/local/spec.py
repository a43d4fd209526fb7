"""What a model class says of itself in one of the two domains, found out once per class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from inspect import currentframe
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from msgspec import Struct

from nexus.core.commands import MOST_NAME
from nexus.core.durations import format_duration
from nexus.core.program import Program
from nexus.core.state import Subject
from nexus.core.steps import WaitForStep, WaitStep
from nexus.local.adapters import Adapter, NotSaved, adapter_of, add_column, leave_out
from nexus.local.configuration import ConfigurationError
from nexus.local.definition import ModelDefinition, compile_model, model_name
from nexus.local.domains import DOMAINS, SALES_MARKETING, Domain, domains_of_class

UNSAVED: Final = "unsaved"
"""The subject's id of an object that has none yet; it gets its own with the first look after."""


Definition = Mapping[str, Any] | Path
"""What a class may give as its definition: the document, or the path of a JSON file."""


class Level1Warning(UserWarning):
    """Something that a model cannot do by itself, or that its definition has and that is odd."""


class Spec(Struct, frozen=True):
    """A model class in one domain.

    Attributes:
        owner: The class that gives the definition: itself, or one that it inherits from.
        adapter: Knows how its objects keep things.
        definition: Compiled.
        subject_type: What its objects are called as subjects of instances.
    """

    cls: type
    domain: Domain
    owner: type
    adapter: Adapter
    definition: ModelDefinition
    subject_type: str

    @property
    def program(self) -> Program:
        """The compiled definition."""
        return self.definition.program

    @property
    def place(self) -> str:
        """Class and column, for messages."""
        return f"{self.cls.__qualname__}.{self.domain.column}"

    def subject(self, model: object) -> Subject:
        """An object as the subject of its instance."""
        return Subject(self.subject_type, self.adapter.identity(model) or UNSAVED)

    def saved_subject(self, model: object) -> Subject:
        """The same, of an object that has an id.

        Raises:
            NotSaved: It has none.
        """
        subject = self.subject(model)
        if subject.id == UNSAVED:
            raise NotSaved(
                f"This {self.cls.__qualname__} has no id yet, by which the platform could know "
                "it: save it first."
            )
        if len(subject.id) > MOST_NAME:
            raise NotSaved(f"The id of this {self.cls.__qualname__} is longer than {MOST_NAME}.")
        return subject


def arrange(cls: type, domain: Domain, base: type) -> None:
    """Make a class that a mixin is mixed into ready: its method aside, and its column in place.

    Args:
        cls: The class that is being made.
        domain: Which of the mixins.
        base: The mixin, whose own method gives the handle.
    """
    own = cls.__dict__.get(domain.method)
    if own is not None and own is not getattr(base, domain.method):
        type.__setattr__(cls, domain.moved, own)
        type.__delattr__(cls, domain.method)
    leave_out(cls, domain.attribute)
    add_column(cls, domain.column)


_specs: WeakKeyDictionary[type, dict[str, Spec]] = WeakKeyDictionary()


def spec_of(model: object, domain: Domain) -> Spec:
    """What a model's class says of itself. The first time in a class it is read and compiled.

    Raises:
        DefinitionError: Its definition cannot run.
        ConfigurationError: It has none.
    """
    cls = type(model)
    known = _specs.get(cls)
    if known is not None and domain.name in known:
        return known[domain.name]
    owner = _owner(cls, domain)
    source = f"{owner.__module__}.{owner.__qualname__}.{domain.method}"
    definition = compile_model(
        _given(owner, domain, model),
        id_=_id(owner, domain),
        domain=domain.name,
        source=source,
        model=model,
    )
    adapter = adapter_of(cls)
    adapter.check(cls, domain.column)
    spec = Spec(cls, domain, owner, adapter, definition, model_name(adapter.kind(cls, owner)))
    _specs.setdefault(cls, {})[domain.name] = spec
    _warn(spec)
    return spec


def asked_by_heir(model: object, domain: Domain) -> Any:
    """What `super().crm()` gives within a definition: what the next class in line says.

    Returns:
        None where no definition of the model is being read: it is asked for its handle.

    Raises:
        ConfigurationError: No other class says anything.
    """
    heir = _reading.get()
    if heir is None or heir[0] is not model or heir[1] is not domain:
        return None
    cls = type(model)
    after = cls.__mro__[cls.__mro__.index(heir[2]) + 1 :]
    return _given(_owner(cls, domain, after), domain, model)


def _owner(cls: type, domain: Domain, within: Sequence[type] | None = None) -> type:
    for base in cls.__mro__ if within is None else within:
        if domain.moved in base.__dict__ or domain.attribute in base.__dict__:
            return base
    raise ConfigurationError(
        f"{cls.__qualname__} does not say what it keeps: give it 'def {domain.method}(self): "
        f"return {{…}}', or a class attribute '{domain.attribute} = {{…}}'."
    )


_reading: ContextVar[tuple[object, Domain, type] | None] = ContextVar("nexus_reading", default=None)
"""The model, the side and the class whose definition is being read."""


def _given(owner: type, domain: Domain, model: object) -> Any:
    own = owner.__dict__
    if domain.attribute in own and domain.moved in own:
        raise ConfigurationError(
            f"{owner.__qualname__} says twice what it keeps: by the method {domain.method!r}, and "
            f"by the attribute {domain.attribute!r}."
        )
    if domain.attribute in own:
        return own[domain.attribute]
    found = own[domain.moved]
    if isinstance(found, staticmethod | classmethod | property) or callable(found):
        token = _reading.set((model, domain, owner))
        try:
            bound = found.__get__(model, type(model))
            return bound() if callable(bound) else bound
        finally:
            _reading.reset(token)
    return found


def _id(owner: type, domain: Domain) -> str:
    """Named after the model; where both sides would have that name, marketing's is longer."""
    name = model_name(owner)
    both = len(domains_of_class(owner)) == len(DOMAINS)
    return f"{name}-{domain.suffix}" if both and domain is SALES_MARKETING else name


def warn(text: str) -> None:
    """Give a `Level1Warning` the place where the user's own code has called Nexus."""
    frame, level = currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "nexus":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, Level1Warning, stacklevel=level)


def _warn(spec: Spec) -> None:
    """Say what is odd about a definition, and what a model cannot do by itself."""
    for problem in spec.definition.warnings:
        warn(str(problem))
    waits = list(_waits(spec.program))
    if waits:
        more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        warn(
            f"{spec.cls.__qualname__}: {waits[0]}{more}. In a model, clocks are looked at when it "
            "is touched and by nexus.local.run_due(…) alone: call that regularly, or move to the "
            "platform (see docs/level-1.md).",
        )


def _waits(program: Program) -> Any:
    """All that waits for a clock, in words."""
    for transition in program.transitions.values():
        if transition.trigger.kind == "after":
            yield f"{transition.name!r} is taken after {format_duration(transition.trigger.after)}"
    for entity in program.entities.values():
        for stage in entity.stages.values():
            for step in _steps(stage.run.by_path if stage.run is not None else {}):
                yield f"the stage {stage.id!r} waits in its run ({step.path})"


def _steps(by_path: Mapping[str, Any]) -> Any:
    for step in by_path.values():
        if isinstance(step, WaitStep) or (isinstance(step, WaitForStep) and step.timeout):
            yield step

"""Guards and hooks: functions of a class's definition, called around actions on its objects.

Theory of operation. A definition is read once per class, from the first object that is used. What
it says of `self` there means whichever object the action is taken on: a method of the object is
called on that one, and a lambda that speaks of `self` gets that one. So no function is kept that
holds the first object.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nexus.local.configuration import ConfigurationError

if TYPE_CHECKING:
    from nexus.local.around import Action
    from nexus.local.views import Record

Function = Callable[..., Any]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CannotBeCalled(ValueError):
    """Why a function can be no guard or hook; the end of a sentence."""


class Called(Struct, frozen=True):
    """A guard or a hook.

    Attributes:
        function: Itself; without what it holds of the object that it was read from.
        name: For messages.
        with_action: It is given the action beside the record.
        method: It is a method of the model.
        cells: Which of its free variables are the model.
    """

    function: Function
    name: str
    with_action: bool
    method: bool = False
    cells: tuple[int, ...] = ()

    @classmethod
    def of(cls, function: Function, model: object) -> Called:
        """A function, looked at once.

        Args:
            function: As it stands in the definition.
            model: The object that the definition was read from.

        Raises:
            CannotBeCalled: It is no function that could be called so.
        """
        name = getattr(function, "__name__", type(function).__name__)
        told = "A guard or hook of the model" if name == "<lambda>" else repr(name)
        refuse_later(function)
        method = False
        cells: tuple[int, ...] = ()
        if isinstance(function, MethodType) and function.__self__ is model:
            function, method = function.__func__, True
        elif isinstance(function, FunctionType):
            method = next(iter(inspect.signature(function).parameters), None) == "self"
            function, cells = _without(function, model)
        bound = partial(function, model) if method else function
        return cls(function, told, _takes_two(bound), method, cells)

    def __call__(self, record: Record | None, action: Action) -> Any:
        """Call it about an action.

        Raises:
            ConfigurationError: It gives what comes later, where nobody waits.
        """
        function = self.function
        if self.cells:
            assert isinstance(function, FunctionType)
            function = _with(function, self.cells, action.model)
        if self.method:
            function = MethodType(function, action.model)
        found = function(record, action) if self.with_action else function(record)
        if inspect.isawaitable(found):
            if inspect.iscoroutine(found):
                found.close()  # it would be warned of as never awaited
            raise ConfigurationError(
                f"{self.name} gave something to be awaited, which nobody does here: guards and "
                "hooks are plain functions."
            )
        return found


def refuse_later(function: Function) -> None:
    """Refuse what would run later than it is called, if at all: its answer would always be true.

    Raises:
        CannotBeCalled: It is such a function.
    """
    for one in (function, getattr(function, "__call__", None)):  # noqa: B004 - its own is meant
        if inspect.iscoroutinefunction(one):
            raise CannotBeCalled("is 'async', and nobody would wait for it: give a plain function")
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise CannotBeCalled("is a generator, which nobody goes through: give a plain function")


def _takes_two(function: Function) -> bool:
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    required = [
        one
        for one in found.parameters.values()
        if one.kind in _POSITIONAL and one.default is inspect.Parameter.empty
    ]
    two = len(required) == len(("record", "action"))
    try:
        found.bind(*([None, None] if two else [None]))
    except TypeError:
        raise CannotBeCalled(
            "takes neither one argument, the record, nor two, the record and the action"
        ) from None
    return two


def _without(function: FunctionType, model: object) -> tuple[FunctionType, tuple[int, ...]]:
    """A function without the model that it speaks of, and where it does."""
    cells = tuple(
        index for index, cell in enumerate(function.__closure__ or ()) if _holds(cell, model)
    )
    return (_with(function, cells) if cells else function), cells


def _holds(cell: CellType, model: object) -> bool:
    try:
        return cell.cell_contents is model
    except ValueError:  # nothing was said yet of this variable
        return False


def _with(function: FunctionType, cells: tuple[int, ...], *model: object) -> FunctionType:
    closure = list(function.__closure__ or ())
    for index in cells:
        closure[index] = CellType(*model)
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(closure),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made

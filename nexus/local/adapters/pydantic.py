"""Pydantic models: a field of the model, so that it is written and read with all others."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, ClassVar, Optional

from pydantic import BaseModel, Field


def add_model_field(cls: type, column: str) -> None:
    """Give a pydantic model that is being made a field for its column."""
    if not issubclass(cls, BaseModel) or column in getattr(cls, "model_fields", ()):
        return
    declared = get_annotations(cls)
    if column in declared:
        return
    # `Optional`, since the annotation is evaluated beside those of the class, which may be texts.
    cls.__annotations__ = {**declared, column: Optional[dict[str, Any]]}  # noqa: UP045
    setattr(cls, column, Field(default=None, repr=False))


def leave_out(cls: type, attribute: str) -> None:
    """Tell pydantic that an attribute of a model that is being made is none of its fields.

    It would have its users write `ClassVar`, which no other kind of model asks for.
    """
    if not issubclass(cls, BaseModel) or attribute not in vars(cls):
        return
    declared = get_annotations(cls)
    if attribute not in declared:
        cls.__annotations__ = {**declared, attribute: ClassVar[Any]}

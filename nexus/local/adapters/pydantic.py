"""Pydantic models: a field of the model, so that it is written and read with all others."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, Optional

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

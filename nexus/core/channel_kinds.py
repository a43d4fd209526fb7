"""What the checker asks about channels: the core knows none, who loads the plugins answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Something wrong in what a definition says to a channel.

    Attributes:
        code: Of the problem, as `problem_codes` has it.
        pointer: Its place below the object that was checked, such as `/to/0`.
        message: What a person should read.
        expected: What belongs there.
        suggestion: The nearest valid name.
    """

    code: Literal["missing_key", "unknown_key", "wrong_type", "not_for_definitions"]
    pointer: str
    message: str
    expected: str | None = None
    suggestion: str | None = None


class ChannelKinds(Protocol):
    """The channels that are installed, and the names that the operator gave to settings."""

    def names(self) -> Sequence[str]:
        """Every kind of channel, and every name of the operator's settings."""
        ...

    def kind_of(self, name: str) -> str | None:
        """The kind that a name stands for; None where nobody knows it."""
        ...

    def check_settings(self, kind: str, settings: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a definition's settings of this kind (`channels`)."""
        ...

    def check_given(self, kind: str, given: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a step's `with`; texts with templates pass, as they are not rendered."""
        ...

"""The channels that are installed here, for commands that check definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from nexus.core.channel_kinds import ChannelKinds, Finding


class InstalledChannels:
    """A `ChannelKinds` that looks for channels once a definition calls one: it takes a while.

    Raises:
        NexusError: From each method: a channel cannot be loaded, or the operator's settings
            cannot be used.
    """

    @cached_property
    def _found(self) -> ChannelKinds:
        from nexus.channels import load_channels

        return load_channels().seen_by(None)

    def names(self) -> Sequence[str]:
        """Every kind of channel, and every name of the operator's settings."""
        return self._found.names()

    def kind_of(self, name: str) -> str | None:
        """The kind that a name stands for; None where nobody knows it."""
        return self._found.kind_of(name)

    def check_settings(self, kind: str, settings: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a definition's settings of this kind."""
        return self._found.check_settings(kind, settings)

    def check_given(self, kind: str, given: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a step's `with`."""
        return self._found.check_given(kind, given)


def installed_channels() -> ChannelKinds | None:
    """What definitions may call; None where the library is installed without channels."""
    from importlib.util import find_spec

    return InstalledChannels() if find_spec("liquid") and find_spec("pydantic") else None

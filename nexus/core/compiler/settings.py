"""Named settings of channels: `channels`."""

from __future__ import annotations

from collections.abc import Mapping

from nexus.core.compiler.reader import as_name, as_object, below
from nexus.core.errors import Report
from nexus.core.state import Data


def compile_channels(
    report: Report, document: Mapping[str, object], pointer: str
) -> dict[str, Data]:
    """Settings by name, as they stand; `channel` in them is the kind, where it is not the name.

    Which settings a kind has, the core does not know: `ChannelKinds` does.
    """
    channels: dict[str, Data] = {}
    for name, value in document.items():
        place = below(pointer, name)
        if as_name(report, name, place, "A channel's name") is None:
            continue
        settings = as_object(report, value, place, f"The channel {name!r}")
        if settings is None:
            continue
        if "channel" in settings:
            as_name(report, settings["channel"], below(place, "channel"), "The kind of a channel")
        channels[name] = settings
    return channels

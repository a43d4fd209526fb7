"""Finding channels: those that come with Nexus, and those of installed packages."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nexus.channels.operator_settings import OperatorSettings
from nexus.channels.runner import Channels
from nexus.contracts import ENTRY_POINTS, Channel
from nexus.core.errors import NexusError

SETTINGS_FILE = "NEXUS_CHANNELS"

BUILT_IN = (
    ("nexus.channels.email", "EmailChannel"),
    ("nexus.channels.log", "LogChannel"),
    ("nexus.channels.webhook", "WebhookChannel"),
)


class ChannelLoadError(NexusError):
    """A channel cannot be used; the message says which and why, in one line."""


def load_channels(settings_file: Path | None = None) -> Channels:
    """All channels there are.

    Args:
        settings_file: The operator's; without it, the one that `NEXUS_CHANNELS` names, if any.

    Raises:
        ChannelLoadError: A channel cannot be loaded, or is none, or takes the name of another.
        SettingsFileError: The operator's file cannot be used.
    """
    named = os.environ.get(SETTINGS_FILE, "").strip()
    path = settings_file or (Path(named).expanduser() if named else None)
    operator = OperatorSettings(path)
    operator.load()
    kinds: dict[str, Channel[Any, Any]] = {}
    for module, attribute in BUILT_IN:
        channel = getattr(import_module(module), attribute)()
        kinds[channel.name] = channel
    origin = dict.fromkeys(kinds, "Nexus itself")
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=_package):
        channel = _load(entry)
        if channel.name in kinds:
            raise _error(entry, f"the name {channel.name!r} is taken by {origin[channel.name]}")
        kinds[channel.name] = channel
        origin[channel.name] = f"the package {_package(entry)!r}"
    return Channels(kinds, operator)


def _load(entry: EntryPoint) -> Channel[Any, Any]:
    try:
        found = entry.load()
    except Exception as error:
        raise _error(entry, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, type) or not issubclass(found, Channel):
        raise _error(entry, "it is no subclass of nexus.contracts.Channel")
    if getattr(found, "name", None) != entry.name:
        raise _error(entry, f"its 'name' is {getattr(found, 'name', None)!r}, not {entry.name!r}")
    for what in ("Settings", "Parameters"):
        model = getattr(found, what, None)
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            raise _error(entry, f"its '{what}' is no pydantic model")
    try:
        channel = found()
    except Exception as error:
        raise _error(entry, f"it cannot be made: {type(error).__name__}: {error}") from error
    return channel


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "?"


def _error(entry: EntryPoint, why: str) -> ChannelLoadError:
    reason = " ".join(why.split())
    return ChannelLoadError(
        f"the channel {entry.name!r} of the package {_package(entry)!r} ({entry.value}) cannot be "
        f"loaded: {reason}"
    )

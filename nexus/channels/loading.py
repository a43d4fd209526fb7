"""Finding channels: those that come with Nexus, and those of installed packages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nexus.channels.models import wrong_for_operators
from nexus.channels.operator_settings import EVERYBODY, Named, OperatorSettings
from nexus.channels.runner import Channels
from nexus.contracts import ENTRY_POINTS, Channel
from nexus.core.errors import NexusError, escape_pointer, nearest

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
    operator = OperatorSettings(path, lambda settings: _wrong(kinds, settings))
    operator.load()
    return Channels(kinds, operator)


def _wrong(kinds: Mapping[str, Channel[Any, Any]], settings: Mapping[str, Named]) -> str | None:
    """What no channel makes sense of in the operator's settings."""
    shared = settings.get(EVERYBODY, {})
    for tenant, named in settings.items():
        for name, entry in named.items():
            place = f"/{escape_pointer(tenant)}/{escape_pointer(name)}"
            told = entry.get("channel") or shared.get(name, {}).get("channel")
            kind = str(told or name)
            if kind in kinds:
                finding = wrong_for_operators(kinds[kind].Settings, entry)
                if finding is not None:
                    hint = _hint(finding.suggestion, finding.expected)
                    return f"{place}{finding.pointer}: {finding.message}{hint}"
            elif told:
                hint = _hint(nearest(kind, list(kinds)), ", ".join(kinds))
                return f"{place}/channel: no channel {kind!r} is installed{hint}"
    # A name that says nothing has its kind from definitions: calls find out.
    return None


def _hint(near: str | None, expected: str | None) -> str:
    if near:
        return f"; did you mean {near!r}?"
    return f"; expected: {expected}" if expected else ""


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

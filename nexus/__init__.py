"""Nexus: pipelines for CRM and marketing, written in JSON and run durably."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexus.core.commands import Actor
    from nexus.core.errors import DefinitionError, NexusError, Rejected
    from nexus.local.configuration import acting, configure, current_actor

__version__ = "0.1.0"

__all__ = [
    "Actor",
    "DefinitionError",
    "NexusError",
    "Rejected",
    "__version__",
    "acting",
    "configure",
    "current_actor",
]

_PLACES = {
    "Actor": "nexus.core.commands",
    "DefinitionError": "nexus.core.errors",
    "NexusError": "nexus.core.errors",
    "Rejected": "nexus.core.errors",
    "acting": "nexus.local.configuration",
    "configure": "nexus.local.configuration",
    "current_actor": "nexus.local.configuration",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: whoever wants one part does not pay for all.
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module 'nexus' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value

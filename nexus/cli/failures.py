"""How a command ends badly: one line that says what is wrong and what to do, and exit code 1."""

from __future__ import annotations

import importlib
from types import ModuleType

from nexus.core.errors import NexusError


class CommandFailed(NexusError):
    """A command cannot do what it was asked; the message is one line for its user."""


def platform_module(name: str) -> ModuleType:
    """Imports a module of the platform, which the bare library does not bring.

    Raises:
        CommandFailed: The module, or what it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"this command needs the platform, and {error.name} is not installed: run it from a "
            "checkout (./scripts/dev) or from the container image"
        ) from error

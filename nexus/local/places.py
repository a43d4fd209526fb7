"""Where the instance of a model is: in its column, or on the platform that was configured."""

from __future__ import annotations

from typing import Any

from nexus.local.backend import Backend
from nexus.local.configuration import platform
from nexus.local.in_column import InColumn
from nexus.local.spec import Spec


def backend_of(model: Any, spec: Spec) -> Backend:
    """What a handle on this model stands on.

    Args:
        model: The object.
        spec: What its class says of itself.

    Raises:
        ConfigurationError: What was configured cannot be used.
    """
    there = platform()
    if there is None:
        return InColumn(model, spec)
    from nexus.local.on_platform import OnPlatform

    return OnPlatform(model, spec, there)

"""For Django: the app `nexus.local.django`, and finding the rows that have something due.

INSTALLED_APPS = [..., "nexus.local.django"]

run_due(User.objects.filter(due_before(timezone.now())))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexus.local.adapters.django import NexusField, due_before

__all__ = ["NexusField", "due_before"]


def __getattr__(name: str) -> Any:
    # Django imports an app's package before its models may be imported.
    if name not in __all__:
        raise AttributeError(f"module 'nexus.local.django' has no attribute {name!r}")
    from nexus.local.adapters import django

    return getattr(django, name)

"""Level 1: an instance in a column of your own model, decided in your own process."""

from typing import TYPE_CHECKING, Any

from nexus.local.around import Action
from nexus.local.calls import LATER, CallFailed, rendered
from nexus.local.configuration import ConfigurationError
from nexus.local.due import Looked, run_due
from nexus.local.kept import ColumnError
from nexus.local.spec import Level1Warning
from nexus.local.views import HistoryEntry, Incident, Permission, Record, Task

if TYPE_CHECKING:
    from nexus.local.moving_back import Demoted, demote

__all__ = [
    "LATER",
    "Action",
    "CallFailed",
    "ColumnError",
    "ConfigurationError",
    "Demoted",
    "HistoryEntry",
    "Incident",
    "Level1Warning",
    "Looked",
    "Permission",
    "Record",
    "Task",
    "demote",
    "rendered",
    "run_due",
]


def __getattr__(name: str) -> Any:
    # These bring the HTTP client along, which Level 1 alone does without.
    if name not in ("Demoted", "demote"):
        raise AttributeError(f"module 'nexus.local' has no attribute {name!r}")
    from nexus.local import moving_back

    return getattr(moving_back, name)

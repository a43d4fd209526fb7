"""Level 1: an instance in a column of your own model, decided in your own process."""

from nexus.local.calls import LATER, CallFailed
from nexus.local.configuration import ConfigurationError
from nexus.local.due import Looked, run_due
from nexus.local.handle import Action
from nexus.local.kept import ColumnError
from nexus.local.spec import Level1Warning
from nexus.local.views import HistoryEntry, Incident, Permission, Record, Task

__all__ = [
    "LATER",
    "Action",
    "CallFailed",
    "ColumnError",
    "ConfigurationError",
    "HistoryEntry",
    "Incident",
    "Level1Warning",
    "Looked",
    "Permission",
    "Record",
    "Task",
    "run_due",
]

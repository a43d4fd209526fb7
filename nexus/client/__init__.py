"""The API of a Nexus platform, typed: for programs that do not live in it.

    with NexusClient("https://nexus.example.com", token) as nexus:
        instance = nexus.start("sales-pipeline", "account", "acme", data={"score": 60})
        nexus.act(instance.id, "qualify")

`AsyncNexusClient` is the same with `await`. What the platform refuses is an exception with the
API's code; see `nexus.client.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nexus.client.errors import (
    AlreadyVoted,
    Ambiguous,
    ApiError,
    Busy,
    ClientError,
    ConditionNotMet,
    Conflict,
    Forbidden,
    InstanceExists,
    InternalError,
    InvalidData,
    InvalidDefinition,
    InvalidJson,
    KeyReused,
    MethodNotAllowed,
    NotFound,
    RunInProgress,
    SelfAssign,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    VersionExists,
    WrongStage,
)
from nexus.client.models import (
    Assignees,
    DashboardEntry,
    DefinitionDocument,
    DefinitionEntry,
    DefinitionReference,
    DefinitionVersion,
    DueTimer,
    Finding,
    HistoryEntry,
    Incident,
    Instance,
    ListedIncident,
    Me,
    Permission,
    Record,
    RetiredVersions,
    StoredDefinition,
    Subject,
    Task,
    Timer,
    Validated,
)

if TYPE_CHECKING:
    from nexus.client.asynchronous import AsyncNexusClient
    from nexus.client.sync import NexusClient

__all__ = [
    "AlreadyVoted",
    "Ambiguous",
    "ApiError",
    "Assignees",
    "AsyncNexusClient",
    "Busy",
    "ClientError",
    "ConditionNotMet",
    "Conflict",
    "DashboardEntry",
    "DefinitionDocument",
    "DefinitionEntry",
    "DefinitionReference",
    "DefinitionVersion",
    "DueTimer",
    "Finding",
    "Forbidden",
    "HistoryEntry",
    "Incident",
    "Instance",
    "InstanceExists",
    "InternalError",
    "InvalidData",
    "InvalidDefinition",
    "InvalidJson",
    "KeyReused",
    "ListedIncident",
    "Me",
    "MethodNotAllowed",
    "NexusClient",
    "NotFound",
    "Permission",
    "Record",
    "RetiredVersions",
    "RunInProgress",
    "SelfAssign",
    "StoredDefinition",
    "Subject",
    "Task",
    "Timer",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Validated",
    "VersionExists",
    "WrongStage",
]

_CLIENTS = {
    "AsyncNexusClient": "nexus.client.asynchronous",
    "NexusClient": "nexus.client.sync",
}


def __getattr__(name: str) -> Any:
    # The clients bring httpx along; whoever wants the models alone does not pay for it.
    from importlib import import_module

    if name not in _CLIENTS:
        raise AttributeError(f"module 'nexus.client' has no attribute {name!r}")
    value = getattr(import_module(_CLIENTS[name]), name)
    globals()[name] = value
    return value

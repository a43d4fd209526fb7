"""Accounts, each with leads and opportunities of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sqlmodel import Field, SQLModel

from nexus.crm import HasCrm
from nexus.local import Action, Record


def can_be_reached(lead: Record) -> bool:
    """A guard: nobody wants a lead whom nobody can reach."""
    return bool(lead.email or lead.phone)


def book_revenue(_: Record, action: Action) -> None:
    """A hook: what was won counts for the account, in the same transaction.

    The database adds, not Python: two wins at the same time both count.
    """
    action.model.revenue = Account.revenue + action.data["value"]


class Account(HasCrm, SQLModel, table=True):
    """A customer. Leads, opportunities and their history are kept in the column `crm_data`."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    revenue: float = 0.0

    crm_definition: ClassVar[Mapping[str, Any] | Path] = {
        "version": "1.0.0",
        "roles": {
            "sales": {"can": ["qualify", "lose", "pay", "update", "comment"]},
            "manager": {"can": ["win"], "inherits": ["sales"]},
        },
        "entities": {
            "lead": {
                "fields": {
                    "name": {"type": "string", "minLength": 1, "required": True},
                    "email": {"type": "string", "format": "email"},
                    "phone": {"type": "string"},
                    "score": {"type": "number"},
                },
                "stages": [
                    "new",
                    {"id": "qualified", "assign": {"roles": ["manager"]}},
                    {"id": "won", "final": True},
                    {"id": "lost", "final": True},
                ],
            },
            "opportunity": {
                "fields": {"name": {"type": "string"}, "value": {"type": "number"}},
                "stages": ["open", "paid"],
            },
        },
        "transitions": {
            "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
            "win": {
                "from": "qualified",
                "to": "won",
                "input": {"value": {"type": "number", "minimum": 0, "required": True}},
                "creates": {
                    "entity": "opportunity",
                    "data": {"name": "data.name", "value": "input.value"},
                },
                "after": book_revenue,
            },
            "lose": {"from": ["new", "qualified"], "to": "lost"},
            "pay": {"from": "open", "to": "paid"},
        },
        "guards": {"add_lead": can_be_reached},
    }

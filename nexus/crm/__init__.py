"""Contacts, leads and opportunities on your own models.

from nexus.crm import HasCrm

class User(HasCrm):
def crm(self):
return {"entities": {"contact": {"fields": ["name", "email"]}}}

user.crm().add_contact({"name": "John", "email": "j@example.com"})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nexus.core.commands import Actor
from nexus.local.dashboard import Dashboard
from nexus.local.domains import CRM
from nexus.local.handle import Handle
from nexus.local.spec import Definition, arrange, asked_by_heir
from nexus.local.views import Record

__all__ = ["CrmDashboard", "CrmHandle", "Definition", "HasCrm"]


class CrmDashboard(Dashboard):
    """What somebody has to do with contacts, leads and opportunities.

    `CrmDashboard.for_user("ann", ["sales"]).pending().filter(stage="new").sort("due_at")` is gone
    through row by row; see `nexus.client.models.DashboardEntry`.
    """

    domain = CRM


class CrmHandle(Handle):
    """The CRM of one object."""

    def add_contact(
        self, data: Mapping[str, Any] | None = None, *, actor: Actor | str | None = None
    ) -> Record:
        """Add a contact.

        Args:
            data: Its fields, as the definition's entity `contact` has them.
            actor: Who adds it.

        Raises:
            Rejected: It is refused, with a code; nothing has changed.
        """
        return self.add("contact", data, actor=actor)


class HasCrm:
    """Gives a model a CRM of its own: contacts, leads, opportunities.

    The class says what it keeps, by a method `crm` that returns the definition, or by the class
    attribute `crm_definition`, which type checkers like better; either is read once. On objects,
    `crm()` is the handle. All of it is kept in one column, or attribute, `crm_data`.
    """

    crm_definition: ClassVar[Definition]

    def __init_subclass__(cls, **options: Any) -> None:
        """Set the class's own `crm` aside, and give it its column."""
        arrange(cls, CRM, HasCrm)
        super().__init_subclass__(**options)

    def crm(self, actor: Actor | str | None = None) -> CrmHandle:
        """The CRM of this object.

        Args:
            actor: Who acts through the handle; else whom `nexus.acting` names.

        Raises:
            DefinitionError: The class's definition cannot run; carries every problem.
        """
        said: CrmHandle | None = asked_by_heir(self, CRM)
        return CrmHandle(self, CRM, actor) if said is None else said

"""Campaigns and promotions on your own models.

from nexus.sales_marketing import HasSalesMarketing

class Product(HasSalesMarketing):
def sm(self):
return {"entities": {"campaign": {"fields": ["name", "budget"]}}}

product.sm().launch_campaign({"name": "Summer Sale", "budget": 1000})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nexus.core.commands import Actor
from nexus.local.dashboard import Dashboard
from nexus.local.domains import SALES_MARKETING
from nexus.local.handle import Handle
from nexus.local.spec import Definition, arrange, asked_by_heir
from nexus.local.views import Record

__all__ = ["Definition", "HasSalesMarketing", "SmDashboard", "SmHandle"]


class SmDashboard(Dashboard):
    """What somebody has to do with campaigns and promotions.

    `SmDashboard.for_user("ann", ["sales"]).pending().filter(stage="new").sort("due_at")` is gone
    through row by row; see `nexus.client.models.DashboardEntry`.
    """

    domain = SALES_MARKETING


class SmHandle(Handle):
    """The sales and marketing of one object."""

    def launch_campaign(
        self, data: Mapping[str, Any] | None = None, *, actor: Actor | str | None = None
    ) -> Record:
        """Launch a campaign: it begins in the first stage of the entity `campaign`.

        Args:
            data: Its fields, as the definition's entity `campaign` has them.
            actor: Who launches it.

        Raises:
            Rejected: It is refused, with a code; nothing has changed.
        """
        return self.add("campaign", data, actor=actor)


class HasSalesMarketing:
    """Gives a model campaigns and promotions of its own.

    The class says what it keeps, by a method `sm` that returns the definition, or by the class
    attribute `sm_definition`, which type checkers like better; either is read once. On objects,
    `sm()` is the handle. All of it is kept in one column, or attribute, `sm_data`.
    """

    sm_definition: ClassVar[Definition]

    def __init_subclass__(cls, **options: Any) -> None:
        """Set the class's own `sm` aside, and give it its column."""
        arrange(cls, SALES_MARKETING, HasSalesMarketing)
        super().__init_subclass__(**options)

    def sm(self, actor: Actor | str | None = None) -> SmHandle:
        """The sales and marketing of this object.

        Args:
            actor: Who acts through the handle; else whom `nexus.acting` names.

        Raises:
            DefinitionError: The class's definition cannot run; carries every problem.
        """
        said: SmHandle | None = asked_by_heir(self, SALES_MARKETING)
        return SmHandle(self, SALES_MARKETING, actor) if said is None else said

"""The two sides that a model may have: CRM, and sales and marketing."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Domain(Struct, frozen=True):
    """One of the two sides of a model.

    Attributes:
        name: As definitions say it.
        method: The method of the model that gives the handle.
        column: The column, or attribute, in which its instance is kept.
        suffix: What tells its definition from that of the other side.
    """

    name: str
    method: str
    column: str
    suffix: str

    @property
    def attribute(self) -> str:
        """The class attribute that may hold the definition instead of the method."""
        return f"{self.method}_definition"

    @property
    def moved(self) -> str:
        """Where a class keeps its own method, which the handle's has taken the place of."""
        return f"__nexus_{self.method}__"


CRM: Final = Domain("crm", "crm", "crm_data", "crm")
SALES_MARKETING: Final = Domain("sales_marketing", "sm", "sm_data", "sales-marketing")
DOMAINS: Final = (CRM, SALES_MARKETING)


def domains_of_class(cls: type) -> list[Domain]:
    """The sides that a class, or one that it inherits from, says something of."""
    return [
        side
        for side in DOMAINS
        if any(side.moved in vars(base) or side.attribute in vars(base) for base in cls.__mro__)
    ]

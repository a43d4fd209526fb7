"""Columns that point to a platform, in processes that are not told of it (BR-007)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nexus
from nexus.crm import CrmDashboard
from nexus.local import ConfigurationError, Level1Warning, run_due
from nexus.local.kept import Kept, decode
from tests.local.homes import PlainHome
from tests.promotion.conftest import Promotion

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}

USES: dict[str, Callable[[Any], object]] = {
    "reading": lambda user: user.crm().records(),
    "asking": lambda user: user.crm().can("add_contact"),
    "adding": lambda user: user.crm().add_contact({"name": "Jane"}),
    "listing": lambda user: list(CrmDashboard.for_user("ann", over=[user]).active()),
}


@pytest.mark.parametrize("use", USES)
def test_a_process_that_is_not_told_of_the_platform_begins_nothing_beside_it(
    use: str, promotion: Promotion
) -> None:
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    user.id = use
    promotion.on()
    user.crm().add_contact({"name": "John"})
    promotion.off()
    held: Kept = user.crm_data
    with pytest.raises(ConfigurationError, match=r"points to the platform .* NEXUS_URL"):
        USES[use](user)
    ((failed, why),) = run_due([user]).failed
    assert failed is user
    assert "nexus demote" in str(why)
    assert user.crm_data is held
    assert decode(held, "").platform is not None
    promotion.on()
    assert [record.name for record in user.crm().records()] == ["John"]


def test_a_warning_names_the_line_that_called_nexus(promotion: Promotion) -> None:
    """However deep in Nexus it is given."""
    promotion.platform.define({**CONTACTS, "id": "user", "label": "Customers"}, promotion.tenant)
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    with pytest.warns(Level1Warning, match="goes before it") as given:
        user.crm().add_contact({"name": "John"})
    assert [Path(warning.filename) for warning in given] == [Path(__file__)]


def test_settings_in_code_go_before_the_environment(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tests of an application may want, whose environment names a platform."""
    for name, value in promotion.environment.items():
        monkeypatch.setenv(name, value)
    nexus.configure(url="")
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    user.crm().add_contact({"name": "John"})
    assert decode(user.crm_data, "").platform is None
    nexus.configure(url=None)
    assert len(user.crm().records()) == 1
    assert decode(user.crm_data, "").platform is not None

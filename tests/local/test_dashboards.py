"""Dashboards over models, where there is no platform (US-015, FR-L2-007, R17)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import nexus
from nexus.crm import CrmDashboard
from nexus.local import ConfigurationError, Level1Warning
from nexus.sales_marketing import SmDashboard
from tests.local.conftest import Clock
from tests.local.homes import Home, PlainHome

PIPELINE = {
    "entities": {
        "lead": {
            "stages": [
                {"id": "new", "assign": {"users": ["ann"]}},
                {"id": "check", "assign": {"roles": ["boss"]}},
                {"id": "call", "run": {"task": {"title": "Call", "assign": {"users": ["cleo"]}}}},
                {"id": "won", "final": True},
            ]
        }
    },
    "transitions": {
        "check": {"from": "new", "to": "check"},
        "call": {"from": "check", "to": "call"},
        "lose": {"from": "new", "to": "won", "on": {"after": "3 days"}},
    },
}
CAMPAIGNS = {
    "entities": {"campaign": {"stages": [{"id": "plan", "assign": {"users": ["max"]}}, "live"]}}
}
ANN, BOSS = nexus.Actor("ann"), nexus.Actor("bo", ("boss",))


@pytest.fixture(autouse=True)
def known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        yield


def shown(rows: Any) -> list[tuple[str, str | None, str | None, str]]:
    return [(row.subject.id, row.stage, row.task, row.assigned_as) for row in rows]


def test_what_is_assigned_to_a_user_a_role_and_a_task(home: Home, clock: Clock) -> None:
    cls = home.model(PIPELINE, CAMPAIGNS)
    users = [home.new(cls) for _ in range(3)]
    for user in users:
        user.crm(actor=ANN).add("lead", {})
        clock.advance(timedelta(hours=1))
    users[1].crm(actor=ANN).act("check")
    clock.advance(timedelta(hours=1))
    users[2].crm(actor=ANN).act("check")
    users[2].crm(actor=BOSS).act("call")
    users[0].sm().launch_campaign({})
    home.commit()
    over = [home.again(user) for user in users]
    ids = [str(user.id) for user in users]
    if ids[0] == ids[1]:  # objects without a database have the ids that their class gives them
        over = users
    ann = CrmDashboard.for_user("ann", over=over)
    assert shown(ann.pending()) == [(ids[0], "new", None, "user")]
    assert shown(CrmDashboard.for_user("bo", over=over).pending()) == []
    boss = CrmDashboard.for_user("bo", ["boss"], over=over)
    assert shown(boss.pending()) == [(ids[1], "check", None, "role")]
    # In `call` a task is open: the record waits for it, and is still assigned to the role.
    assert [row.stage for row in boss.active()] == ["check", "call"]
    (task,) = CrmDashboard.for_user("cleo", over=over).pending()
    assert (task.title, task.subject.id) == ("Call", ids[2])
    (campaign,) = SmDashboard.for_user("max", over=lambda: over).active()
    assert (campaign.entity, campaign.stage) == ("campaign", "plan")
    assert shown(SmDashboard.for_user("ann", over=over).active()) == []


def test_rows_are_filtered_and_sorted(clock: Clock) -> None:
    home = PlainHome()
    cls = home.model(PIPELINE)
    users = [home.new(cls) for _ in range(3)]
    for number, user in enumerate(users):
        user.id = number
        user.crm(actor=ANN).add("lead", {})
        clock.advance(timedelta(hours=1))
    rows = CrmDashboard.for_user("ann", over=users).pending()
    assert [row.subject.id for row in rows] == ["0", "1", "2"]
    assert [row.subject.id for row in rows.sort("-since")] == ["2", "1", "0"]
    assert [row.subject.id for row in rows.sort("-due_at")] == ["2", "1", "0"]
    assert [row.subject.id for row in rows.filter(subject_id="1", stage="new")] == ["1"]
    assert list(rows.filter(stage="check")) == []
    assert list(rows.filter(entity="deal")) == []
    late = rows.filter(lambda row: row.subject.id > "0").filter(definition="user").sort("due_at")
    assert [row.subject.id for row in late] == ["1", "2"]
    assert [row.subject.id for row in rows] == ["0", "1", "2"]
    clock.advance(timedelta(days=4))
    assert list(rows) == []  # their clocks have taken them away
    assert users[0].crm_data.state.timers  # and looking at a dashboard keeps nothing


def test_what_cannot_be_asked_is_said() -> None:
    rows = CrmDashboard.for_user("ann").pending()
    with pytest.raises(ConfigurationError, match=r"no filter 'stag'\. Did you mean 'stage'"):
        rows.filter(stag="new")
    with pytest.raises(ConfigurationError, match="There is no order 'due'"):
        rows.sort("due")
    with pytest.raises(ConfigurationError, match="nobody has said which models there are"):
        list(rows)
    with pytest.raises(ConfigurationError, match="Who acts"):
        CrmDashboard.for_user("")


def test_models_can_be_named_once_for_all() -> None:
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    user.crm(actor=ANN).add("lead", {})
    nexus.configure(models=lambda: [user])
    assert len(list(CrmDashboard.for_user("ann").pending())) == 1
    assert list(SmDashboard.for_user("ann").pending()) == []

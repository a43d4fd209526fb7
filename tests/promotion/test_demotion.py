"""Back from the platform into the column, and there again."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nexus
from nexus import NexusError
from nexus.core.calls import CallRequest
from nexus.local import ConfigurationError, Level1Warning, demote
from nexus.local.kept import decode
from tests.local.homes import WITH_DATABASE, Home, PlainHome, opened
from tests.promotion.conftest import Promotion
from tests.promotion.test_promotion import client, pointer

PIPELINE = {
    "entities": {"lead": {"stages": ["new", "seen", {"id": "old", "final": True}]}},
    "transitions": {
        "see": {"from": "new", "to": "seen"},
        "age": {"from": "seen", "to": "old", "on": {"after": "3 days"}},
        "drop": {"from": ["new", "seen"], "to": "old"},
    },
}


@pytest.fixture(autouse=True)
def known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        yield


@pytest.fixture(params=["plain", *WITH_DATABASE])
def moving_home(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Home]:
    kind = PlainHome() if request.param == "plain" else WITH_DATABASE[request.param](sqlite_url)
    with opened(kind):
        yield kind


def trail(model: Any) -> list[tuple[str, str, str | None]]:
    return [(entry.event, entry.actor, entry.comment) for entry in model.crm().history()]


def test_models_take_back_what_the_platform_has(moving_home: Home, promotion: Promotion) -> None:
    """Records, stages, clocks and the whole history; the platform's instance is cancelled."""
    user = moving_home.new(moving_home.model(PIPELINE))
    with nexus.acting("ann"):
        user.crm().add("lead", {"name": "first"})
        promotion.on()
        user.crm().act("drop")
        user.crm().add("lead", {"name": "second"})
        user.crm().act("see", comment="Met her.")
    moving_home.commit()
    there = trail(user)
    demoted = demote([user])
    moving_home.commit()
    assert (demoted.instances, demoted.failed) == (2, [])
    with client(promotion) as nexus_client:
        name = type(user).__name__.lower()
        statuses = sorted(one.status for one in nexus_client.instances(definition=name))
        assert statuses == ["cancelled", "completed"]
    promotion.off()
    again = moving_home.again(user)
    assert trail(again) == there
    assert again.crm().state == "seen"
    assert decode(again.crm_data, "").due is not None
    again.crm().act("edit", data={"name": "third"})
    moving_home.commit()
    # And back again: all of it once, in one history.
    promotion.on()
    last = moving_home.again(user)
    assert last.crm().records()[0].name == "third"
    assert [event for event, _, _ in trail(last)].count("instance_started") == 2
    assert last.crm().act("drop").stage == "old"


def test_taking_back_twice_changes_nothing(promotion: Promotion) -> None:
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    promotion.on()
    user.crm().act("see")
    assert demote([user]).instances == 1
    kept = user.crm_data
    assert demote([user]).instances == 0
    assert user.crm_data is kept


def test_what_was_cancelled_and_not_written_is_found_again(promotion: Promotion) -> None:
    """A column that could not be written: the next try goes on from where the first one was."""
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    promotion.on()
    user.crm().act("see")
    held = user.crm_data
    demote([user])
    user.crm_data = held
    assert demote([user]).instances == 1
    promotion.off()
    assert (user.crm().status, user.crm().state) == ("active", "seen")


def test_calls_keep_their_keys_wherever_they_are_made(promotion: Promotion) -> None:
    """Nothing is sent twice under another key."""
    requests: list[CallRequest] = []

    def fail(request: CallRequest) -> None:
        requests.append(request)
        raise ConnectionError("away")

    nexus.configure(channels=fail)
    home = PlainHome()
    run = [{"channel": "nowhere", "with": {}}]
    stages = [{"id": "new", "run": run}, {"id": "done", "final": True}]
    user = home.new(home.model({"entities": {"lead": {"stages": stages}}}))
    user.crm().start()
    promotion.on()
    user.crm().records()
    demoted = demote([user])
    assert demoted.failed == []
    promotion.off()
    incidents = user.crm().incidents()
    for incident in incidents:
        user.crm().retry(incident)
    user.crm().records()
    assert len({request.key for request in requests}) == 1


def test_what_cannot_be_taken_back_is_told(promotion: Promotion) -> None:
    with pytest.raises(ConfigurationError, match="Say from which platform"):
        demote([])
    promotion.on()
    with pytest.raises(ConfigurationError, match="has neither HasCrm"):
        demote([object()])
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    user.crm().act("see")
    other = home.model({"entities": {"contact": {"fields": ["name"]}}})()
    other.crm_data = user.crm_data
    demoted = demote([other])
    (failed,) = demoted.failed
    assert "lead-1 is of the entity 'lead'" in str(failed[1])
    assert pointer(other) is not None
    assert user.crm().state == "seen"


MODULE = """
import os
import sqlalchemy as sa
from sqlalchemy import orm
from nexus.crm import HasCrm

engine = sa.create_engine(os.environ["SHOP_DATABASE"])
Session = orm.sessionmaker(engine)

class Base(orm.DeclarativeBase):
    pass

class Customer(HasCrm, Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    crm_definition = {"entities": {"contact": {"fields": ["name"]}}}

Base.metadata.create_all(engine)
"""

USING = """
import sys
from shop import Customer, Session
with Session() as session:
    for number in (1, 2):
        customer = session.get(Customer, number) or Customer(id=number)
        session.add(customer)
        session.flush()
        if sys.argv[1] == "add":
            customer.crm().add_contact({"name": f"of {number}"})
        print(number, [contact.name for contact in customer.crm().records()])
    session.commit()
"""


def test_the_command_takes_models_back(
    promotion: Promotion, sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "using.py").write_text(USING)
    own = {name: value for name, value in os.environ.items() if "NEXUS" not in name}
    own["SHOP_DATABASE"] = sqlite_url
    there = {**own, **promotion.environment}

    def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )

    told = "1 ['of 1']\n2 ['of 2']\n"
    assert run("using.py", "add", environment=there).stdout == told
    nexus_demote = ("-m", "nexus", "demote", "shop:Customer")
    refused = run(*nexus_demote, environment=there)
    assert refused.returncode == 1
    assert "--session package.module:name" in refused.stderr
    missing = run(*nexus_demote, "--session", "shop:Sesion", environment=there)
    assert "shop:Sesion: module 'shop' has no attribute 'Sesion'" in missing.stderr
    first = run(*nexus_demote, "--session", "shop:Session", "--id", "1", environment=there)
    assert (first.returncode, first.stdout) == (0, "1 taken back\n"), first.stderr
    rest = run(*nexus_demote, "--session", "shop:Session", environment=there)
    assert (rest.returncode, rest.stdout) == (0, "1 taken back\n"), rest.stderr
    assert run("using.py", "show", environment=own).stdout == told
    nowhere = run(*nexus_demote, "--session", "shop:Session", environment=own)
    assert "Say from which platform" in nowhere.stderr


def test_the_error_tree_is_one() -> None:
    assert issubclass(ConfigurationError, NexusError)

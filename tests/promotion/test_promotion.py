"""The same calls on the same classes, on the platform (US-010, BR-006, BR-007)."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import nexus
from nexus import Rejected
from nexus.client import NexusClient, Unauthenticated, Unreachable
from nexus.local import ConfigurationError, Level1Warning, run_due
from nexus.local.adapters import NotSaved
from nexus.local.kept import decode
from tests.api.serving import token
from tests.local.conftest import Clock
from tests.local.homes import WITH_DATABASE, Home, PlainHome, opened
from tests.promotion.conftest import Promotion
from tests.support.processes import wait_until

CONTACTS = {"entities": {"contact": {"fields": ["name", "email"]}}}
PIPELINE = {
    "entities": {"lead": {"stages": ["new", "seen", {"id": "old", "final": True}]}},
    "transitions": {
        "see": {"from": "new", "to": "seen"},
        "age": {"from": "seen", "to": "old", "on": {"after": "3 days"}},
        "drop": {"from": ["new", "seen"], "to": "old"},
    },
}


@pytest.fixture(params=["plain", *WITH_DATABASE])
def moving_home(request: pytest.FixtureRequest, sqlite_url: str) -> Any:
    """Models that have something to carry over, of the kinds that differ in how they keep it."""
    kind = PlainHome() if request.param == "plain" else WITH_DATABASE[request.param](sqlite_url)
    with opened(kind), warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        yield kind


def pointer(model: Any) -> Any:
    return decode(model.crm_data, "User.crm_data").platform


def client(promotion: Promotion) -> NexusClient:
    return NexusClient(promotion.platform.api.url, token("app", promotion.tenant, ["admin"]))


def events(model: Any) -> list[str]:
    return [entry.event for entry in model.crm().history()]


def test_the_definition_is_stored_on_first_use(promotion: Promotion) -> None:
    """US-010: and a subject has one open instance (BR-007)."""
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    with nexus.acting("ann"):
        assert user.crm().add_contact({"name": "John"}).name == "John"
        assert user.crm().act("edit", data={"email": "j@example.com"}).email == "j@example.com"
    with client(promotion) as nexus_client:
        stored = nexus_client.definition("user")
        assert stored.document == {"id": "user", "domain": "crm", **CONTACTS}
        (instance,) = nexus_client.instances(definition="user")
        assert (instance.subject.type, instance.subject.id) == ("user", "1")
        assert instance.started_by == "ann"
    assert pointer(user).instance == instance.id
    # Another object of the same id is the same subject, wherever it was read.
    again = home.new(type(user))
    assert [record.email for record in again.crm().records()] == ["j@example.com"]


def test_what_the_column_holds_is_carried_over(moving_home: Home, promotion: Promotion) -> None:
    """US-010: records, stages, history and actors; the column keeps a pointer."""
    user = moving_home.new(moving_home.model(PIPELINE))
    with nexus.acting("ann"):
        user.crm().add("lead", {"name": "first"})
        user.crm().act("drop")
        user.crm().add("lead", {"name": "second"})
        user.crm().act("see", comment="Met her.")
    moving_home.commit()
    before = user.crm().history()
    promotion.on()
    promoted = moving_home.again(user)
    assert promoted.crm().state == "seen"
    moving_home.commit()
    assert pointer(promoted).url == promotion.platform.api.url
    assert not decode(promoted.crm_data, "").history
    after = promoted.crm().history()
    assert [entry for entry in after if entry.event != "carried_over"] == before
    assert [entry.event for entry in after].count("carried_over") == 2
    assert promoted.crm().act("drop").stage == "old"
    assert promoted.crm().status == "completed"


def test_clocks_go_on_at_their_times(promotion: Promotion, clock: Clock) -> None:
    """One that has come due fires at once; nobody has to look at it any more."""
    home = PlainHome()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        user = home.new(home.model(PIPELINE))
        clock.now = datetime.now(UTC) - timedelta(days=4)
        user.crm().act("see")
    clock.now = datetime.now(UTC)
    promotion.on()
    looked = run_due([user])
    assert (looked.models, looked.happened, looked.failed) == (1, 0, [])
    assert pointer(user) is not None
    wait_until(lambda: user.crm().state == "old", what="the clock to fire on the platform")


def test_a_promotion_that_fails_leaves_everything_as_it_was(
    moving_home: Home, promotion: Promotion
) -> None:
    user = moving_home.new(moving_home.model(CONTACTS))
    user.crm().add_contact({"name": "John"})
    moving_home.commit()
    held = user.crm_data
    nexus.configure(url="http://127.0.0.1:9", api_key="x")
    with pytest.raises(Unreachable):
        user.crm().records()
    nexus.configure(url=promotion.platform.api.url, api_key="no-token")
    with pytest.raises(Unauthenticated):
        user.crm().add_contact({"name": "Jane"})
    promotion.on(roles=())
    with pytest.raises(ConfigurationError, match="it takes the role 'admin'"):
        user.crm().records()
    assert user.crm_data == held
    promotion.off()
    moving_home.commit()
    assert [record.name for record in moving_home.again(user).crm().records()] == ["John"]


def test_what_has_no_place_in_the_stored_definition_stays(promotion: Promotion) -> None:
    """It is said what does not fit, and the column holds what it held."""
    home = PlainHome()
    user = home.new(home.model(PIPELINE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        user.crm().act("see")
    other: dict[str, object] = {"id": "user", "entities": {"lead": {"stages": ["new", "old"]}}}
    promotion.platform.define(other, promotion.tenant)
    promotion.on()
    with (
        pytest.warns(Level1Warning, match="is not the one in the code, and goes before it"),
        pytest.raises(Rejected, match="stands in 'seen'") as refused,
    ):
        user.crm().records()
    assert refused.value.code == "conflict"
    promotion.off()
    assert user.crm().state == "seen"


def test_a_definition_on_the_platform_goes_before_the_one_in_the_code(
    promotion: Promotion,
) -> None:
    """FR-L2-001: it overrides, and that is said once."""
    stored: dict[str, object] = {
        **CONTACTS,
        "id": "user",
        "entities": {"contact": {"fields": ["name", "phone"]}},
    }
    promotion.platform.define(stored, promotion.tenant)
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on()
    with pytest.warns(Level1Warning, match="goes before it"):
        user.crm().add_contact({"name": "John", "phone": "1"})
    with pytest.raises(Rejected, match="unknown field 'email'"):
        user.crm().add_contact({"email": "x"})


def test_guards_and_hooks_run_in_this_process(promotion: Promotion) -> None:
    told: list[str] = []
    definition = {
        **PIPELINE,
        "guards": {"see": lambda lead: lead.score == 1, "add": lambda lead: lead.score},
        "hooks": {
            "before": {"see": lambda lead: told.append(f"before {lead.stage}")},
            "after": {"see": lambda lead: told.append(f"after {lead.stage}")},
        },
    }
    home = PlainHome()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        user = home.new(home.model(definition))
        promotion.on()
        with pytest.raises(Rejected, match="'add_lead'"):
            user.crm().add("lead", {"score": 0})
    assert user.crm().status == "new"
    user.crm().add("lead", {"score": 2})
    assert user.crm().can("see") is False
    with pytest.raises(Rejected, match="does not let 'see' be taken on 'lead-1'"):
        user.crm().act("see")
    user.crm().act("edit", data={"score": 1})
    heard: list[str] = []
    user.crm().on("stage_entered", lambda entry: heard.append(entry.after))
    assert user.crm().can("see") is True
    assert user.crm().act("see").stage == "seen"
    assert told == ["before new", "after seen"]
    assert heard == ["seen"]
    with client(promotion) as nexus_client:
        assert "guards" not in nexus_client.definition("user").document


def test_a_token_that_is_no_admin_acts_as_its_user(promotion: Promotion) -> None:
    promotion.platform.define({**CONTACTS, "id": "user", "domain": "crm"}, promotion.tenant)
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    promotion.on(user="ann", roles=("sales",))
    user.crm().add_contact({"name": "John"})
    assert {entry.actor for entry in user.crm().history()} == {"ann"}
    with pytest.raises(Rejected) as refused:
        user.crm(actor="max").add_contact({"name": "Jane"})
    assert refused.value.code == "forbidden"


def test_an_object_needs_an_id_and_one_platform(promotion: Promotion) -> None:
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    user.id = None
    promotion.on()
    with pytest.raises(NotSaved, match="has no id yet"):
        user.crm().add_contact({"name": "John"})
    user.id = 1
    user.crm().add_contact({"name": "John"})
    nexus.configure(
        url=promotion.platform.api.url, api_key=token("app", "another-tenant", ["admin"])
    )
    with pytest.raises(ConfigurationError, match="points to the platform"):
        user.crm().records()
    with pytest.raises(ConfigurationError, match="there is no NEXUS_API_KEY"):
        nexus.configure(api_key="")
        user.crm()


TOUCHING = """
import sys, warnings
import sqlalchemy as sa
from sqlalchemy import orm
from nexus.crm import HasCrm

class Base(orm.DeclarativeBase):
    pass

class Customer(HasCrm, Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    crm_definition = {"entities": {"contact": {"fields": ["name"]}}}

engine = sa.create_engine(sys.argv[1], connect_args=(
    {"timeout": 30} if sys.argv[1].startswith("sqlite") else {}
))
with orm.Session(engine) as session:
    if sys.argv[2] == "create":
        Base.metadata.create_all(engine)
        session.add(Customer(id=1))
        session.flush()
        customer = session.get(Customer, 1)
        customer.crm().add_contact({"name": "before"})
    else:
        customer = session.get(Customer, 1)
        customer.crm().add_contact({"name": sys.argv[2]})
    session.commit()
"""


def test_two_processes_promote_one_model_once(
    promotion: Promotion, database_url: str, tmp_path: Path
) -> None:
    program = tmp_path / "touching.py"
    program.write_text(TOUCHING)

    def run(what: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        import os

        kept = {name: value for name, value in os.environ.items() if "NEXUS" not in name}
        command = [sys.executable, str(program), database_url, what]
        return subprocess.Popen(command, env={**kept, **environment})

    assert run("create", {}).wait() == 0
    both = [run(name, promotion.environment) for name in ("one", "other")]
    assert [process.wait() for process in both] == [0, 0]
    with client(promotion) as nexus_client:
        (instance,) = nexus_client.instances(definition="customer")
        names = [record.data["name"] for record in instance.records]
        assert names[0] == "before"
        assert sorted(names[1:]) == ["one", "other"]
        history = [entry.event for entry in nexus_client.history(instance.id)]
        assert history.count("carried_over") == 1


def test_a_promotion_that_is_rolled_back_finds_its_instance_again(
    promotion: Promotion, sqlite_url: str
) -> None:
    with opened(WITH_DATABASE["sqlalchemy"](sqlite_url)) as home:
        user = home.new(home.model(CONTACTS))
        user.crm().add_contact({"name": "John"})
        home.commit()
        promotion.on()
        assert len(user.crm().records()) == 1
        user.crm().add_contact({"name": "Jane"})
        home.session.rollback()  # type: ignore[attr-defined]
        assert not pointer(user)
        assert [record.name for record in user.crm().records()] == ["John", "Jane"]
        home.commit()
        with client(promotion) as nexus_client:
            assert len(list(nexus_client.instances(definition="user"))) == 1


def test_the_next_instance_may_be_begun_by_somebody_else(promotion: Promotion) -> None:
    """The column points to one that has ended meanwhile; the newest is meant."""
    home = PlainHome()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Level1Warning)
        user = home.new(home.model(PIPELINE))
        promotion.on()
        user.crm().act("drop")
    with client(promotion) as nexus_client:
        begun = nexus_client.start("user", "user", "1", entity="lead")
    assert pointer(user).instance != begun.id
    assert (user.crm().status, user.crm().state) == ("active", "new")
    assert user.crm().act("see").stage == "seen"
    assert user.crm().add("lead", {}).id == "lead-2"


def test_what_has_grown_too_large_stays_where_it_is(promotion: Promotion) -> None:
    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    for number in range(12):
        user.crm().add_contact({"name": f"{number}", "email": "x" * 100_000})
    promotion.on()
    with pytest.raises(Rejected, match="has grown larger than the platform takes") as refused:
        user.crm().records()
    assert refused.value.code == "too_large"
    promotion.off()
    assert len(user.crm().records()) == 12


def test_a_copy_of_a_promoted_object_has_an_instance_of_its_own(promotion: Promotion) -> None:
    import copy

    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    kept = home.new(type(user))
    kept.crm().add_contact({"name": "before"})
    early = copy.deepcopy(kept)
    early.id = 3
    promotion.on()
    assert [record.name for record in kept.crm().records()] == ["before"]
    late = copy.deepcopy(kept)
    late.id = 2
    assert late.crm().records() == []
    late.crm().add_contact({"name": "late"})
    assert [record.name for record in early.crm().records()] == ["before"]
    assert [record.name for record in kept.crm().records()] == ["before"]
    assert [record.name for record in late.crm().records()] == ["late"]
    promotion.off()
    again = copy.deepcopy(kept)
    again.id = 4
    again.crm().add_contact({"name": "fresh"})
    assert [record.name for record in again.crm().records()] == ["fresh"]

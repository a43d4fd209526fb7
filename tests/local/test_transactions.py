"""In the caller's own transaction, never over somebody else's change (BR-002, REL-001, REL-003)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy import orm

from nexus import Rejected
from nexus.local import ColumnError, ConfigurationError
from nexus.local import spec as spec_module
from nexus.local.kept import decode
from tests.local.homes import DjangoHome, Home, SqlAlchemyHome, opened

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}


def names(model: Any) -> list[str]:
    return [record.name for record in model.crm().records()]


def test_what_is_rolled_back_has_not_happened(database_home: Home) -> None:
    user = database_home.new(database_home.model(CONTACTS))
    user.crm().add_contact({"name": "kept"})
    database_home.commit()
    if isinstance(database_home, DjangoHome):
        from django.db import transaction

        with pytest.raises(LookupError), transaction.atomic(using=database_home.alias):
            user.crm().add_contact({"name": "undone"})
            raise LookupError
    else:
        assert isinstance(database_home, SqlAlchemyHome)
        user.crm().add_contact({"name": "undone"})
        database_home.session.rollback()
        assert names(user) == ["kept"]
        database_home.commit()
    assert names(database_home.again(user)) == ["kept"]
    user.crm().add_contact({"name": "after"})
    database_home.commit()
    assert names(database_home.again(user)) == ["kept", "after"]


def test_an_object_that_was_read_before_loses_nothing(database_home: Home) -> None:
    """Who comes second decides anew on what the first has left."""
    user = database_home.new(database_home.model(CONTACTS))
    database_home.commit()
    stale = database_home.again(user)
    assert names(stale) == []
    database_home.commit()
    user.crm().add_contact({"name": "first"})
    database_home.commit()
    stale.crm().add_contact({"name": "second"})
    database_home.commit()
    assert names(stale) == ["first", "second"]
    assert names(database_home.again(user)) == ["first", "second"]


def test_saving_an_object_that_was_read_before_writes_nothing_back(database_home: Home) -> None:
    """What the column held when the object was read is not written over what it holds now."""
    user = database_home.new(database_home.model(CONTACTS))
    stale = database_home.again(user)
    assert names(stale) == []
    database_home.commit()
    user.crm().add_contact({"name": "first"})
    database_home.commit()
    stale.name = "bob"
    if isinstance(database_home, DjangoHome):
        stale.save()
    database_home.commit()
    again = database_home.again(user)
    assert (again.name, names(again)) == ("bob", ["first"])


def test_an_object_without_a_row_keeps_what_it_is_given(database_home: Home) -> None:
    """Its instance knows it by its id as soon as it has one."""
    user = database_home.model(CONTACTS)()
    user.crm().add_contact({"name": "early"})
    if isinstance(database_home, DjangoHome):
        user.save(using=database_home.alias)
    else:
        assert isinstance(database_home, SqlAlchemyHome)
        database_home.session.add(user)
    database_home.commit()
    again = database_home.again(user)
    assert names(again) == ["early"]
    assert again.crm().history()[0].payload["subject"]["id"] == str(user.id)
    again.crm().add_contact({"name": "late"})
    database_home.commit()
    assert names(database_home.again(user)) == ["early", "late"]


def test_somebody_who_is_always_quicker_is_told_of(database_home: Home) -> None:
    user = database_home.new(database_home.model({**CONTACTS, "hooks": {}}))
    other = database_home.again(user)
    assert names(other) == []
    database_home.commit()
    spec = user.crm()._spec
    swapped: list[int] = []

    class Beaten(type(spec.adapter)):  # type: ignore[misc]
        def swap(self, model: Any, name: str, revision: int, value: Any) -> bool:
            swapped.append(revision)
            return False

    specs = spec_module._specs[type(user)]
    specs["crm"] = replace(spec, adapter=Beaten())
    try:
        with pytest.raises(Rejected, match=r"Others changed .* 3 times in a row") as refused:
            user.crm().add_contact({"name": "x"})
    finally:
        specs["crm"] = spec
    assert refused.value.code == "conflict"
    assert len(swapped) == 3


def test_a_column_of_somebody_else_is_refused(database_home: Home) -> None:
    cls = database_home.model(CONTACTS)
    user = cls(crm_data={"mine": 1})
    with pytest.raises(ColumnError, match="holds something that Nexus has not written"):
        user.crm().records()
    user = cls(crm_data={"nexus": 2, "revision": 1})
    with pytest.raises(ColumnError, match="another version of Nexus"):
        user.crm().records()
    user = cls(crm_data={"nexus": 1, "revision": 1, "kept": '{"revision": "x"}'})
    with pytest.raises(ColumnError, match="cannot be read"):
        user.crm().records()


ADDING = """
import sys
import sqlalchemy as sa
from sqlalchemy import orm
from nexus.crm import HasCrm

class Base(orm.DeclarativeBase):
    pass

class Customer(HasCrm, Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    crm_definition = {"entities": {"contact": {"fields": ["name"]}}}

engine = sa.create_engine(sys.argv[1])
if engine.dialect.name == "sqlite":
    # As SQLAlchemy's own recipe has it: who means to write says so first, and waits its turn.
    @sa.event.listens_for(engine, "connect")
    def connected(connection, _):
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 20000")

    @sa.event.listens_for(engine, "begin")
    def begun(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

if sys.argv[2] == "create":
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(Customer(id=1))
        session.commit()
else:
    for number in range(25):
        with orm.Session(engine) as session:
            customer = session.get(Customer, 1)
            customer.crm().add_contact({"name": f"{sys.argv[2]}-{number}"})
            session.commit()
"""


def test_two_processes_never_lose_an_update(database_url: str, tmp_path: Path) -> None:
    """REL-003: each adds contacts to the same row as fast as it can."""
    program = tmp_path / "adding.py"
    program.write_text(ADDING)

    def run(what: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, program, database_url, what])

    assert run("create").wait() == 0
    ended = [process.wait() for process in [run("a"), run("b")]]
    assert ended == [0, 0]
    engine = sa.create_engine(database_url)
    with orm.Session(engine) as session:
        value = session.execute(sa.text("SELECT crm_data FROM customers")).scalar_one()
    engine.dispose()
    import json

    kept = decode(json.loads(value) if isinstance(value, str) else value, "")
    found = {record.data["name"] for record in kept.state.records.values()}
    assert found == {f"{who}-{number}" for who in "ab" for number in range(25)}
    assert kept.revision == 50
    assert [row.seq for row in kept.history] == list(range(1, len(kept.history) + 1))


def test_a_frozen_class_says_that_it_cannot_keep_anything() -> None:
    from dataclasses import dataclass

    from nexus.crm import HasCrm

    @dataclass(frozen=True)
    class Frozen(HasCrm):
        id: int
        crm_definition = CONTACTS

    with pytest.raises(ConfigurationError, match="a frozen class cannot keep any"):
        Frozen(1).crm().add_contact({"name": "x"})


def test_a_class_with_slots_names_the_column() -> None:
    from nexus.crm import HasCrm

    class Slotted(HasCrm):
        __slots__ = ("crm_data", "id")
        crm_definition = CONTACTS

        def __init__(self) -> None:
            self.id = 1
            self.crm_data: Any = None

    slotted = Slotted()
    slotted.crm().add_contact({"name": "x"})
    assert names(slotted) == ["x"]


def test_threads_share_an_object_without_losing_anything() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from tests.local.homes import PlainHome

    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: user.crm().add_contact({"name": str(number)}), range(200)))
    assert {int(name) for name in names(user)} == set(range(200))


def test_a_hook_may_change_the_same_object(database_home: Home) -> None:
    """After the action; before it, the action would be decided on what is no more."""

    def note(contact: Any, action: Any) -> None:
        if contact.entity == "contact":
            action.model.crm().add("note", {"about": contact.id})

    definition = {
        "entities": {"contact": {"fields": ["name"]}, "note": {"fields": ["about"]}},
        "hooks": {"after": {"add_contact": note}},
    }
    user = database_home.new(database_home.model(definition))
    user.crm().add_contact({"name": "John"})
    database_home.commit()
    found = [record.id for record in database_home.again(user).crm().records()]
    assert found == ["contact-1", "note-1"]
    before = {**definition, "hooks": {"before": {"add_contact": note}}}
    other = database_home.new(database_home.model(before))
    with pytest.raises(Rejected, match="Others changed"):
        other.crm().add_contact({"name": "John"})
    database_home.commit()
    assert database_home.again(other).crm().records() == []


def test_an_application_that_answers_with_its_model_shows_no_column() -> None:
    from tests.local.homes import SqlModelHome

    with opened(SqlModelHome("sqlite://")) as home:
        user = home.new(home.model(CONTACTS))
        user.crm().add_contact({"name": "John"})
        assert "crm_data" not in user.model_dump()
        assert "crm_data" not in repr(user)


def test_an_object_that_left_its_session_says_so() -> None:
    from tests.local.homes import SqlAlchemyHome as Kind

    with opened(Kind("sqlite://")) as home:
        assert isinstance(home, Kind)
        user = home.new(home.model(CONTACTS))
        user.crm().add_contact({"name": "John"})
        home.session.flush()
        home.session.expunge(user)
        assert names(user) == ["John"]
        with pytest.raises(ConfigurationError, match="is in no session any more"):
            user.crm().add_contact({"name": "Jane"})
        assert names(user) == ["John"]


def test_what_fails_when_the_transaction_ends_leaves_memory_as_it_was() -> None:
    """Such as a constraint that a database looks at in the end."""
    from contextlib import contextmanager

    from tests.local.homes import PlainHome

    home = PlainHome()
    user = home.new(home.model(CONTACTS))
    user.crm().add_contact({"name": "John"})
    spec = user.crm()._spec

    class Failing(type(spec.adapter)):  # type: ignore[misc]
        @contextmanager
        def atomic(self, model: Any) -> Any:
            yield
            raise LookupError("in the end")

    specs = spec_module._specs[type(user)]
    specs["crm"] = replace(spec, adapter=Failing())
    with pytest.raises(LookupError):
        user.crm().add_contact({"name": "Jane"})
    specs["crm"] = spec
    assert names(user) == ["John"]


def test_a_copy_of_an_object_has_an_instance_of_its_own() -> None:
    """With what was kept until then, and keys of its own for what it sends."""
    import copy

    import nexus
    from tests.local.homes import PlainHome

    keys: list[str] = []
    nexus.configure(channels=lambda request: keys.append(request.key))
    run = [{"channel": "mail", "with": {}}]
    stages = [{"id": "new"}, {"id": "told", "run": run}, {"id": "done", "final": True}]
    home = PlainHome()
    user = home.new(home.model({"entities": {"lead": {"stages": stages}}}))
    user.crm().start()
    other = copy.deepcopy(user)
    other.id = 2
    for one in (user, other):
        one.crm().act("convert")
    assert len(set(keys)) == 2
    subjects = [one.crm().history()[0].payload["subject"]["id"] for one in (user, other)]
    assert subjects == ["1", "2"]
    again = [other.crm()._backend.kept().instance for _ in range(2)]
    assert again[0] == again[1] != user.crm()._backend.kept().instance


def test_a_copied_row_shares_nothing_with_its_original(database_home: Home) -> None:
    user = database_home.new(database_home.model(CONTACTS))
    user.crm().add_contact({"name": "both"})
    database_home.commit()
    other = type(user)(crm_data=user.crm_data)
    if isinstance(database_home, DjangoHome):
        other.save(using=database_home.alias)
    else:
        assert isinstance(database_home, SqlAlchemyHome)
        database_home.session.add(other)
    database_home.commit()
    other.crm().add_contact({"name": "one"})
    database_home.commit()
    assert names(database_home.again(other)) == ["both", "one"]
    assert names(database_home.again(user)) == ["both"]
    starts = {one.crm().history()[0].payload["subject"]["id"] for one in (user, other)}
    assert starts == {str(user.id), str(other.id)}

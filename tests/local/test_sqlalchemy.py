"""What is SQLAlchemy's own: inheritance, merging, savepoints, tables of one's own making."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlmodel import Field, SQLModel

from nexus.crm import HasCrm
from nexus.local import ConfigurationError

CONTACTS = {"entities": {"contact": {"fields": ["name"]}}}


def names(model: Any) -> list[str]:
    return [record.name for record in model.crm().records()]


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    yield engine
    engine.dispose()


class Base(orm.DeclarativeBase):
    pass


class Member(HasCrm, Base):
    __tablename__ = "members"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    crm_definition = CONTACTS


class Person(HasCrm, Base):
    """The base has the column."""

    __tablename__ = "people"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    crm_definition = CONTACTS
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012


class Employee(Person):
    __tablename__ = "employees"
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("people.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "employee"}  # noqa: RUF012


class Item(Base):
    """One of those that inherit has the column, the base has none."""

    __tablename__ = "items"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012


class Book(HasCrm, Item):
    __tablename__ = "books"
    number: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("items.id"), primary_key=True)
    crm_definition = CONTACTS
    __mapper_args__ = {"polymorphic_identity": "book"}  # noqa: RUF012


class Hammer(HasCrm, Item):
    """Two that share the table of their base."""

    crm_definition = CONTACTS
    __mapper_args__ = {"polymorphic_identity": "hammer"}  # noqa: RUF012


class Saw(HasCrm, Item):
    crm_definition = CONTACTS
    __mapper_args__ = {"polymorphic_identity": "saw"}  # noqa: RUF012


class Table(HasCrm, SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = ""
    crm_definition: ClassVar[Any] = CONTACTS


@pytest.mark.parametrize("cls", [Employee, Book, Hammer, Saw])
def test_each_object_of_an_inheriting_class_keeps_its_own(
    engine: sa.Engine, cls: type[Any]
) -> None:
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        one, other = cls(), cls()
        session.add_all([one, other])
        session.commit()
        one.crm().add_contact({"name": "a"})
        assert names(other) == []
        other.crm().add_contact({"name": "b"})
        one.crm().add_contact({"name": "c"})
        session.commit()
    with orm.Session(engine) as session:
        assert [names(found) for found in session.scalars(sa.select(cls))] == [["a", "c"], ["b"]]


def test_merging_an_object_that_was_read_before_writes_nothing_back(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with orm.Session(engine, expire_on_commit=False) as session:
        stale = Member(id=1)
        session.add(stale)
        session.commit()
        stale.crm().add_contact({"name": "first"})
        session.commit()
    with orm.Session(engine) as session:
        session.get_one(Member, 1).crm().add_contact({"name": "second"})
        session.commit()
    stale.name = "ann"
    with orm.Session(engine) as session:
        merged = session.merge(stale)
        session.commit()
        assert (merged.name, names(merged)) == ("ann", ["first", "second"])


def test_merging_a_new_object_over_a_row_takes_nothing_from_it(engine: sa.Engine) -> None:
    """As `session.merge(User(**payload))` in a handler of PUT."""
    SQLModel.metadata.tables["table"].create(engine)
    with orm.Session(engine) as session:
        row = Table(id=1)
        session.add(row)
        session.commit()
        row.crm().add_contact({"name": "first"})
        session.commit()
    with orm.Session(engine) as session:
        merged = session.merge(Table(id=1, name="ann"))
        session.commit()
        assert (merged.name, names(merged)) == ("ann", ["first"])


def test_memory_follows_a_savepoint_that_is_undone(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        member = Member()
        session.add(member)
        session.commit()
        member.crm().add_contact({"name": "kept"})
        with pytest.raises(LookupError), session.begin_nested():
            member.crm().add_contact({"name": "undone"})
            raise LookupError
        assert names(member) == ["kept"]
        session.commit()
        assert names(member) == ["kept"]


def test_nothing_is_kept_of_what_is_done_to_a_row_that_was_deleted(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        member = Member()
        session.add(member)
        session.commit()
        assert names(member) == []
        session.delete(member)
        with pytest.raises(ConfigurationError, match="This Member has been deleted"):
            member.crm().add_contact({"name": "lost"})
        session.rollback()
        assert member.crm().add_contact({"name": "kept"}).name == "kept"


def test_a_session_that_binds_classes_to_engines(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with orm.Session(binds={Member: engine}) as session:
        member = Member()
        session.add(member)
        session.commit()
        member.crm().add_contact({"name": "a"})
        session.commit()
        assert names(member) == ["a"]


def test_a_table_of_ones_own_making_has_to_have_the_column(engine: sa.Engine) -> None:
    registry = orm.registry()

    class Missing(HasCrm):
        crm_definition = CONTACTS

    class There(HasCrm):
        crm_definition = CONTACTS

    key = sa.Column("id", sa.Integer, primary_key=True)
    registry.map_imperatively(Missing, sa.Table("missing", registry.metadata, key))
    key, own = (
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("crm_data", sa.JSON(none_as_null=True)),
    )
    registry.map_imperatively(There, sa.Table("there", registry.metadata, key, own))
    with pytest.raises(ConfigurationError, match="a table that has no column 'crm_data'"):
        Missing().crm()
    registry.metadata.create_all(engine)
    with orm.Session(engine) as session:
        there = There()
        session.add(there)
        session.commit()
        there.crm().add_contact({"name": "a"})
        session.commit()
        assert names(there) == ["a"]


def test_a_class_that_a_decorator_maps_gets_its_column() -> None:
    @orm.registry().mapped
    class Mapped(HasCrm):
        __tablename__ = "mapped"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        crm_definition = CONTACTS

    assert orm.class_mapper(Mapped).columns.keys() == ["id", "crm_data"]


def test_classes_of_one_base_without_a_table_are_told_apart(engine: sa.Engine) -> None:
    """Each has ids of its own, from 1: on the platform they must not be taken for each other."""

    class Owned(HasCrm):
        crm_definition = CONTACTS

    class Shop(Owned, Base):
        __tablename__ = "shops"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)

    class Depot(Owned, Base):
        __tablename__ = "depots"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)

    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        made: list[Any] = [Shop(), Depot(), Employee()]
        session.add_all(made)
        session.commit()
        for found in made:
            found.crm().add_contact({"name": "a"})
        subjects = [found.crm().history()[0].payload["subject"] for found in made]
    assert [found["type"] for found in subjects] == ["shop", "depot", "person"]

"""SQLAlchemy and SQLModel: a JSON column, written in the caller's session and transaction.

Theory of operation. A change is one UPDATE that names the revision it was made from, so of two
processes that change one row the second is told, and decides anew on what the first has left. It
is sent at once, within the session's transaction and a savepoint; the object then shows the new
value as if it had been read, so that no flush writes it again: an object that was read before
somebody else's change never writes back what it read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import get_annotations
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import attributes

from nexus.local.adapters.contract import Adapter
from nexus.local.configuration import ConfigurationError


def is_mapped(cls: type) -> bool:
    """It is a class that SQLAlchemy maps to a table."""
    return isinstance(sa.inspect(cls, raiseerr=False), orm.Mapper)


def add_mapped_column(cls: type, column: str) -> bool:
    """Give a declarative class that is being made its column.

    Returns:
        False if it is no class of a table.
    """
    if not _is_declarative(cls):
        return False
    if any(column in vars(base) for base in cls.__mro__):
        return True
    if _adds_field_of_sqlmodel(cls, column):
        return True
    if "__tablename__" in vars(cls) or "__table__" not in vars(cls):
        setattr(cls, column, orm.mapped_column(sa.JSON(none_as_null=True), nullable=True))
    return True


def _is_declarative(cls: type) -> bool:
    return hasattr(cls, "registry") or hasattr(cls, "_sa_registry")


def _adds_field_of_sqlmodel(cls: type, column: str) -> bool:
    from importlib.util import find_spec

    if find_spec("sqlmodel") is None:
        return False
    import sqlmodel

    if not issubclass(cls, sqlmodel.SQLModel):
        return False
    declared = get_annotations(cls)
    if column not in declared and column not in getattr(cls, "model_fields", ()):
        cls.__annotations__ = {**declared, column: dict[str, Any] | None}
        # What an application answers with is seldom meant to show it.
        field = sqlmodel.Field(
            default=None, repr=False, exclude=True, sa_type=sa.JSON(none_as_null=True)
        )
        setattr(cls, column, field)
    return True


def due_before(cls: type, moment: Any, column: str = "crm_data") -> sa.ColumnElement[bool]:
    """The condition that finds the rows which have to be looked at by a moment.

    Args:
        cls: The mapped class.
        moment: When; timezone-aware.
        column: `crm_data` or `sm_data`.
    """
    due: sa.ColumnElement[float] = getattr(cls, column)["due"].as_float()
    found: sa.ColumnElement[bool] = due <= moment.timestamp()
    return found


class SqlAlchemyAdapter(Adapter):
    """The column of a mapped class."""

    frame = "SQLAlchemy"

    def identity(self, model: Any) -> str | None:
        """Its primary key; the parts of a composite one are joined by `,`."""
        mapper = orm.object_mapper(model)
        key = mapper.primary_key_from_instance(model)
        if any(part is None for part in key):
            return None
        return ",".join(map(str, key))

    def get(self, model: Any, column: str) -> Any:
        """The attribute; one that has expired is read again."""
        return getattr(model, column)

    def swap(self, model: Any, column: str, revision: int, value: Any) -> bool:
        """One UPDATE of the row, if it has the revision still; an object without a row is set."""
        session = self._session(model)
        if session is None:
            setattr(model, column, value)
            return True
        column_of = getattr(type(model), column)
        kept = column_of["revision"].as_integer()
        same = kept == revision if revision else sa.or_(column_of.is_(None), kept.is_(None))
        changed: Any = session.execute(
            self._update(model).where(same).values({column: value}),
            execution_options={"synchronize_session": False},
        )
        if changed.rowcount != 1:
            return False
        attributes.set_committed_value(model, column, value)
        return True

    def restore(self, model: Any, column: str, value: Any) -> None:
        """As if it had been read so."""
        attributes.set_committed_value(model, column, value)

    def refresh(self, model: Any, column: str) -> None:
        """Read the column again."""
        session = self._session(model)
        if session is not None:
            session.refresh(model, attribute_names=[column])

    def atomic(self, model: Any) -> AbstractContextManager[object]:
        """A savepoint of the session's transaction."""
        session = self._session(model)
        return nullcontext() if session is None else _savepoint(session)

    def hold(self, model: Any, column: str) -> None:
        """An UPDATE that changes nothing has the row, on every database, until the end."""
        session = self._session(model)
        if session is None:
            return
        column_of = getattr(type(model), column)
        session.execute(
            self._update(model).values({column: column_of}),
            execution_options={"synchronize_session": False},
        )
        session.refresh(model, attribute_names=[column])

    def _update(self, model: Any) -> Any:
        mapper = orm.object_mapper(model)
        key = mapper.primary_key_from_instance(model)
        pairs = zip(mapper.primary_key, key, strict=True)
        return sa.update(type(model)).where(*(column == part for column, part in pairs))

    def _session(self, model: Any) -> orm.Session | None:
        """The session in which the object has a row; None for one that has none yet.

        Raises:
            ConfigurationError: It has a row, and is in no session through which to write it.
        """
        state = sa.inspect(model)
        if state.detached:
            raise ConfigurationError(
                f"This {type(model).__qualname__} is in no session any more, so nothing could be "
                "kept of what is done to it: add it to one, or read it again."
            )
        return state.session if state.persistent else None


@contextmanager
def _savepoint(session: orm.Session) -> Iterator[None]:
    """`begin_nested`, also on Python's driver for SQLite.

    That driver begins a transaction with the first change only, and one that begins with a
    savepoint is committed when the savepoint ends.
    """
    connection = session.connection()
    driver = connection.connection.dbapi_connection
    if connection.dialect.driver == "pysqlite" and not getattr(driver, "in_transaction", True):
        connection.exec_driver_sql("BEGIN")
    with session.begin_nested():
        yield

"""SQLAlchemy and SQLModel: a JSON column, written in the caller's session and transaction.

Theory of operation. A change is one UPDATE that names the revision it was made from, so of two
processes that change one row the second is told, and decides anew on what the first has left. It
is sent at once, within the session's transaction and a savepoint; the object then shows the new
value as if it had been read, and no flush ever writes the column of a row that there is: neither an
object that was read before somebody else's change, nor one that is merged into a session, writes
back what it read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import get_annotations
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event, orm
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
    _never_flush(cls, column)
    if any(column in vars(base) for base in cls.__mro__):
        return True
    if _adds_field_of_sqlmodel(cls, column):
        return True
    if "__tablename__" in vars(cls) or "__table__" not in vars(cls):
        # Classes that share a table, as those of single-table inheritance do, share the column.
        kept = orm.mapped_column(
            sa.JSON(none_as_null=True), nullable=True, use_existing_column=True
        )
        setattr(cls, column, kept)
    return True


def _is_declarative(cls: type) -> bool:
    # The last are those that `registry.mapped` will map.
    return any(hasattr(cls, name) for name in ("registry", "_sa_registry", "__tablename__"))


def _never_flush(cls: type, column: str) -> None:
    """Have flushes leave the column of a row as the database has it; see the module's theory."""

    def before_update(mapper: Any, connection: object, model: Any) -> None:  # noqa: ARG001
        state = sa.inspect(model)
        if column in mapper.column_attrs and state.attrs[column].history.has_changes():
            state.session.expire(model, [column])

    event.listen(cls, "before_update", before_update)


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

    def kind(self, cls: type, owner: type) -> type:
        """The owner, if it has a table; else the class at whose table those of this one begin."""
        base: type = orm.class_mapper(cls).base_mapper.class_
        return owner if is_mapped(owner) else base

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

    def check(self, cls: type, column: str) -> None:
        """The class is mapped with such a column.

        Raises:
            ConfigurationError: It has a table of its own making, without it.
        """
        mapper: orm.Mapper[Any] = orm.class_mapper(cls)
        if column not in mapper.column_attrs:
            raise ConfigurationError(
                f"{cls.__qualname__} is mapped to a table that has no column {column!r}: add "
                f"Column({column!r}, JSON(none_as_null=True)) to it."
            )
        if not _is_declarative(cls):
            _never_flush(cls, column)

    def swap(self, model: Any, column: str, revision: int, value: Any) -> bool:
        """One UPDATE of the row, if it has the revision still; an object without a row is set."""
        session = self._session(model)
        if session is None:
            setattr(model, column, value)
            return True
        column_of = self._column(model, column)
        kept = column_of["revision"].as_integer()
        same = kept == revision if revision else sa.or_(column_of.is_(None), kept.is_(None))
        changed: Any = self._update(session, model, column, value, same)
        if changed.rowcount != 1:
            return False
        attributes.set_committed_value(model, column, value)
        _forget_with(session, model, column)
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
        return nullcontext() if session is None else _savepoint(session, orm.object_mapper(model))

    def hold(self, model: Any, column: str) -> None:
        """An UPDATE that changes nothing has the row, on every database, until the end."""
        session = self._session(model)
        if session is None:
            return
        self._update(session, model, column, self._column(model, column))
        session.refresh(model, attribute_names=[column])

    def _column(self, model: Any, column: str) -> Any:
        return orm.object_mapper(model).columns[column]

    def _update(
        self, session: orm.Session, model: Any, column: str, value: Any, *where: Any
    ) -> Any:
        """Write the column of the row, in that of its tables which has it.

        A class that inherits by joining has a row in each of several tables, which all have its
        primary key; an UPDATE of the class would write to the last of them, or to all its rows.
        """
        mapper = orm.object_mapper(model)
        table = self._column(model, column).table
        identity = zip(mapper.primary_key, sa.inspect(model).identity, strict=True)
        known = {mapper.get_property_by_column(key).key: value for key, value in identity}
        rows = []
        for key in table.primary_key or mapper.primary_key:
            name = mapper.get_property_by_column(key).key
            rows.append(key == (known[name] if name in known else getattr(model, name)))
        update = sa.update(table).where(*rows, *where)
        return session.execute(
            update.values({self._column(model, column): value}), bind_arguments={"mapper": mapper}
        )

    def _session(self, model: Any) -> orm.Session | None:
        """The session in which the object has a row; None for one that has none yet.

        Raises:
            ConfigurationError: It has a row, and is in no session through which to write it.
        """
        state = sa.inspect(model)
        if state.deleted or state.was_deleted:
            raise ConfigurationError(
                f"This {type(model).__qualname__} has been deleted, so nothing can be kept of what "
                "is done to it."
            )
        if state.detached:
            raise ConfigurationError(
                f"This {type(model).__qualname__} is in no session any more, so nothing could be "
                "kept of what is done to it: add it to one, or read it again."
            )
        return state.session if state.persistent else None


def _forget_with(session: orm.Session, model: Any, column: str) -> None:
    """Have the object read its column again should a savepoint of the caller be undone.

    A session reads again what it has flushed itself, and of this column it knows nothing.
    """
    written: dict[str, WeakSet[Any]] | None = session.info.get(_WRITTEN)
    if written is None:
        written = session.info[_WRITTEN] = {}
        event.listen(session, "after_soft_rollback", _undone)
        event.listen(session, "after_transaction_end", _ended)
    written.setdefault(column, WeakSet()).add(sa.inspect(model))


_WRITTEN = "nexus.local"


def _undone(session: orm.Session, previous: orm.SessionTransaction) -> None:  # noqa: ARG001
    for column, states in session.info[_WRITTEN].items():
        for state in states:
            model = state.obj()
            if model is not None and state.persistent and state.session is session:
                session.expire(model, [column])


def _ended(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    if transaction.parent is None:
        session.info[_WRITTEN].clear()


@contextmanager
def _savepoint(session: orm.Session, mapper: Any) -> Iterator[None]:
    """`begin_nested`, also on Python's driver for SQLite.

    That driver begins a transaction with the first change only, and one that begins with a
    savepoint is committed when the savepoint ends.
    """
    connection = session.connection(bind_arguments={"mapper": mapper})
    driver = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not getattr(driver, "in_transaction", True):
        connection.exec_driver_sql("BEGIN")
    with session.begin_nested():
        yield

"""Sessions that belong to one tenant (SR-003).

A `TenantSession` adds `tenant = …` to every SELECT, UPDATE and DELETE on a
table of `storage.tables`, in subqueries and aliases too. It does so where
statements are written with the model classes; whatever else reaches it (Core
tables, text, its raw connection) is refused, as nothing could be added there.
On PostgreSQL the transaction also names its tenant, and row-level security
holds for whatever might get past this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.selectable import Alias, Join, TableClause

from storage.engine import is_postgresql, reader
from storage.errors import UnscopedQuery
from storage.tables import EVERY_TENANT, TENANT_TABLES, Definition, TenantScoped, table_of

_OWN_ALONE = tuple(model for model in TENANT_TABLES if model is not Definition)


class TenantSession(Session):
    """A session of one tenant; see the module.

    Attributes:
        tenant: Whose rows it sees.
    """

    def __init__(self, engine: Engine, tenant: str, *, write: bool) -> None:
        if not tenant:
            raise UnscopedQuery("A session needs a tenant.")
        super().__init__(
            engine if write else reader(engine), expire_on_commit=False, autoflush=False
        )
        self.tenant = tenant

    @property
    def on_postgresql(self) -> bool:
        """Whether this session talks to PostgreSQL; else it is SQLite."""
        return is_postgresql(self._engine)

    def connection(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refused: what runs on the bare connection has no tenant.

        Raises:
            UnscopedQuery: Always.
        """
        raise UnscopedQuery("A tenant's session gives its connection to nobody.")

    def insert(
        self,
        model: type[TenantScoped],
        values: Mapping[str, Any],
        *,
        skip_existing: bool = False,
    ) -> bool:
        """Insert one row of this tenant.

        Args:
            model: Its table.
            values: By column, without the tenant.
            skip_existing: Leave a row with the same key alone.

        Returns:
            Whether the row was inserted.
        """
        build = postgresql.insert if self.on_postgresql else sqlite.insert
        statement = build(table_of(model)).values({**values, "tenant": self.tenant})
        if skip_existing:
            statement = statement.on_conflict_do_nothing()
        # Drivers are not asked for the count of an INSERT unless one says so.
        counted = statement.execution_options(preserve_rowcount=True)
        return self._bare_connection().execute(counted).rowcount == 1

    def change(self, statement: sa.Update | sa.Delete) -> int:
        """Run an UPDATE or DELETE on a model; returns the number of rows."""
        result = self.execute(statement, execution_options={"synchronize_session": False})
        return int(getattr(result, "rowcount", 0))

    def serialise(self, name: str) -> None:
        """Wait for other writers of what `name` stands for, until the transaction ends.

        SQLite has one writer at a time anyway.
        """
        if self.on_postgresql:
            key = f"{self.tenant}\n{name}"
            self._bare_connection().execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0)))
            )

    @property
    def _engine(self) -> Engine:
        bind = self.get_bind()
        return bind if isinstance(bind, Engine) else bind.engine

    def _bare_connection(self) -> Connection:
        return super().connection()


@contextmanager
def reading(engine: Engine, tenant: str) -> Iterator[TenantSession]:
    """A session that reads one consistent snapshot of a tenant's rows.

    Raises:
        UnscopedQuery: The tenant is empty, or the one that stands for all.
    """
    _refuse_everyone(tenant)
    with TenantSession(engine, tenant, write=False) as session:
        yield session


@contextmanager
def writing(engine: Engine, tenant: str) -> Iterator[TenantSession]:
    """A session that writes; it commits at the end unless something was raised.

    Raises:
        UnscopedQuery: The tenant is empty, or the one that stands for all.
    """
    _refuse_everyone(tenant)
    with TenantSession(engine, tenant, write=True) as session, session.begin():
        yield session


@contextmanager
def writing_shared(engine: Engine) -> Iterator[TenantSession]:
    """Like `writing`, for what all tenants share: the definitions of the folder."""
    with TenantSession(engine, EVERY_TENANT, write=True) as session, session.begin():
        yield session


def name_tenant(connection: Connection, tenant: str) -> None:
    """Tell PostgreSQL's row-level security whose transaction this is; nothing on SQLite."""
    if is_postgresql(connection):
        connection.execute(_NAME_TENANT, {"tenant": tenant})


_NAME_TENANT = sa.select(sa.func.set_config("nexus.tenant", sa.bindparam("tenant"), True))


def _refuse_everyone(tenant: str) -> None:
    if tenant == EVERY_TENANT:
        raise UnscopedQuery(f"{tenant!r} is no tenant that anybody can act for.")


@event.listens_for(TenantSession, "after_begin")
def _name_tenant(
    session: TenantSession, _transaction: SessionTransaction, connection: Connection
) -> None:
    name_tenant(connection, session.tenant)


@event.listens_for(TenantSession, "do_orm_execute")
def _add_tenant(state: ORMExecuteState) -> None:
    session = state.session
    if not isinstance(session, TenantSession):  # pragma: no cover - the listener's own class
        raise UnscopedQuery("Not a tenant's session.")
    _refuse_what_escapes(state.statement, orm=state.is_orm_statement, insert=state.is_insert)
    criteria = _criteria(session.tenant, state.is_select)
    state.statement = state.statement.options(*criteria)


@lru_cache(maxsize=2048)
def _criteria(tenant: str, select: bool) -> tuple[Any, ...]:
    """What every statement of a tenant gets; made once, as making it costs more than a query."""
    readable = (tenant, EVERY_TENANT) if select else (tenant,)
    own = (
        with_loader_criteria(model, model.tenant == tenant, include_aliases=True)  # type: ignore[arg-type]
        for model in _OWN_ALONE
    )
    shared = with_loader_criteria(
        Definition,
        Definition.tenant.in_(readable),  # type: ignore[attr-defined]
        include_aliases=True,
    )
    return (*own, shared)


@event.listens_for(TenantSession, "before_flush")
def _refuse_objects(session: Session, _context: object, _instances: Sequence[object]) -> None:
    if session.new or session.dirty or session.deleted:
        raise UnscopedQuery("A tenant's session writes by statements, not by objects.")


def _refuse_what_escapes(statement: Any, *, orm: bool, insert: bool) -> None:
    """Refuse a statement in which some table would get no tenant."""
    if insert:
        raise UnscopedQuery("Rows are inserted by TenantSession.insert, which knows the tenant.")
    if not orm:
        raise UnscopedQuery("Only statements on the model classes can be scoped to a tenant.")
    for element in visitors.iterate(statement):
        literal = getattr(element, "is_literal", False) and str(element) != "*"  # count(*)
        if literal or isinstance(element, TextClause):
            raise UnscopedQuery("Text in a statement cannot be scoped to a tenant.")
        if isinstance(element, ColumnClause):
            _refuse_bare(element, element.table)
        elif isinstance(element, sa.Select):
            for source in _sources(element):
                _refuse_bare(source, source)


def _sources(select: sa.Select[Any]) -> Iterator[Any]:
    """What a SELECT names as its tables, beyond what its columns imply."""
    pending: list[Any] = [*select._from_obj, *select._raw_columns]  # noqa: SLF001
    pending.extend(join[0] for join in select._setup_joins)  # noqa: SLF001
    while pending:
        source = pending.pop()
        if isinstance(source, Join):
            pending += (source.left, source.right)
        else:
            yield source


def _refuse_bare(element: Any, table: Any) -> None:
    """Refuse a Core table, or an alias or column of one: no criteria reach it.

    SQLAlchemy marks what comes from a model class by an annotation, for which
    there is no public accessor.
    """
    while isinstance(table, Alias):
        table = table.element
    if isinstance(table, TableClause) and "parententity" not in element._annotations:  # noqa: SLF001
        raise UnscopedQuery(f"Name {table.name!r} by its model class, which can be scoped.")

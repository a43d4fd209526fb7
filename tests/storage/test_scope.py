"""A tenant sees and changes its own rows alone (SR-003)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.orm import aliased

from storage import dashboard, definitions, history, instances, timers
from storage.errors import UnscopedQuery
from storage.projection import write_projection
from storage.scope import TenantSession, reading, writing, writing_shared
from storage.tables import (
    TENANT_TABLES,
    Definition,
    History,
    IdempotencyKey,
    Instance,
    Record,
    columns_of,
    table_of,
)
from tests.storage.conftest import raw
from tests.storage.making import START, Batch, record, timer

INSTANCE, RECORD, HISTORY = columns_of(Instance), columns_of(Record), columns_of(History)
CORE_INSTANCES, CORE_RECORDS = table_of(Instance), table_of(Record)


@pytest.fixture
def two(engine: Engine) -> Engine:
    """Two tenants with an instance each."""
    for tenant in ("acme", "umbrella"):
        lead = record(users=("ann",), roles=("sales",), table="contacts", data={"score": 60})
        row = {"id": f"run-{tenant}", "tenant": tenant}
        write_projection(engine, Batch(1, 2, 1, [lead], [timer()], row=row).projection())
        with writing(engine, tenant) as session:
            new = definitions.NewDefinition(
                id="sales", version="1.0.0", text=tenant, source="api", by="ann", at=START
            )
            definitions.put(session, new, on_conflict="refuse")
    return engine


def test_another_tenants_instance_does_not_exist(two: Engine) -> None:
    with reading(two, "acme") as session:
        assert instances.get(session, "run-acme") is not None
        assert instances.get(session, "run-umbrella") is None
        assert history.list_history(session, "run-umbrella").items == ()


def test_lists_hold_the_tenants_own_rows_alone(two: Engine) -> None:
    everything = dashboard.DashboardFilter(pending_only=False)
    with reading(two, "acme") as session:
        listed = instances.list_instances(session, instances.InstanceFilter())
        matching = instances.InstanceFilter(data={"score": "60"})
        assert [found.instance.id for found in listed.items] == ["run-acme"]
        assert len(instances.list_instances(session, matching).items) == 1
        assert [row.instance for row in timers.list_timers(session).items] == ["run-acme"]
        shown = dashboard.list_dashboard(session, "ann", ["sales"], everything).items
        assert [row.instance for row in shown] == ["run-acme"]
        live = definitions.get_live(session, "sales")
        assert live is not None
        assert live.text == "acme"


SCOPED: list[Callable[[], sa.Select[Any]]] = [
    lambda: sa.select(INSTANCE.tenant),
    lambda: sa.select(sa.func.count()).select_from(Instance),
    lambda: sa.select(columns_of(aliased(Instance)).id),
    lambda: sa.select(sa.select(INSTANCE.tenant).subquery().c.tenant),
    lambda: sa.select(INSTANCE.id).join(Record, RECORD.instance == INSTANCE.id),
    lambda: sa.select(INSTANCE.id).where(INSTANCE.id.in_(sa.select(RECORD.instance))),
    lambda: sa.select(sa.select(sa.func.count(RECORD.id)).scalar_subquery()),
    lambda: sa.select(sa.select(INSTANCE.id).cte("mine").c.id),
]


def test_every_table_of_a_statement_gets_the_tenant(two: Engine, subtests: pytest.Subtests) -> None:
    """Held by the session itself: SQLite has no second line of defence."""
    for number, build in enumerate(SCOPED):
        with subtests.test(number=number), reading(two, "acme") as session:
            [row] = session.execute(build()).all()
            assert row[0] in ("acme", "run-acme", 1)


def test_a_union_is_scoped_on_both_sides(two: Engine) -> None:
    union = sa.union_all(sa.select(INSTANCE.id), sa.select(RECORD.instance))
    with reading(two, "acme") as session:
        assert session.execute(union).scalars().all() == ["run-acme", "run-acme"]


def test_the_criteria_reach_subqueries_and_aliases(two: Engine) -> None:
    newer: Any = aliased(History)
    statement = sa.select(HISTORY.seq).where(
        ~sa.select(newer.seq).where(newer.seq > HISTORY.seq).exists(),
        HISTORY.seq <= sa.select(INSTANCE.seq).scalar_subquery(),
    )
    seen: list[str] = []
    sa.event.listen(
        two,
        "before_cursor_execute",
        lambda _connection, _cursor, text, *_rest: seen.append(text),
    )
    with reading(two, "acme") as session:
        assert session.execute(statement).scalars().all() == [2]
    assert seen[-1].count("tenant = ") == 3


ESCAPES: list[Callable[[], Any]] = [
    lambda: sa.text("SELECT * FROM instances"),
    lambda: sa.select(*CORE_INSTANCES.columns),
    lambda: sa.select(CORE_INSTANCES.c.id),
    lambda: sa.select(INSTANCE.id, CORE_RECORDS.c.id),
    lambda: sa.select(INSTANCE.id).join(CORE_RECORDS, sa.true()),
    lambda: sa.select(INSTANCE.id).join(CORE_RECORDS.alias(), sa.true()),
    lambda: sa.select(INSTANCE.id).select_from(sa.join(Instance, CORE_RECORDS, sa.true())),
    lambda: sa.select(INSTANCE.id).where(sa.text("1 = 1")),
    lambda: sa.select(INSTANCE.id, sa.literal_column("(SELECT id FROM records)")),
    lambda: sa.select(INSTANCE.id, sa.table("records", sa.column("id")).c.id),
    lambda: sa.select(INSTANCE.id).where(
        sa.exists(sa.select(sa.literal(1)).select_from(CORE_RECORDS))
    ),
    lambda: sa.select(INSTANCE.id).where(sa.exists(sa.select(CORE_RECORDS.alias("z").c.id))),
    lambda: sa.update(CORE_INSTANCES).values(status="completed"),
    lambda: sa.delete(CORE_INSTANCES),
    lambda: sa.insert(Instance).values(tenant="umbrella"),
    lambda: sa.insert(CORE_INSTANCES).values(tenant="umbrella"),
]


def test_a_statement_that_would_escape_is_refused(two: Engine, subtests: pytest.Subtests) -> None:
    for number, build in enumerate(ESCAPES):
        with (
            subtests.test(number=number),
            pytest.raises(UnscopedQuery),
            writing(two, "acme") as session,
        ):
            session.execute(build())


def test_the_bare_connection_and_objects_are_refused(two: Engine) -> None:
    with reading(two, "acme") as session, pytest.raises(UnscopedQuery):
        session.connection()
    with pytest.raises(UnscopedQuery), writing(two, "acme") as session:
        session.add(
            IdempotencyKey(tenant="umbrella", actor="a", route="r", key="k", fingerprint="f")
        )
        session.flush()


def test_changes_reach_the_tenants_own_rows_alone(two: Engine) -> None:
    with writing(two, "acme") as session:
        assert session.change(sa.update(Instance).values(status="completed")) == 1
        assert session.change(sa.delete(Record)) == 1
    with reading(two, "umbrella") as session:
        found = instances.get(session, "run-umbrella")
        assert found is not None
        assert found.instance.status == "active"
        assert len(found.records) == 1


@pytest.mark.parametrize("tenant", ["", "*"])
def test_nobody_acts_for_all_tenants(two: Engine, tenant: str) -> None:
    for open_session in (reading, writing):
        with pytest.raises(UnscopedQuery), open_session(two, tenant):
            pass


def test_what_is_shared_is_written_for_all_and_changed_by_none(two: Engine) -> None:
    new = definitions.NewDefinition(
        id="shared", version="1.0.0", text="{}", source="folder", by="folder", at=START
    )
    with writing_shared(two) as shared:
        definitions.put(shared, new, on_conflict="revise")
    with writing(two, "acme") as session:
        assert definitions.get_live(session, "shared") is not None
        assert session.change(sa.delete(Definition)) == 1  # its own
    with reading(two, "umbrella") as session:
        assert definitions.get_live(session, "shared") is not None


# --- PostgreSQL's own line of defence ------------------------------------------


def _on_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def test_raw_sql_without_a_tenant_sees_nothing(two: Engine, subtests: pytest.Subtests) -> None:
    if not _on_postgresql(two):
        return  # the session is the only line there
    for model in TENANT_TABLES:
        table = table_of(model).name
        count = sa.text(f"SELECT count(*) FROM {table}")
        # A connection that once had a tenant has the empty one later.
        for tenant in (None, "acme", None, "", "*"):
            with subtests.test(table=table, tenant=tenant), raw(two, tenant) as connection:
                found = connection.scalar(count)
                assert tenant == "acme" or found == 0


def test_raw_sql_of_one_tenant_neither_sees_nor_makes_anothers_rows(two: Engine) -> None:
    if not _on_postgresql(two):
        return  # the session is the only line there
    with raw(two, "acme") as connection:
        tenants = connection.execute(sa.text("SELECT tenant FROM instances")).scalars().all()
        assert tenants == ["acme"]
        moved = connection.execute(sa.text("UPDATE records SET stage = 'x' WHERE tenant <> 'acme'"))
        assert moved.rowcount == 0
    with pytest.raises(sa.exc.DBAPIError, match="row-level security"), raw(two, "acme") as other:
        other.execute(sa.text("UPDATE records SET tenant = 'umbrella'"))


def test_a_session_names_its_tenant_in_every_transaction(two: Engine) -> None:
    with TenantSession(two, "acme", write=False) as session:
        for _ in range(3):
            assert session.execute(sa.select(INSTANCE.id)).scalars().all() == ["run-acme"]
            session.rollback()

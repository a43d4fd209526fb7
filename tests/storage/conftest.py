from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from storage.engine import create_engine
from storage.migrate import upgrade

APP_ROLE = "nexus_app"


@pytest.fixture
def app_url(database_url: str) -> str:
    """The database as its application sees it: on PostgreSQL, owned by no superuser.

    Superusers see through row-level security, so a test as one would prove nothing.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return database_url
    admin = create_engine(database_url, pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        exists = connection.scalar(
            sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}
        )
        if not exists:
            connection.execute(sa.text(f"CREATE ROLE {APP_ROLE} LOGIN"))
        connection.execute(sa.text(f'ALTER DATABASE "{url.database}" OWNER TO {APP_ROLE}'))
    admin.dispose()
    return url.set(username=APP_ROLE).render_as_string(hide_password=False)


@pytest.fixture
def engine(app_url: str) -> Iterator[Engine]:
    """A migrated database."""
    upgrade(app_url)
    engine = create_engine(app_url)
    yield engine
    engine.dispose()


@contextmanager
def raw(engine: Engine, tenant: str | None) -> Iterator[sa.Connection]:
    """A transaction outside of any session, with row-level security told about a tenant."""
    with engine.begin() as connection:
        if tenant is not None and engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.set_config("nexus.tenant", tenant, True)))
        yield connection

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url

from storage.engine import create_engine
from storage.migrate import upgrade
from tests.support.postgres import PostgresServer

APP_ROLE = "nexus_app"


def _as_admin(url: URL, *statements: str) -> None:
    """Run what no transaction may hold, as the superuser who made the server."""
    admin = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def _as_app(url: URL) -> str:
    return url.set(username=APP_ROLE).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def app_role(postgres_server: PostgresServer) -> str:
    """A role that row-level security holds for: superusers see through it."""
    url = postgres_server.make_database()
    _as_admin(make_url(url), f"CREATE ROLE {APP_ROLE} LOGIN")
    postgres_server.drop_database(url)
    return APP_ROLE


@pytest.fixture
def app_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """An empty database as its application sees it: on PostgreSQL, owned by no superuser."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return database_url
    role = request.getfixturevalue("app_role")
    _as_admin(url, f'ALTER DATABASE "{url.database}" OWNER TO {role}')
    return _as_app(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: faster than migrating for each test."""
    path = tmp_path_factory.mktemp("template") / "nexus.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer, app_role: str) -> URL:
    """A migrated database to copy: faster than migrating for each test."""
    url = make_url(postgres_server.make_database())
    _as_admin(url, f'ALTER DATABASE "{url.database}" OWNER TO {app_role}')
    upgrade(_as_app(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own, once on each of the two."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "nexus.db")
        yield f"sqlite:///{tmp_path}/nexus.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template: URL = request.getfixturevalue("postgres_template")
    name = f"nexus_{secrets.token_hex(6)}"
    elsewhere = template.set(database="postgres")
    copied = f'CREATE DATABASE "{name}" TEMPLATE "{template.database}" OWNER {APP_ROLE}'
    _as_admin(elsewhere, copied)
    url = _as_app(template.set(database=name))
    yield url
    server.drop_database(url)


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """A migrated database."""
    engine = create_engine(migrated_url)
    yield engine
    engine.dispose()


@contextmanager
def raw(engine: Engine, tenant: str | None) -> Iterator[sa.Connection]:
    """A transaction outside of any session, with row-level security told about a tenant."""
    with engine.begin() as connection:
        if tenant is not None and engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.set_config("nexus.tenant", tenant, True)))
        yield connection

"""Models of every kind, a clock that a test sets, and nothing configured from outside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import django
import pytest
from django.conf import settings

import nexus
from nexus.local.configuration import Configuration
from tests.local.homes import WITH_DATABASE, WITHOUT_DATABASE, Home, opened

if not settings.configured:
    settings.configure(
        INSTALLED_APPS=["nexus.local.django"],
        DATABASES={},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


class Clock:
    """What time it is in a test.

    Attributes:
        now: Timezone-aware.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins and ends with models that keep everything themselves."""
    monkeypatch.delenv("NEXUS_URL", raising=False)
    monkeypatch.delenv("NEXUS_API_KEY", raising=False)
    names = Configuration.__struct_fields__
    nexus.configure(**dict.fromkeys(names))
    yield
    nexus.configure(**dict.fromkeys(names))


@pytest.fixture
def clock() -> Clock:
    """The clock of all models."""
    clock = Clock()
    nexus.configure(clock=clock)
    return clock


@pytest.fixture(params=[*WITHOUT_DATABASE, *WITH_DATABASE])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    """Each kind of model, those with a database on SQLite."""
    kind: Home
    if request.param in WITHOUT_DATABASE:
        kind = WITHOUT_DATABASE[request.param]()
    else:
        kind = WITH_DATABASE[request.param](request.getfixturevalue("sqlite_url"))
    with opened(kind):
        yield kind


@pytest.fixture(params=list(WITH_DATABASE))
def database_home(request: pytest.FixtureRequest, database_url: str) -> Iterator[Home]:
    """Each kind with a database, on SQLite and on PostgreSQL."""
    with opened(WITH_DATABASE[request.param](database_url)) as found:
        yield found

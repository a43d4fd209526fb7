"""A platform to which models are promoted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import nexus
from nexus.settings import sqlite_url
from tests.api.serving import Platform, token
from tests.local.conftest import clock, unconfigured
from tests.support.temporal import TemporalServer

__all__ = ["clock", "unconfigured"]


@pytest.fixture(scope="package")
def platform(
    temporal_server: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A whole platform on SQLite; tests use tenants of their own."""
    folder = tmp_path_factory.mktemp("platform")
    running = Platform(folder, database_url=sqlite_url(folder), temporal=temporal_server.address)
    running.start()
    yield running
    running.stop()


class Promotion:
    """Switches this process between its models and the platform.

    Attributes:
        tenant: Of this test alone.
    """

    def __init__(self, platform: Platform, tenant: str) -> None:
        self.platform = platform
        self.tenant = tenant

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told that is to use the platform."""
        key = token("app", self.tenant, ["admin"])
        return {"NEXUS_URL": self.platform.api.url, "NEXUS_API_KEY": key}

    def on(self, roles: tuple[str, ...] = ("admin",), user: str = "app") -> None:
        """From now on models are on the platform."""
        nexus.configure(url=self.platform.api.url, api_key=token(user, self.tenant, list(roles)))

    def off(self) -> None:
        """From now on models keep everything themselves."""
        nexus.configure(url="", api_key="")


@pytest.fixture
def promotion(platform: Platform, request: pytest.FixtureRequest) -> Promotion:
    """The platform, in a tenant of the test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return Promotion(platform, name[-60:])

"""An API without Temporal behind it; tests that need one ask for it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.settings import sqlite_url
from tests.api.serving import Platform, ServedApi, make_settings
from tests.support.processes import wait_until
from tests.support.temporal import TemporalServer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    """An API on SQLite that cannot reach Temporal: reading works, commands answer 503."""
    folder = tmp_path_factory.mktemp("api")
    served = ServedApi(make_settings(folder, database_url=sqlite_url(folder)))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def samples() -> Path:
    """The definitions that come with the project."""
    return Path(__file__).resolve().parents[2] / "definitions"


@pytest.fixture
def samples_loaded(api: ServedApi, samples: Path) -> None:
    """The folder holds the pipeline that comes with the project, and it is live."""
    name = "sales-pipeline.json"
    (api.settings.definitions / name).write_bytes((samples / name).read_bytes())
    with api.client() as client:
        wait_until(
            lambda: client.get("/v1/definitions/sales-pipeline").status_code == 200,
            seconds=5,
            what="the definition in the folder",
        )


@pytest.fixture(scope="package")
def platform(
    temporal_server: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A whole platform on SQLite; tests use subjects of their own."""
    folder = tmp_path_factory.mktemp("platform")
    running = Platform(folder, database_url=sqlite_url(folder), temporal=temporal_server.address)
    running.start()
    yield running
    running.stop()

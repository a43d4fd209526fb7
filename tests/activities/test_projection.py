"""The local activity that writes projections."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment

from activities.projection import ProjectionActivities
from nexus.core.projection import Projection
from storage import instances
from storage.engine import create_engine
from storage.errors import is_unavailable
from storage.migrate import upgrade
from storage.scope import reading
from tests.storage.making import Batch, at, record, timer

NESTED = Batch(
    1,
    3,
    0.000001,
    records=[record(data={"a": [1, 2.5, None, {"b": "ä\u2028"}]}, users=("ann",), due_at=at(5))],
    timers=[timer(when=at(5))],
    comment="ü",
).projection()


def project(engine: sa.Engine, projection: Projection) -> Any:
    encoded = msgspec.json.encode(projection).decode()
    return ActivityEnvironment().run(ProjectionActivities(engine).project, encoded)


async def test_a_projection_survives_the_way_through_temporal() -> None:
    encoded = msgspec.json.encode(NESTED).decode()
    [arrived] = await pydantic_data_converter.decode(
        await pydantic_data_converter.encode([encoded]), [str]
    )
    back = msgspec.json.decode(arrived, type=Projection)
    assert msgspec.json.encode(back) == encoded.encode()
    assert back.instance == NESTED.instance
    assert back.history == NESTED.history


def test_what_arrives_is_written(database_url: str) -> None:
    upgrade(database_url)
    engine = create_engine(database_url)
    assert project(engine, NESTED) == "applied"
    with reading(engine, "acme") as session:
        found = instances.get(session, "run-1")
    assert found is not None
    assert found.records[0].data == NESTED.records[0].data
    assert found.timers == tuple(NESTED.timers)
    engine.dispose()


def test_what_needs_all_records_says_so_in_the_log(sqlite_url: str) -> None:
    upgrade(sqlite_url)
    engine = create_engine(sqlite_url)
    with capture_logs() as logs:
        assert project(engine, Batch(7, 7, 1).projection()) == "resync"
    assert logs[0]["event"] == "projection_needs_all_records"
    assert (logs[0]["instance"], logs[0]["seq"]) == ("run-1", 7)
    engine.dispose()


def test_a_database_that_is_away_is_a_warning_and_tried_again() -> None:
    engine = create_engine("postgresql://nexus@127.0.0.1:1/nexus")
    with capture_logs() as logs, pytest.raises(sa.exc.OperationalError) as caught:
        project(engine, NESTED)
    assert is_unavailable(caught.value)
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("database_unavailable", "warning")
    ]


def test_what_no_retry_heals_is_an_error_each_time(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)  # without its tables
    for _ in range(2):
        with capture_logs() as logs, pytest.raises(sa.exc.OperationalError):
            project(engine, NESTED)
        assert [(log["event"], log["log_level"]) for log in logs] == [
            ("projection_failed", "error")
        ]
    engine.dispose()


def test_what_cannot_be_read_is_an_error(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with capture_logs() as logs, pytest.raises(msgspec.ValidationError):
        ActivityEnvironment().run(ProjectionActivities(engine).project, "{}")
    assert logs[0]["event"] == "projection_unreadable"

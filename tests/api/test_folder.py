"""The watched folder (R23): saved is live within two seconds; a broken file changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from api.folder import DefinitionsFolder
from nexus.settings import sqlite_url
from storage import migrate
from storage.definitions import StoredDefinition, get, list_versions
from storage.engine import Engine, create_engine
from storage.scope import reading
from tests.api.serving import ServedApi
from tests.support.processes import wait_until


def document(label: str, version: str = "1.0.0", name: str = "folded") -> str:
    """A definition."""
    return json.dumps(
        {
            "id": name,
            "label": label,
            "version": version,
            "entities": {"lead": {"stages": ["new", "done"]}},
        }
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    migrate.upgrade(sqlite_url(tmp_path))
    engine = create_engine(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "definitions"
    place.mkdir()
    return place


def live(engine: Engine, name: str = "folded") -> StoredDefinition | None:
    """What a tenant starts now."""
    with reading(engine, "acme") as session:
        return get(session, name)


def label(engine: Engine, name: str = "folded") -> str | None:
    """Its label; None if there is none."""
    found = live(engine, name)
    return found.label if found else None


def test_a_saved_file_is_live_within_two_seconds(api: ServedApi) -> None:
    path = api.settings.definitions / "hot.json"
    with api.client() as client:

        def shown() -> object:
            return client.get("/v1/definitions/hot").json().get("label")

        for text in ("One", "Two", "Three"):
            path.write_text(document(text, name="hot"))
            saved = time.monotonic()
            wait_until(lambda text=text: shown() == text, seconds=2, what=f"{text} live")  # type: ignore[misc]
            assert time.monotonic() - saved < 2
        # As editors save: a new file is moved over the old one.
        swap = path.with_suffix(".tmp")
        swap.write_text(document("Four", name="hot"))
        swap.replace(path)
        wait_until(lambda: shown() == "Four", seconds=2, what="what was moved there live")
        path.write_text("{ broken")
        wait_until(lambda: _problems(api), seconds=2, what="the report of the broken file")
        assert shown() == "Four"
        (line,) = _problems(api)[str(path)]
        assert line.startswith(f"{path}:1:")
        path.write_text(document("Five", name="hot"))
        wait_until(lambda: shown() == "Five", seconds=2, what="the mended file live")
        assert not _problems(api)


def _problems(api: ServedApi) -> dict[str, list[str]]:
    found: dict[str, list[str]] = httpx.get(f"{api.url}/readyz").json()["folder_problems"]
    return found


def test_it_serves_all_tenants_and_a_tenants_own_wins(api: ServedApi) -> None:
    (api.settings.definitions / "all.json").write_text(document("Folder's", name="all"))
    with api.client("root", "acme", ("admin",)) as acme, api.client("x", "other") as other:
        wait_until(lambda: acme.get("/v1/definitions/all").status_code == 200, what="the file")
        assert acme.get("/v1/definitions/all").json()["shared"] is True
        assert other.get("/v1/definitions/all").json()["label"] == "Folder's"
        acme.post("/v1/definitions", content=document("Acme's", name="all"))
        assert acme.get("/v1/definitions/all").json()["label"] == "Acme's"
        assert other.get("/v1/definitions/all").json()["label"] == "Folder's"


def test_other_content_under_the_same_version_is_a_new_revision(
    engine: Engine, place: Path
) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("One"))
    folder.look()
    (place / "a.json").write_text(document("Two!"))
    folder.look()
    with reading(engine, "acme") as session:
        kept = [(found.revision, found.active) for found in list_versions(session, "folded")]
    assert kept == [(2, True), (1, False)]
    # A new start of the platform finds it unchanged.
    DefinitionsFolder(engine, place).look()
    found = live(engine)
    assert found is not None
    assert found.revision == 2


def test_a_file_saved_back_to_an_older_version_is_live(engine: Engine, place: Path) -> None:
    folder = DefinitionsFolder(engine, place)
    for version in ("1.0.0", "1.1.0", "1.0.0"):
        (place / "a.json").write_text(document(f"v{version}", version))
        os.utime(place / "a.json", ns=(time.time_ns(), time.time_ns()))
        folder.look()
        assert label(engine) == f"v{version}"


def test_what_is_no_definition_is_left_alone(engine: Engine, place: Path) -> None:
    (place / ".hidden.json").write_text("{")
    (place / "~a.json").write_text("{")
    (place / "a.scenarios.json").write_text("{")
    (place / "a.json~").write_text("{")
    (place / "dir.json").mkdir()
    (place / "gone.json").symlink_to(place / "nowhere")
    (place / ".git").mkdir()
    (place / ".git" / "x.json").write_text("{")
    (place / "deeper").mkdir()
    (place / "deeper" / "b.json").write_text(document("Deeper"))
    folder = DefinitionsFolder(engine, place)
    folder.look()
    assert folder.problems == {}
    assert label(engine) == "Deeper"


def test_a_removed_file_changes_nothing(engine: Engine, place: Path) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("One"))
    (place / "b.json").write_text("{")
    folder.look()
    assert list(folder.problems) == [str(place / "b.json")]
    (place / "a.json").unlink()
    (place / "b.json").unlink()
    folder.look()
    assert folder.problems == {}
    assert label(engine) == "One"


def test_two_files_of_one_version_are_reported(engine: Engine, place: Path) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("A"))
    (place / "b.json").write_text(document("B"))
    folder.look()
    assert label(engine) == "A"
    (lines,) = folder.problems.values()
    assert "a.json" in lines[0]


def test_a_renamed_file_is_no_second_one(engine: Engine, place: Path) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("One"))
    folder.look()
    (place / "a.json").rename(place / "z.json")
    folder.look()
    assert folder.problems == {}


def test_a_second_file_is_live_once_the_first_is_removed(engine: Engine, place: Path) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("A"))
    (place / "b.json").write_text(document("B"))
    folder.look()
    assert list(folder.problems) == [str(place / "b.json")]
    (place / "a.json").unlink()
    folder.look()
    assert folder.problems == {}
    assert label(engine) == "B"


def test_the_log_says_only_of_a_file_that_was_good_that_something_stays(
    engine: Engine, place: Path
) -> None:
    folder = DefinitionsFolder(engine, place)
    (place / "good.json").write_text(document("Good"))
    with capture_logs() as told:
        folder.look()
        (place / "good.json").write_text("{")
        (place / "never.json").write_text("{")
        folder.look()
        (place / "good.json").unlink()
        (place / "never.json").unlink()
        folder.look()
    notes = [
        (entry["event"], Path(entry["file"]).name, entry["note"])
        for entry in told
        if "note" in entry
    ]
    stays = "folded 1.0.0 stays as it was last taken from it"
    assert sorted(notes) == [
        ("definition_broken", "good.json", stays),
        ("definition_broken", "never.json", "nothing has been taken from it since the start"),
        ("definition_file_removed", "good.json", stays),
        ("definition_file_removed", "never.json", "nothing has been taken from it since the start"),
    ]


def test_a_file_that_cannot_run_has_its_remarks_told_as_well(engine: Engine, place: Path) -> None:
    odd = {
        "id": "odd",
        "colour": "red",
        "entities": {"lead": {"stages": ["new", "done"]}},
        "transitions": {"finish": {"from": "nwe", "to": "done"}},
    }
    (place / "odd.json").write_text(json.dumps(odd))
    folder = DefinitionsFolder(engine, place)
    with capture_logs() as told:
        folder.look()
        folder.look()
    (lines,) = folder.problems.values()
    severities = [line.split(": ")[1] for line in lines]
    assert severities[0] == "error"
    assert "warning" in severities
    assert severities == sorted(severities)
    assert [entry["problems"] for entry in told] == [lines], "told once"


def test_a_file_that_is_being_written_is_read_again(
    engine: Engine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "a.json"
    path.write_text(document("Half")[:40])
    monkeypatch.setattr(
        "api.folder.time.sleep", lambda _seconds: path.write_text(document("Whole"))
    )
    folder = DefinitionsFolder(engine, place)
    folder.look()
    assert folder.problems == {}
    assert label(engine) == "Whole"


def test_a_file_that_is_too_large_or_not_text_is_reported(engine: Engine, place: Path) -> None:
    (place / "big.json").write_bytes(b" " * (1 << 21))
    (place / "bytes.json").write_bytes(b'{"id": "\xff"}')
    folder = DefinitionsFolder(engine, place)
    folder.look()
    assert len(folder.problems) == 2


def test_a_folder_may_be_missing_and_appear_later(engine: Engine, tmp_path: Path) -> None:
    place = tmp_path / "later"
    folder = DefinitionsFolder(engine, place)
    folder.look()
    place.mkdir()
    (place / "a.json").write_text(document("One"))
    folder.look()
    assert label(engine) == "One"


async def test_a_database_without_tables_only_delays(tmp_path: Path, place: Path) -> None:
    """An API that starts before the migration has run."""
    engine = create_engine(sqlite_url(tmp_path))
    (place / "a.json").write_text(document("One"))
    folder = DefinitionsFolder(engine, place)
    watching = asyncio.create_task(folder.run())
    assert await folder.looked(5)
    await asyncio.to_thread(migrate.upgrade, sqlite_url(tmp_path))
    async with asyncio.timeout(5):
        while label(engine) is None:
            await asyncio.sleep(0.05)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    engine.dispose()


async def test_a_folder_that_nobody_looks_at_is_not_waited_for(engine: Engine, place: Path) -> None:
    assert not await DefinitionsFolder(engine, place).looked(0.01)


def test_a_database_that_is_away_only_delays(tmp_path: Path, place: Path) -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    folder = DefinitionsFolder(engine, place)
    (place / "a.json").write_text(document("One"))
    folder.look()
    assert folder.problems == {}
    engine.dispose()

"""Versions that are activated and retired, on both databases (R23)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage import definitions
from storage.definitions import StoredDefinition
from storage.engine import create_engine
from storage.errors import InvalidCursor
from storage.scope import reading, writing, writing_shared
from tests.storage.conftest import raw
from tests.storage.making import at
from tests.storage.test_definitions import new, put, put_shared


def live(engine: Engine, tenant: str = "acme") -> StoredDefinition | None:
    with reading(engine, tenant) as session:
        return definitions.get_live(session, "sales")


def named(engine: Engine, version: str, tenant: str = "acme") -> StoredDefinition:
    with reading(engine, tenant) as session:
        found = definitions.get(session, "sales", version)
    assert found is not None
    return found


def activate(engine: Engine, version: str, seconds: float, by: str = "bob") -> StoredDefinition:
    with writing(engine, "acme") as session:
        return definitions.activate(session, "sales", version, by=by, at=at(seconds))


def retire(engine: Engine, version: str | None, seconds: float, by: str = "eve") -> list[str]:
    with writing(engine, "acme") as session:
        found = definitions.retire(session, "sales", version, by=by, at=at(seconds))
    return [stored.version for stored in found]


@pytest.fixture
def two(engine: Engine) -> Engine:
    """Two versions of a tenant's own; the second is live."""
    put(engine, new("one", "1.0.0"))
    put(engine, new("two", "2.0.0", 1))
    return engine


def test_an_older_version_is_made_live_again(two: Engine) -> None:
    found = activate(two, "1.0.0", 5)
    assert (found.active, found.activated_at, found.activated_by) == (True, at(5), "bob")
    assert (found.uploaded_by, found.uploaded_at) == ("ann", at(0))
    assert live(two) == found
    assert not named(two, "2.0.0").active


def test_what_is_live_already_stays_as_it_is(two: Engine) -> None:
    assert activate(two, "2.0.0", 5) == live(two)
    assert named(two, "2.0.0").activated_at == at(1)


def test_a_version_that_is_not_there_cannot_be_made_live(two: Engine) -> None:
    put_shared(two, new("shared", "3.0.0", source="folder"))
    for version in ("3.0.0", "9.9.9"):
        with pytest.raises(LookupError, match=version):
            activate(two, version, 5)
    live_now = live(two)
    assert live_now is not None
    assert live_now.version == "2.0.0"


def test_a_retired_version_is_live_no_more_and_no_other_takes_its_place(two: Engine) -> None:
    assert retire(two, "2.0.0", 5) == ["2.0.0"]
    assert live(two) is None
    found = named(two, "2.0.0")
    assert (found.active, found.retired_at, found.retired_by) == (False, at(5), "eve")
    assert found.text == "two"
    assert named(two, "1.0.0").retired_at is None


def test_without_a_version_all_are_retired(two: Engine) -> None:
    assert retire(two, "1.0.0", 4, "ann") == ["1.0.0"]
    assert retire(two, None, 5) == ["2.0.0", "1.0.0"]
    assert live(two) is None
    # Who retired it first, did.
    assert (named(two, "1.0.0").retired_at, named(two, "1.0.0").retired_by) == (at(4), "ann")
    assert retire(two, None, 9) == ["2.0.0", "1.0.0"]
    assert named(two, "2.0.0").retired_at == at(5)
    assert retire(two, "9.9.9", 9) == []


def test_a_retired_version_is_activated_again(two: Engine) -> None:
    retire(two, None, 5)
    found = activate(two, "1.0.0", 6)
    assert (found.active, found.retired_at, found.retired_by) == (True, None, None)
    assert named(two, "2.0.0").retired_at == at(5)


def test_storing_a_retired_version_again_changes_nothing(two: Engine) -> None:
    retire(two, "2.0.0", 5)
    assert put(two, new("two", "2.0.0", 6)) == "unchanged"
    assert live(two) is None
    assert put(two, new("three", "3.0.0", 7)) == "created"
    found = live(two)
    assert found is not None
    assert (found.version, found.activated_by) == ("3.0.0", "ann")


def test_what_all_tenants_share_is_live_where_ones_own_is_retired(engine: Engine) -> None:
    put_shared(engine, new("shared", source="folder"))
    put(engine, new("own"))
    retire(engine, None, 5)
    for tenant in ("acme", "umbrella"):
        found = live(engine, tenant)
        assert found is not None
        assert found.text == "shared"
    # Named by its version, it is the shared one as well: the own one takes no new instances.
    assert named(engine, "1.0.0").text == "shared"
    with reading(engine, "acme") as session:
        own = definitions.get_own(session, "sales", "1.0.0")
        listed = definitions.list_definitions(session).items
    assert own is not None
    assert own.text == "own"
    assert [stored.text for stored in listed] == ["shared"]


def test_a_tenant_can_neither_retire_nor_activate_what_all_share(engine: Engine) -> None:
    put_shared(engine, new("one", "1.0.0", source="folder"))
    put_shared(engine, new("two", "2.0.0", 1, source="folder"))
    assert retire(engine, None, 5) == []
    with pytest.raises(LookupError):
        activate(engine, "1.0.0", 5)
    found = live(engine, "umbrella")
    assert found is not None
    assert (found.version, found.retired_at) == ("2.0.0", None)


def test_a_file_that_is_saved_again_is_live_again(engine: Engine) -> None:
    put_shared(engine, new("{}", source="folder", by="system:folder"))
    with writing_shared(engine) as session:
        definitions.retire(session, "sales", by="operator", at=at(5))
    assert live(engine) is None
    again = new("{}", source="folder", by="system:folder", seconds=9)
    assert put_shared(engine, again) == "unchanged"
    assert put_shared(engine, again, activate_unchanged=True) == "activated"
    found = live(engine)
    assert found is not None
    assert (found.activated_at, found.activated_by) == (at(9), "system:folder")
    assert (found.retired_at, found.retired_by) == (None, None)


def test_a_version_is_retired_with_all_its_revisions(engine: Engine) -> None:
    for n in range(3):
        put_shared(engine, new(f"text {n}", seconds=n, source="folder"))
    with writing_shared(engine) as session:
        retired = definitions.retire(session, "sales", "1.0.0", by="operator", at=at(5))
    assert [stored.revision for stored in retired] == [3, 2, 1]
    with writing_shared(engine) as session:
        found = definitions.activate(session, "sales", "1.0.0", by="operator", at=at(6))
    assert (found.revision, found.text) == (3, "text 2")


def test_versions_are_listed_by_pages_the_newest_upload_first(engine: Engine) -> None:
    for n in range(7):
        put(engine, new(f"text {n}", f"{n % 4}.{n}.0", n // 2))
        put_shared(engine, new(f"shared {n}", source="folder", seconds=n // 2))
    put(engine, new("theirs"), tenant="umbrella")
    seen: list[StoredDefinition] = []
    cursor = None
    with reading(engine, "acme") as session:
        while True:
            page = definitions.page_of_versions(session, "sales", limit=3, cursor=cursor)
            seen += page.items
            cursor = page.next
            if cursor is None:
                break
        everything = definitions.list_versions(session, "sales")
        with pytest.raises(InvalidCursor):
            definitions.page_of_versions(session, "sales", cursor="x")
    places = [(s.tenant, s.version, s.revision) for s in seen]
    assert len(places) == len(set(places)) == 14
    assert set(places) == {(s.tenant, s.version, s.revision) for s in everything}
    assert [s.uploaded_at for s in seen] == sorted((s.uploaded_at for s in seen), reverse=True)


def test_who_activated_what_was_stored_before_is_known_after_migrating(
    migrated_url: str, engine: Engine
) -> None:
    from alembic import command
    from alembic.config import Config

    put(engine, new("one", by="ann"))
    put_shared(engine, new("shared", source="folder", by="system:folder", id="other"))
    config = Config()
    config.set_main_option("script_location", "storage/migrations")
    with raw(engine, None) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        columns = {column["name"] for column in sa.inspect(connection).get_columns("definitions")}
        assert not {"activated_by", "retired_at", "retired_by"} & columns
        command.upgrade(config, "head")
    again = create_engine(migrated_url)
    found: Any = live(again)
    assert (found.activated_by, found.retired_at, found.retired_by) == ("ann", None, None)
    with reading(again, "acme") as session:
        shared: Any = definitions.get_live(session, "other")
        # Row-level security holds as before.
        assert definitions.get_live(session, "sales") is not None
    assert shared.activated_by == "system:folder"
    with reading(again, "umbrella") as session:
        assert definitions.list_versions(session, "sales") == ()
    again.dispose()

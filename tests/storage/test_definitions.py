"""Versions and revisions of definitions (R23)."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from storage import definitions
from storage.definitions import NewDefinition, StoredDefinition
from storage.errors import VersionExists
from storage.keyset import Page
from storage.scope import TenantSession, reading, writing, writing_shared
from tests.storage.making import at
from tests.storage.test_lists import all_pages


def new(text: str, version: str = "1.0.0", seconds: float = 0, **changes: Any) -> NewDefinition:
    values: dict[str, Any] = {
        "id": "sales",
        "version": version,
        "text": text,
        "source": "api",
        "by": "ann",
        "at": at(seconds),
        "label": "Sales",
        "domain": "crm",
    }
    return NewDefinition(**{**values, **changes})


def put(engine: Engine, definition: NewDefinition, tenant: str = "acme") -> str:
    with writing(engine, tenant) as session:
        return definitions.put(session, definition, on_conflict="refuse")[1]


def put_shared(engine: Engine, definition: NewDefinition, **options: Any) -> str:
    with writing_shared(engine) as session:
        return definitions.put(session, definition, on_conflict="revise", **options)[1]


def live(engine: Engine, tenant: str = "acme", definition: str = "sales") -> StoredDefinition:
    with reading(engine, tenant) as session:
        found = definitions.get_live(session, definition)
    assert found is not None
    return found


def test_a_definition_is_kept_byte_for_byte(engine: Engine) -> None:
    text = '\ufeff{ "id":"sales",\r\n\t"größe": "\\u0000 \U0001f600" }\n\n'
    warning = {"code": "unknown_key", "line": 3}
    assert put(engine, new(text, warnings=[warning])) == "created"
    found = live(engine)
    assert found.text == text
    assert (found.label, found.domain, found.source) == ("Sales", "crm", "api")
    assert (found.revision, found.active, found.shared) == (1, True, False)
    assert list(found.warnings) == [warning]
    assert found.uploaded_at == found.activated_at == at(0)


def test_the_same_version_with_the_same_content_is_accepted_again(engine: Engine) -> None:
    put(engine, new("{}"))
    assert put(engine, new("{}", seconds=5)) == "unchanged"
    assert live(engine).uploaded_at == at(0)


def test_the_same_version_with_other_content_is_refused_over_the_api(engine: Engine) -> None:
    put(engine, new("{}"))
    with pytest.raises(VersionExists) as caught:
        put(engine, new("{ }"))
    assert (caught.value.definition, caught.value.version) == ("sales", "1.0.0")
    assert live(engine).text == "{}"


def test_the_folder_makes_a_new_revision_of_a_changed_version(engine: Engine) -> None:
    assert put_shared(engine, new("{}", source="folder")) == "created"
    assert put_shared(engine, new("{ }", source="folder", seconds=5)) == "revised"
    assert (live(engine).revision, live(engine).text) == (2, "{ }")
    assert put_shared(engine, new("{}", source="folder", seconds=9)) == "revised"
    assert (live(engine).revision, live(engine).text) == (3, "{}")


def test_the_newest_activated_version_is_live_and_older_ones_can_be_named(engine: Engine) -> None:
    put(engine, new("one", "1.0.0"))
    put(engine, new("two", "2.0.0", 1))
    put(engine, new("middle", "1.5.0", 2))
    assert live(engine).version == "1.5.0"
    assert put(engine, new("two", "2.0.0", 3)) == "unchanged"
    assert live(engine).version == "1.5.0"
    with reading(engine, "acme") as session:
        named = definitions.get(session, "sales", "1.0.0")
        assert named is not None
        assert named.text == "one"
        assert not named.active
        assert definitions.get(session, "sales", "3.0.0") is None
        assert definitions.get(session, "other") is None
        unnamed = definitions.get(session, "sales")
        assert unnamed is not None
        assert unnamed.version == "1.5.0"
        versions = [found.version for found in definitions.list_versions(session, "sales")]
    assert versions == ["1.5.0", "2.0.0", "1.0.0"]


def test_a_file_saved_back_to_an_older_version_is_live_again(engine: Engine) -> None:
    put_shared(engine, new("one", "1.0.0"))
    put_shared(engine, new("two", "2.0.0", 1))
    assert put_shared(engine, new("one", "1.0.0", 2)) == "unchanged"
    assert live(engine).version == "2.0.0"
    assert put_shared(engine, new("one", "1.0.0", 3), activate_unchanged=True) == "activated"
    assert (live(engine).version, live(engine).activated_at) == ("1.0.0", at(3))
    assert put_shared(engine, new("one", "1.0.0", 4), activate_unchanged=True) == "unchanged"


def test_a_tenants_own_definition_wins_over_the_shared_one(engine: Engine) -> None:
    put_shared(engine, new("shared", source="folder"))
    assert live(engine).shared
    assert put(engine, new("own")) == "created"
    assert live(engine).text == "own"
    assert live(engine, "umbrella").text == "shared"
    with reading(engine, "acme") as session:
        named = definitions.get(session, "sales", "1.0.0")
    assert named is not None
    assert named.text == "own"


def _page(session: TenantSession, limit: int, cursor: str | None) -> Page[StoredDefinition]:
    return definitions.list_definitions(session, limit=limit, cursor=cursor)


def test_a_list_holds_live_definitions_once_and_pages_add_up(engine: Engine) -> None:
    for n, name in enumerate(("b", "a", "d", "c")):
        put_shared(engine, new("shared", id=name, source="folder"))
        put_shared(engine, new("newer", "2.0.0", 1, id=name, source="folder"))
        if n % 2:
            put(engine, new("own", id=name, domain="sales_marketing"))
    put(engine, new("own", id="e"), tenant="umbrella")
    with reading(engine, "acme") as session:
        for limit in (1, 2, 3, 10):
            found = all_pages(partial(_page, session, limit))
            assert [(row.id, row.text) for row in found] == [
                ("a", "own"), ("b", "newer"), ("c", "own"), ("d", "newer")
            ]  # fmt: skip
        crm = definitions.list_definitions(session, domain="crm").items
        assert [row.id for row in crm] == ["b", "d"]


def test_versions_stored_at_once_leave_one_live(engine: Engine) -> None:
    failures: list[BaseException] = []

    def store(n: int) -> None:
        try:
            put(engine, new(f"text {n}", f"{n}.0.0", n))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=store, args=(n,)) for n in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading(engine, "acme") as session:
        stored = definitions.list_versions(session, "sales")
    assert len(stored) == 5
    assert [found.active for found in stored].count(True) == 1

"""Versions over HTTP: list, activate, retire, and what a start makes of it (R23)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy.engine import make_url

from api.schemas import Definition, DefinitionVersion, RetiredVersions, StoredDefinition
from nexus.settings import sqlite_url
from storage.definitions import NewDefinition, put
from storage.scope import writing
from tests.api.serving import Platform, ServedApi, make_settings
from tests.api.test_problems import check
from tests.support.postgres import PostgresServer
from tests.support.processes import wait_until

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedApi]:
    """An API without Temporal, on each of the two databases."""
    folder = tmp_path_factory.mktemp("versions")
    url = sqlite_url(folder)
    server: PostgresServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.make_database()
        assert make_url(url).get_backend_name() == "postgresql"
    api = ServedApi(make_settings(folder, database_url=url))
    api.start()
    yield api
    api.stop()
    if server is not None:
        server.drop_database(url)


@pytest.fixture
def root(served: ServedApi) -> Iterator[httpx.Client]:
    with served.client("root", roles=("admin",)) as client:
        yield client


def document(name: str, version: str = "1.0.0", **more: object) -> dict[str, object]:
    stages = {"lead": {"stages": ["new", "done"]}}
    return {"id": name, "version": version, "entities": stages, **more}


@pytest.fixture
def name(root: httpx.Client) -> str:
    """A definition with two versions, of which the second is live."""
    name = f"v{next(_numbers)}"
    for version in ("1.0.0", "2.0.0"):
        answer = root.post("/v1/definitions", json=document(name, version))
        StoredDefinition.model_validate(answer.json())
        assert (answer.status_code, answer.json()["active"]) == (201, True)
    return name


def versions(client: httpx.Client, name: str) -> dict[str, DefinitionVersion]:
    answer = client.get(f"/v1/definitions/{name}/versions")
    assert answer.status_code == 200, answer.text
    found = [DefinitionVersion.model_validate(entry) for entry in answer.json()["items"]]
    return {entry.version: entry for entry in found}


def test_versions_say_who_did_what_and_when(root: httpx.Client, name: str) -> None:
    found = versions(root, name)
    assert list(found) == ["2.0.0", "1.0.0"]
    assert [entry.live for entry in found.values()] == [True, False]
    second = found["2.0.0"]
    assert second.uploaded_by == second.activated_by == "root"
    assert second.uploaded_at == second.activated_at
    assert (second.retired_by, second.retired_at) == (None, None)
    assert (second.source, second.shared) == ("api", False)


def test_versions_come_in_pages(root: httpx.Client, name: str) -> None:
    path = f"/v1/definitions/{name}/versions"
    first = root.get(f"{path}?limit=1").json()
    second = root.get(f"{path}?limit=1&cursor={first['next']}").json()
    assert [first["items"][0]["version"], second["items"][0]["version"]] == ["2.0.0", "1.0.0"]
    assert second["next"] is None
    check(root.get("/v1/definitions/no-such/versions"), 404, "not_found")
    check(root.get(f"{path}?cursor=odd"), 422, "invalid_data")


def test_an_older_version_is_made_live(served: ServedApi, root: httpx.Client, name: str) -> None:
    with served.client("other-root", roles=("admin",)) as other:
        answer = other.post(f"/v1/definitions/{name}/activate", json={"version": "1.0.0"})
    assert answer.status_code == 200, answer.text
    activated = DefinitionVersion.model_validate(answer.json())
    assert (activated.version, activated.live, activated.active) == ("1.0.0", True, True)
    assert (activated.uploaded_by, activated.activated_by) == ("root", "other-root")
    assert root.get(f"/v1/definitions/{name}").json()["version"] == "1.0.0"
    assert versions(root, name)["2.0.0"].active is False
    # Once more: it is live, and stays as it is.
    again = root.post(f"/v1/definitions/{name}/activate", json={"version": "1.0.0"})
    assert again.json() == answer.json()


def test_a_retired_version_takes_no_new_instances(root: httpx.Client, name: str) -> None:
    answer = root.post(f"/v1/definitions/{name}/retire", json={"version": "2.0.0"})
    assert answer.status_code == 200, answer.text
    told = RetiredVersions.model_validate(answer.json())
    assert [entry.version for entry in told.retired] == ["2.0.0"]
    assert (told.retired[0].retired_by, told.live) == ("root", None)
    problem = start(root, name, 409, "conflict")
    assert str(problem["detail"]).startswith(
        f"No version of '{name}' is active: 2.0.0 was retired by 'root' on "
    )
    assert problem["versions"] == ["2.0.0", "1.0.0"]
    problem = start(root, name, 409, "conflict", version="2.0.0")
    assert str(problem["detail"]).startswith(f"Version 2.0.0 of '{name}' was retired by 'root' on ")
    assert str(problem["detail"]).endswith("; it takes no new instances.")
    assert problem["retired_by"] == "root"
    problem = start(root, name, 404, "not_found", version="3.0.0")
    assert str(problem["detail"]).endswith(" in version '3.0.0'. There are: 2.0.0, 1.0.0.")
    assert problem["versions"] == ["2.0.0", "1.0.0"]
    # What is not retired can still be named; here it only lacks Temporal.
    start(root, name, 503, "unavailable", version="1.0.0")


def start(
    client: httpx.Client, name: str, status: int, code: str, **more: object
) -> dict[str, object]:
    body = {"definition": name, "subject": {"type": "account", "id": "a"}, **more}
    return check(client.post("/v1/instances", json=body), status, code)


def test_what_is_retired_can_still_be_read(root: httpx.Client, name: str) -> None:
    root.post(f"/v1/definitions/{name}/retire")
    problem = check(root.get(f"/v1/definitions/{name}"), 404, "not_found")
    assert problem["versions"] == ["2.0.0", "1.0.0"]
    answer = root.get(f"/v1/definitions/{name}?version=2.0.0").json()
    Definition.model_validate(answer)
    assert answer["retired_by"] == "root"
    assert answer["document"]["version"] == "2.0.0"
    listed = root.get("/v1/definitions?limit=200").json()["items"]
    assert name not in [entry["id"] for entry in listed]
    assert all(entry.retired_at for entry in versions(root, name).values())


def test_storing_it_again_does_not_bring_it_back_and_activating_does(
    root: httpx.Client, name: str
) -> None:
    root.post(f"/v1/definitions/{name}/retire", json={})
    again = root.post("/v1/definitions", json=document(name, "2.0.0"))
    assert (again.status_code, again.json()["active"]) == (200, False)
    start(root, name, 409, "conflict")
    answer = root.post(f"/v1/definitions/{name}/activate", json={"version": "2.0.0"})
    assert (answer.json()["live"], answer.json()["retired_at"]) == (True, None)
    start(root, name, 503, "unavailable")


def test_a_misspelt_definition_is_answered_with_the_nearest(root: httpx.Client) -> None:
    hiring = {"id": "hiring", "entities": {"lead": {"stages": ["new", "done"]}}}
    assert root.post("/v1/definitions", json=hiring).status_code in (200, 201)
    problem = start(root, "hirng", 404, "not_found")
    assert problem["detail"] == "There is no definition 'hirng'. Did you mean 'hiring'?"
    assert problem["suggestion"] == "hiring"
    check(root.get("/v1/definitions/hirng"), 404, "not_found")
    problem = start(root, "qqqqqqqqqqqq", 404, "not_found", version="1.0.0")
    assert problem["detail"] == "There is no definition 'qqqqqqqqqqqq'."


@pytest.mark.parametrize(
    ("path", "body"), [("activate", {"version": "9.9.9"}), ("retire", {"version": "9.9.9"})]
)
def test_what_is_not_there_is_not_found(
    root: httpx.Client, name: str, path: str, body: dict[str, str]
) -> None:
    check(root.post(f"/v1/definitions/{name}/{path}", json=body), 404, "not_found")
    check(root.post(f"/v1/definitions/no-such/{path}", json=body), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("activate", {}),
        ("activate", {"version": 1}),
        ("activate", {"version": ""}),
        ("activate", {"versoin": "1.0.0"}),
        ("retire", {"versoin": "1.0.0"}),
        ("retire", {"version": []}),
    ],
)
def test_a_body_that_says_something_else_changes_nothing(
    root: httpx.Client, name: str, path: str, body: dict[str, object]
) -> None:
    check(root.post(f"/v1/definitions/{name}/{path}", json=body), 422, "invalid_data")
    assert versions(root, name)["2.0.0"].live


def test_only_an_admin_of_the_tenant_changes_versions(
    served: ServedApi, root: httpx.Client, name: str
) -> None:
    with served.client("ann", roles=("rep",)) as ann:
        for path, body in (("activate", {"version": "1.0.0"}), ("retire", {})):
            check(ann.post(f"/v1/definitions/{name}/{path}", json=body), 403, "forbidden")
        assert len(versions(ann, name)) == 2
    with served.client("root", "other", ("admin",)) as stranger:
        for path, body in (("activate", {"version": "1.0.0"}), ("retire", {})):
            check(stranger.post(f"/v1/definitions/{name}/{path}", json=body), 404, "not_found")
        check(stranger.get(f"/v1/definitions/{name}/versions"), 404, "not_found")
    assert versions(root, name)["2.0.0"].live


def test_repeating_with_its_key_brings_the_first_answer(root: httpx.Client, name: str) -> None:
    key = {"Idempotency-Key": f"retire-{name}"}
    path = f"/v1/definitions/{name}/retire"
    first = root.post(path, json={"version": "2.0.0"}, headers=key)
    root.post(f"/v1/definitions/{name}/activate", json={"version": "2.0.0"})
    again = root.post(path, json={"version": "2.0.0"}, headers=key)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert versions(root, name)["2.0.0"].live
    check(root.post(path, json={"version": "1.0.0"}, headers=key), 422, "key_reused")


@pytest.fixture
def save(served: ServedApi) -> Callable[..., str]:
    """Saves a definition of the folder, and waits for it to be live."""

    def save(name: str, version: str = "1.0.0", label: str = "Folder's") -> str:
        text = json.dumps(document(name, version, label=label))
        (served.settings.definitions / f"{name}.json").write_text(text)
        with served.client("x", "waiting") as client:
            wait_until(
                lambda: client.get(f"/v1/definitions/{name}").json().get("version") == version,
                what=f"{name} {version} of the folder",
            )
        return name

    return save


def test_retiring_ones_own_falls_back_to_the_folders(
    served: ServedApi, root: httpx.Client, save: Callable[..., str]
) -> None:
    name = save(f"v{next(_numbers)}")
    root.post("/v1/definitions", json=document(name, label="Own"))
    shared, own = sorted(
        root.get(f"/v1/definitions/{name}/versions").json()["items"],
        key=lambda entry: not entry["shared"],
    )
    # Both are active, each among its owner's; live for this tenant is its own.
    assert (shared["active"], shared["live"], own["active"], own["live"]) == (
        *(True, False),
        *(True, True),
    )
    answer = root.post(f"/v1/definitions/{name}/retire").json()
    assert [entry["shared"] for entry in answer["retired"]] == [False]
    assert (answer["live"]["shared"], answer["live"]["live"]) == (True, True)
    assert root.get(f"/v1/definitions/{name}").json()["label"] == "Folder's"
    start(root, name, 503, "unavailable", version="1.0.0")


def test_what_the_folder_holds_is_the_folders_to_change(
    served: ServedApi, root: httpx.Client, save: Callable[..., str]
) -> None:
    name = save(f"v{next(_numbers)}")
    problem = check(root.post(f"/v1/definitions/{name}/retire"), 403, "forbidden")
    assert "comes from the folder and serves every tenant" in str(problem["detail"])
    activate = root.post(f"/v1/definitions/{name}/activate", json={"version": "1.0.0"})
    check(activate, 403, "forbidden")
    save(name, "2.0.0")
    assert [entry.live for entry in versions(root, name).values()] == [True, False]
    # Saved again as it was before, the older version is live again.
    save(name, "1.0.0")
    found = versions(root, name)
    assert found["1.0.0"].live
    assert found["1.0.0"].activated_by == "system:folder"
    assert found["1.0.0"].uploaded_by == "system:folder"


def test_a_version_that_no_longer_passes_the_check_is_not_made_live(
    served: ServedApi, root: httpx.Client, name: str
) -> None:
    """A newer Nexus may refuse what an older one has stored."""
    go = {"from": "new", "to": "done", "condition": "data.x ** 2 > 5"}
    old = NewDefinition(
        id=name,
        version="3.0.0",
        text=json.dumps(document(name, "3.0.0", transitions={"go": go})),
        source="api",
        by="root",
        at=datetime(2020, 1, 1, tzinfo=UTC),
    )
    with writing(served.app.state.services.engine, "acme") as session:
        put(session, old, on_conflict="refuse")
    root.post(f"/v1/definitions/{name}/activate", json={"version": "2.0.0"})
    answer = root.post(f"/v1/definitions/{name}/activate", json={"version": "3.0.0"})
    problem = check(answer, 422, "invalid_definition")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors[0]["pointer"] == "/transitions/go/condition"
    assert errors[0]["excerpt"] == "data.x ** 2 > 5\n       ^^"
    assert versions(root, name)["2.0.0"].live


class TestRunningInstances:
    """Retiring changes nothing for what runs."""

    def test_they_keep_their_version_and_a_repeated_start_its_answer(
        self, platform: Platform
    ) -> None:
        name = f"running{next(_numbers)}"
        go = {"go": {"from": "new", "to": "done"}}
        platform.define(document(name, transitions=go))
        body = {"definition": name, "subject": {"type": "account", "id": "a"}}
        key = {"Idempotency-Key": "first"}
        with platform.api.client("root", roles=("admin",)) as root:
            first = root.post("/v1/instances", json=body, headers=key)
            assert first.status_code == 201, first.text
            platform.define(document(name, "2.0.0", label="Next", transitions=go))
            assert root.post(f"/v1/definitions/{name}/retire").status_code == 200
            check(
                root.post(
                    "/v1/instances", json={**body, "subject": {"type": "account", "id": "b"}}
                ),
                409,
                "conflict",
            )
            assert root.post("/v1/instances", json=body, headers=key).content == first.content
            moved = root.post(f"/v1/instances/{first.json()['id']}/actions/go").json()
            assert (moved["state"], moved["definition"]["version"]) == ("done", "1.0.0")

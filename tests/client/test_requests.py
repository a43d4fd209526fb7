"""What the clients send, as a transport gets it."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.client import AsyncNexusClient, ClientError, NexusClient, requests
from tests.client.calling import MakeClient

MOMENT = "2026-01-02T03:04:05Z"
INSTANCE = {
    "id": "i1",
    "tenant": "acme",
    "definition": {"id": "pipeline", "version": "1"},
    "subject": {"type": "account", "id": "a"},
    "status": "active",
    "state": "new",
    "data": {},
    "records": [],
    "started_at": MOMENT,
}


class Recorder:
    """A transport that keeps requests, and answers them all alike, or page by page."""

    def __init__(self, *answers: Any) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(200, json=answer)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)


@pytest.mark.parametrize(
    "url", ["http://nexus.test/at/crm", "http://nexus.test/at/crm/", "https://nexus.test/at/crm"]
)
def test_the_api_may_be_below_a_path(client: MakeClient, url: str) -> None:
    recorder = Recorder(INSTANCE)
    client(url, "t", transport=recorder.transport).instance("i1")
    assert str(recorder.last.url).partition("://")[2] == "nexus.test/at/crm/v1/instances/i1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nexus.test",
        "ftp://nexus.test",
        "http://",
        "http://nexus.test:port",
        "http://[::1",
        "http://ann:secret@nexus.test",
        "http://nexus.test?x=1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="no address") as caught:
        NexusClient(url, "t")
    assert "secret" not in str(caught.value)


@given(st.text(min_size=1))
def test_ids_with_any_characters_survive_in_paths(id_: str) -> None:
    recorder = Recorder(INSTANCE)
    with NexusClient("http://nexus.test/p", "t", transport=recorder.transport) as nexus:
        nexus.act(id_, id_)
    parts = recorder.last.url.raw_path.decode("ascii").split("/")
    assert parts[:4] == ["", "p", "v1", "instances"]
    assert [unquote(part, errors="strict") for part in parts[4:]] == [id_, "actions", id_]


@pytest.mark.parametrize("id_", [".", ".."])
def test_an_id_is_no_step_through_the_path(id_: str) -> None:
    recorder = Recorder(INSTANCE)
    with NexusClient("http://nexus.test", "t", transport=recorder.transport) as nexus:
        nexus.instance(id_)
    encoded = id_.replace(".", "%2E")
    assert recorder.last.url.raw_path == f"/v1/instances/{encoded}".encode()


def test_an_empty_id_is_refused_before_anything_is_sent(client: MakeClient) -> None:
    recorder = Recorder(INSTANCE)
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    with pytest.raises(ClientError, match="empty"):
        nexus.instance("")
    with pytest.raises(ClientError, match="empty"):
        list(nexus.history(""))
    assert recorder.requests == []


def test_who_acts_is_said_in_two_headers(client: MakeClient) -> None:
    recorder = Recorder({"tenant": "acme", "user": "ann"})
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    nexus.me()
    assert not [name for name in recorder.last.headers if name.startswith("nexus-")]
    nexus.acting("Jürgen, M.", ["a,b", "c%"]).me()
    assert recorder.last.headers["Nexus-Actor"] == "J%C3%BCrgen%2C%20M."
    assert recorder.last.headers["Nexus-Roles"] == "a%2Cb,c%25"
    nexus.acting("ann").me()
    assert recorder.last.headers["Nexus-Roles"] == ""
    nexus.me()
    assert "Nexus-Actor" not in recorder.last.headers
    own = client(
        "http://nexus.test", "t", actor="bob", roles=("rep",), transport=recorder.transport
    )
    own.me()
    assert recorder.last.headers["Nexus-Actor"] == "bob"
    assert recorder.last.headers["Nexus-Roles"] == "rep"


def test_who_acts_for_a_while_leaves_the_connections_open(client: MakeClient) -> None:
    recorder = Recorder({"tenant": "acme", "user": "ann"})
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    with nexus.acting("ann") as ann:
        ann.me()
    assert nexus.me().user == "ann"


def test_an_instance_is_carried_over_with_its_history(client: MakeClient) -> None:
    recorder = Recorder(INSTANCE)
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    row = {"seq": 1, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "payload": {"é": 1}}
    found = nexus.carry_over(
        "pipeline", "account", "a", origin="local-1", history=iter([row]), key="once"
    )
    assert found.id == "i1"
    assert (recorder.last.method, recorder.last.url.path) == ("POST", "/v1/instances/import")
    assert recorder.last.headers["Idempotency-Key"] == "once"
    assert recorder.body == {
        "definition": "pipeline",
        "subject": {"type": "account", "id": "a"},
        "origin": "local-1",
        "history": [{"seq": 1, "at": MOMENT, "payload": {"é": 1}}],
    }
    nexus.carry_over("pipeline", "account", "a", origin="o", history=[], version="2")
    assert recorder.body["version"] == "2"


def test_a_definition_that_is_text_is_sent_byte_for_byte(client: MakeClient) -> None:
    recorder = Recorder({"id": "p", "version": "1", "active": True})
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    nexus.store_definition('{\n  "id": "p"\n}\n')
    assert recorder.last.content == b'{\n  "id": "p"\n}\n'
    nexus.validate_definition({"id": "ü"})
    assert recorder.body == {"id": "ü"}


def test_pages_are_read_as_they_are_needed(client: MakeClient) -> None:
    pages = [{"items": [INSTANCE] * 2, "next": "a/b=="}, {"items": [INSTANCE], "next": None}]
    recorder = Recorder(*pages)
    nexus = client("http://nexus.test", "t", transport=recorder.transport)
    found = iter(nexus.instances(definition="pipeline", data={"region": "EU", "hot": True, "n": 1}))
    assert recorder.requests == []
    next(found)
    next(found)
    assert len(recorder.requests) == 1
    assert len(list(found)) == 1
    first, second = (dict(request.url.params) for request in recorder.requests)
    assert first == {
        "definition": "pipeline",
        "limit": "200",
        "data.region": "EU",
        "data.hot": "true",
        "data.n": "1",
    }
    assert second == {**first, "cursor": "a/b=="}


def test_both_clients_have_the_same_methods() -> None:
    def shape(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert shape(NexusClient) == shape(AsyncNexusClient)
    for name in shape(NexusClient):
        assert getattr(NexusClient, name).__doc__ == getattr(AsyncNexusClient, name).__doc__


def test_each_command_has_a_key_of_its_own() -> None:
    keys = {requests.cancel("i", None, None).key for _ in range(100)}
    assert len(keys) == 100
    assert all(key is not None and len(key) == 32 for key in keys)

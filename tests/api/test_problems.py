"""Every failure is an RFC 9457 problem with a stable code (design 6)."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest

from api.problems import CODES
from tests.api.serving import ServedApi, token

START = {"definition": "sales-pipeline", "subject": {"type": "account", "id": "a"}}


def check(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem in an answer, once it is seen to be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["type"] == f"/problems/{code}"
    assert problem["title"] == CODES[code].title
    assert isinstance(problem["detail"], str)
    assert problem["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    return problem


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/", "/v1/instances/x/diagram", "/v1/sla", "/v1/instances/"]
)
def test_an_unknown_path_is_a_problem(api: ServedApi, path: str) -> None:
    with api.client() as client:
        problem = check(client.get(path), 404, "not_found")
    assert path in str(problem["detail"])


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/instances", "GET, POST"),
        ("/v1/instances/x/records/lead-1", "PATCH"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_an_unknown_method_is_a_problem_that_names_all_that_are_known(
    api: ServedApi, path: str, allow: str
) -> None:
    with api.client() as client:
        answer = client.delete(path)
    check(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow


BROKEN = {
    "not json": (b"{not json", "invalid_json"),
    "cut off": (b'{"definition": ', "invalid_json"),
    "two values": (b"{} {}", "invalid_json"),
    "NaN": (b'{"data": {"a": NaN}}', "invalid_json"),
    "Infinity": (b'{"data": {"a": -Infinity}}', "invalid_json"),
    "a number that overflows": (b'{"data": {"a": 1e999}}', "invalid_json"),
    "beyond 64 bits": (b'{"data": {"a": 9223372036854775808}}', "invalid_json"),
    "beyond any int": (b'{"data": {"a": ' + b"9" * 5000 + b"}}", "invalid_json"),
    "duplicate keys": (b'{"definition": "a", "definition": "b"}', "invalid_json"),
    "NUL": (b'{"data": {"a": "\\u0000"}}', "invalid_json"),
    "NUL in a key": (b'{"data": {"\\u0000": 1}}', "invalid_json"),
    "half a surrogate pair": (b'{"data": {"a": "\\ud800"}}', "invalid_json"),
    "not UTF-8": (b'{"data": {"a": "\xff"}}', "invalid_json"),
    "too deep": (b'{"data": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "invalid_json"),
    "far too deep": (b"[" * 100_000, "invalid_json"),
    "no body": (b"", "invalid_data"),
    "a list": (b"[]", "invalid_data"),
    "a text": (b'"a"', "invalid_data"),
    "null": (b"null", "invalid_data"),
    "a field too much": (json.dumps({**START, "colour": "red"}).encode(), "invalid_data"),
    "a wrong type": (json.dumps({**START, "data": [1]}).encode(), "invalid_data"),
    "an empty name": (json.dumps({**START, "definition": ""}).encode(), "invalid_data"),
    "a field missing": (b'{"definition": "sales-pipeline"}', "invalid_data"),
}


@pytest.mark.parametrize(("body", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_a_malformed_body_is_refused_with_its_place(api: ServedApi, body: bytes, code: str) -> None:
    with api.client() as client:
        problem = check(client.post("/v1/instances", content=body), 422, code)
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors
    assert all("pointer" in error and error["message"] for error in errors)


def test_broken_json_names_line_and_column(api: ServedApi) -> None:
    with api.client() as client:
        problem = check(
            client.post("/v1/instances", content=b'{\n  "definition" "x"\n}'), 422, "invalid_json"
        )
    assert "line 2" in str(problem["detail"])
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors[0]["line"] == 2


def test_all_faults_of_a_body_are_told_at_once_by_pointer(api: ServedApi) -> None:
    body = {"definition": 7, "subject": {"type": "account"}, "recrods": []}
    with api.client() as client:
        problem = check(client.post("/v1/instances", json=body), 422, "invalid_data")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert {(error["pointer"], error["code"]) for error in errors} == {
        ("/definition", "wrong_type"),
        ("/subject/id", "missing"),
        ("/recrods", "unknown_field"),
    }

    assert str(problem["detail"]).endswith(", and 2 more.")


@pytest.mark.parametrize(
    ("path", "body", "pointer", "message"),
    [
        (
            "/v1/instances",
            {"definition": "a", "subject": {"type": "b", "id": "c"}, "recrods": []},
            "/recrods",
            "is not known here; did you mean 'records'?",
        ),
        (
            "/v1/instances",
            {"definition": "a", "subject": {"type": "b", "id": "c", "idd": 1}},
            "/subject/idd",
            "is not known here; did you mean 'id'?",
        ),
        (
            "/v1/instances",
            {"definition": "a", "subject": {"type": "b", "id": "c"}, "records": [{"entiti": "x"}]},
            "/records/0/entiti",
            "is not known here; did you mean 'entity'?",
        ),
        ("/v1/instances/i/cancel", {"xyz": 1}, "/xyz", "is not known here; it takes comment"),
        ("/v1/instances", [], "", "is a list, and should be an object"),
        ("/v1/instances/i/records", 7, "", "is 7, and should be an object"),
        (
            "/v1/instances/i/records",
            {"entity": "a", "data": "b"},
            "/data",
            "is 'b', and should be an object",
        ),
        (
            "/v1/instances/i/records",
            {"entity": ""},
            "/entity",
            "has 0 characters, and should have at least 1 character",
        ),
        ("/v1/instances/i/records", {"entity": None}, "/entity", "is null, and should be text"),
        (
            "/v1/instances",
            {
                "definition": "a",
                "subject": {"type": "b", "id": "c"},
                "records": [{"entity": "e"}] * 1001,
            },
            "/records",
            "has 1001 elements, and should have at most 1000 elements",
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_plain_words(
    api: ServedApi, path: str, body: object, pointer: str, message: str
) -> None:
    with api.client() as client:
        problem = check(client.post(path, json=body), 422, "invalid_data")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert (pointer, message) in [(error["pointer"], error["message"]) for error in errors]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("instances?limit=five", "limit: is 'five', and should be a whole number"),
        ("instances?limit=0", "limit: is '0', and should be at least 1"),
        ("instances?limit=201", "limit: is '201', and should be at most 200"),
        (
            "instances?status=actve",
            (
                "status: is 'actve', and should be one of active, completed, cancelled, failed;"
                " did you mean 'active'?"
            ),
        ),
        (
            "timers?due_before=tomorrow",
            "due_before: is 'tomorrow', and should be a date and time like 2026-11-21T09:30:00Z",
        ),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said_in_plain_words(
    api: ServedApi, query: str, message: str
) -> None:
    with api.client() as client:
        problem = check(client.get(f"/v1/{query}"), 422, "invalid_data")
    assert problem["detail"] == message


def test_a_definition_with_several_errors_says_how_many_more_there_are(api: ServedApi) -> None:
    broken = {
        "id": "broken",
        "entities": {"lead": {"stages": ["new", "won"]}},
        "transitions": {name: {"from": "nwe", "to": "won"} for name in ("a", "b", "c")},
    }
    with api.client("root", roles=("admin",)) as root:
        problem = check(root.post("/v1/definitions", json=broken), 422, "invalid_definition")
        text = root.post("/v1/definitions", content=b'{"id": "a", "id": "b", "id": "c"}')
    assert str(problem["detail"]).startswith("The definition cannot run: 3 errors. ")
    assert str(problem["detail"]).endswith(", and 2 more.")
    assert str(check(text, 422, "invalid_json")["detail"]).endswith(", and 1 more.")


def test_any_content_type_is_read_as_json(api: ServedApi) -> None:
    """`curl -d` without a header calls its body a form."""
    with api.client() as client:
        answer = client.post(
            "/v1/instances",
            content=json.dumps({**START, "definition": "no-such"}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    check(answer, 404, "not_found")


def test_a_body_above_one_mebibyte_is_refused(api: ServedApi) -> None:
    with api.client() as client:
        answer = client.post("/v1/instances", content=b" " * ((1 << 20) + 1))
        check(answer, 413, "too_large")


def test_a_chunked_body_is_bounded_too(api: ServedApi) -> None:
    with api.client() as client:
        answer = client.post("/v1/instances", content=(b" " * 65536 for _ in range(17)))
        check(answer, 413, "too_large")
        again = client.get("/v1/definitions")
    assert again.status_code == 200


def test_a_body_of_just_one_mebibyte_is_read(api: ServedApi) -> None:
    with api.client() as client:
        check(client.post("/v1/instances", content=b" " * (1 << 20)), 422, "invalid_json")


def test_an_unknown_parameter_is_refused_with_the_nearest(api: ServedApi) -> None:
    with api.client() as client:
        problem = check(client.get("/v1/instances?definiton=x"), 422, "invalid_data")
        assert "'definition'" in str(problem["detail"])
        check(client.get("/v1/instances?limit=5&limit=6"), 422, "invalid_data")
        check(client.get("/v1/instances?limit=0"), 422, "invalid_data")
        check(client.get("/v1/instances?limit=201"), 422, "invalid_data")
        check(client.get("/v1/instances?limit=five"), 422, "invalid_data")
        check(client.get("/v1/instances?sort=colour"), 422, "invalid_data")
        check(client.get("/v1/instances?status=asleep"), 422, "invalid_data")
        check(client.get("/v1/instances?cursor=nonsense"), 422, "invalid_data")
        check(client.get("/v1/instances?subject=account"), 422, "invalid_data")
        check(client.get("/v1/timers?due_before=tomorrow"), 422, "invalid_data")


def test_texts_that_no_database_takes_are_refused(api: ServedApi) -> None:
    with api.client() as client:
        check(client.get("/v1/instances/a%00b"), 422, "invalid_data")
        check(client.get("/v1/instances?definition=%00"), 422, "invalid_data")
        check(client.get("/v1/instances?data.%00=1"), 422, "invalid_data")


def test_temporal_being_away_is_a_503_that_says_when_to_come_back(
    api: ServedApi, samples_loaded: None
) -> None:
    with api.client() as client:
        answer = client.post("/v1/instances", json=START)
    problem = check(answer, 503, "unavailable")
    assert problem["accepted"] is False
    assert int(answer.headers["retry-after"]) > 0
    ready = httpx.get(f"{api.url}/readyz")
    check(ready, 503, "unavailable")
    checks = ready.json()["checks"]
    assert checks["database"] == "ok"
    assert checks["temporal"].startswith("Temporal ")
    assert checks["worker"] == "Not known while Temporal is away."
    assert ready.json()["detail"].count("Temporal") == 1


def test_probes_may_ask_for_the_head_alone(api: ServedApi) -> None:
    for path, status in (("/healthz", 200), ("/readyz", 503)):
        answer = httpx.head(f"{api.url}{path}")
        assert (answer.status_code, answer.content) == (status, b"")


def test_a_fault_of_ours_hides_its_insides(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(type(api.app.state.services.authentication), "caller", broken)
    answer = httpx.get(f"{api.url}/v1/instances", headers={"Authorization": f"Bearer {token()}"})
    problem = check(answer, 500, "internal")
    assert "1234" not in answer.text
    assert problem["correlation_id"] == answer.headers["x-request-id"]


def test_each_type_of_problem_leads_to_its_meaning(api: ServedApi) -> None:
    listed = httpx.get(f"{api.url}/problems").json()["items"]
    assert {entry["code"] for entry in listed} == set(CODES)
    for entry in listed:
        assert httpx.get(f"{api.url}{entry['type']}").json() == entry


def test_a_client_that_goes_away_in_the_middle_of_a_body_harms_nobody(api: ServedApi) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /v1/instances HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
    asyncio.run(asyncio.sleep(0.2))
    assert httpx.get(f"{api.url}/healthz").status_code == 200

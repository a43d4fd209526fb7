"""Whatever is sent, nothing breaks: at least 500 malformed bodies and definitions, no 500 answered.

What a definition that was accepted after all makes of an instance is tried as well.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.serving import Platform

OUTREACH = json.loads(
    (Path(__file__).parents[2] / "definitions" / "lead-outreach.json").read_text(encoding="utf-8")
)
BODIES: dict[str, Any] = {
    "/v1/instances": {
        "definition": "lead-outreach",
        "subject": {"type": "lead", "id": "x"},
        "data": {"name": "Lea"},
        "records": [{"entity": "lead", "data": {}}],
    },
    "/v1/instances/{instance}/actions/reach_out": {"record": "lead-1", "data": {}, "comment": "x"},
    "/v1/instances/{instance}/records": {"entity": "lead", "data": {"name": "x"}},
    "/v1/instances/{instance}/events": {"type": "e", "data": {"a": 1}, "record": "lead-1"},
    "/v1/instances/{instance}/tasks/task-9/complete": {"comment": "x", "data": {"reached": True}},
    "/v1/instances/{instance}/cancel": {"comment": 3},
    "/v1/incidents/{instance}-7/retry": {"comment": "x"},
    "/v1/incidents/{instance}-7/skip": {"comment": "x"},
    "/v1/definitions/lead-outreach/activate": {"version": "9.9.9"},
    "/v1/definitions/simulate": {
        "definition": OUTREACH,
        "scenarios": {
            "given": {"people": {"ann": ["sales"]}, "answers": [{"step": "crm", "times": 1}]},
            "scenarios": [{"name": "a", "when": [{"at": "1h", "do": "reach_out", "data": {}}]}],
        },
        "data": {"name": "Lea"},
        "people": {"ann": ["sales"]},
        "until": "2 days",
        "seed": 3,
    },
    "/v1/definitions/lead-outreach/retire": {"version": "9.9.9"},
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["\x00", "\ud800", "{{", "{% for %}", "data.", "a" * 5_000, "", "*", "/", "1e"]
    ),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from(["a", "id", "channel", "wait", "when"]), st.none(), max_size=2),
)
QUICK = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_numbers = itertools.count(1)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member and element of a document, as its container and its key."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inside in list(entries):
        yield value, key
        if isinstance(inside, dict | list):
            yield from places(inside)


@st.composite
def spoilt(draw: st.DrawFn, sound: Any) -> Any:
    """A document with one to three of its values replaced, removed, renamed or wrapped."""
    document = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document))
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(["replace", "replace", "remove", "rename", "wrap", "nest"]))
        if how == "remove":
            del container[key]
        elif how == "rename" and isinstance(container, dict):
            container[draw(st.text(max_size=4))] = container.pop(key)
        elif how == "wrap":
            container[key] = [container[key]]
        elif how == "nest":
            container[key] = {"parallel": [container[key], container[key]]}
        else:
            container[key] = draw(ODD)
    return document


@st.composite
def bytes_of(draw: st.DrawFn, sound: Any) -> bytes:
    """A body: a spoilt document as JSON, or JSON that is spoilt itself."""
    document = draw(spoilt(sound) | ODD)
    text = json.dumps(document).encode()
    how = draw(st.sampled_from(["whole", "whole", "whole", "cut", "noise", "nan", "deep", "twice"]))
    match how:
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "noise":
            at = draw(st.integers(0, len(text)))
            return text[:at] + draw(st.binary(min_size=1, max_size=4)) + text[at:]
        case "nan":
            return b'{"data": {"x": NaN, "y": 1e999, "z": -Infinity}}'
        case "deep":
            return b"[" * 5_000 + b"]" * 5_000
        case "twice":
            return b'{"data": {}, "data": {}}'
    return text


@pytest.fixture(scope="module")
def root(platform: Platform) -> Iterator[httpx.Client]:
    platform.define(OUTREACH, "malformed")
    with platform.api.client("root", "malformed", ("admin",)) as client:
        yield client


@pytest.fixture(scope="module")
def instance(root: httpx.Client) -> str:
    answer = root.post(
        "/v1/instances",
        json={
            "definition": "lead-outreach",
            "subject": {"type": "lead", "id": "malformed"},
            "data": {"name": "Lea"},
        },
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def sound(answer: httpx.Response) -> int:
    """The status of an answer that is one, whatever was asked."""
    assert answer.status_code < 500, (answer.request.url, answer.request.content, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert answer.json()["code"] != "internal"
    return answer.status_code


def test_bodies_that_are_malformed_are_refused_in_words(root: httpx.Client, instance: str) -> None:
    """Thirty for each operation that takes a body."""
    seen: Counter[int] = Counter()

    def sending(path: str, body: Any) -> Callable[[], None]:
        @given(content=bytes_of(body))
        @settings(QUICK, max_examples=30)
        def send(content: bytes) -> None:
            headers = {"Content-Type": "application/json"}
            seen[sound(root.post(path, content=content, headers=headers))] += 1

        return send

    for path, body in BODIES.items():
        sending(path.format(instance=instance), body)()
    assert sum(seen.values()) >= 250, seen
    assert seen[422] > 100, seen


def test_definitions_that_are_malformed_are_refused_in_words(root: httpx.Client) -> None:
    """Two hundred and fifty; what is accepted is started, and acted on."""
    seen: Counter[int] = Counter()

    @given(document=spoilt(OUTREACH))
    @settings(QUICK, max_examples=250)
    def check(document: Any) -> None:
        status = sound(root.post("/v1/definitions/validate", content=json.dumps(document)))
        seen[status] += 1
        if status == 200:
            run(root, document)

    check()
    assert sum(seen.values()) >= 250, seen
    assert seen[422] > 50, seen
    assert seen[200] > 20, seen


def run(root: httpx.Client, document: dict[str, Any]) -> None:
    """Start an odd definition, and take whatever it has."""
    document = {**document, "id": f"odd-{next(_numbers)}"}
    assert sound(root.post("/v1/definitions", json=document)) == 201
    body = {"definition": document["id"], "subject": {"type": "lead", "id": "1"}}
    data = {"name": "Lea", "email": "lea@example.com"}
    started = root.post("/v1/instances", json={**body, "data": data})
    if sound(started) != 201:
        return
    place = f"/v1/instances/{started.json()['id']}"
    for action in ("reach_out", "lose", "cancel"):
        sound(root.post(f"{place}/actions/{action}", json={}))
    sound(root.get(place))
    sound(root.get(f"{place}/history"))

"""Diagrams over HTTP (design 6)."""

from __future__ import annotations

from xml.etree import ElementTree

import httpx
import pytest

from tests.api.serving import Platform, ServedApi
from tests.api.test_problems import check

TWO_STAGES = {"lead": {"stages": ["new", "won"]}}
DRAWN: dict[str, object] = {
    "id": "drawn",
    "version": "1.0.0",
    "entities": {"lead": {"stages": ["new", "qualified", "won"]}},
    "transitions": {
        "qualify": {"from": "new", "to": "qualified"},
        "win": {"from": "qualified", "to": "won"},
    },
}


def define(client: httpx.Client, document: dict[str, object]) -> None:
    answer = client.post("/v1/definitions", json=document)
    assert answer.status_code == 201, answer.text


@pytest.mark.usefixtures("samples_loaded")
def test_a_definition_is_drawn_as_mermaid_and_as_svg(api: ServedApi) -> None:
    with api.client() as ann:
        text = ann.get("/v1/definitions/sales-pipeline/diagram")
        assert text.headers["content-type"].startswith("text/vnd.mermaid")
        assert "e0s0 --> e0s1 : qualify<br/>if data.score #gt; 50" in text.text
        picture = ann.get("/v1/definitions/sales-pipeline/diagram?format=svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["content-security-policy"].startswith("default-src 'none'")
    assert ElementTree.fromstring(picture.content).tag.endswith("svg")


def test_the_version_that_is_named_is_drawn(api: ServedApi) -> None:
    with api.client("root", roles=("admin",)) as root:
        for version, name in (("1.0.0", "win"), ("2.0.0", "close_it")):
            way = {"from": "new", "to": "won"}
            document = {"id": "versions", "version": version, "entities": TWO_STAGES}
            define(root, {**document, "transitions": {name: way}})
        path = "/v1/definitions/versions/diagram"
        assert "close_it" in root.get(path).text
        assert "win" in root.get(path, params={"version": "1.0.0"}).text
        check(root.get(path, params={"version": "3.0.0"}), 404, "not_found")
        check(root.get("/v1/definitions/none/diagram"), 404, "not_found")
        check(root.get(path, params={"format": "gif"}), 422, "invalid_data")
        check(root.get(path, params={"instance": "none"}), 404, "not_found")


def test_another_tenants_definition_is_not_found(api: ServedApi) -> None:
    with api.client("root", roles=("admin",)) as root:
        define(root, {"id": "ours", "entities": TWO_STAGES})
    with api.client("root", "other", ("admin",)) as stranger:
        check(stranger.get("/v1/definitions/ours/diagram"), 404, "not_found")


def test_what_is_too_large_for_a_picture_is_refused_and_still_told_as_text(api: ServedApi) -> None:
    stages = [f"s{n}" for n in range(200)]
    ways = {f"t{n}": {"from": f"s{n}", "to": f"s{n + 1}"} for n in range(199)}
    ways |= {f"leap{n}": {"from": f"s{n}", "to": "s199"} for n in range(40)}
    with api.client("root", roles=("admin",)) as root:
        entities = {"lead": {"stages": stages}}
        define(root, {"id": "vast", "entities": entities, "transitions": ways})
        check(root.get("/v1/definitions/vast/diagram?format=svg"), 413, "too_large")
        assert "leap39" in root.get("/v1/definitions/vast/diagram").text


def test_an_instances_diagram_shows_its_path_and_where_it_stands(platform: Platform) -> None:
    platform.define(DRAWN)
    with platform.api.client() as ann:
        body = {"definition": "drawn", "subject": {"type": "account", "id": "acme"}}
        instance = ann.post("/v1/instances", json=body).json()["id"]
        answer = ann.post(f"/v1/instances/{instance}/actions/qualify")
        assert answer.status_code == 200, answer.text
        platform.define({**DRAWN, "version": "2.0.0", "label": "Newer"})
        text = ann.get("/v1/definitions/drawn/diagram", params={"instance": instance}).text
        assert "(drawn 1.0.0)" in text, "its own version"
        assert "qualified<br/>here#58; lead-1" in text
        assert "class e0s1 current" in text
        assert "class e0s0 visited" in text
        svg = ann.get(
            "/v1/definitions/drawn/diagram",
            params={"instance": instance, "format": "svg", "version": "2.0.0"},
        ).text
        assert "here: lead-1" in svg
        assert "drawn 2.0.0" in svg
        other = ann.get("/v1/definitions/sales-pipeline/diagram", params={"instance": instance})
        check(other, 404, "not_found")
    with platform.api.client("eve", "other") as eve:
        theirs = eve.get("/v1/definitions/drawn/diagram", params={"instance": instance})
        check(theirs, 404, "not_found")

"""Every sample in definitions/ loads as it is, and runs (design 3, issue's samples)."""

from collections.abc import Callable

import pytest

from nexus.core import load_definition
from tests.core.playing import ANN, DEFINITIONS, NOON, Play, names, refused, whys

Warned = tuple[str, str, int, int, str | None]

EXPECTED: dict[str, list[Warned]] = {
    "sales-pipeline": [
        ("no_way_out", "/entities/lead/stages/1", 10, 25, None),
        ("unknown_data", "/transitions/qualify/condition", 17, 21, "lead_score"),
    ],
    "promo-funnel": [
        ("no_way_out", "/entities/campaign/stages/1", 10, 26, None),
        ("unknown_data", "/transitions/activate/condition", 17, 21, "target_segment"),
    ],
    "enterprise-crm": [
        ("no_effect_yet", "/sla", 3, 3, None),
        ("no_effect_yet", "/entities/lead/automation", 8, 7, None),
    ],
    "enterprise-sm": [
        ("no_effect_yet", "/roi", 3, 3, None),
        ("no_effect_yet", "/entities/campaign/automation", 8, 7, None),
    ],
}


def sample(name: str) -> Play:
    text = (DEFINITIONS / f"{name}.json").read_text(encoding="utf-8")
    return Play(load_definition(text).program)


def test_every_sample_is_there() -> None:
    """The samples that everything else is tried with; tests/authoring walks the other files."""
    assert {path.stem for path in DEFINITIONS.glob("*.json")} >= set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("read", [lambda p: p.read_bytes(), lambda p: p.read_bytes().decode()])
def test_a_sample_loads_byte_for_byte_with_located_warnings_only(
    name: str, read: Callable[..., str | bytes]
) -> None:
    """Design 3: quirks included; what is odd gets a located warning, never a refusal."""
    path = DEFINITIONS / f"{name}.json"
    compiled = load_definition(read(path), str(path))
    assert compiled.text.encode() == path.read_bytes()
    assert compiled.program.id == name
    assert [
        (w.code, w.pointer, w.line, w.column, w.suggestion) for w in compiled.warnings
    ] == EXPECTED[name]
    for warning in compiled.warnings:
        assert warning.severity == "warning"
        assert warning.source == str(path)
        assert f"{path}:{warning.line}:{warning.column}: warning: " in str(warning)


def test_a_definition_without_a_version_is_0_0_0() -> None:
    """Design 3.1."""
    assert sample("enterprise-crm").program.version == "0.0.0"
    assert sample("sales-pipeline").program.version == "1.0.0"


def test_a_lead_is_refused_updated_and_qualified() -> None:
    """US-001: the sales pipeline, as the README tells it."""
    play = sample("sales-pipeline")
    assert names(play.start({"score": 40})) == [
        "instance_started",
        "record_created",
        "stage_entered",
    ]
    assert play.stages() == {"lead-1": "new"}

    refusal = refused("condition_not_met", lambda: play.act("qualify"), "data.score is 40")
    assert refusal.details["why"] == [
        {
            "expression": "data.score > 50",
            "result": False,
            "values": {"data.score": 40},
            "missing": [],
        }
    ]
    assert play.stages() == {"lead-1": "new"}

    play.act("update", data={"score": 60})
    assert names(play.act("qualify")) == ["action_taken", "stage_entered"]
    assert play.stages() == {"lead-1": "qualified"}
    assert play.status() == "active"

    play.act("convert")
    assert play.stages() == {"lead-1": "opportunity"}
    assert play.status() == "completed"
    assert play.state.ended_at == NOON


def test_a_missing_key_is_named_by_the_refusal() -> None:
    """R2: unknown at the top counts as false, with the key named."""
    play = sample("sales-pipeline")
    play.start()
    refusal = refused("condition_not_met", lambda: play.act("qualify"), "data.score is missing")
    (why,) = whys(refusal)
    assert why["result"] == "unknown"
    assert why["missing"] == ["data.score"]


def test_the_data_schema_of_a_sample_is_enforced() -> None:
    """FR-L2-009: data of a start and of an update."""
    play = sample("sales-pipeline")
    refused("invalid_data", lambda: play.start({"lead_score": "high"}), "lead_score")
    play.start({"lead_score": 10})
    refused("invalid_data", lambda: play.act("update", data={"lead_score": "low"}), "lead_score")


def test_a_campaign_is_activated() -> None:
    """US-002: the promotion funnel."""
    play = sample("promo-funnel")
    play.start({"segment": 100})
    refused("condition_not_met", lambda: play.act("activate"), "data.segment is 100")
    play.act("update", data={"segment": 101})
    play.act("activate")
    assert play.stages() == {"campaign-1": "active"}
    assert play.status() == "active"


@pytest.mark.parametrize(
    ("name", "record"), [("enterprise-crm", "lead-1"), ("enterprise-sm", "campaign-1")]
)
def test_an_enterprise_sample_stays_open_until_close(name: str, record: str) -> None:
    """Design 3.1: an entity with clocks and no stages has the single stage `open`."""
    play = sample(name)
    play.start()
    assert play.stages() == {record: "open"}
    play.wait(days=365)
    assert play.status() == "active"
    refused("wrong_stage", lambda: play.act("convert"), "last listed stage")
    assert names(play.act("close", actor=ANN)) == [
        "action_taken",
        "record_closed",
        "instance_ended",
    ]
    assert play.status() == "completed"

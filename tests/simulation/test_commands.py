"""`nexus simulate` and `nexus test`, as a person runs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.core.playing import DEFINITIONS
from tests.support.commands import assert_one_clear_line, nexus

LEAD = str(DEFINITIONS / "inbound-lead.json")
OUTREACH = str(DEFINITIONS / "lead-outreach.json")
SALES = str(DEFINITIONS / "sales-pipeline.json")


def simulate(*arguments: str) -> str:
    done = nexus("simulate", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- one run --------------------------------------------------------------------------------


def test_a_run_is_told_as_a_table_the_same_for_the_same_seed() -> None:
    told = simulate(LEAD, "--seed", "2", "--data", '{"spam": false}')
    assert told == simulate(LEAD, "--seed", "2", "--data", '{"spam": false}')
    assert told != simulate(LEAD, "--seed", "3")
    assert told.startswith("Inbound lead 1.0.0 · seed 2\n")
    for words in ("clock set: remind in 1 day", "→ new, assigned to role sales"):
        assert words in told


def test_months_pass_and_calls_show_what_they_would_say() -> None:
    data = {"name": "Cleo", "email": "cleo@example.com", "crm_url": "https://crm.example"}
    lines = [
        json.loads(line)
        for line in simulate(
            *(OUTREACH, "--seed", "1", "--data", json.dumps(data), "--people", '{"ann": []}'),
            *("--format", "jsonl", "--until", "200d", "--all"),
        ).splitlines()
    ]
    called = [line["details"] for line in lines if line["what"].startswith("would call")]
    assert called[0]["with"]["to"] == "Cleo <cleo@example.com>"
    assert {line["who"] for line in lines} == {"ann", "system"}
    assert {"since", "at", "kind", "record", "why", "run"} <= set(lines[0])


def test_a_run_is_drawn(tmp_path: Path) -> None:
    assert "classDef visited" in simulate(LEAD, "--format", "mermaid")
    picture = tmp_path / "run.svg"
    simulate(LEAD, "-o", str(picture))
    assert picture.read_text().startswith("<svg")


def test_scenarios_are_shown_one_by_one_or_by_name() -> None:
    file = str(DEFINITIONS / "inbound-lead.scenarios.json")
    told = simulate(LEAD, "--scenario", file)
    assert told.count("Inbound lead 1.0.0 · ") == 8
    name = "spam never reaches anybody"
    one = simulate(LEAD, "--scenario", file, "--name", name)
    assert one.startswith(f"Inbound lead 1.0.0 · {name}\n")
    assert "new → disqualified (final)" in one
    assert "refused (forbidden)" in told
    drawn = simulate(LEAD, "--scenario", file, "--name", name, "--format", "mermaid")
    assert "stateDiagram" in drawn


def test_data_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"score": 99}')
    assert "score: 99" in simulate(SALES, "--data", f"@{file}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "{"], ["--data, line 1, column 2"]),
        (["--data", "[]"], ["--data", "an object"]),
        (["--data", "@/none.json"], ["/none.json", "No such file"]),
        (["--people", '{"ann": "sales"}'], ["'ann'", "list of roles"]),
        (["--until", "2 dys"], ["--until", "'dys'"]),
        (["--name", "x"], ["--scenario"]),
        (["--data", "{}", "--scenario", "x.json"], ["--data"]),
        (["--scenario", "/none.json"], ["/none.json"]),
        (["--population", "x.json"], ["--runs"]),
        (["--format", "json"], ["jsonl"]),
        (["--runs", "5", "--data", "{}"], ["--data is for one run"]),
        (["--runs", "5", "--format", "svg"], ["--plot"]),
        (["--runs", "5", "--plot", "x.gif"], [".svg or .png"]),
        (["--data", '{"lead_score": "x"}'], ["cannot start it (invalid_data)", "lead_score"]),
    ],
)
def test_what_cannot_be_simulated_is_told_in_one_line(
    arguments: list[str], words: list[str]
) -> None:
    done = nexus("simulate", SALES, *arguments)
    if "--plot" in arguments:  # after the runs, which are told
        done = subprocess.CompletedProcess(done.args, done.returncode, "", done.stderr)
    assert_one_clear_line(done, *words)


def test_a_scenario_file_that_cannot_be_run_is_told_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "x.scenarios.json"
    file.write_text('{"scenarios": [{"name": "a", "when": [{"doo": "x"}]}]}')
    done = nexus("simulate", SALES, "--scenario", str(file))
    assert done.returncode == 1
    assert f"{file}:1:47: error[invalid_scenario]: unknown field 'doo'" in done.stderr
    assert nexus("simulate", SALES, "--scenario", str(file), "--name", "b").returncode == 1


# --- many runs ------------------------------------------------------------------------------


def test_many_runs_are_told_compared_and_drawn(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(Path(LEAD).read_text().replace('"24h"', '"4h"'))
    plot = tmp_path / "funnel.svg"
    told = simulate(
        *(LEAD, "--runs", "30", "--compare", str(other), "--plot", str(plot), "--seed", "7")
    )
    assert "Inbound lead 1.0.0 · 30 runs of up to 90d" in told
    assert "What differs" in told
    assert "lead: overdue, reached" in told
    assert plot.read_text().startswith("<svg")


def test_many_runs_are_told_to_programs() -> None:
    told = json.loads(simulate(LEAD, "--runs", "20", "--format", "json"))
    assert told["runs"] == 20
    assert told["funnel"][0]["stage"] == "new"
    assert set(told["load"]["acted"]) <= {"sales", "manager"}


def test_a_population_that_cannot_be_used_is_told_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    file.write_text('{"actions": {"contct": {}}}')
    done = nexus("simulate", LEAD, "--runs", "5", "--population", str(file))
    assert done.returncode == 1
    assert f"{file}:1:24: error[invalid_population]: 'contct' is no action" in done.stderr


# --- nexus test -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sales-pipeline.json", "sales-pipeline.scenarios.json"):
        (tmp_path / name).write_bytes((DEFINITIONS / name).read_bytes())
    return tmp_path


def test_scenarios_that_pass_say_what_they_cover(folder: Path) -> None:
    done = nexus("test", str(folder), "--covered", "--verbose")
    assert done.returncode == 0, done.stdout
    assert "covered: stages 3/3, transitions 1/1, refusals 1/1" in done.stdout
    assert "✓ a score of 50 is not enough, and 51 is" in done.stdout
    assert done.stdout.endswith("3 scenarios in 1 file: 3 passed.\n")


def test_a_failure_shows_what_was_expected_what_is_and_what_happened(folder: Path) -> None:
    definition = folder / "sales-pipeline.json"
    definition.write_text(definition.read_text().replace("> 50", ">= 50"))
    done = nexus("test", str(definition))
    assert done.returncode == 1
    assert "✗ a score of 50 is not enough, and 51 is" in done.stdout
    assert "'qualify' by 'ann' was not refused" in done.stdout
    assert "- refused: condition_not_met" in done.stdout
    assert "lead-1: new → qualified" in done.stdout
    assert "2 passed, 1 failed" in done.stdout


def test_what_is_not_covered_is_named_and_fails_where_that_is_wanted(folder: Path) -> None:
    file = folder / "sales-pipeline.scenarios.json"
    file.write_text('{"scenarios": [{"name": "nothing happens"}]}')
    done = nexus("test", str(file))
    assert done.returncode == 0
    assert "not shown (transitions): qualify" in done.stdout
    assert nexus("test", str(file), "--covered").returncode == 1


def test_the_report_is_there_for_programs(folder: Path) -> None:
    definition = folder / "sales-pipeline.json"
    definition.write_text(definition.read_text().replace("> 50", ">= 50"))
    done = nexus("test", str(folder), "--format", "json")
    assert done.returncode == 1
    [file] = json.loads(done.stdout)
    assert [one["passed"] for one in file["scenarios"]] == [True, False, True]
    failure = file["scenarios"][1]["failures"][0]
    assert (failure["pointer"], failure["line"]) == ("/scenarios/1/when/0", 18)
    assert file["coverage"]["stages"] == {"covered": 3, "of": 3, "missing": []}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.scenarios.json", "{", "error[invalid_json]"),
        ("a.scenarios.json", '{"scenarios": [{"name": "a"}]}', "its definition is not there"),
        (
            "a.scenarios.json",
            '{"definition": "broken.json", "scenarios": [{"name": "a"}]}',
            "error[unknown_stage]",
        ),
    ],
)
def test_what_cannot_be_run_is_told_with_the_place(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "broken.json").write_text(
        '{"id": "x", "entities": {"lead": {"stages": ["new", "won"]}},'
        ' "transitions": {"win": {"from": "new", "to": "wonn"}}}'
    )
    done = nexus("test", str(tmp_path))
    assert done.returncode == 1
    assert words in done.stdout
    assert "1 cannot be run" in done.stdout


def test_where_there_are_no_scenarios_one_line_says_so(tmp_path: Path) -> None:
    assert_one_clear_line(nexus("test", str(tmp_path)), "no scenarios")
    assert_one_clear_line(nexus("test", str(tmp_path / "none")), "no such file")
    definition = tmp_path / "x.json"
    definition.write_text("{}")
    assert_one_clear_line(nexus("test", str(definition)), "has no scenarios")

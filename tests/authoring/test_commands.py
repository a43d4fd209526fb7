"""The commands for authors, as a person runs them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.cli.definition_files import definition_files, lines_of
from nexus.cli.failures import CommandFailed
from nexus.cli.findings import Checked, as_text, told
from nexus.core.errors import Problem
from tests.core.playing import DEFINITIONS, lead
from tests.support.commands import assert_one_clear_line, nexus

SALES = str(DEFINITIONS / "sales-pipeline.json")
OPPORTUNITY = DEFINITIONS / "opportunity.json"


def written(path: Path, **more: object) -> Path:
    """A definition that can run, in a file."""
    document = {**lead({"win": {"from": "new", "to": "won"}}, ["new", "won"]), **more}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.json"
    path.write_text(
        '{\n  "id": "x",\n\t"entities": { "lead": { "stages": ["new", "won"] } },\n'
        '  "transitions": {\n    "win": { "from": "new", "to": "wonn" }\n  }\n}\n'
    )
    return path


# --- validate ----------------------------------------------------------------------------------


def test_validate_tells_problems_as_a_compiler_does(broken: Path) -> None:
    done = nexus("validate", str(broken), SALES)
    assert done.returncode == 1
    first, source, caret, expected, suggestion, *_ = done.stdout.splitlines()
    assert first.startswith(f"{broken}:5:35: error[unknown_stage]: No stage ")
    assert source == '  5 |     "win": { "from": "new", "to": "wonn" }'
    assert caret.index("^") == source.index('"wonn"')
    assert expected == "    expected: one of new, won"
    assert suggestion == "    did you mean 'won'?"
    assert f"{SALES}:17:21: warning[unknown_data]" in done.stdout
    assert "2 files: 1 error, 2 warnings.\n" in done.stdout
    assert "\x1b" not in done.stdout, "no colours where nobody looks"


def test_warnings_fail_where_they_are_asked_to() -> None:
    assert nexus("validate", SALES).returncode == 0
    assert nexus("validate", "--strict", SALES).returncode == 1
    done = nexus("validate", "--strict", str(OPPORTUNITY))
    assert (done.returncode, done.stdout) == (0, "1 file: nothing wrong, nothing odd.\n")


def test_validate_answers_programs_in_json(broken: Path) -> None:
    done = nexus("validate", "--format", "json", str(broken), SALES)
    bad, good = json.loads(done.stdout)
    assert (done.returncode, bad["valid"], good["valid"]) == (1, False, True)
    assert (good["id"], good["version"]) == ("sales-pipeline", "1.0.0")
    assert bad["problems"][0]["pointer"] == "/transitions/win/to"
    assert (bad["problems"][0]["line"], bad["problems"][0]["column"]) == (5, 35)


def test_validate_annotates_pull_requests(broken: Path) -> None:
    done = nexus("validate", "--format", "github", str(broken))
    path = str(broken).replace(":", "%3A").replace(",", "%2C")
    assert done.stdout.startswith(f"::error file={path},line=5,col=35,title=unknown_stage::No st")


def test_an_annotation_escapes_what_would_end_it() -> None:
    problem = Problem("c", "50 %\nmore", line=1, column=2, source="a,b:c.json", suggestion="x")
    (line,) = told([Checked("f", b"", (problem,))], "github")
    assert line == (
        "::error file=a%2Cb%3Ac.json,line=1,col=2,title=c::50 %25%0Amore Did you mean 'x'?"
    )


def test_a_long_line_is_cut_around_the_place() -> None:
    text = b'{"a": "' + b"x" * 300 + b'", "b": 1}'
    column = text.decode().index("1}") + 1
    problem = Problem("c", "Wrong.\n> more", line=1, column=column, source="f.json")
    _, source, caret, rest, _ = as_text([problem], text)
    assert source[caret.index("^")] == "1"
    assert "…" in source
    assert len(source) < 140
    assert rest == "    > more"


def test_colours_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    problem = Problem("c", "Wrong.", line=1, column=1, source="f.json")
    assert "\x1b[31;1merror[c]" in "\n".join(as_text([problem], b"{}"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "\n".join(as_text([problem], b"{}"))


def test_an_empty_file_is_told_without_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    done = nexus("validate", str(tmp_path))
    assert done.returncode == 1
    assert "empty.json:1:1: error[invalid_json]" in done.stdout


def test_a_folder_is_searched_as_the_platform_does(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    first, second = written(tmp_path / "b.json"), written(inner / "a.json")
    for ignored in ("x.scenarios.json", ".hidden.json", "~lock.json", "notes.txt"):
        (tmp_path / ignored).write_text("{")
    assert definition_files([tmp_path]) == (first, second)
    assert definition_files([second, tmp_path, first]) == (second, first)
    with pytest.raises(CommandFailed, match="no such file"):
        definition_files([tmp_path / "none.json"])


def test_two_files_that_define_the_same_are_an_error(tmp_path: Path) -> None:
    written(tmp_path / "a.json")
    written(tmp_path / "b.json")
    written(tmp_path / "c.json", version="2.0.0")
    done = nexus("validate", str(tmp_path))
    assert done.returncode == 1
    assert (
        f"b.json:1:8: error[defined_twice]: 'test' 0.0.0 is defined by {tmp_path / 'a.json'}"
        in (done.stdout)
    )
    assert "3 files: 1 error.\n" in done.stdout


def test_a_folder_without_definitions_is_a_mistake(tmp_path: Path) -> None:
    assert_one_clear_line(nexus("validate", str(tmp_path)), "no definitions", str(tmp_path))


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder.json"
    folder.mkdir()
    assert_one_clear_line(nexus("explain", str(folder)), "cannot be read")


def test_a_definition_comes_from_stdin_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nexus", "validate", "-"],
        input=Path(SALES).read_bytes(),
        capture_output=True,
        check=True,
    )
    assert b"<stdin>:17:21: warning[unknown_data]" in done.stdout


def test_lines_are_counted_by_line_feeds() -> None:
    text = "a\u2028b\r\nc\x0bd\n".encode()
    assert list(lines_of(text)) == ["a\u2028b", "c\x0bd", ""]


def test_a_hundred_files_are_checked_in_two_seconds_from_a_cold_start(tmp_path: Path) -> None:
    """Two seconds of the processor, so that what else the machine does is not measured."""
    text = OPPORTUNITY.read_text()
    for n in range(100):
        (tmp_path / f"{n}.json").write_text(text.replace('"opportunity"', f'"o{n}"', 1))
    # Without coverage, which would be measured instead.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "nexus", "validate", str(tmp_path)],
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == "100 files: nothing wrong, nothing odd.\n"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


# --- diagram, explain, new ---------------------------------------------------------------------


def test_diagram_writes_what_the_files_ending_says(tmp_path: Path) -> None:
    begins = {"d.svg": b"<svg", "d.png": b"\x89PNG", "d.mmd": b"---\ntitle:"}
    for name, begin in begins.items():
        done = nexus("diagram", str(OPPORTUNITY), "-o", str(tmp_path / name))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (tmp_path / name).read_bytes().startswith(begin)
    done = nexus("diagram", str(OPPORTUNITY), "--format", "svg")
    assert done.stdout == (tmp_path / "d.svg").read_text()


def test_diagram_of_what_cannot_run_tells_why(broken: Path) -> None:
    done = nexus("diagram", str(broken))
    assert (done.returncode, done.stdout) == (1, "")
    assert "error[unknown_stage]" in done.stderr


def test_a_diagram_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    done = nexus("diagram", SALES, "-o", str(tmp_path / "none" / "d.svg"))
    assert_one_clear_line(done, "cannot be written")


def test_explain_prints_sentences() -> None:
    done = nexus("explain", str(OPPORTUNITY))
    assert done.returncode == 0
    assert "Starting it makes an opportunity" in done.stdout


def test_new_writes_a_definition_that_validates_and_says_what_to_do_next(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    done = nexus("new", "mine", "--kind", "approval", "-o", str(path))
    assert done.returncode == 0
    assert f"nexus validate {path}" in done.stdout
    assert nexus("validate", "--strict", str(path)).returncode == 0
    before = path.read_bytes()
    assert_one_clear_line(nexus("new", "mine", "-o", str(path)), "exists already")
    assert path.read_bytes() == before


def test_new_refuses_a_name_that_is_no_id(tmp_path: Path) -> None:
    assert_one_clear_line(nexus("new", "my pipeline", "-o", str(tmp_path / "x.json")), "An id is")
    assert not (tmp_path / "x.json").exists()


# --- diff --------------------------------------------------------------------------------------


def test_diff_answers_like_diff(tmp_path: Path, broken: Path) -> None:
    text = OPPORTUNITY.read_text().replace("1.0.0", "1.1.0").replace("<= 40", "<= 30")
    other = tmp_path / "other.json"
    other.write_text(text)
    same = nexus("diff", str(OPPORTUNITY), str(OPPORTUNITY))
    assert (same.returncode, same.stdout) == (0, "No change.\n")
    done = nexus("diff", str(OPPORTUNITY), str(other))
    assert done.returncode == 1
    assert "~ transition approve: its condition is data.discount <= 30; it was" in done.stdout
    assert "    running instances: Fewer records pass.\n" in done.stdout
    assert "Running instances keep version 1.0.0" in done.stdout
    changes = json.loads(nexus("diff", "--format", "json", str(OPPORTUNITY), str(other)).stdout)
    assert [change["what"] for change in changes] == ["version", "transition approve"]
    failed = nexus("diff", str(OPPORTUNITY), str(broken))
    assert failed.returncode == 2
    assert "error[unknown_stage]" in failed.stderr
    missing = nexus("diff", str(OPPORTUNITY), str(tmp_path / "none.json"))
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)


# --- fmt ---------------------------------------------------------------------------------------


def test_fmt_changes_what_needs_it_once(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json")
    before = path.read_bytes()
    checked = nexus("fmt", "--check", str(tmp_path))
    assert (checked.returncode, checked.stdout) == (1, f"{path}: would change\n")
    assert path.read_bytes() == before
    assert nexus("fmt", str(tmp_path)).stdout == f"{path}: formatted\n"
    assert path.read_bytes() != before
    again = nexus("fmt", "--check", str(tmp_path))
    assert (again.returncode, again.stdout) == (0, "")


def test_fmt_leaves_what_is_no_json_and_formats_the_rest(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{,}")
    good = written(tmp_path / "good.json")
    done = nexus("fmt", str(tmp_path))
    assert done.returncode == 1
    assert "bad.json:1:2: error[invalid_json]" in done.stderr
    assert done.stdout == f"{good}: formatted\n"
    assert (tmp_path / "bad.json").read_text() == "{,}"


def test_fmt_is_a_filter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nexus", "fmt", "-"],
        input=b'{"version":"1.0.0","id":"x"}',
        capture_output=True,
        check=True,
    )
    assert done.stdout == b'{\n  "id": "x",\n  "version": "1.0.0"\n}\n'


def test_checking_definitions_loads_nothing_of_the_platform() -> None:
    program = (
        "import sys\nfrom nexus.cli.app import app\n"
        f"app(['validate', {SALES!r}], standalone_mode=False)\n"
        "heavy = ('temporalio', 'fastapi', 'sqlmodel', 'httpx', 'resvg_py')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")

"""What is kept of a child's output, and what of it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus.cli.child_logs import ChildLog, loud_line


def test_lines_are_kept_and_the_last_words_remembered(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "worker.log")
    for line in ("one", "two", ""):
        log.write(line)
    log.close()
    assert log.path.read_text() == "one\ntwo\n\n"
    assert log.last_words() == "two"


def test_a_child_that_was_silent_has_no_last_words(tmp_path: Path) -> None:
    assert ChildLog(tmp_path / "worker.log").last_words() == ""


def test_a_log_that_grows_too_large_makes_room_and_keeps_its_predecessor(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "worker.log", largest=100)
    for number in range(50):
        log.write(f"line {number}")
    log.close()
    assert log.path.stat().st_size < 120
    assert (tmp_path / "worker.log.1").stat().st_size < 120
    assert log.path.read_text().endswith("line 49\n")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"level": "info", "event": "polling"}', None),
        ('{"level": "debug", "event": "polling"}', None),
        ('{"level": "warning", "event": "slow", "ms": 900}', "warning: slow ms=900"),
        ('{"level": "error", "event": "broken", "logger": "api"}', "error: broken"),
        ('{"level": "error", "event": "e", "exception": "Trace\\nback"}', "error: e\nTrace\nback"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("{not json", "{not json"),
        ("", None),
    ],
)
def test_what_is_loud_is_shown(line: str, shown: str | None) -> None:
    assert loud_line(line) == shown

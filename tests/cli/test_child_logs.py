"""What is kept of a child's output."""

from __future__ import annotations

from pathlib import Path

from nexus.cli.child_logs import ChildLog


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

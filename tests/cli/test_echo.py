"""What of a child's output a person at the console sees."""

from __future__ import annotations

import json

import pytest

from nexus.cli.echo import Echo

REMARK = json.dumps({"level": "warning", "event": "definition_remark", "remark": "a.json:3:1: …"})
LIVE = json.dumps(
    {"level": "info", "event": "definition_live", "definition": "sales", "version": "1.2.0"}
)


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
        ("[1]", "[1]"),
        ("{}", None),
        ("", None),
        (
            '{"level": "error", "event": "definition_broken", "file": "a", "problems": ["b", "c"]}',
            "error: definition_broken file=a\n  b\n  c",
        ),
    ],
)
def test_what_is_loud_is_shown(line: str, shown: str | None) -> None:
    assert Echo()(line) == shown


def test_remarks_on_definitions_are_counted_at_the_start_and_shown_when_a_file_is_saved() -> None:
    echo = Echo()
    assert echo(REMARK) is None
    assert echo(REMARK) is None
    assert echo.remarks == 2
    echo.everything_is_ready()
    assert echo(REMARK) == "a.json:3:1: …"


def test_a_definition_that_becomes_live_later_is_said() -> None:
    echo = Echo()
    assert echo(LIVE) is None
    echo.everything_is_ready()
    assert echo(LIVE) == "sales 1.2.0 is live for new instances"

"""Durations and ratios (design 3.1)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.core.durations import (
    MAX_DURATION,
    DurationError,
    RatioError,
    format_duration,
    parse_duration,
    parse_ratio,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 days", timedelta(days=2)),
        ("1 day", timedelta(days=1)),
        ("24h", timedelta(hours=24)),
        ("90m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1 hour, 30 minutes", timedelta(minutes=90)),
        ("1.5 hours", timedelta(minutes=90)),
        ("0.1s", timedelta(milliseconds=100)),
        ("30s", timedelta(seconds=30)),
        ("30 Seconds", timedelta(seconds=30)),
        ("2 weeks", timedelta(days=14)),
        ("1w 1d 1h 1m 1s", timedelta(days=8, hours=1, minutes=1, seconds=1)),
        ("5 min", timedelta(minutes=5)),
        ("3 hrs", timedelta(hours=3)),
        ("  2 days ", timedelta(days=2)),
        ("24H", timedelta(days=1)),
        ("P2D", timedelta(days=2)),
        ("PT36H", timedelta(hours=36)),
        ("P1W", timedelta(days=7)),
        ("P1DT12H", timedelta(hours=36)),
        ("PT1H30M15.5S", timedelta(hours=1, minutes=30, seconds=15.5)),
        ("PT0,5H", timedelta(minutes=30)),
        ("p2d", timedelta(days=2)),
        ("3653 days", MAX_DURATION),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "a duration is text with a unit"),
        (None, "a duration is text with a unit"),
        ("", "write a duration such as"),
        ("x" * 101, "write a duration such as"),
        ("soon", "'soon' is no duration"),
        ("5", "'5' needs a unit after 5"),
        ("2 days 5", "'2 days 5' needs a unit after 5"),
        ("2 days and 5 hours", "'2 days and 5 hours' is no duration"),
        ("1 month", "'month' has no fixed length; write days or weeks instead"),
        ("1y", "'y' has no fixed length"),
        ("5M", "'M' may mean months or minutes"),
        ("P1M", "'P1M' has months, which have no fixed length; write days"),
        ("P1Y2D", "'P1Y2D' has years"),
        ("0 days", "'0 days' is zero"),
        ("0.0000001s", "'0.0000001s' is zero"),
        ("PT0S", "'PT0S' is zero"),
        ("-1h", "'-1h' is negative"),
        ("-P1D", "'-P1D' is negative"),
        ("11 years", "'years' has no fixed length"),
        ("3654 days", "'3654 days' is longer than ten years"),
        ("999999999999 weeks", "longer than ten years"),
        ("1h 2h", "'1h 2h' names the same unit twice"),
        ("1h 2 hours", "names the same unit twice"),
        ("P", "'P' is no ISO 8601 duration"),
        ("PT", "'PT' is no ISO 8601 duration"),
        ("P2H", "'P2H' is no ISO 8601 duration"),
        ("PT1S1H", "'PT1S1H' is no ISO 8601 duration"),
        ("P1DT", "'P1DT' is no ISO 8601 duration"),
        ("P1D1D", "'P1D1D' is no ISO 8601 duration"),
        ("Pfoo", "'PFOO' is no ISO 8601 duration"),
        ("٣ days", "is no duration"),
    ],
)
def test_what_is_no_duration_is_refused_clearly(value: object, message: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(value)
    assert message in caught.value.message


def test_the_nearest_unit_is_named() -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration("2 dyas")
    assert caught.value.suggestion == "days"
    with pytest.raises(DurationError) as caught:
        parse_duration("5M")
    assert caught.value.suggestion == "m"


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=2), "2 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "1 day 12 hours"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=1.5), "1.5 seconds"),
        (timedelta(), "0 seconds"),
        (timedelta(hours=-2), "-2 hours"),
    ],
)
def test_durations_are_written_for_people(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=MAX_DURATION))
def test_what_is_written_is_read_back_unchanged(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(alphabet="0123456789.,PTWDHMSpdhms -x", max_size=20) | st.text(max_size=20))
def test_reading_raises_nothing_but_a_duration_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except DurationError:
        return
    assert timedelta() < duration <= MAX_DURATION


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2x", 2.0),
        ("2 X", 2.0),
        ("1.5x", 1.5),
        ("150%", 1.5),
        ("0.1%", 0.001),
        ("2", 2.0),
        (2, 2.0),
        (0.5, 0.5),
    ],
)
def test_ratios_are_read(value: object, expected: float) -> None:
    assert parse_ratio(value) == expected
    assert isinstance(parse_ratio(value), float)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("twice", "'twice' is no ratio"),
        ("x2", "'x2' is no ratio"),
        ("-2x", "'-2x' is no ratio"),
        (True, "this is no ratio"),
        (None, "this is no ratio"),
        ([2], "this is no ratio"),
        (0, "a ratio lies above 0"),
        ("0%", "a ratio lies above 0"),
        (-1, "a ratio lies above 0"),
        (float("nan"), "a ratio lies above 0"),
        (float("inf"), "a ratio lies above 0"),
        (10**400, "a ratio lies above 0"),
    ],
)
def test_what_is_no_ratio_is_refused_clearly(value: object, message: str) -> None:
    with pytest.raises(RatioError) as caught:
        parse_ratio(value)
    assert message in caught.value.message

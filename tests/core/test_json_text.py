"""JSON text: what is taken, what is refused, and where it stands."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus.core.json_scan import scan
from nexus.core.json_text import MAX_BYTES, JsonTextError, Positions, check_data, load


def problems(text: str | bytes) -> list[tuple[str, int, int, str]]:
    with pytest.raises(JsonTextError) as caught:
        load(text, "lead.json")
    assert all(problem.source == "lead.json" for problem in caught.value.problems)
    return [(p.code, p.line, p.column, p.message) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, -2.5e3, true, false, null, "x"]}', {"a": [1, -2500.0, True, False, None, "x"]}),
        (b'{"a": "\xc3\xa9"}', {"a": "é"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('"\\u00e9\\ud83d\\ude00\\n"', "é😀\n"),
        ("  [ ]\r\n", []),
        ("{}", {}),
        (str(-(2**63)), -(2**63)),
        ("[" * 64 + "]" * 64, None),
    ],
)
def test_json_is_read(text: str | bytes, expected: object) -> None:
    value = load(text, "")
    assert expected is None or value == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,}', ("invalid_json", 1, 8, "there is a comma too many after the last value")),
        ("[1, 2\n 3]", ("invalid_json", 2, 2, "a comma is missing between two values")),
        ("[1, 2}", ("invalid_json", 1, 6, "this closes what was not opened")),
        ('{"a" 1}', ("invalid_json", 1, 6, "the colon after a key is missing")),
        ("{a: 1}", ("invalid_json", 1, 2, "a key must stand in double quotes")),
        ("{'a': 1}", ("invalid_json", 1, 2, 'text must stand in double quotes: "…"')),
        ("[\n  // no\n]", ("invalid_json", 2, 3, "JSON has no comments")),
        ("[True]", ("invalid_json", 1, 2, "write true")),
        ("[None]", ("invalid_json", 1, 2, "write null")),
        ("[TRUE]", ("invalid_json", 1, 2, "write true")),
        ("[oops]", ("invalid_json", 1, 2, "a value should stand here")),
        ("[1", ("invalid_json", 1, 3, "the text ends where ',' or ']' should stand")),
        ("", ("invalid_json", 1, 1, "the text ends where a value should stand")),
        ("[] x", ("invalid_json", 1, 4, "after the end of the value there is more")),
        ('["abc', ("invalid_json", 1, 2, 'the text that starts here has no closing "')),
        ('["a\nb"]', ("invalid_json", 1, 2, 'the text that starts here has no closing "')),
        ('["a\tb"]', ("invalid_json", 1, 4, "a control character must be escaped")),
        ('["\\q"]', ("invalid_json", 1, 3, "there is no escape \\q")),
        ('["\\u12"]', ("invalid_json", 1, 3, "four hexadecimal digits must follow \\u")),
        ("[01]", ("invalid_json", 1, 2, "this is no number that JSON has")),
        ("[1.]", ("invalid_json", 1, 3, "a comma is missing between two values")),
        ('{"a": 1, "a": 2}', ("duplicate_key", 1, 10, "the key 'a' stands here a second time")),
        ("[NaN]", ("invalid_number", 1, 2, "NaN is no number that JSON has")),
        ("[-Infinity]", ("invalid_number", 1, 2, "-Infinity is no number that JSON has")),
        ("[9223372036854775808]", ("invalid_number", 1, 2, "the number does not fit into 64 bits")),
        ("[1e999]", ("invalid_number", 1, 2, "the number does not fit into 64 bits")),
        ("1" * 6_000, ("invalid_number", 1, 1, "the number does not fit into 64 bits")),
        ('["\\u0000"]', ("invalid_text", 1, 3, "the text holds the character NUL")),
        ('["\\ud800"]', ("invalid_text", 1, 3, "the text holds half of a surrogate pair")),
        ('["\\ud800\\u0041"]', ("invalid_text", 1, 3, "the text holds half of a surrogate pair")),
        ('["\ud800"]', ("invalid_text", 1, 3, "the text holds half of a surrogate pair")),
        ("[" * 65 + "]" * 65, ("too_deep", 1, 65, "the value is nested deeper than 64")),
        ("[" * 100_000, ("too_deep", 1, 65, "the value is nested deeper than 64")),
        (
            b'{"a":\n "\xff"}',
            ("invalid_text", 2, 3, "the byte 0xff is not UTF-8; save the text as UTF-8"),
        ),
        ("{}".encode("utf-16"), ("invalid_text", 1, 1, "the text is UTF-16; save it as UTF-8")),
    ],
)
def test_what_is_refused_is_told_with_line_and_column(
    text: str | bytes, expected: tuple[str, int, int, str]
) -> None:
    assert problems(text) == [expected]


def test_several_problems_are_told_at_once() -> None:
    text = '{\n  "a": 1,\n  "b": NaN,\n  "a": {"x": 1, "x": 2},\n  "c": 1e999\n}'
    assert [found[:3] for found in problems(text)] == [
        ("invalid_number", 3, 8),
        ("duplicate_key", 4, 3),
        ("duplicate_key", 4, 17),
        ("invalid_number", 5, 8),
    ]
    with pytest.raises(JsonTextError) as caught:
        load(text, "x.json")
    second = caught.value.problems[1]
    assert second.pointer == "/a"
    assert str(second) == (
        "x.json:4:3: error: the key 'a' stands here a second time. Expected: each key once."
        " [duplicate_key] (at /a)"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"id":"x","id":"y","entities":{}}', '"id"'),
        ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity,"b":1}', "-Infinity"),
        ("[1e999,2]", "1e999"),
        ("[123456789012345678901234567890]", "12345678901234567890…"),
        ("[True,1]", "True"),
        ("[1,2}", "}"),
        ("[1,]", ","),
        ("{'a':1}", "'"),
        ("[// no\n]", "//"),
        ('["\\ud800 and more"]', "\\ud800"),
        ('["abc,\n1]', '"abc,'),
        ("[1", "the end of the text"),
    ],
)
def test_what_is_found_is_one_token(text: str, found: str) -> None:
    with pytest.raises(JsonTextError) as caught:
        load(text, "x.json")
    assert [problem.found for problem in caught.value.problems] == [found]


def test_at_most_fifty_problems_are_told() -> None:
    assert len(problems("[" + ",".join(["NaN"] * 100) + "]")) == 50


@pytest.mark.parametrize("text", ['"' + "x" * MAX_BYTES + '"', '"' + "é" * (MAX_BYTES // 2) + '"'])
def test_a_mebibyte_is_the_most(text: str) -> None:
    for form in (text, text.encode()):
        ((code, _, _, message),) = problems(form)
        assert code == "too_large"
        assert "at most 1,048,576 are allowed" in message
    assert load('"' + "x" * (MAX_BYTES - 2) + '"', "")


JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=15,
).map(json.dumps)
MANGLED = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", "-", "1e5", "true", "nul", " ", "\\"]
    )
).map("".join)


@given(JSON_TEXT | MANGLED | st.text())
@example("-")
@example("1_0")
@example("1\u0662")
@example("\u00a01")
@example('"\x7f"')
def test_the_two_readers_agree(text: str) -> None:
    """What the fast one takes, the slow one finds nothing wrong with, and the other way round."""

    def twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    findings = scan(text).findings
    try:
        value = json.loads(text, object_pairs_hook=twice)
        sound = json.loads(text, parse_constant=float) == value and not check_data(value)
    except ValueError:
        sound = False
    assert sound == (not findings)
    if sound:
        assert load(text, "") == value
    else:
        assert len(problems(text)) == len(findings[:50])


class TestPositions:
    TEXT = '{\n  "a/b": {"c~d": [10,\n    {"e": "é", "f": 1}]},\n  "g": 2\n}'

    @pytest.mark.parametrize(
        ("pointer", "value", "key"),
        [
            ("", (1, 1), (1, 1)),
            ("/a~1b", (2, 10), (2, 3)),
            ("/a~1b/c~0d", (2, 18), (2, 11)),
            ("/a~1b/c~0d/0", (2, 19), (2, 19)),
            ("/a~1b/c~0d/1/e", (3, 11), (3, 6)),
            ("/a~1b/c~0d/1/f", (3, 21), (3, 16)),
            ("/g", (4, 8), (4, 3)),
            ("/a~1b/nowhere/x", (2, 10), (2, 10)),
            ("/nowhere", (1, 1), (1, 1)),
        ],
    )
    def test_values_and_keys_have_places(
        self, pointer: str, value: tuple[int, int], key: tuple[int, int]
    ) -> None:
        for text in (self.TEXT, "\ufeff" + self.TEXT, self.TEXT.encode()):
            positions = Positions(text)
            assert positions.value(pointer) == value
            assert positions.key(pointer) == key

    def test_of_a_key_twice_the_last_counts(self) -> None:
        assert Positions('{"a": 1, "a": 2}').value("/a") == (1, 15)

    def test_a_broken_text_has_places_up_to_the_break(self) -> None:
        positions = Positions('{"a": 1, "b": oops, "c": 1}')
        assert positions.value("/b") == (1, 15)
        assert positions.value("/c") == (1, 1)
        assert Positions("").value("/x") == (1, 1)

    @given(
        st.recursive(
            st.integers(0, 9), lambda i: st.lists(i) | st.dictionaries(st.text(max_size=3), i)
        ),
        st.sampled_from([None, 2]),
    )
    def test_what_stands_at_a_place_is_the_value(self, value: object, indent: int | None) -> None:
        text = json.dumps(value, indent=indent)
        lines = text.split("\n")
        positions = Positions(text)
        for pointer, (offset, _) in scan(text).places.items():
            line, column = positions.value(pointer)
            assert sum(len(row) + 1 for row in lines[: line - 1]) + column - 1 == offset
            decoded, _ = json.JSONDecoder().raw_decode(text, offset)
            assert decoded == at(value, pointer)


def at(value: object, pointer: str) -> object:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)]
        else:
            assert isinstance(value, dict)
            value = value[key]
    return value


class TestDataThatCanBeKept:
    @pytest.mark.parametrize(
        "value",
        [None, True, 0, -(2**63), 2**63 - 1, 1.5, "é😀", [], {}, {"a": [{"b": (1, 2)}]}, {"": 1}],
    )
    def test_json_is_kept(self, value: object) -> None:
        assert check_data(value) == []

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"a": "x\0"}, ("/a", "the text holds the character NUL")),
            ({"a": ["\ud800"]}, ("/a/0", "the text holds half of a surrogate pair")),
            ({"a/b": 2**63}, ("/a~1b", "the number does not fit into 64 bits")),
            (math.nan, ("", "the number is not finite")),
            ({"a": -math.inf}, ("/a", "the number is not finite")),
            ({1: 2}, ("", "a key is a int, not text")),
            ({"\0": 2}, ("", "a key holds the character NUL")),
            ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, ("/a", "a datetime cannot be kept as JSON")),
            ({"a": {1, 2}}, ("/a", "a set cannot be kept as JSON")),
        ],
    )
    def test_the_rest_is_told_with_its_place(
        self, value: object, expected: tuple[str, str]
    ) -> None:
        assert check_data(value) == [expected]
        pointer, message = expected
        assert check_data(value, "/data") == [("/data" + pointer, message)]

    def test_a_depth_of_thirty_two_is_the_most(self) -> None:
        value: object = 1
        for _ in range(32):
            value = [value]
        assert check_data(value) == []
        ((pointer, message),) = check_data([value])
        assert pointer == "/0" * 32
        assert message == "the data is nested deeper than 32"

    def test_at_most_fifty_are_told(self) -> None:
        assert len(check_data([math.nan] * 100)) == 50


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '{"a": 1 "b": 2}',
            (
                "a.json:1:9: error: a comma is missing between two values."
                " Expected: ',' or '}'. [invalid_json]"
            ),
        ),
        ("[True]", "a.json:1:2: error: write true [invalid_json] (at /0)"),
    ],
)
def test_a_finding_in_one_line_says_what_was_expected(text: str, line: str) -> None:
    """Once: a message that says it already is not followed by it."""
    with pytest.raises(JsonTextError) as refused:
        load(text, "a.json")
    assert [str(problem) for problem in refused.value.problems] == [line]

"""One layout for all definitions: content unchanged, and formatting twice changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.authoring.fmt import WIDTH, formatted
from nexus.cli.definition_files import definition_files
from nexus.core import load_definition
from nexus.core.json_text import JsonTextError, load
from nexus.core.language import KEYS
from tests.authoring.walking import ODD
from tests.core.playing import DEFINITIONS

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_texts, inner, max_size=6),
    max_leaves=20,
)


def _objects(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(KEYS[kind]) | _texts, _values, max_size=6)


_documents = st.fixed_dictionaries(
    {},
    optional={
        "transitions": st.dictionaries(_texts, _objects("transition") | _values, max_size=4),
        "version": _texts,
        "entities": st.dictionaries(_texts, _objects("entity") | _values, max_size=4) | _values,
        "roles": st.dictionaries(_texts, _objects("role"), max_size=4),
        "": _values,
        "id": _values,
        "dataSchema": _values,
    },
)


def order(value: object) -> object:
    """A value with the order of its keys, which `==` does not compare."""
    if isinstance(value, dict):
        return [(key, order(item)) for key, item in value.items()]
    return [order(item) for item in value] if isinstance(value, list) else value


@given(_documents | _values)
@settings(max_examples=300, deadline=None)
def test_content_is_unchanged_and_once_is_enough(document: object) -> None:
    text = json.dumps(document, ensure_ascii=False)
    once = formatted(text)
    assert load(once, "") == load(text, "")
    assert formatted(once) == once
    assert once.endswith("\n")
    assert not any(line.endswith(" ") for line in once.splitlines() if '"' not in line)


@pytest.mark.parametrize("path", definition_files([DEFINITIONS]), ids=lambda path: path.stem)
def test_a_definition_compiles_to_the_same(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    before, after = load_definition(text).program, load_definition(formatted(text)).program
    assert repr(before) == repr(after)
    for name in ("entities", "transitions"):
        assert list(getattr(before, name)) == list(getattr(after, name))


def test_keys_are_in_the_order_of_the_language_and_names_in_the_order_of_the_author() -> None:
    text = formatted(
        json.dumps(
            {
                "transitions": {
                    "z": {"to": "b", "zzz": 1, "by": {"roles": ["r"], "users": ["u"]}, "from": "a"},
                    "a": {"to": "b", "from": "a"},
                },
                "unknown": True,
                "entities": {"e": {"stages": [{"final": True, "id": "b"}, "a"], "label": "E"}},
                "id": "x",
            }
        )
    )
    document = json.loads(text)
    assert list(document) == ["id", "entities", "transitions", "unknown"]
    assert list(document["transitions"]) == ["z", "a"]
    assert list(document["transitions"]["z"]) == ["from", "to", "by", "zzz"]
    assert list(document["transitions"]["z"]["by"]) == ["users", "roles"]
    assert list(document["entities"]["e"]) == ["label", "stages"]
    assert list(document["entities"]["e"]["stages"][0]) == ["id", "final"]


def test_the_layout() -> None:
    text = formatted(
        '{"id":"x","dataSchema":{"score":{"type":"number"}},"policy":{},"entities":{"lead":{"stages":'
        '["new","won"]}},"transitions":{"win":{"from":"new","to":"won","condition":'
        '"data.score > 50 AND data.a_rather_long_name == \'and a long text\'","set":{"a":1.0}}}}'
    )
    assert text == (
        "{\n"
        '  "id": "x",\n'
        '  "dataSchema": {\n'
        '    "score": { "type": "number" }\n'
        "  },\n"
        '  "policy": {},\n'
        '  "entities": {\n'
        '    "lead": { "stages": ["new", "won"] }\n'
        "  },\n"
        '  "transitions": {\n'
        '    "win": {\n'
        '      "from": "new",\n'
        '      "to": "won",\n'
        '      "condition": "data.score > 50 AND data.a_rather_long_name == \'and a long text\'",\n'
        '      "set": { "a": 1.0 }\n'
        "    }\n"
        "  }\n"
        "}\n"
    )


def test_lines_are_as_long_as_they_may_be_and_no_longer() -> None:
    names = [f"action_{n}" for n in range(30)]
    text = formatted(json.dumps({**ODD, "roles": {"r": {"can": names}}}))
    assert max(len(line) for line in text.splitlines() if "label" not in line) <= WIDTH
    assert sum("action_" in line for line in text.splitlines()) < 8


@pytest.mark.parametrize("number", ["1.0", "1e3", "0.10", "-0.0", "12345678901234567", "1E-7"])
def test_numbers_stay_as_they_are_written(number: str) -> None:
    assert f'"x": {number}' in formatted(f'{{"id": "a", "x": {number}}}')


def test_a_byte_order_mark_and_windows_line_ends_go() -> None:
    assert formatted(b'\xef\xbb\xbf{"id":\r\n"x"}\r\n') == '{\n  "id": "x"\n}\n'


def test_what_is_no_json_is_refused_with_its_place() -> None:
    with pytest.raises(JsonTextError) as caught:
        formatted('{"id": "x",\n "id": "y"}', "f.json")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.source) == ("duplicate_key", 2, "f.json")

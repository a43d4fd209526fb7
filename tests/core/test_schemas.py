"""Schemas of data (design 3.1 `dataSchema`, `fields`, `input`; R1)."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.core.json_text import check_data
from nexus.core.problem_codes import PROBLEM_CODES
from nexus.core.schemas import DataSchema, compile_data_schema, compile_fields


class Findings:
    """A `Report` that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, str, str | None]] = []

    def __call__(
        self,
        code: str,
        pointer: str,
        message: str,
        *,
        expected: str | None = None,
        found: object = None,
        suggestion: str | None = None,
        offset: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        assert (PROBLEM_CODES[code].severity == "error") == (code == "invalid_schema")
        self.all.append((code, pointer, message, suggestion))


def schema_of(doc: object) -> DataSchema:
    findings = Findings()
    schema = compile_data_schema(doc, "/dataSchema", findings)
    assert schema is not None, findings.all
    assert findings.all == []
    return schema


def fields_of(doc: object) -> DataSchema:
    findings = Findings()
    schema = compile_fields(doc, "/fields", findings)
    assert schema is not None, findings.all
    return schema


def refused(doc: object) -> list[tuple[str, str, str, str | None]]:
    findings = Findings()
    assert compile_data_schema(doc, "/dataSchema", findings) is None
    return findings.all


def messages(schema: DataSchema, data: dict[str, object]) -> list[str]:
    return [message for _, message in schema.validate(data)]


class TestPropertyMaps:
    def test_they_are_open_and_check_what_they_name(self) -> None:
        schema = schema_of({"lead_score": {"type": "number"}})
        assert (schema.properties, schema.closed) == (("lead_score",), False)
        assert schema.validate({"lead_score": 5, "other": "x"}) == []
        assert schema.validate({"lead_score": "abc"}) == [
            ("/lead_score", "lead_score: 'abc' is not a number")
        ]

    def test_properties_may_be_required(self) -> None:
        schema = schema_of(
            {"a": {"type": "string", "required": True}, "b": {"type": "string", "required": False}}
        )
        assert schema.validate({}) == [("/a", "a is required")]
        assert schema.validate({"a": ""}) == []

    def test_properties_may_be_called_like_keywords(self) -> None:
        schema = schema_of(
            {
                "type": {"type": "string"},
                "required": {"type": "boolean"},
                "properties": {"type": "object"},
            }
        )
        assert schema.properties == ("type", "required", "properties")
        assert messages(schema, {"type": 1, "required": "x"}) == [
            "required: 'x' is not true or false",
            "type: 1 is not text",
        ]

    def test_an_empty_one_takes_everything(self) -> None:
        schema = schema_of({})
        assert (schema.properties, schema.closed) == (None, False)
        assert schema.validate({"a": 1}) == []

    def test_the_document_stays_as_it_was(self) -> None:
        doc = {"a": {"type": "date", "required": True}, "b": {"items": {"type": "datetime"}}}
        before = json.dumps(doc)
        schema_of(doc)
        assert json.dumps(doc) == before


class TestWholeSchemas:
    @pytest.mark.parametrize(
        "doc",
        [
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "properties": {"a": {"type": "integer"}},
            },
            {"type": "object", "properties": {"a": {"type": "integer"}}},
            {"type": ["object", "null"], "properties": {"a": {"type": "integer"}}},
            {"properties": {"a": {"type": "integer"}}},
            {"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": {"type": "integer"}}}}},
            {"allOf": [{"properties": {"a": {"type": "integer"}}}]},
            {"required": [], "properties": {"a": {"type": "integer"}}},
            {"additionalProperties": True, "properties": {"a": {"type": "integer"}}},
        ],
    )
    def test_they_are_recognized(self, doc: dict[str, object]) -> None:
        schema = schema_of(doc)
        assert messages(schema, {"a": 1.5}) == ["a: 1.5 is not a whole number"]
        assert schema.closed is False

    def test_closed_ones_refuse_unknown_fields_by_name(self) -> None:
        schema = schema_of(
            {
                "type": "object",
                "properties": {
                    "email": {"type": "string"},
                    "address": {"properties": {"zip": True}, "additionalProperties": False},
                },
                "additionalProperties": False,
            }
        )
        assert schema.closed
        assert schema.validate({"emial": "x", "address": {"city": "y", "zip": 1}}) == [
            ("/address/city", "address: unknown field 'city'"),
            ("/emial", "unknown field 'emial'; did you mean 'email'?"),
        ]

    def test_patterns_may_open_a_closed_one(self) -> None:
        schema = schema_of(
            {"type": "object", "patternProperties": {"^x_": True}, "additionalProperties": False}
        )
        assert schema.closed is False
        assert schema.validate({"x_a": 1, "y": 2}) == [("/y", "unknown field 'y'")]

    def test_references_inside_are_followed_also_in_circles(self) -> None:
        schema = schema_of(
            {"type": "object", "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}}
        )
        assert messages(schema, {"child": {"child": {"name": 1}}}) == [
            "child.child.name: 1 is not text"
        ]
        assert schema_of({"allOf": [{"$ref": "#"}]}).validate({"a": 1}) == []


class TestFields:
    """R1: a `fields` list is closed, an unknown field is refused by name."""

    def test_a_list_of_names_is_closed(self) -> None:
        schema = fields_of(["name", "email"])
        assert (schema.properties, schema.closed) == (("name", "email"), True)
        assert schema.validate({"name": 1, "email": None}) == []
        assert schema.validate({"emial": 1, "zzz": 2}) == [
            ("/emial", "unknown field 'emial'; did you mean 'email'?"),
            ("/zzz", "unknown field 'zzz'; there are: name, email"),
        ]

    def test_a_property_map_is_closed_too(self) -> None:
        schema = fields_of({"name": {"type": "string", "required": True}})
        assert schema.closed
        assert messages(schema, {"nome": 1}) == [
            "name is required",
            "unknown field 'nome'; did you mean 'name'?",
        ]

    def test_no_fields_means_no_data(self) -> None:
        assert messages(fields_of([]), {"a/b": 1}) == ["unknown field 'a/b'"]
        assert fields_of([]).validate({"a/b": 1})[0][0] == "/a~1b"

    @pytest.mark.parametrize(
        ("doc", "expected"),
        [
            (
                ["a", "", 5, "a"],
                [
                    ("/fields/1", "a field is a name"),
                    ("/fields/2", "a field is a name"),
                    ("/fields/3", "the field 'a' is named twice"),
                ],
            ),
            ("name", [("/fields", "fields are a list of names or a map of properties")]),
            ({"a": "string"}, [("/fields/a", "the property 'a' is described by an object")]),
        ],
    )
    def test_what_names_no_fields_is_refused(
        self, doc: object, expected: list[tuple[str, str]]
    ) -> None:
        findings = Findings()
        assert compile_fields(doc, "/fields", findings) is None
        assert [(pointer, message) for _, pointer, message, _ in findings.all] == expected


class TestDates:
    @pytest.mark.parametrize(
        ("kind", "good", "bad", "message"),
        [
            ("date", "2026-11-21", "21.11.2026", "is not a date like 2026-11-21"),
            (
                "datetime",
                "2026-11-21T09:30:00Z",
                "2026-11-21",
                "is not a date and time with its zone, like 2026-11-21T09:30:00Z",
            ),
        ],
    )
    def test_they_are_types(self, kind: str, good: str, bad: str, message: str) -> None:
        for doc in ({"d": {"type": kind}}, {"d": {"type": [kind, "null"]}}):
            schema = schema_of(doc)
            assert schema.validate({"d": good}) == []
            assert messages(schema, {"d": bad}) == [f"d: '{bad}' {message}"]
        assert schema_of({"d": {"type": [kind, "null"]}}).validate({"d": None}) == []
        assert messages(schema_of({"d": {"type": kind}}), {"d": 5}) == ["d: 5 is not text"]

    @pytest.mark.parametrize(
        "doc",
        [
            {"type": ["date", "datetime", "null"]},
            {"type": ["date", "datetime", "null"], "allOf": [True]},
            {"anyOf": [{"type": "date"}, {"type": "datetime"}, {"type": "null"}]},
        ],
    )
    def test_they_may_be_alternatives(self, doc: object) -> None:
        schema = schema_of({"d": doc})
        for good in ("2026-11-21", "2026-11-21T09:30:00+01:00", None):
            assert schema.validate({"d": good}) == []
        assert messages(schema, {"d": "soon"}) == ["d: 'soon' has none of the allowed forms"]

    def test_they_are_found_at_any_depth(self) -> None:
        schema = schema_of(
            {
                "l": {"items": {"properties": {"d": {"type": "date"}}}},
                "m": {"not": {"type": "date"}},
            }
        )
        assert schema.validate({"l": [{"d": "2026-11-21"}, {"d": "x"}]}) == [
            ("/l/1/d", "l[1].d: 'x' is not a date like 2026-11-21")
        ]


@pytest.mark.parametrize(
    ("doc", "value", "message"),
    [
        ({"type": ["string", "null"]}, 5, "x: 5 is not text or null"),
        ({"type": "integer"}, "a" * 100, "x: '" + "a" * 59 + "…' is not a whole number"),
        ({"type": "array"}, {"a": 1}, 'x: {"a": 1} is not a list'),
        ({"type": "object"}, [*range(100)], None),
        ({"format": "email"}, "a", "x: 'a' is not an email address"),
        ({"format": "idn-hostname"}, "-", "x: '-' is not of the format idn-hostname"),
        ({"enum": ["a", 1]}, "b", "x: 'b' is not one of 'a', 1"),
        ({"enum": [*range(20)]}, "b", "x: 'b' is not one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"),
        ({"const": "a"}, "b", "x: 'b' is not 'a'"),
        ({"minimum": 3}, 2, "x: 2 is less than 3"),
        ({"maximum": 3}, 4, "x: 4 is more than 3"),
        ({"exclusiveMinimum": 3}, 3, "x: 3 is not more than 3"),
        ({"exclusiveMaximum": 3}, 3, "x: 3 is not less than 3"),
        ({"multipleOf": 2}, 3, "x: 3 is not a multiple of 2"),
        ({"minLength": 1}, "", "x: '' is shorter than 1 character"),
        ({"maxLength": 2}, "abc", "x: 'abc' is longer than 2 characters"),
        ({"minItems": 1}, [], "x: [] has fewer than 1 element"),
        ({"maxItems": 1}, [1, 2], "x: [1, 2] has more than 1 element"),
        ({"minProperties": 1}, {}, "x: {} has fewer than 1 field"),
        ({"maxProperties": 0}, {"a": 1}, 'x: {"a": 1} has more than 0 fields'),
        ({"uniqueItems": True}, [1, 1], "x: [1, 1] holds something twice"),
        ({"pattern": "^a"}, "b", "x: 'b' does not match ^a"),
        ({"oneOf": [{"type": "null"}]}, 1, "x: 1 has none of the allowed forms"),
        ({"oneOf": [True, True]}, 1, "x: 1 has several of the allowed forms at once"),
        ({"required": ["a"]}, {}, "x.a is required"),
        (False, 1, "x: 1 is not allowed here"),
        ({"contains": {"type": "null"}}, [1], None),
        (
            {"properties": {"a": True}, "unevaluatedProperties": False},
            {"b": 1},
            "x: unknown field 'b'",
        ),
    ],
)
def test_messages_are_for_people(doc: object, value: object, message: str | None) -> None:
    schema = schema_of({"x": doc})
    (said,) = messages(schema, {"x": value})
    assert message is None or said == message
    assert said.startswith("x")


class TestProblems:
    def test_unknown_types_come_with_the_nearest(self) -> None:
        doc = {
            "a": {"type": "nubmer"},
            "b": {"type": "text"},
            "c": {"type": ["string", "float"]},
            "d": {"items": {"type": 5}},
        }
        assert [(pointer, near) for _, pointer, _, near in refused(doc)] == [
            ("/dataSchema/a/type", "number"),
            ("/dataSchema/b/type", "string"),
            ("/dataSchema/c/type", "number"),
            ("/dataSchema/d/items/type", None),
        ]

    @pytest.mark.parametrize(
        ("doc", "pointer", "message"),
        [
            ([], "", "a schema of data is an object"),
            ("number", "", "a schema of data is an object"),
            ({"a": "number"}, "/a", "the property 'a' is described by an object"),
            (
                {"type": "number"},
                "/type",
                "data is always an object, so its schema has the type object",
            ),
            ({"a": {"minimum": "x"}}, "/a/minimum", "this is no JSON Schema: 'x' is not a number"),
            (
                {"a/b": {"pattern": "("}},
                "/a~1b/pattern",
                "this is no JSON Schema: '(' is not a regular expression",
            ),
            ({"a": {"required": "x"}}, "/a/required", "this is no JSON Schema: 'x' is not a list"),
            (
                {"a": {"items": [True]}},
                "/a/items",
                "this is no JSON Schema: [true] is not true or false or an object",
            ),
            (
                {"properties": {"a": {"maxLength": -1}}},
                "/properties/a/maxLength",
                "this is no JSON Schema: -1 is less than 0",
            ),
            (
                {"a": {"$ref": "https://example.com/s.json"}},
                "/a/$ref",
                "a schema is never fetched from elsewhere: refer to a part of this one",
            ),
            (
                {"a": {"$ref": "file:///etc/passwd"}},
                "/a/$ref",
                "a schema is never fetched from elsewhere: refer to a part of this one",
            ),
            (
                {"a": {"$ref": "#/$defs/b"}},
                "",
                "the schema cannot be used: Pointer '/$defs/b' does not exist",
            ),
        ],
    )
    def test_what_is_no_schema_is_refused_with_its_place(
        self, doc: object, pointer: str, message: str
    ) -> None:
        assert [finding[1:3] for finding in refused(doc)] == [("/dataSchema" + pointer, message)]

    def test_nothing_is_fetched_by_way_of_an_id_either(self) -> None:
        ((_, pointer, message, _),) = refused(
            {"$id": "http://127.0.0.1:9/x", "type": "object", "properties": {"a": {"$ref": "y"}}}
        )
        assert pointer == "/dataSchema"
        assert "http://127.0.0.1:9/y" in message

    def test_nesting_has_an_end(self) -> None:
        doc: object = True
        for _ in range(100):
            doc = {"items": doc}
        ((_, pointer, message, _),) = refused({"a": doc})
        assert message == "the schema is nested deeper than 64"
        assert pointer == "/dataSchema/a" + "/items" * 64

    def test_what_checks_nothing_gets_a_warning(self) -> None:
        findings = Findings()
        doc = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {"a": {"maxLenght": 3, "format": "datetime", "x-shown": True}},
        }
        schema = compile_data_schema(doc, "/dataSchema", findings)
        assert schema is not None
        assert [(code, pointer, near) for code, pointer, _, near in findings.all] == [
            ("schema_dialect", "/dataSchema/$schema", None),
            ("unknown_keyword", "/dataSchema/properties/a/maxLenght", "maxLength"),
            ("unknown_format", "/dataSchema/properties/a/format", "date-time"),
        ]
        assert schema.validate({"a": "x" * 10}) == []


class TestValidation:
    def test_at_most_fifty_findings_sorted_by_place(self) -> None:
        schema = schema_of({"l": {"items": {"type": "string"}}})
        found = schema.validate({"l": [*range(100)]})
        assert len(found) == 50
        assert found == sorted(found)

    def test_any_mapping_will_do(self) -> None:
        schema = schema_of({"a": {"type": "string"}})
        assert schema.validate(MappingProxyType({"a": "x"})) == []

    def test_what_is_no_json_is_refused_and_not_raised(self) -> None:
        schema = schema_of({"a": {"type": "string"}})
        for data in ({"a": object()}, {"b": 1, 2: 3}):
            ((pointer, message),) = schema.validate(data)  # type: ignore[arg-type]  # on purpose
            assert pointer == ""
            assert message.startswith("the data cannot be checked: ")

    def test_a_costly_pattern_ends(self) -> None:
        schema = schema_of({"a": {"type": "string", "pattern": "^(a+)+$"}})
        (message,) = messages(schema, {"a": "a" * 5_000 + "b"})
        assert message.startswith("a: ")

    def test_schemas_are_compared_by_what_they_demand(self) -> None:
        assert schema_of({"a": {"type": "date"}}) == schema_of({"a": {"type": "date"}})
        assert schema_of({"a": {"type": "date"}}) != schema_of({"a": {"type": "string"}})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        ["string", "number", "date", "datetime", "nope", 5, True, None, ["a"], "#", "("]
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                "type",
                "properties",
                "items",
                "required",
                "$ref",
                "allOf",
                "pattern",
                "format",
                "enum",
                "$schema",
                "$id",
                "additionalProperties",
                "a",
                "minimum",
                "$defs",
                "$dynamicRef",
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=10,
)


@given(SCHEMAS | JSON, st.dictionaries(st.sampled_from(["a", "type", "b"]), JSON))
def test_reading_and_checking_never_raise(doc: object, data: dict[str, object]) -> None:
    for compile_one in (compile_data_schema, compile_fields):
        findings = Findings()
        schema = compile_one(doc, "", findings)
        errors = [finding for finding in findings.all if finding[0] == "invalid_schema"]
        assert (schema is None) == bool(errors)
        if schema is not None and not check_data(data):
            for pointer, message in schema.validate(data):
                assert pointer == "" or pointer.startswith("/")
                assert message

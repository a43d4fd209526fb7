"""What an expression's author is told, and what cannot be written at all."""

import pytest

from nexus.core.expressions import DEFAULT_NAMES, ExpressionError, parse


def error_of(text: str, names: tuple[str, ...] = DEFAULT_NAMES) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text, names)
    return caught.value


@pytest.mark.parametrize(
    ("text", "offset", "length", "message"),
    [
        ("", 0, 1, "the expression ends where a value should stand"),
        ("data.score >", 12, 1, "the expression ends where a value should stand"),
        ("data.score > > 5", 13, 1, "'>' stands where a value should"),
        ("data.score 50", 11, 2, "'50' stands where an operator or the end should"),
        ("(data.score", 11, 1, "the expression ends where ')' for the '(' at 1 should stand"),
        ("data.tags[0", 11, 1, "the expression ends where ']' for the '[' at 10 should stand"),
        ("data.tags[-1]", 10, 1, "'-' stands where a quoted name or a whole number should"),
        ("data.tags[1.5]", 10, 3, "'1.5' stands where a quoted name or a whole number should"),
        ("data.", 5, 1, 'the expression ends where a name (or write ["any text"]) should stand'),
        ("data.5", 5, 1, "'5' stands where a name (or write [\"any text\"]) should"),
        ("[1, 2,]", 6, 1, "']' stands where a value after the comma should"),
        ("data.score > 1)", 14, 1, "')' stands where an operator or the end should"),
        ("'abc", 0, 4, "the string that starts here has no closing '"),
        ("'a\\q'", 2, 2, "there is no escape \\q"),
        ("'a\\", 2, 2, "there is no escape \\"),
        ("'\\u12'", 1, 2, "there is no escape \\u"),
        ("'\\ud800x'", 1, 6, "\\ud800 is not a character that can be kept"),
        ("'\\ud800\\u0041'", 1, 6, "\\ud800 is not a character that can be kept"),
        ("'\\u0000'", 1, 6, "\\u0000 is not a character that can be kept"),
        ("'\ud800'", 1, 1, "the string holds a character that cannot be kept"),
        ("1abc > 2", 0, 4, "'1abc' is neither a number nor a name"),
        ("9223372036854775808", 0, 19, "the number is too large"),
        ("1" * 1_000, 0, 1_000, "the number is too large"),
        ("1e999", 0, 5, "the number is too large"),
        ("data.a ; data.b", 7, 1, "the character ';' means nothing here"),
        ("data.a == $x", 10, 1, "the character '$' means nothing here"),
        ("'a'.upper", 3, 1, "only names such as data can be looked into"),
        ("[1][0]", 3, 1, "only names such as data can be looked into"),
        ("lower(data.a).x", 13, 1, "only names such as data can be looked into"),
        (
            "1 == not true",
            5,
            3,
            "`not` needs parentheses here: it takes in the whole comparison after it",
        ),
        ("has(1)", 4, 1, "has(…) asks whether a name is there, and this is no name"),
        ("has()", 0, 5, "has(data.name) was given 0 values"),
        ("days_between(now)", 0, 17, "days_between(from, to) was given 1 value"),
        ("lower(data.a, data.b)", 0, 21, "lower(text) was given 2 values"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    text: str, offset: int, length: int, message: str
) -> None:
    error = error_of(text)
    assert (error.message, error.offset, error.length) == (message, offset, length)
    assert str(error) == message


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("dta.score > 1", "data"),
        ("Data.score > 1", "data"),
        ("score > 1", "data.score"),
        ("data.score > True", "true"),
        ("data.score == None", "null"),
        ("data.score == undefined", "null"),
        ("And", "and"),
        ("data.a And data.b", "and"),
        ("data.a Not in [1]", "not"),
        ("data.a andd data.b", "and"),
        ("size > 3", "size(…)"),
        ("len(data.tags) > 1", "size"),
        ("starts_wth(data.a, 'b')", "starts_with"),
        ("LOWER(data.a)", "lower"),
        ("exists(data.a)", "has"),
        ("data.a === 1", "=="),
        ("data.a !== 1", "!="),
        ("data.a <> 1", "!="),
        ("data.a => 1", ">="),
        ("data.a =< 1", "<="),
        ("data.a & data.b", "and"),
        ("data.a | data.b", "or"),
        ("2 ** 8", "*"),
    ],
)
def test_the_nearest_right_spelling_is_named(text: str, suggestion: str) -> None:
    assert error_of(text).suggestion == suggestion


def test_names_are_those_that_the_caller_allows() -> None:
    allowed = ("data", "actor")
    assert parse("data.a == actor.id", allowed).names == {"data", "actor"}
    error = error_of("now > data.due", allowed)
    assert error.message == "there is no name 'now' here"
    assert error.expected == "one of data, actor"
    assert error_of("score", ("actor",)).suggestion is None


@pytest.mark.parametrize(
    "text", ["1 < 2 < 3", "1 == 1 == 1", "1 in [1] in [2]", "1 < 2 not in [3]"]
)
def test_comparisons_do_not_chain(text: str) -> None:
    assert "do not chain" in error_of(text).message


@pytest.mark.parametrize(
    "text",
    [
        "().__class__.__bases__",
        "data.tags.append(1)",
        "data['tags'].append(1)",
        "__import__('os').system('true')",
        "lower.__globals__",
        "(lower)('A')",
        "has.__call__(data.x)",
        "eval('1')",
        "lambda: 1",
        "[x for x in data.tags]",
        "data.a = 1, data.b",
        "data.a := 1",
        "f'{data.a}'",
        "99999 ** 4000000",
        "data.a if true else data.b",
        "data.a ? 1 : 2",
        "{'a': 1}",
        "data[data.a]",
        "now.timestamp()",
        "data?.a",
        "# comment",
        "b'bytes'",
        "self",
        "1; 2",
    ],
)
def test_there_is_no_way_out_of_the_language(text: str) -> None:
    error_of(text)


class TestBounds:
    def test_two_thousand_characters_are_the_most(self) -> None:
        assert parse("'" + "x" * 1_998 + "'").text
        error = error_of("'" + "x" * 1_999 + "'")
        assert error.message == ("the expression has 2,001 characters, at most 2,000 are allowed")

    @pytest.mark.parametrize(
        "text",
        [
            "(" * 65 + "1" + ")" * 65,
            "[" * 65 + "]" * 65,
            "not " * 70 + "true",
            "-" * 70 + "1",
            "1" + "+1" * 70,
            "data" + ".a" * 70,
            "lower(" * 70 + "'a'" + ")" * 70,
        ],
    )
    def test_a_depth_of_sixty_four_is_the_most(self, text: str) -> None:
        assert "deeper than 64" in error_of(text).message

    def test_five_hundred_parts_are_the_most(self) -> None:
        assert parse("[" + ",".join(["1"] * 499) + "]").text
        assert error_of("[" + ",".join(["1"] * 500) + "]").message == (
            "the expression has more than 500 parts"
        )

    def test_long_chains_of_and_and_or_are_flat(self) -> None:
        assert parse(" or ".join(["true"] * 200)).evaluate({}) is True


class TestCarets:
    def test_they_stand_below_the_wrong_part(self) -> None:
        text = "data.score > 50 and dta.region == 'EU'"
        assert error_of(text).caret(text) == (
            "data.score > 50 and dta.region == 'EU'\n                    ^^^"
        )

    def test_only_the_line_that_is_meant_is_shown(self) -> None:
        text = "data.a > 1\nand\tdata.b >\nand data.c"
        assert error_of(text).caret(text) == "and data.c\n^^^"

    def test_long_lines_are_cut_around_the_place(self) -> None:
        text = "true and " * 50 + "dta.x" + " and true" * 50
        line, carets = error_of(text).caret(text).splitlines()
        assert len(line) == 100
        assert line[carets.index("^") :].startswith("dta.x")

    def test_the_end_of_the_text_has_a_place_too(self) -> None:
        assert error_of("1 +").caret("1 +") == "1 +\n   ^"

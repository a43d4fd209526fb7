"""Attempts to make an expression do what it must not: run code, reach objects, or never end.

Each is refused with the place where it goes wrong, or means something harmless.
While they are read and asked, an audit hook watches the interpreter.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexus.core import DefinitionError, load_definition
from nexus.core.conditions import compile_condition
from nexus.core.expressions import FUNCTIONS, ExpressionError, Unknown, parse
from nexus.core.expressions.lexer import MAX_LENGTH
from nexus.core.expressions.parser import MAX_DEPTH, MAX_NODES
from nexus.core.expressions.values import MAX_COMPARED, MAX_ELEMENTS
from tests.core.playing import lead
from tests.core.test_conditions import Findings
from tests.core.test_expressions_properties import EXPRESSIONS, WORDS

# What the interpreter reports before it does something that matters (PEP 578).
_FORBIDDEN = (
    *("exec", "compile", "import", "open", "object.__getattr__", "code.__new__"),
    *("os.", "subprocess.", "socket.", "ctypes.", "marshal.", "pickle.", "builtins.input"),
)
_watching = False
_seen: list[str] = []


def _watch(event: str, _arguments: object) -> None:
    if _watching and event.startswith(_FORBIDDEN):
        _seen.append(event)


sys.addaudithook(_watch)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Fail if the interpreter was about to do anything but reckon."""
    global _watching
    _seen.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert _seen == []


class Trap:
    """An object that must not be touched: whoever asks it for anything, finds out."""

    touched: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> object:
        # Python itself looks for these on any object that it prints or copies.
        Trap.touched.append(name)
        raise AttributeError(name)

    def __call__(self, *_arguments: object) -> object:
        Trap.touched.append("call")
        return True

    def __getitem__(self, key: object) -> object:
        Trap.touched.append("item")
        return self


def trapped() -> dict[str, object]:
    Trap.touched.clear()
    trap = Trap()
    data = {"trap": trap, "call": trap.__call__, "type": Trap, "tags": ["a"], "a": 1, "b": "x"}
    return {"data": data, "actor": {"id": "ann"}, "subject": trap, "event": {"run": eval}}


def refused(text: str) -> ExpressionError:
    with nothing_runs(), pytest.raises(ExpressionError) as caught:
        parse(text)
    error = caught.value
    assert 0 <= error.offset <= len(text)
    assert error.length >= 1
    line, carets = error.caret(text).split("\n")
    assert "^" in carets
    assert line == "" or line.isprintable()
    return error


@pytest.mark.parametrize(
    ("text", "at"),
    [
        # Calls: of what data holds, of what a function gives, of what is no function.
        ("data.call(1)", "("),
        ("data['call']()", "("),
        ("data.tags.append(1)", "("),
        ("(data.call)(1)", "("),
        ("lower('a')('b')", "("),
        ("(lower)('A')", "lower"),
        ("event.run('1')", "("),
        ("now.timestamp()", "("),
        ("'{0.__class__}'.format(data)", "."),
        ("'%s' .join(data.tags)", "."),
        ("eval('1')", "eval"),
        ("exec('1')", "exec"),
        ("open('/etc/passwd')", "open"),
        ("__import__('os').system('true')", "__import__"),
        ("getattr(data, 'x')", "getattr"),
        ("globals()['x']", "globals"),
        ("vars()", "vars"),
        ("type(data)", "type"),
        ("print(1)", "print"),
        ("lower.__globals__", "lower"),
        ("has.__call__(data.a)", "has"),
        ("lower(*data.tags)", "*"),
        ("lower(x='A')", "x"),
        ("lower(**data)", "**"),
        # Attributes of what is no map.
        ("().__class__.__bases__", ")"),
        ("''.__class__", "."),
        ("[].__class__", "."),
        ("1 .real", "."),
        ("true.real", "."),
        ("size(data.tags).bit_length", "."),
        ("-1.real", "."),
        # Statements, and other syntax of Python and JavaScript.
        ("data.a; data.b", ";"),
        ("1\n2", "2"),
        ("data.a := 1", ":"),
        ("data.a = 1, data.b", ","),
        ("data.a == 1 == true", "=="),
        ("a = 1", "a"),
        ("data.a += 1", "="),
        ("data.a++", "+"),
        ("del data.a", "del"),
        ("import os", "import"),
        ("return 1", "return"),
        ("assert 1", "assert"),
        ("raise data", "raise"),
        ("yield 1", "yield"),
        ("await data", "await"),
        ("lambda: 1", ":"),
        ("() => 1", "=>"),
        ("def f(): pass", ":"),
        ("class A: pass", ":"),
        ("data.a if true else data.b", "if"),
        ("data.a ? 1 : 2", "?"),
        ("data?.a", "?."),
        ("data.a ?? 1", "?"),
        ("[x for x in data.tags]", "x"),
        ("[data.a for a in data.tags]", "for"),
        ("{'a': 1}", "{"),
        ("{data.a}", "{"),
        ("{**data}", "{"),
        ("[*data.tags]", "*"),
        ("[...data.tags]", "."),
        ("data[data.a]", "data"),
        ("data.tags[0:1]", ":"),
        ("data.tags[::]", ":"),
        ("data.tags[-1]", "-"),
        ("data.tags[true]", "true"),
        ("data.tags[1 + 1]", "+"),
        ("data is null", "is"),
        ("data.a @ data.b", "@"),
        ("@data", "@"),
        ("$data", "$"),
        ("${data.a}", "$"),
        ("{{ data.a }}", "{"),
        ("{% data.a %}", "{"),
        ("#{data.a}", "#"),
        ("`data.a`", "`"),
        ("data.a\\nor true", "\\"),
        ("_", "_"),
        ("__builtins__", "__builtins__"),
        ("__class__", "__class__"),
        ("self", "self"),
        ("this.constructor", "this"),
        ("None.__class__", "None"),
        # Strings that do more than hold text.
        ("f'{data.a}'", "f"),
        ("r'x'", "r"),
        ("b'x'", "b"),
        ("u'x'", "u"),
        ("'''x'''", "'x'"),
        ("'a' 'b'", "'b'"),
        (r"'\x41'", r"\x"),
        (r"'\101'", r"\1"),
        (r"'\N{DIGIT ONE}'", r"\N"),
        (r"'\U00000041'", r"\U"),
        ("'a\\\nb'", "\\\n"),
        # Comments.
        ("data.a # == 2", "#"),
        ("data.a // true", "//"),
        ("data.a /* true */", "*"),
        ("data.a -- true or", ""),
        ("<!-- data.a -->", "<"),
        # Powers, shifts, huge literals, other ways of writing numbers.
        ("99999 ** 4000000", "**"),
        ("2 ^ 64", "^"),
        ("1 << 4000000", "<"),
        ("1 >> 1", ">"),
        ("~1", "~"),
        ("9" * 1_500, "9" * 1_500),
        ("9223372036854775808", "9223372036854775808"),
        ("1e400", "1e400"),
        ("1e99999999999", "1e99999999999"),
        ("0x10", "0x10"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("1j", "1j"),
        ("1.", "."),
        (".5", "."),
        ("1..2", "."),
        ("1.5.2", "."),
        ("nan", "nan"),
        ("inf", "inf"),
        ("Infinity", "Infinity"),
    ],
)
def test_what_is_no_expression_is_refused_where_it_stops_being_one(text: str, at: str) -> None:
    error = refused(text)
    assert text[error.offset : error.offset + error.length] == at


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Letters that look like others: Cyrillic, Greek, mathematical, full width.
        ("d\u0430ta.x", "there is no name 'd\u0430ta' here: '\u0430' is CYRILLIC SMALL LETTER A"),
        (
            "\uff44ata.x",
            "there is no name '\uff44ata' here: '\uff44' is FULLWIDTH LATIN SMALL LETTER D",
        ),
        (
            "\U0001d41data.x",
            "there is no name '\U0001d41data' here: '\U0001d41d' is MATHEMATICAL BOLD SMALL D",
        ),
        (
            "l\u03bfwer(data.b)",
            "there is no function 'l\u03bfwer': '\u03bf' is GREEK SMALL LETTER OMICRON",
        ),
        ("__\uff49mport__('os')", None),
        ("true \u0430nd true", "'\u0430nd' stands where an operator or the end should"),
        ("tru\u0435", "there is no name 'tru\u0435' here: '\u0435' is CYRILLIC SMALL LETTER IE"),
        # Digits, signs and quotes of other scripts.
        ("\u0661 == 1", "the character '\u0661' means nothing here"),
        ("1\u0661", "the character '\u0661' means nothing here"),
        ("data.tags[\u0660]", "the character '\u0660' means nothing here"),
        ("\u00b2 == 2", "there is no name '\u00b2' here: '\u00b2' is SUPERSCRIPT TWO"),
        ("1 \uff1d 1", "the character '\uff1d' means nothing here"),
        ("1 \u2212 1", "the character '\u2212' means nothing here"),
        ("1 \u2264 2", "the character '\u2264' means nothing here"),
        ("\u201cx\u201d == 'x'", "the character '\u201c' means nothing here"),
        ("\uff08data.a\uff09", "the character '\uff08' means nothing here"),
        # What is not seen at all, or turns the line around.
        ("data\u200b.a", "the character '\\u200b' means nothing here"),
        ("data.\u2060a", "the character '\\u2060' means nothing here"),
        ("data.a \u202e== 1", "the character '\\u202e' means nothing here"),
        ("data.a\u2066 == 1", "the character '\\u2066' means nothing here"),
        ("\ufeffdata.a", "the character '\\ufeff' means nothing here"),
        ("data.a\u00a0== 1", "the character '\\xa0' means nothing here"),
        ("data.a\u3000== 1", "the character '\\u3000' means nothing here"),
        ("data.a\u2028or true", "the character '\\u2028' means nothing here"),
        ("data.a\x0bor true", "the character '\\x0b' means nothing here"),
        ("data.a\0", "the character '\\x00' means nothing here"),
        ("data.a\x1b[2J", "the character '\\x1b' means nothing here"),
        ("data.\ud800", "the character '\\ud800' means nothing here"),
        ("'\0'", "the string holds a character that cannot be kept"),
    ],
)
def test_letters_that_pretend_to_be_others_are_named(text: str, message: str | None) -> None:
    error = refused(text)
    assert message is None or error.message == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Names of attributes are keys of maps, and these maps have no such keys.
        ("data.__class__ == null", True),
        ("data.__class__.__mro__[1].__subclasses__ == 1", Unknown),
        ("data.trap.secret == null", True),
        ("data.trap.__dict__ == 1", Unknown),
        ("data.type.touched == 1", Unknown),
        ("data.tags.append == null", True),
        ("data['__init__']['__globals__'] == 1", Unknown),
        ("subject.touched == 1", Unknown),
        ("subject[0] == 1", Unknown),
        ("data.b.upper == null", True),
        ("data.b[0] == 'x'", Unknown),
        ("actor.constructor.prototype == null", True),
        # Objects that are no data have no value to compare, to find or to show.
        ("data.trap == data.trap", Unknown),
        ("data.trap in [data.trap]", False),
        ("data.call == data.call", Unknown),
        ("data.trap + 1 == 1", Unknown),
        ("size(data.trap) == 1", Unknown),
        ("min(data.trap) == 1", Unknown),
        ("data.trap and true", Unknown),
        ("not event.run", Unknown),
        ("days_between(data.trap, data.call) > 1", Unknown),
        # Text is text, whatever it says.
        ('\'__import__("os").system("true")\' == 1', Unknown),
        ("'{0.__class__}' + '%s' + '${x}' == ''", False),
        ("'# ; -- /*' == 'x'", False),
        # Two ways of writing one letter are two texts: nothing is normalised.
        ("'\u00e9' == 'e\u0301'", False),
        ("'\uff41' == 'a'", False),
        ("'ß' == upper('ß')", False),
        ("'\u202ex' == 'x'", False),
    ],
)
def test_what_can_be_written_is_harmless(text: str, expected: object) -> None:
    scope = trapped()
    expression = parse(text)
    with nothing_runs():
        result = expression.evaluate(scope)
        held = expression.holds(scope)
        expression.explain(scope)
    assert result is expected or (expected is Unknown and isinstance(result, Unknown))
    assert bool(held) is (expected is True)
    assert Trap.touched == []


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + ")" * 5_000,
        "(" * 999 + "1" + ")" * 999,
        "[" * 1_000,
        "[" * 900 + "]" * 900,
        "not " * 499 + "true",
        "!" * 1_999 + "1",
        "-" * 1_999 + "1",
        "data" + ".a" * 900,
        "data" + "[0]" * 600,
        "lower(" * 300 + "'a'" + ")" * 300,
        "1" + "+1" * 900,
        "1" + " == 1" * 300,
        "[" + "1," * 900 + "1]",
        "min(" + "1," * 100 + "1)",
        "true or " * 249 + "true or (" + "1," * 3,
        "'" + "\\u0041" * 400,
        "'" * 1_999,
        "\"'" * 900,
        "x" * 2_000,
        " " * 2_000,
        "9" * 100_000,
    ],
)
def test_nesting_and_length_have_an_end(text: str) -> None:
    limit = sys.getrecursionlimit()
    assert refused(text).message
    assert sys.getrecursionlimit() == limit


def test_a_pattern_of_a_schema_cannot_run_for_long() -> None:
    """Each of these takes a backtracking engine longer than the world has been there."""
    for pattern, text in (
        ("^(a+)+$", "a" * 50_000 + "!"),
        ("^(a|aa)+$", "a" * 50_000 + "!"),
        ("^(.*a){25}$", "a" * 2_000 + "!"),
        ("(x+x+)+y", "x" * 20_000),
    ):
        document = lead({})
        document["dataSchema"] = {"name": {"type": "string", "pattern": pattern}}
        try:
            schema = load_definition(json.dumps(document)).program.data_schema
        except DefinitionError as error:
            assert {p.pointer for p in error.problems} == {"/dataSchema/name/pattern"}  # noqa: PT017
            continue
        assert schema is not None
        assert steps(partial(schema.validate, {"name": text})) < 5_000
        assert schema.validate({"name": text})[0][0] == "/name"


# --- a bound on work -------------------------------------------------------------------------


def steps(call: Callable[[], object]) -> int:
    """How many calls, of Python and of C alike, something takes: work without a clock."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return count


PER_NODE = 60
"""Calls that one node takes beside the elements that it looks at."""

PER_ELEMENT = 4
"""Calls that looking at one element takes, at most."""


def most_steps(nodes: int) -> int:
    """The bound: every node looks at no more than so many elements, and is computed once."""
    return nodes * (PER_NODE + PER_ELEMENT * (MAX_ELEMENTS + MAX_COMPARED))


LONG = {
    "numbers": [*range(30_000)],
    "usable": [*range(9_999)],
    "mixed": [*range(9_000), 1.5, "x", None],
    "texts": ["x" * 50] * 9_999,
    "maps": [{"a": i, "b": [i]} for i in range(9_999)],
    "lists": [[i] * 3 for i in range(9_999)],
    "dates": ["2026-01-01"] * 9_999,
    "text": "x" * 30_000,
    "number": 5,
    "map": {f"k{i}": i for i in range(9_999)},
}
_LONG_NAMES = [f"data.{name}" for name in LONG]
_COSTLY = st.recursive(
    st.sampled_from([*_LONG_NAMES, "{}", "now", "1", "'x'", "null"]).map(
        lambda name: name if name != "{}" else "[data.maps, data.lists]"
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "in", "<", "+", "and", "or"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(
            st.sampled_from([n for n, f in FUNCTIONS.items() if f.least == 1 and n != "has"]),
            inner,
        ).map(lambda t: f"{t[0]}({t[1]})"),
        st.lists(inner, min_size=1, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(inner, inner).map(lambda t: f"contains({t[0]}, {t[1]})"),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_COSTLY)
@example("data.maps == data.maps")
@example("[data.maps] == [data.maps]")
@example("data.lists in [data.lists, data.lists]")
@example("{} in data.maps".format("data.map"))
@example("min(data.dates) == max(data.mixed)")
@example("not (data.usable in [data.maps, data.usable]) or 1 in data.mixed")
def test_work_is_bounded_by_the_size_of_the_expression(text: str) -> None:
    """Whatever the data, and explaining as well: no level of the tree is computed twice."""
    expression = parse(text)
    scope = {"data": LONG}
    bound = most_steps(expression.size)
    assert steps(lambda: expression.evaluate(scope)) <= bound
    assert steps(lambda: expression.holds(scope)) <= bound
    # Explaining shows values as well, of which there are at most so many characters.
    assert steps(lambda: expression.explain(scope)) <= bound + 60_000


@given(EXPRESSIONS | st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
@settings(deadline=None)
def test_reading_takes_work_by_the_length_of_the_text(text: str) -> None:
    def read() -> None:
        try:
            parse(text)
        except ExpressionError:
            return

    # A wrong name is compared with the right ones, which has its own price.
    assert steps(read) <= 60_000 + 400 * len(text)


def test_no_expression_has_more_parts_than_the_bound_counts() -> None:
    widest = " or ".join(["1 in data.l"] * 124)
    assert parse(widest).size <= MAX_NODES
    assert len(widest) <= MAX_LENGTH
    assert sys.getrecursionlimit() / 2 > MAX_DEPTH * 3
    scope: Mapping[str, Any] = {"data": {"l": [0] * 9_999}}
    expression = parse(widest)
    assert steps(lambda: expression.evaluate(scope)) < 124 * PER_NODE


def test_a_condition_has_the_bound_of_an_expression() -> None:
    many = {"any": [{"all": ["data.maps == data.lists", "1 in data.mixed"]}] * 40}
    condition = compile_condition(many, "", Findings())
    assert condition is not None
    scope = {"data": LONG, "actor": {"roles": ["x"] * 50_000}}
    bound = most_steps(condition.size)
    assert steps(lambda: condition.holds(scope)) <= bound
    assert steps(lambda: condition.explain(scope)) <= bound + 60_000
    searched = compile_condition({"role_check": [f"r{i}" for i in range(5_000)]}, "", Findings())
    assert searched is not None
    assert isinstance(searched.holds(scope), Unknown)
    assert steps(lambda: searched.holds({"actor": {"roles": ["x"] * 9_000}})) < most_steps(1)

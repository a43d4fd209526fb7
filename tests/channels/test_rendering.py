"""Templates in `with`: what they see, what they keep, and what bounds them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.channels.rendering import MOST_TEMPLATE, render
from nexus.contracts import ChannelError
from tests.channels.calling import SCOPE


def rendered(text: str, scope: object = None, html: bool = False) -> object:
    seen = SCOPE if scope is None else scope
    assert isinstance(seen, dict)
    return render({"text": text}, seen, {"text"} if html else ())["text"]


def refused(text: str, *words: str) -> None:
    with pytest.raises(ChannelError) as caught:
        rendered(text)
    assert (caught.value.code, caught.value.retryable) == ("invalid_template", False)
    for word in ("with/text", *words):
        assert word in caught.value.message


def test_templates_see_the_names_that_conditions_see() -> None:
    assert rendered("Dear {{ data.name | upcase }} of {{ subject.id }}") == "Dear ANN of acme"


def test_objects_and_lists_are_gone_through() -> None:
    made = render({"a": {"b": ["{{ data.name }}!", 3, None]}, "plain": "{ }"}, SCOPE)
    assert made == {"a": {"b": ["Ann!", 3, None]}, "plain": "{ }"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ data.score }}", 60),
        ("  {{- data.tags -}} ", ["a", "b"]),
        ("{{ data.tags[1] }}", "b"),
        ("{{ data }}", SCOPE["data"]),
        ("{{ data.score }}!", "60!"),
        ("{{ data.score | plus: 1 }}", "61"),
    ],
)
def test_a_text_that_is_one_path_keeps_the_type_of_what_it_finds(text: str, value: object) -> None:
    assert rendered(text) == value


@pytest.mark.parametrize("text", ["{{ data.nothing }}", "{{ nobody }}", "{{ data.tags[9] }}"])
def test_what_is_missing_is_an_empty_text(text: str) -> None:
    assert rendered(text) == ""
    assert rendered(f"-{text}-") == "--"


def test_null_and_truth_are_themselves() -> None:
    scope = {"a": None, "b": True}
    assert (rendered("{{ a }}", scope), rendered("{{ b }}", scope)) == (None, True)


def test_what_is_put_into_html_is_escaped() -> None:
    scope = {"name": "<b>&"}
    assert rendered("<p>{{ name }}</p>", scope, html=True) == "<p>&lt;b&gt;&amp;</p>"
    assert rendered("{{ name }}", scope, html=True) == "&lt;b&gt;&amp;"
    assert rendered("{{ name }}.", scope) == "<b>&."


def test_values_are_written_as_json_on_request() -> None:
    assert rendered("x {{ data.tags | json }}") == 'x ["a", "b"]'


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a\n{{ data.name | nope }}", "line 2"),
        ("{{ data.name ", "expected '}}'"),
        ("{% include 'x' %}", "no other templates"),
        ("{% render '/etc/passwd' %}", "no other templates"),
        ("{% for x in (1..100000) %}{% endfor %}", "loop iteration limit"),
        ("{% for x in (1..9999) %}" + "y" * 200 + "{% endfor %}", "output stream limit"),
        ("{% if %}", "missing expression"),
        ("{{ a }}" * 40_000, f"{MOST_TEMPLATE:,}"),
    ],
)
def test_what_cannot_be_rendered_says_where_and_why(text: str, word: str) -> None:
    refused(text, word)


def test_loops_in_loops_are_bounded_together() -> None:
    refused("{% for a in (1..500) %}{% for b in (1..500) %}{% endfor %}{% endfor %}", "limit")


def test_a_value_that_is_built_up_is_bounded() -> None:
    doubling = "{% assign a = 'xxxxxxxxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 40
    refused(doubling, "limit")


LARGE = {"data": {"text": "ab" * 200_000, "list": list(range(50_000)), "n": "99999999999"}}
ENDLESS = "(1..99999999999)"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{{ data.text | replace: "", data.text | size }}', "replace: it makes too much"),
        ('{{ data.text | replace: "a", data.text | size }}', "replace: it makes too much"),
        ("{{ data.list | join: data.text | size }}", "join: it makes too much"),
        ("{{ data.list | uniq | size }}", "uniq: it makes too much"),
        ("{{ data.list | json: 999999999 }}", "indent"),
        ('{{ 0 | date: "%999999999Y" }}', "not that wide"),
        ('{{ data.text | date: "%Y" }}', "not that long"),
        ("{% assign n = 99999999 %}" + "{% assign n = n | times: n %}" * 60, "times: it makes"),
        (
            "{% assign x = data.text | split: 'z' %}" + "{% assign x = x | concat: x %}" * 16,
            "concat: it",
        ),
    ],
)
def test_filters_are_given_and_make_no_more_than_a_text_may_hold(text: str, why: str) -> None:
    """Each of these would take more memory than the process has."""
    with pytest.raises(ChannelError, match=why):
        rendered(text, LARGE)


@pytest.mark.parametrize(
    "text",
    [
        f"{{{{ {ENDLESS} | reverse | first }}}}",
        f"{{{{ data.list | concat: {ENDLESS} | size }}}}",
        f'{{% if {ENDLESS} contains "x" %}}{{% endif %}}',
        f"{{% if false %}}{{% elsif true and {ENDLESS} contains 'x' %}}{{% endif %}}",
        f"{{% for i in {ENDLESS} reversed %}}{{% break %}}{{% endfor %}}",
        "{% for i in (1..data.n) reversed %}{% break %}{% endfor %}",
        f"{{% tablerow i in {ENDLESS} %}}{{% endtablerow %}}",
        f"{{% case {ENDLESS} %}}{{% when 1 %}}{{% endcase %}}",
        f"{{% liquid assign x = {ENDLESS} | reverse %}}",
        f"{{% capture x %}}{{% echo {ENDLESS} %}}{{% endcapture %}}",
    ],
)
def test_a_range_is_no_longer_than_a_loop_wherever_it_stands(text: str) -> None:
    with pytest.raises(ChannelError, match="a range has at most 10,000 numbers"):
        rendered(text, LARGE)


def test_a_range_as_long_as_a_loop_may_be_is_gone_through() -> None:
    assert rendered(
        "{% for i in (1..10000) %}{% if i == 10000 %}{{ i }}{% endif %}{% endfor %}"
    ) == ("10000")


def test_loops_one_after_another_are_bounded_together() -> None:
    refused("{% for a in (1..6000) %}{% endfor %}" * 2, "limit")


def test_what_stands_in_a_loop_counts_with_its_turns() -> None:
    refused(
        "{% for a in (1..9000) %}" + "{% if false %}{% endif %}" * 300 + "{% endfor %}", "limit"
    )


@pytest.mark.parametrize(
    "turn",
    [
        '{% assign x = data.text | split: "a" | size %}',
        '{% if data.list contains "x" %}{% endif %}',
    ],
)
def test_a_text_that_takes_too_long_is_given_up(turn: str) -> None:
    with pytest.raises(ChannelError, match="it takes too long"):
        rendered("{% for i in (1..10000) %}" + turn + "{% endfor %}", LARGE)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}%| .abfor=:'1data\n", max_size=60))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    with contextlib.suppress(ChannelError):  # anything else is a fault
        rendered(text)

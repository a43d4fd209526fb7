"""Templates: the texts of a step's `with` are Liquid, over the names that conditions see.

Whoever writes definitions writes these, so they are bounded: in length, in what
their loops do, in what they put out. They reach no file and no network.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError
from liquid.extra import JSON

from nexus.channels.template_bounds import MOST_OUTPUT, MOST_TURNS, BoundedTemplate
from nexus.contracts import ChannelError
from nexus.core.errors import escape_pointer

MOST_TEMPLATE = 200_000  # characters of one text
MOST_KEPT = 20_000  # characters of a text that is read once, for all calls
MOST_VALUES = 20_000  # texts in one `with`

# A text that is nothing but one path keeps the type of what it finds.
_PATH = re.compile(r"\s*\{\{-?\s*([A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*|\[\d+\])*)\s*-?\}\}\s*")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class _Bounded(Environment):
    """Liquid as strangers may use it."""

    template_class = BoundedTemplate
    loop_iteration_limit = MOST_TURNS
    output_stream_limit = MOST_OUTPUT
    local_namespace_limit = MOST_OUTPUT
    context_depth_limit = 20
    block_nesting_limit = 50


def _environment(*, escape: bool) -> Environment:
    environment = _Bounded(autoescape=escape)
    environment.add_filter("json", JSON())
    return environment


_TEXT, _HTML = _environment(escape=False), _environment(escape=True)


def is_template(value: object) -> bool:
    """Whether a text has something in it that is rendered."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render(
    given: Mapping[str, object], scope: Mapping[str, object], html: Collection[str] = ()
) -> dict[str, object]:
    """A step's `with`, with every text in it rendered.

    Args:
        given: As the definition has it; objects and lists are gone through.
        scope: The names that templates see; JSON.
        html: Keys whose text is HTML: what is put into it is escaped.

    Raises:
        ChannelError: `invalid_template`, final, saying where.
    """
    count = [0]
    return {
        key: _value(value, scope, f"/{escape_pointer(key)}", key in html, count)
        for key, value in given.items()
    }


def _value(
    value: object, scope: Mapping[str, object], place: str, html: bool, count: list[int]
) -> object:
    if isinstance(value, str):
        count[0] += 1
        if count[0] > MOST_VALUES:
            raise _invalid(place, f"there are more than {MOST_VALUES:,} texts")
        return _text(value, scope, place, html)
    if isinstance(value, Mapping):
        return {
            key: _value(item, scope, f"{place}/{escape_pointer(key)}", html, count)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _value(item, scope, f"{place}/{index}", html, count) for index, item in enumerate(value)
        ]
    return value


def _text(text: str, scope: Mapping[str, object], place: str, html: bool) -> object:
    if not is_template(text):
        return text
    if len(text) > MOST_TEMPLATE:
        raise _invalid(place, f"a template has at most {MOST_TEMPLATE:,} characters")
    path = None if html else _PATH.fullmatch(text)
    if path is not None:
        return _found(path[1], scope)
    try:
        return _template(text, html).render(scope)
    except LiquidError as error:
        raise _invalid(place, _told(error)) from None
    except (RecursionError, ValueError, TypeError, ArithmeticError) as error:
        raise _invalid(place, f"it cannot be rendered ({type(error).__name__})") from None


def _template(text: str, html: bool) -> BoundTemplate:
    # Read, a template has many times the size of its text.
    return _kept(text, html) if len(text) <= MOST_KEPT else _read(text, html)


@lru_cache(maxsize=1_024)
def _kept(text: str, html: bool) -> BoundTemplate:
    return _read(text, html)


def _read(text: str, html: bool) -> BoundTemplate:
    return (_HTML if html else _TEXT).from_string(text)


def _found(path: str, scope: Mapping[str, object]) -> object:
    """What a path leads to, as it is; an empty text where it leads nowhere, as in any template."""
    found: object = scope
    for key, index in _STEP.findall(f".{path}"):
        if key and isinstance(found, Mapping) and key in found:
            found = found[key]
        elif index and isinstance(found, list | tuple) and int(index) < len(found):
            found = found[int(index)]
        else:
            return ""
    return found


def _told(error: LiquidError) -> str:
    context = error.context()
    line = f" (line {context[0]}: {context[3].strip()[:80]})" if context else ""
    name = type(error).__name__
    if name == "TemplateNotFoundError":
        return f"there are no other templates to include{line}"
    return f"{error.message or name}{line}"


def _invalid(place: str, why: str) -> ChannelError:
    return ChannelError("invalid_template", f"with{place}: {why}.", retryable=False)

"""Parts of a definition in the words of pictures and explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nexus.core.conditions import Condition, Connective, Membership
from nexus.core.durations import format_duration
from nexus.core.expressions import Expression
from nexus.core.program import Transition, Trigger
from nexus.core.state import Assignees
from nexus.core.steps import Computed


def joined(names: Iterable[str], last: str = "and") -> str:
    """Names as a sentence lists them: "a, b and c"."""
    listed = list(names)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}"


def quoted(text: str) -> str:
    """A name as a sentence sets it apart."""
    return f'"{text}"'


def named(name: str, label: str) -> str:
    """A thing's label, with the name that it is addressed by where that is another."""
    return f"{quoted(label)} ({name})" if is_another(name, label) else quoted(label)


def is_another(name: str, label: str) -> bool:
    """Whether a label says something else than the name, beyond spelling it nicely."""
    return name.replace("_", " ").lower() != label.replace("_", " ").lower()


def with_article(noun: str) -> str:
    """A noun with "a" or "an", by its first letter."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def shortened(text: str, most: int) -> str:
    """A text of one line, cut at a length in characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def condition_text(condition: Condition) -> str:
    """A condition of any form as one line of words."""
    match condition:
        case Expression(text=text):
            return " ".join(text.split())
        case Membership(paths=paths, wanted=wanted):
            values = joined(sorted(map(str, wanted)), "or")
            return f"{'role' if paths == ('actor.roles',) else 'segment'} is {values}"
        case Connective(connective="not", parts=parts):
            return f"not ({condition_text(parts[0])})"
        case Connective(connective=connective, parts=parts):
            word = " and " if connective == "all" else " or "
            return word.join(_within(part) for part in parts)
        case _:
            return str(getattr(condition, "text", condition))


def _within(part: Condition) -> str:
    text = condition_text(part)
    if isinstance(part, Expression):
        is_joined = bool({"and", "or", "&&", "||"} & set(text.lower().split()))
    else:
        is_joined = isinstance(part, Connective) and part.connective != "not"
    return f"({text})" if is_joined else text


def trigger_text(trigger: Trigger) -> str:
    """What takes a transition that nobody does: "on email.opened"; "" for an action."""
    match trigger.kind:
        case "auto":
            return "automatically"
        case "event":
            return f"on {trigger.event}"
        case "after":
            return f"after {format_duration(trigger.after)}"
        case _:
            return ""


def people(users: Iterable[str], roles: Iterable[str], last: str = "and") -> str:
    """Users and roles as a sentence names them."""
    listed = list(roles)
    noun = "role" if len(listed) == 1 or last == "or" else "roles"
    parts = [f"the {noun} {joined(listed, last)}"] if listed else []
    return joined([*parts, *users], last)


def assignee_text(assignees: Assignees) -> str:
    """Who is assigned, as short as a picture wants it."""
    return ", ".join([*assignees.roles, *assignees.users])


def takers_text(transition: Transition) -> str:
    """Who may take a transition by its `by`, as short as a picture wants it."""
    return ", ".join([*sorted(transition.roles or ()), *sorted(transition.users or ())])


def computed_text(computed: Computed) -> str:
    """What a value is computed from."""
    if computed.expression is not None:
        return computed.expression.text
    constants: Mapping[object, str] = {None: "null", True: "true", False: "false"}
    is_constant = computed.literal is None or isinstance(computed.literal, bool)
    return constants[computed.literal] if is_constant else str(computed.literal)

"""The form of a `run`: its steps, which have no effect yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nexus.core.compiler.computed import read_computed
from nexus.core.compiler.forms import check_assign, choice, duration, is_whole, wrong
from nexus.core.compiler.reader import (
    as_name,
    as_names,
    as_object,
    as_text,
    below,
    known_keys,
)
from nexus.core.conditions import compile_condition
from nexus.core.errors import Report, nearest
from nexus.core.language import ON_FAILURE, STEPS

Check = Callable[[Report, Mapping[str, object], str], None]


def check_run(report: Report, value: object, pointer: str) -> None:
    """One step, or a list of steps that run together."""
    if isinstance(value, list):
        for index, step in enumerate(value):
            _step(report, step, below(pointer, index))
    else:
        _step(report, value, pointer)


def _step(report: Report, value: object, pointer: str) -> None:
    body = as_object(report, value, pointer, "A step")
    if body is None:
        return
    kinds = [key for key in body if key in STEPS]
    if len(kinds) != 1:
        listed = ", ".join(STEPS)
        close = [nearest(key, STEPS) for key in body if not kinds]
        report(
            "invalid_step",
            pointer,
            f"A step does one of {listed}; this one has none of them."
            if not kinds
            else f"A step does one thing, and this one has {' and '.join(map(repr, kinds))}.",
            expected=f"one of {listed}",
            found=", ".join(map(str, body)) or value,
            suggestion=next(filter(None, close), None),
        )
        return
    kind = kinds[0]
    known_keys(report, f"step '{kind}'", body, pointer)
    if "when" in body:
        compile_condition(body["when"], below(pointer, "when"), report)
    _CHECKS[kind](report, body, pointer)


def _channel(report: Report, body: Mapping[str, object], pointer: str) -> None:
    as_name(report, body["channel"], below(pointer, "channel"), "A channel")
    if "with" in body:
        as_object(report, body["with"], below(pointer, "with"), "'with'")
    compensate = body.get("compensate", False)
    if compensate is not False and not isinstance(compensate, dict):
        report(
            "wrong_type",
            below(pointer, "compensate"),
            "'compensate' is what undoing is called with, or false where it cannot be undone.",
            expected="an object or false",
            found=compensate,
        )
    if "timeout" in body:
        duration(report, body["timeout"], below(pointer, "timeout"))
    if "onFailure" in body:
        choice(report, body["onFailure"], below(pointer, "onFailure"), "onFailure", ON_FAILURE)
    if "retry" in body:
        _retry(report, body["retry"], below(pointer, "retry"))


def _retry(report: Report, value: object, pointer: str) -> None:
    body = as_object(report, value, pointer, "'retry'")
    if body is None:
        return
    known_keys(report, "retry", body, pointer)
    for key in ("initial", "max"):
        if key in body:
            duration(report, body[key], below(pointer, key))
    attempts, backoff = body.get("attempts", 1), body.get("backoff", 1)
    if not is_whole(attempts) or attempts < 1:
        place = below(pointer, "attempts")
        wrong(report, place, "'attempts'", "a whole number from 1", attempts)
    if isinstance(backoff, bool) or not isinstance(backoff, int | float) or backoff < 1:
        wrong(report, below(pointer, "backoff"), "'backoff'", "a number from 1", backoff)


def _several(kind: str) -> Check:
    def check(report: Report, body: Mapping[str, object], pointer: str) -> None:
        place, steps = below(pointer, kind), body[kind]
        if isinstance(steps, list):
            check_run(report, steps, place)
        else:
            wrong(report, place, f"'{kind}'", "a list of steps", steps)

    return check


def _branches(kind: str) -> Check:
    def check(report: Report, body: Mapping[str, object], pointer: str) -> None:
        place, branches = below(pointer, kind), body[kind]
        if not isinstance(branches, list):
            wrong(report, place, f"'{kind}'", "a list of branches", branches)
            branches = []
        for index, branch in enumerate(branches):
            _branch(report, branch, below(place, index))
        if "default" in body:
            check_run(report, body["default"], below(pointer, "default"))

    return check


def _branch(report: Report, value: object, pointer: str) -> None:
    body = as_object(report, value, pointer, "A branch")
    if body is None:
        return
    known_keys(report, "branch", body, pointer)
    for key, said in (("when", "its condition"), ("do", "its step")):
        if key not in body:
            report("missing_key", pointer, f"A branch needs '{key}': {said}.", expected=f"'{key}'")
    if "when" in body:
        compile_condition(body["when"], below(pointer, "when"), report)
    if "do" in body:
        check_run(report, body["do"], below(pointer, "do"))


def _task(report: Report, body: Mapping[str, object], pointer: str) -> None:
    place = below(pointer, "task")
    task = as_object(report, body["task"], place, "'task'")
    if task is None:
        return
    known_keys(report, "task", task, place)
    if "title" not in task:
        report("missing_key", place, "A task needs a 'title'.", expected="'title'")
    else:
        as_text(report, task["title"], below(place, "title"), "A title")
    if "assign" in task:
        here = below(place, "assign")
        assign = as_object(report, task["assign"], here, "'assign'")
        if assign is not None:
            known_keys(report, "assign", assign, here, told=True)
            for key in ("users", "roles"):
                if key in assign:
                    as_names(report, assign[key], below(here, key), f"'{key}'")
            check_assign(report, assign, here)


def _wait(report: Report, body: Mapping[str, object], pointer: str) -> None:
    duration(report, body["wait"], below(pointer, "wait"))


def _wait_for(report: Report, body: Mapping[str, object], pointer: str) -> None:
    place = below(pointer, "waitFor")
    wanted = as_object(report, body["waitFor"], place, "'waitFor'")
    if wanted is None:
        return
    known_keys(report, "waitFor", wanted, place)
    if "event" not in wanted:
        report("missing_key", place, "'waitFor' needs an 'event'.", expected="'event'")
    else:
        as_text(report, wanted["event"], below(place, "event"), "An event", 200)
    if "timeout" in wanted:
        duration(report, wanted["timeout"], below(place, "timeout"))
    for key in ("then", "else"):
        if key in wanted:
            check_run(report, wanted[key], below(place, key))


def _set(report: Report, body: Mapping[str, object], pointer: str) -> None:
    read_computed(report, body["set"], below(pointer, "set"))


def _split(report: Report, body: Mapping[str, object], pointer: str) -> None:
    place = below(pointer, "split")
    split = as_object(report, body["split"], place, "'split'")
    if split is None:
        return
    known_keys(report, "split", split, place)
    if "variants" not in split:
        report("missing_key", place, "'split' needs 'variants'.", expected="'variants'")
    elif not isinstance(split["variants"], dict) or not split["variants"]:
        report(
            "wrong_type",
            below(place, "variants"),
            "'variants' must be an object with one entry for each variant.",
            expected="an object that is not empty",
            found=split["variants"],
        )
    if "goal" in split:
        as_text(report, split["goal"], below(place, "goal"), "A goal")


def _start(report: Report, body: Mapping[str, object], pointer: str) -> None:
    as_name(report, body["start"], below(pointer, "start"), "The definition to start")


_CHECKS: Mapping[str, Check] = {
    "channel": _channel,
    "parallel": _several("parallel"),
    "sequence": _several("sequence"),
    "inclusive": _branches("inclusive"),
    "exclusive": _branches("exclusive"),
    "task": _task,
    "wait": _wait,
    "waitFor": _wait_for,
    "set": _set,
    "split": _split,
    "start": _start,
}

"""A stage's `run`: its steps, read and built in one pass.

A step's path is its place in the document below the stage, so it is the end of its pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

from msgspec.structs import replace

from nexus.core.compiler.computed import read_computed
from nexus.core.compiler.forms import (
    check_assign,
    choice,
    compile_assign,
    duration,
    is_whole,
    wrong,
)
from nexus.core.compiler.reader import as_name, as_object, as_text, below, known_keys
from nexus.core.conditions import Condition, compile_condition
from nexus.core.errors import Report, nearest
from nexus.core.language import (
    LONGEST_PAUSE,
    LONGEST_TIMEOUT,
    MOST_ATTEMPTS,
    MOST_BACKOFF,
    MOST_STEPS,
    NO_EFFECT_YET_VALUES,
    ON_FAILURE,
    SHORTEST_PAUSE,
    SHORTEST_TIMEOUT,
    STEPS,
)
from nexus.core.state import NOBODY, RUN_ROOT
from nexus.core.steps import (
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    Branch,
    ChannelStep,
    GatewayStep,
    LaterStep,
    ParallelStep,
    Retry,
    Run,
    SequenceStep,
    SetStep,
    Step,
    TaskStep,
    WaitForStep,
    WaitStep,
    run_of,
)

Body = Mapping[str, object]


def compile_run(report: Report, value: object, pointer: str, *, told: bool = False) -> Run | None:
    """What a stage runs: one step, or a list of steps that run together.

    Args:
        report: Takes every problem.
        value: The run as it stands in the document.
        pointer: Its place.
        told: It stands below a key without effect, so that has been said.

    Returns:
        The run without its faulty steps; None where nothing is left of it.
    """
    reader = _Reader(report, told)
    root = reader.step(value, pointer, RUN_ROOT)
    if reader.count > MOST_STEPS:
        report(
            "too_many_steps",
            pointer,
            f"{reader.count:,} steps are more than a stage can run.",
            expected=f"at most {MOST_STEPS:,} steps",
            found=reader.count,
        )
    return None if root is None else run_of(root)


class _Reader:
    """Reads the steps of one run.

    Attributes:
        count: How many there are, groups of steps included.
    """

    def __init__(self, report: Report, told: bool) -> None:
        self.report = report
        self.told = told
        self.count = 0
        self._names: set[str] = set()
        self._kinds: Mapping[str, Callable[[Body, str, str], Step | None]] = {
            "channel": self._channel,
            "parallel": self._parallel,
            "sequence": self._sequence,
            "inclusive": self._inclusive,
            "exclusive": self._exclusive,
            "task": self._task,
            "wait": self._wait,
            "waitFor": self._wait_for,
            "set": self._set,
            "split": self._split,
            "start": self._start,
        }

    def step(self, value: object, pointer: str, path: str) -> Step | None:
        """One step; a list of them stands for all of them together."""
        self.count += 1
        if isinstance(value, list):
            return ParallelStep(path=path, steps=self._listed(value, pointer, path))
        body = as_object(self.report, value, pointer, "A step")
        if body is None:
            return None
        kind = self._kind(body, pointer)
        if kind is None:
            return None
        known_keys(self.report, f"step '{kind}'", body, pointer, told=self.told)
        when = self._condition(body, pointer)
        name = self._name(body, pointer, kind)
        step = self._kinds[kind](body, pointer, path)
        return None if step is None else replace(step, when=when, name=name)

    def _kind(self, body: Body, pointer: str) -> str | None:
        kinds = [key for key in body if key in STEPS]
        if len(kinds) == 1:
            return kinds[0]
        listed = ", ".join(STEPS)
        close = [nearest(key, STEPS) for key in body if not kinds]
        self.report(
            "invalid_step",
            pointer,
            f"A step does one of {listed}; this one has none of them."
            if not kinds
            else f"A step does one thing, and this one has {' and '.join(map(repr, kinds))}.",
            expected=f"one of {listed}",
            found=", ".join(body) or dict(body),
            suggestion=next(filter(None, close), None),
        )
        return None

    def _condition(self, body: Body, pointer: str) -> Condition | None:
        if "when" not in body:
            return None
        return compile_condition(body["when"], below(pointer, "when"), self.report)

    def _name(self, body: Body, pointer: str, kind: str) -> str:
        if "name" not in body or kind not in _NAMED:
            return ""
        place = below(pointer, "name")
        name = as_name(self.report, body["name"], place, "A step's name")
        if name is not None and name in self._names:
            self.report(
                "duplicate_step",
                place,
                f"Two steps of this stage are named {name!r}: which of them would steps.{name} be?",
                expected="a name of its own",
                found=name,
            )
        self._names.add(name or "")
        return name or ""

    def _listed(self, values: list[object], pointer: str, path: str) -> tuple[Step, ...]:
        steps = [
            self.step(value, below(pointer, index), f"{path}/{index}")
            for index, value in enumerate(values)
        ]
        return tuple(step for step in steps if step is not None)

    def _choice_of(self, body: Body, key: str, pointer: str, path: str) -> Step | None:
        """The step at a key that may be absent."""
        if key not in body:
            return None
        return self.step(body[key], below(pointer, key), f"{path}/{key}")

    # --- calls ------------------------------------------------------------------------------

    def _channel(self, body: Body, pointer: str, path: str) -> Step | None:
        report = self.report
        channel = as_name(report, body["channel"], below(pointer, "channel"), "A channel")
        given = (
            as_object(report, body["with"], below(pointer, "with"), "'with'")
            if "with" in body
            else None
        )
        compensate = body.get("compensate", False)
        if compensate is not False and not isinstance(compensate, dict):
            report(
                "wrong_type",
                below(pointer, "compensate"),
                "'compensate' is what undoing is called with, or false where it cannot be undone.",
                expected="an object or false",
                found=compensate,
            )
        if "onFailure" in body:
            self._on_failure(body["onFailure"], below(pointer, "onFailure"))
        timeout = self._within(body, "timeout", pointer, SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
        retry = (
            self._retry(body["retry"], below(pointer, "retry"))
            if "retry" in body
            else DEFAULT_RETRY
        )
        if channel is None:
            return None
        return ChannelStep(
            path=path,
            channel=channel,
            given=given or {},
            retry=retry,
            timeout=timeout or DEFAULT_TIMEOUT,
        )

    def _on_failure(self, value: object, pointer: str) -> None:
        choice(self.report, value, pointer, "onFailure", ON_FAILURE)
        row = ("step 'channel'", "onFailure", str(value))
        if row in NO_EFFECT_YET_VALUES and not self.told:
            self.report(
                "no_effect_yet",
                pointer,
                f"{value!r} has no effect yet in this version: {NO_EFFECT_YET_VALUES[row]}.",
            )

    def _retry(self, value: object, pointer: str) -> Retry:
        body = as_object(self.report, value, pointer, "'retry'")
        if body is None:
            return DEFAULT_RETRY
        known_keys(self.report, "retry", body, pointer)
        initial, maximum = (
            self._within(body, key, pointer, SHORTEST_PAUSE, LONGEST_PAUSE)
            for key in ("initial", "max")
        )
        if initial is not None and maximum is not None and initial > maximum:
            self._beyond(
                below(pointer, "initial"),
                "'initial', the first pause, is longer than 'max', the longest.",
                f"at most 'max', {body['max']!r}",
                body["initial"],
            )
        attempts, backoff = body.get("attempts", 3), body.get("backoff", 2)
        place = below(pointer, "attempts")
        if not is_whole(attempts):
            wrong(self.report, place, "'attempts'", "a whole number from 1", attempts)
            attempts = 1
        elif not 1 <= attempts <= MOST_ATTEMPTS:
            expected = f"1 to {MOST_ATTEMPTS}"
            self._beyond(place, "'attempts' counts the first, and has an end.", expected, attempts)
        place = below(pointer, "backoff")
        if isinstance(backoff, bool) or not isinstance(backoff, int | float):
            wrong(self.report, place, "'backoff'", "a number from 1", backoff)
            backoff = 1
        elif not 1 <= backoff <= MOST_BACKOFF:
            message = "'backoff' is what each pause is multiplied by for the next."
            self._beyond(place, message, f"1 to {MOST_BACKOFF}", backoff)
        # Whoever names one of the two pauses alone has the other follow.
        return Retry(
            attempts=int(attempts),
            initial=initial or min(DEFAULT_RETRY.initial, maximum or DEFAULT_RETRY.initial),
            backoff=float(backoff),
            maximum=maximum or max(DEFAULT_RETRY.maximum, initial or DEFAULT_RETRY.maximum),
        )

    def _within(
        self, body: Body, key: str, pointer: str, shortest: timedelta, longest: timedelta
    ) -> timedelta | None:
        """A duration that may be absent, and neither too short nor too long."""
        if key not in body:
            return None
        found = duration(self.report, body[key], below(pointer, key))
        if found is not None and not shortest <= found <= longest:
            expected = f"{_spoken(shortest)} to {_spoken(longest)}"
            self._beyond(below(pointer, key), f"{key!r} is {expected} long.", expected, body[key])
        return found

    def _beyond(self, pointer: str, message: str, expected: str, found: object) -> None:
        self.report("out_of_range", pointer, message, expected=expected, found=found)

    # --- groups -----------------------------------------------------------------------------

    def _parallel(self, body: Body, pointer: str, path: str) -> Step | None:
        return ParallelStep(path=path, steps=self._several("parallel", body, pointer, path))

    def _sequence(self, body: Body, pointer: str, path: str) -> Step | None:
        return SequenceStep(path=path, steps=self._several("sequence", body, pointer, path))

    def _several(self, kind: str, body: Body, pointer: str, path: str) -> tuple[Step, ...]:
        place, steps = below(pointer, kind), body[kind]
        if isinstance(steps, list):
            return self._listed(steps, place, f"{path}/{kind}")
        wrong(self.report, place, f"'{kind}'", "a list of steps", steps)
        return ()

    def _inclusive(self, body: Body, pointer: str, path: str) -> Step | None:
        return self._gateway("inclusive", body, pointer, path)

    def _exclusive(self, body: Body, pointer: str, path: str) -> Step | None:
        return self._gateway("exclusive", body, pointer, path)

    def _gateway(
        self, kind: Literal["inclusive", "exclusive"], body: Body, pointer: str, path: str
    ) -> Step | None:
        place, listed = below(pointer, kind), body[kind]
        if not isinstance(listed, list):
            wrong(self.report, place, f"'{kind}'", "a list of branches", listed)
            listed = []
        branches = [
            self._branch(branch, below(place, index), f"{path}/{kind}/{index}")
            for index, branch in enumerate(listed)
        ]
        return GatewayStep(
            path=path,
            kind=kind,
            branches=tuple(branch for branch in branches if branch is not None),
            default=self._choice_of(body, "default", pointer, path),
        )

    def _branch(self, value: object, pointer: str, path: str) -> Branch | None:
        body = as_object(self.report, value, pointer, "A branch")
        if body is None:
            return None
        known_keys(self.report, "branch", body, pointer)
        for key, said in (("when", "its condition"), ("do", "its step")):
            if key not in body:
                message = f"A branch needs '{key}': {said}."
                self.report("missing_key", pointer, message, expected=f"'{key}'")
        when = self._condition(body, pointer)
        step = self._choice_of(body, "do", pointer, path)
        return None if when is None or step is None else Branch(when, step)

    # --- people, time and data --------------------------------------------------------------

    def _task(self, body: Body, pointer: str, path: str) -> Step | None:
        place = below(pointer, "task")
        task = as_object(self.report, body["task"], place, "'task'")
        if task is None:
            return None
        known_keys(self.report, "task", task, place)
        title = None
        if "title" not in task:
            self.report("missing_key", place, "A task needs a 'title'.", expected="'title'")
        else:
            here = below(place, "title")
            title = as_text(self.report, task["title"], here, "A title")
            if title is not None and "{{" in title:
                self.report(
                    "not_a_template",
                    here,
                    "A title is shown as it stands: only the texts of 'with' are templates.",
                    expected="a title that says what is to be done for any record",
                    found=title,
                )
        assign = None
        if "assign" in task:
            here = below(place, "assign")
            otherwise = "the task is for those who are assigned to the record"
            assign = compile_assign(self.report, task["assign"], here, otherwise)
            if isinstance(task["assign"], dict):
                check_assign(self.report, task["assign"], here)
        return None if title is None else TaskStep(path=path, title=title, assign=assign or NOBODY)

    def _wait(self, body: Body, pointer: str, path: str) -> Step | None:
        wait = duration(self.report, body["wait"], below(pointer, "wait"))
        return None if wait is None else WaitStep(path=path, wait=wait)

    def _wait_for(self, body: Body, pointer: str, path: str) -> Step | None:
        place, here = below(pointer, "waitFor"), f"{path}/waitFor"
        wanted = as_object(self.report, body["waitFor"], place, "'waitFor'")
        if wanted is None:
            return None
        known_keys(self.report, "waitFor", wanted, place)
        event = None
        if "event" not in wanted:
            self.report("missing_key", place, "'waitFor' needs an 'event'.", expected="'event'")
        else:
            event = as_text(self.report, wanted["event"], below(place, "event"), "An event", 200)
        timeout = (
            duration(self.report, wanted["timeout"], below(place, "timeout"))
            if "timeout" in wanted
            else None
        )
        then = self._choice_of(wanted, "then", place, here)
        otherwise = self._choice_of(wanted, "else", place, here)
        if event is None:
            return None
        return WaitForStep(path=path, event=event, timeout=timeout, then=then, otherwise=otherwise)

    def _set(self, body: Body, pointer: str, path: str) -> Step | None:
        return SetStep(
            path=path, set=read_computed(self.report, body["set"], below(pointer, "set"))
        )

    # --- what has no effect yet ---------------------------------------------------------------

    def _split(self, body: Body, pointer: str, path: str) -> Step | None:
        place = below(pointer, "split")
        split = as_object(self.report, body["split"], place, "'split'")
        if split is None:
            return None
        known_keys(self.report, "split", split, place)
        if "variants" not in split:
            message = "'split' needs 'variants'."
            self.report("missing_key", place, message, expected="'variants'")
        elif not isinstance(split["variants"], dict) or not split["variants"]:
            self.report(
                "wrong_type",
                below(place, "variants"),
                "'variants' must be an object with one entry for each variant.",
                expected="an object that is not empty",
                found=split["variants"],
            )
        if "goal" in split:
            as_text(self.report, split["goal"], below(place, "goal"), "A goal")
        return LaterStep(path=path, kind="split")

    def _start(self, body: Body, pointer: str, path: str) -> Step | None:
        as_name(self.report, body["start"], below(pointer, "start"), "The definition to start")
        return LaterStep(path=path, kind="start")


_NAMED = frozenset(("channel", "task", "waitFor"))  # the steps that `steps.<name>` can show


def _spoken(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3_600), ("second", 1)):
        if seconds >= size:
            count = seconds / size
            return f"{count:g} {unit}" + ("s" if count != 1 else "")
    return f"{seconds:g} seconds"

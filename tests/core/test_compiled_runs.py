"""A stage's run, from the document to the tree of its steps."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.core import DefinitionError, Problem, program_of
from nexus.core.json_text import MAX_DEPTH
from nexus.core.language import MOST_NAME, MOST_STEPS
from nexus.core.state import Assignees
from nexus.core.steps import (
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    ChannelStep,
    GatewayStep,
    LaterStep,
    ParallelStep,
    Retry,
    Run,
    SequenceStep,
    SetStep,
    TaskStep,
    WaitForStep,
    WaitStep,
    children,
)
from tests.core.playing import Document, compiled

RUN = "/entities/lead/stages/0/run"


def with_run(run: object, **more: object) -> Document:
    return {
        "id": "x",
        "entities": {"lead": {"stages": [{"id": "new", "run": run}, "won"]}},
        "transitions": {"go": {"from": "new", "to": "won", "interrupts": True}},
        **more,
    }


def run_of(run: object) -> Run:
    found = compiled(with_run(run)).program.entities["lead"].stages["new"].run
    assert found is not None
    return found


def step_of(step: object) -> object:
    return run_of(step).root


def problems(run: object, **more: object) -> tuple[Problem, ...]:
    try:
        return compiled(with_run(run, **more)).warnings
    except DefinitionError as error:
        return error.problems


def only_error(run: object) -> Problem:
    (error,) = (problem for problem in problems(run) if problem.severity == "error")
    return error


# --- each kind of step -----------------------------------------------------------------------


def test_a_stage_without_a_run_runs_nothing() -> None:
    document = {"id": "x", "entities": {"lead": {"stages": ["new", "won"]}}}
    assert compiled(document).program.entities["lead"].stages["new"].run is None


def test_a_channel_has_the_defaults_of_rule_ten() -> None:
    """R10."""
    step = step_of({"channel": "email", "with": {"to": "x"}})
    assert step == ChannelStep(path="run", channel="email", given={"to": "x"})
    assert isinstance(step, ChannelStep)
    assert (step.retry, step.timeout) == (DEFAULT_RETRY, DEFAULT_TIMEOUT)
    assert Retry(3, timedelta(seconds=1), 2.0, timedelta(minutes=1)) == DEFAULT_RETRY
    assert timedelta(seconds=10) == DEFAULT_TIMEOUT


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        ({}, DEFAULT_RETRY),
        ({"attempts": 1}, Retry(attempts=1)),
        ({"attempts": 5.0, "backoff": 1.5}, Retry(attempts=5, backoff=1.5)),
        (
            {"initial": "2m"},
            Retry(initial=timedelta(minutes=2), maximum=timedelta(minutes=2)),
        ),
        (
            {"max": "0.5s"},
            Retry(initial=timedelta(seconds=0.5), maximum=timedelta(seconds=0.5)),
        ),
        (
            {"initial": "5s", "max": "1h"},
            Retry(initial=timedelta(seconds=5), maximum=timedelta(hours=1)),
        ),
    ],
)
def test_what_a_retry_does_not_say_is_the_default_or_follows(
    retry: Document, expected: Retry
) -> None:
    """R10; the first pause is never longer than the longest."""
    step = step_of({"channel": "email", "retry": retry})
    assert isinstance(step, ChannelStep)
    assert step.retry == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("timeout", "0.01s"), ("timeout", "2h")),
        *(("retry/attempts", 0), ("retry/attempts", 101), ("retry/backoff", 0.5)),
        *(("retry/backoff", 101), ("retry/initial", "0.0001s"), ("retry/max", "2 days")),
    ],
)
def test_what_is_out_of_range_is_told_where_it_stands(key: str, value: object) -> None:
    first, _, second = key.partition("/")
    step = {"channel": "email", first: {second: value} if second else value}
    error = only_error(step)
    assert (error.code, error.pointer) == ("out_of_range", f"{RUN}/{key}")
    assert error.expected is not None
    assert " to " in error.expected


def test_a_first_pause_is_not_longer_than_the_longest() -> None:
    error = only_error({"channel": "email", "retry": {"initial": "2m", "max": "1m"}})
    assert (error.code, error.pointer) == ("out_of_range", f"{RUN}/retry/initial")


def test_groups_have_their_steps_in_order() -> None:
    a, b = {"wait": "1h"}, {"wait": "2h"}
    for listed, path in (([a, b], "run"), ({"parallel": [a, b]}, "run/parallel")):
        step = step_of(listed)
        assert isinstance(step, ParallelStep)
        assert step.steps == (
            WaitStep(path=f"{path}/0", wait=timedelta(hours=1)),
            WaitStep(path=f"{path}/1", wait=timedelta(hours=2)),
        )
    sequence = step_of({"sequence": [a, [b]]})
    assert isinstance(sequence, SequenceStep)
    assert sequence.steps[1] == ParallelStep(
        path="run/sequence/1",
        steps=(WaitStep(path="run/sequence/1/0", wait=timedelta(hours=2)),),
    )


@pytest.mark.parametrize("kind", ["inclusive", "exclusive"])
def test_a_gateway_has_branches_and_a_default(kind: str) -> None:
    """FR-L2-005."""
    step = step_of({kind: [{"when": "data.a", "do": {"wait": "1h"}}], "default": [{"wait": "2h"}]})
    assert isinstance(step, GatewayStep)
    assert step.kind == kind
    (branch,) = step.branches
    assert getattr(branch.when, "text", None) == "data.a"
    assert branch.step.path == f"run/{kind}/0/do"
    assert step.default is not None
    assert [child.path for child in step.choices] == [f"run/{kind}/0/do", "run/default"]


def test_a_task_names_those_whose_work_it_is() -> None:
    run = [{"task": {"title": "Call", "assign": {"users": "ann"}}}, {"task": {"title": "Wait"}}]
    step = step_of(run)
    assert isinstance(step, ParallelStep)
    one, other = step.steps
    assert one == TaskStep(path="run/0", title="Call", assign=Assignees(("ann",), ()))
    assert other == TaskStep(path="run/1", title="Wait")


def test_a_task_that_names_nobody_is_for_those_who_have_the_record() -> None:
    (warning,) = problems({"task": {"title": "Call", "assign": {}}})
    assert (warning.code, warning.pointer) == ("assigns_nobody", f"{RUN}/task/assign")
    assert warning.message.endswith("the task is for those who are assigned to the record.")


def test_a_wait_for_has_what_follows_it() -> None:
    then, otherwise = {"channel": "a"}, [{"channel": "b"}]
    run = run_of({"waitFor": {"event": "e", "timeout": "1h", "then": then, "else": otherwise}})
    step = run.root
    assert isinstance(step, WaitForStep)
    assert (step.event, step.timeout) == ("e", timedelta(hours=1))
    assert [child.path for child in children(step)] == ["run/waitFor/then", "run/waitFor/else"]
    assert run.events == {"e"}
    assert run.heard == {"run/waitFor/then": "run/waitFor"}


def test_steps_without_effect_keep_their_place() -> None:
    assert step_of({"split": {"variants": {"a": 1}}}) == LaterStep(path="run", kind="split")
    assert step_of({"start": "other"}) == LaterStep(path="run", kind="start")


def test_a_set_is_that_of_a_transition() -> None:
    step = step_of({"set": {"a": "1 + 1", "b": None}})
    assert isinstance(step, SetStep)
    assert [(one.key, one.expression is None) for one in step.set] == [("a", False), ("b", True)]


def test_named_settings_are_kept_as_they_stand() -> None:
    channels = {"welcome": {"channel": "email", "from": "a@b.example"}, "log": {}}
    assert compiled(with_run([], channels=channels)).program.channels == channels


@pytest.mark.parametrize(
    ("channels", "code", "below"),
    [
        ({"a/b": {}}, "invalid_name", "/a~1b"),
        ({"welcome": {"channel": ""}}, "invalid_name", "/welcome/channel"),
        ({"welcome": 5}, "wrong_type", "/welcome"),
        ([], "wrong_type", ""),
    ],
)
def test_faulty_settings_are_told_where_they_stand(channels: object, code: str, below: str) -> None:
    (error,) = problems([], channels=channels)
    assert (error.code, error.pointer) == (code, f"/channels{below}")


# --- names -----------------------------------------------------------------------------------


def test_named_steps_are_found_by_name_and_single_calls_by_channel() -> None:
    run = run_of(
        [
            {"channel": "email", "name": "welcome"},
            {"channel": "email"},
            {"channel": "sms"},
            {"channel": "sms"},
            {"channel": "log"},
            {"task": {"title": "Log"}, "name": "log"},
            {"waitFor": {"event": "e"}, "name": "opened"},
        ]
    )
    assert run.paths == {
        "welcome": "run/0",
        "email": "run/1",
        "log": "run/5",
        "opened": "run/6",
    }


def test_two_steps_of_one_stage_have_two_names() -> None:
    run = [
        {"channel": "email", "name": "hello"},
        {"exclusive": [], "default": {"task": {"title": "x"}, "name": "hello"}},
    ]
    error = only_error(run)
    assert (error.code, error.pointer) == ("duplicate_step", f"{RUN}/1/default/name")


def test_only_what_shows_something_has_a_name() -> None:
    (warning,) = problems({"wait": "1h", "name": "pause"})
    assert (warning.code, warning.pointer) == ("unknown_key", f"{RUN}/name")


@pytest.mark.parametrize("name", ["", " a", "a/b", 5, "x" * (MOST_NAME + 1)])
def test_a_name_is_one(name: object) -> None:
    error = only_error({"channel": "email", "name": name})
    assert (error.code, error.pointer) == ("invalid_name", f"{RUN}/name")


# --- bounds ----------------------------------------------------------------------------------


def test_a_stage_runs_a_thousand_steps_and_no_more() -> None:
    assert len(run_of([{"wait": "1h"}] * (MOST_STEPS - 1)).by_path) == MOST_STEPS
    error = only_error([{"wait": "1h"}] * MOST_STEPS)
    assert (error.code, error.pointer) == ("too_many_steps", RUN)


def deepest_path(block: Callable[[object], object]) -> int:
    """Characters of the longest path, with a step inside as many blocks as JSON may be deep."""
    longest, step = 0, block({"wait": "1h"})
    while not any(problem.severity == "error" for problem in problems(step)):
        longest = max(map(len, run_of(step).by_path))
        step = block(step)
    assert [problem.code for problem in problems(step)] == ["too_deep"]
    return longest


def test_the_longest_path_leaves_an_effect_id_below_a_thousand_bytes() -> None:
    """Temporal takes no longer ids of activities; the depth of JSON bounds a path."""
    longest = max(
        deepest_path(lambda step: {"sequence": [*[[]] * 10, step]}),
        deepest_path(lambda step: {"waitFor": {"event": "e", "timeout": "1h", "then": step}}),
        deepest_path(lambda step: {"inclusive": [{"when": "data.a", "do": step}]}),
    )
    # Every block may add three digits more, as a stage has at most a thousand steps.
    assert 200 < longest < 500
    assert 4 * MOST_NAME + len("-1000000000/1000000000/") + longest + 2 * MAX_DEPTH < 1000


# --- any tree --------------------------------------------------------------------------------

LEAVES = st.sampled_from(
    [
        {"channel": "email", "with": {"to": "x"}},
        {"channel": "log", "when": "data.a > 1"},
        {"task": {"title": "Call"}},
        {"wait": "1h"},
        {"waitFor": {"event": "e", "timeout": "1h"}},
        {"set": {"a": "1"}},
        {"split": {"variants": {"a": 1}}},
        {"start": "other"},
        [],
    ]
)


def _around(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(steps, max_size=3)
    branch = st.fixed_dictionaries({"when": st.sampled_from(["data.a", "data.b"]), "do": steps})
    default = {"default": steps}
    follow = {"then": steps, "else": steps}
    event = st.fixed_dictionaries(
        {"event": st.just("e"), "timeout": st.just("1h")}, optional=follow
    )
    return st.one_of(
        several,
        several.map(lambda listed: {"parallel": listed}),
        several.map(lambda listed: {"sequence": listed}),
        st.fixed_dictionaries({"inclusive": st.lists(branch, max_size=3)}, optional=default),
        st.fixed_dictionaries({"exclusive": st.lists(branch, max_size=3)}, optional=default),
        event.map(lambda waits: {"waitFor": waits}),
    )


TREES = st.recursive(LEAVES, _around, max_leaves=12)


def at(document: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        document = document[int(token) if isinstance(document, list) else token]
    return document


def count(step: Any) -> int:
    """How many steps a document has, counted by itself."""
    if isinstance(step, list):
        return 1 + sum(map(count, step))
    below = [step[key] for key in ("parallel", "sequence") if key in step]
    inner = [one for listed in below for one in listed]
    inner += [one["do"] for key in ("inclusive", "exclusive") for one in step.get(key, ())]
    inner += [step["default"]] if "default" in step else []
    inner += [step["waitFor"][k] for k in ("then", "else") if k in step.get("waitFor", {})]
    return 1 + sum(map(count, inner))


@given(TREES)
@settings(max_examples=200, deadline=None)
def test_each_path_leads_to_the_very_step_in_the_document(tree: Any) -> None:
    """The path of a step is its place, and no two are the same."""
    document = with_run(tree)
    run = compiled(document).program.entities["lead"].stages["new"].run
    assert run is not None
    assert len(run.by_path) == count(tree)
    stage = document["entities"]["lead"]["stages"][0]
    for path, step in run.by_path.items():
        found = at(stage, f"/{path}")
        assert step.path == path
        assert step.kind == "parallel" if isinstance(found, list) else step.kind in found
    running = program_of(json.dumps(document)).entities["lead"].stages["new"].run
    assert running == run


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


@given(TREES, st.data())
@settings(max_examples=300, deadline=None)
def test_a_broken_tree_gives_located_problems_and_never_an_exception(
    tree: Any, data: st.DataObject
) -> None:
    root: list[Any] = [json.loads(json.dumps(tree))]
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(_places(root))))
        scraps: list[Any] = [None, 5, -1, "", "x", "1h", [], {}, [[]], {"x": 1}, True, {"wait": 5}]
        if isinstance(container, dict) and data.draw(st.booleans()):
            container[data.draw(st.sampled_from(["name", "channel", "when", "x"]))] = data.draw(
                st.sampled_from(scraps)
            )
        else:
            container[key] = data.draw(st.sampled_from(scraps))
    document = with_run(root[0])
    for problem in problems(root[0]):
        assert problem.line >= 1
        place = problem.pointer
        if problem.code != "unknown_key":
            at(document, place)

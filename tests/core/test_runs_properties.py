"""Any tree of steps joins, whatever its steps come to, and as a direct reading says (R9)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.core.commands import CallEnded, TimerDue
from nexus.core.state import Record
from tests.core.playing import Document, Play, lead

Fate = dict[str, str]
ENDS = ("done", "failed", "timed_out", "cancelled")


def leaf() -> st.SearchStrategy[Document]:
    return st.sampled_from(
        [
            {"channel": "email"},
            {"channel": "webhook"},
            {"task": {"title": "Call"}},
            {"wait": "1 day"},
            {"waitFor": {"event": "e", "timeout": "1 day"}},
            {"set": {"x": 1}},
            {"set": {"x": "data.missing + 1"}},
            {"start": "later"},
        ]
    )


def branch(steps: st.SearchStrategy[object]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({"when": st.sampled_from(["true", "false"]), "do": steps})


def blocks(steps: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    listed = st.lists(steps, max_size=3)
    branches = st.lists(branch(steps), max_size=3)
    event = {"event": st.just("e"), "timeout": st.just("1 day")}
    follow = st.fixed_dictionaries(event, optional={"then": steps, "else": steps})
    return st.one_of(
        listed,
        st.fixed_dictionaries({"parallel": listed}),
        st.fixed_dictionaries({"sequence": listed}),
        st.fixed_dictionaries({"inclusive": branches}, optional={"default": steps}),
        st.fixed_dictionaries({"exclusive": branches}, optional={"default": steps}),
        st.fixed_dictionaries({"waitFor": follow}),
        st.tuples(steps, st.sampled_from(["true", "false"])).map(
            lambda drawn: {**drawn[0], "when": drawn[1]} if isinstance(drawn[0], dict) else drawn[0]
        ),
    )


TREES = st.recursive(leaf(), blocks, max_leaves=12)


def interpret(step: Any, path: str, fate: Fate) -> Fate:
    """What each step of a tree comes to: a direct reading of the document, and nothing more."""
    if isinstance(step, list):
        step, inside = {"parallel": step}, path
    else:
        inside = f"{path}/{next(k for k in step if k not in ('when', 'default'))}"
    if step.get("when") == "false":
        return {path: "skipped"}
    match step:
        case {"parallel": steps} | {"sequence": steps}:
            ended = {path: "done"}
            for i, one in enumerate(steps):
                ended |= interpret(one, f"{inside}/{i}", fate)
            return ended
        case {"inclusive": branches} | {"exclusive": branches}:
            ended, chosen = {path: "done"}, False
            for i, one in enumerate(branches):
                runs = one["when"] == "true" and not (chosen and "exclusive" in step)
                place = f"{inside}/{i}/do"
                ended |= interpret(one["do"], place, fate) if runs else {place: "skipped"}
                chosen = chosen or runs
            place = f"{path}/default"
            if "default" in step:
                ended |= {place: "skipped"} if chosen else interpret(step["default"], place, fate)
            return ended
        case {"waitFor": wanted}:
            heard = fate.get(path, "done")
            side = wanted.get("then" if heard == "done" else "else")
            key = f"{inside}/{'then' if heard == 'done' else 'else'}"
            below = interpret(side, key, fate) if side is not None else {}
            return {path: heard, inside: heard} | below
        case {"set": values}:
            return {path: "failed" if isinstance(values["x"], str) else "done"}
        case {"start": _}:
            return {path: "skipped"}
    return {path: fate.get(path, "done")}


def end_one(play: Play, draw: st.DataObject, fate: Fate) -> bool:
    """Let one thing that runs end, drawn, as fate has it. Returns whether there was one."""
    state = play.state
    ways: list[tuple[str, str]] = [("call", id_) for id_ in state.calls]
    ways += [("task", id_) for id_ in state.tasks] + [("clock", id_) for id_ in state.timers]
    if not ways:
        return False
    kind, id_ = draw.draw(st.sampled_from(ways))
    if kind == "task":
        play.complete(id_)
    elif kind == "clock":
        path = state.timers[id_].name
        waits = f"{path}/waitFor"
        run = play.program.entities["lead"].stages["work"].run
        assert run is not None
        if run.by_path[path].kind == "waitFor":
            fate[path] = draw.draw(st.sampled_from(["done", "timed_out"]))
            if fate[path] == "done":
                hearing = [p for p in _waiting(play.lead, run.by_path) if p != path]
                play.event("e")
                taken = [p for p in (path, *hearing) if f"{p}/waitFor" in play.lead.run]
                fate[path] = "timed_out"
                fate.update(dict.fromkeys(taken, "done"))
                return True
        play.give(TimerDue(timer=id_))
        assert waits in play.lead.run or play.lead.run[path] == "done"
    else:
        path = state.calls[id_].path
        fate[path] = draw.draw(st.sampled_from(ENDS))
        play.give(CallEnded(call=id_, outcome=fate[path], code="x", message="y"))  # type: ignore[arg-type]
    return True


def _waiting(record: Record, steps: Any) -> list[str]:
    return [
        path
        for path, step in steps.items()
        if step.kind == "waitFor"
        and record.run.get(path) == "running"
        and f"{path}/waitFor" not in record.run
    ]


@settings(max_examples=300, deadline=None)
@given(tree=TREES, draw=st.data())
def test_every_tree_joins_as_a_direct_reading_says(tree: object, draw: st.DataObject) -> None:
    """R9, BR-008, design 9.4: no join hangs, and none is early."""
    play = Play(lead({}, [{"id": "work", "run": tree}, "done"]))
    play.start()
    fate: Fate = {}
    while play.lead.running:
        assert end_one(play, draw, fate), f"hangs: {play.lead.run}"
    assert not play.state.calls
    assert not play.state.tasks
    assert not play.state.timers
    assert dict(play.lead.run) == interpret(tree, "run", fate)


@settings(max_examples=100, deadline=None)
@given(tree=TREES, draw=st.data(), ends=st.integers(0, 4))
def test_stopping_leaves_nothing_running(tree: object, draw: st.DataObject, ends: int) -> None:
    """R7: whatever runs, an interruption leaves calls that are being cancelled and no more."""
    leave = {"leave": {"from": "work", "to": "done", "interrupts": True}}
    play = Play(lead(leave, [{"id": "work", "run": tree}, "done", "end"]))
    play.start()
    fate: Fate = {}
    for _ in range(ends):
        if play.lead.running:
            end_one(play, draw, fate)
    play.act("leave")
    assert play.lead.run == {}
    assert not play.state.timers
    assert not play.state.tasks
    assert all(call.cancelling for call in play.state.calls.values())
    play.act("cancel")
    for id_ in list(play.state.calls):
        play.give(CallEnded(call=id_, outcome="cancelled"))
    assert play.status() == "cancelled"

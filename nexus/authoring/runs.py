"""What a stage runs, in the words of pictures and explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nexus.authoring.wording import computed_text, condition_text, joined, people, quoted
from nexus.core.durations import format_duration
from nexus.core.steps import (
    ChannelStep,
    GatewayStep,
    LaterStep,
    ParallelStep,
    Run,
    SequenceStep,
    SetStep,
    Step,
    TaskStep,
    WaitForStep,
    WaitStep,
    children,
)


def run_sentence(run: Run) -> str:
    """What a stage runs, after "it": "runs, all together: email; the task "Call Ann"."."""
    root = run.root
    if not children(root) and isinstance(root, ParallelStep | SequenceStep):
        return "runs nothing"
    condition = f", if {condition_text(root.when)}" if root.when is not None else ""
    match root:
        case ParallelStep(steps=steps) if len(steps) > 1:
            return f"runs, all together{condition}: {_listed(steps)}"
        case SequenceStep(steps=steps) if len(steps) > 1:
            return f"runs, one after another{condition}: {_listed(steps)}"
        case _:
            return f"runs {step_text(root)}"


def step_text(step: Step) -> str:
    """A step, with what it consists of, as a part of a sentence."""
    text = _what(step)
    return f"{text}, if {condition_text(step.when)}" if step.when is not None else text


def _what(step: Step) -> str:
    match step:
        case ChannelStep(channel=channel, name=name):
            return f"{channel} {quoted(name)}" if name else channel
        case TaskStep(title=title, assign=assign):
            whose = f" for {people(assign.users, assign.roles)}" if assign else ""
            return f"the task {quoted(title)}{whose}"
        case WaitStep(wait=wait):
            return f"a wait of {format_duration(wait)}"
        case WaitForStep():
            return _waiting(step)
        case SetStep(set=computed):
            values = joined(f"{one.key} to {computed_text(one)}" for one in computed)
            return f"setting {values or 'nothing'}"
        case ParallelStep(steps=steps):
            return _group("all together", steps)
        case SequenceStep(steps=steps):
            return _group("one after another", steps)
        case GatewayStep():
            return _gateway(step)
        case LaterStep(kind=kind):
            return f"{quoted(kind)}, which is skipped"


def _listed(steps: Iterable[Step]) -> str:
    return "; ".join(map(step_text, steps))


def _group(how: str, steps: tuple[Step, ...]) -> str:
    if len(steps) == 1:
        return step_text(steps[0])
    return f"({how}: {_listed(steps)})" if steps else "nothing"


def _waiting(step: WaitForStep) -> str:
    text = f"waiting for {quoted(step.event)}"
    if step.timeout is not None:
        text += f" for at most {format_duration(step.timeout)}"
    follow = [
        f"{word} {step_text(branch)}"
        for word, branch in (("then", step.then), ("else", step.otherwise))
        if branch is not None
    ]
    return f"{text} ({'; '.join(follow)})" if follow else text


def _gateway(gateway: GatewayStep) -> str:
    which = "the first that fits" if gateway.kind == "exclusive" else "each that fits"
    told = [
        f"{step_text(branch.step)} if {condition_text(branch.when)}" for branch in gateway.branches
    ]
    if gateway.default is not None:
        told.append(f"else {step_text(gateway.default)}")
    return f"({which}: {'; '.join(told)})" if told else "nothing"


def run_note(run: Run) -> str:
    """What a stage runs, as short as a picture wants it; "" for nothing that takes time."""
    counts: Counter[str] = Counter()
    for step in run.by_path.values():
        match step:
            case ChannelStep(channel=channel):
                counts[channel] += 1
            case TaskStep(title=title):
                counts[f"task {title}"] += 1
            case WaitStep(wait=wait):
                counts[f"wait {format_duration(wait)}"] += 1
            case WaitForStep(event=event):
                counts[f"wait for {event}"] += 1
            case _:
                pass
    return ", ".join(
        f"{count} times {what}" if count > 1 else what for what, count in counts.items()
    )


def leaves_of(run: Run) -> dict[str, Step]:
    """The steps that do something by themselves, by what distinguishes them: name, else words."""
    found: dict[str, Step] = {}
    counts: Counter[str] = Counter()
    for step in run.by_path.values():
        match step:
            case ParallelStep() | SequenceStep() | GatewayStep():
                continue
            case WaitForStep(name="", event=event):
                key = f"waiting for {quoted(event)}"
            case _:
                key = step.name or _what(step)
        counts[key] += 1
        found[key if counts[key] == 1 else f"{key} ({counts[key]})"] = step
    return found

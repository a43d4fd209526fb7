"""One trace at all levels (design 9, number 12): four shells, and the same events, rows and calls.

`NEXUS_TRACE_CASES=500` draws so many cases instead of a few, `NEXUS_TRACE_SEED` other ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, reject, seed, settings
from hypothesis import strategies as st

from nexus.core import DefinitionError
from nexus.core.commands import (
    Act,
    Actor,
    CompleteTask,
    GiveUp,
    ReceiveEvent,
    RetryIncident,
    SkipIncident,
    Start,
    WireCommand,
)
from nexus.core.incidents import lingers
from nexus.core.state import Subject
from storage.engine import Engine, create_engine
from tests.core.drawn import commands, definitions
from tests.core.playing import DEFINITIONS, compiled
from tests.platform.company import SECRET, Company
from tests.platform.tracing import Circling, Trace
from tests.support import receiver as web
from tests.support.platform import Platform
from tests.support.receiver import Receiver

CASES = int(os.environ.get("NEXUS_TRACE_CASES", "20"))
SEED = int(os.environ.get("NEXUS_TRACE_SEED", "1"))
MOST_COMMANDS = 8

ANN, MAX, ADMIN = Actor("ann", ("sales",)), Actor("max", ("manager",)), Actor("root", ("admin",))
ACME = Subject("account", "acme")


@pytest.fixture(scope="module")
def engine(platform: Platform) -> Iterator[Engine]:
    """Of the platform's own database."""
    engine = create_engine(platform.environment["NEXUS_DATABASE_URL"])
    yield engine
    engine.dispose()


@contextmanager
def traced(platform: Platform, engine: Engine, document: dict[str, Any]) -> Iterator[Trace]:
    """A definition in all four shells; the webhooks among its steps reach a receiver."""
    with Receiver(secrets=[SECRET]) as receiver, Company(platform) as company:
        receiver.on("/down", web.answer(400), web.answer())
        company.configure({"webhook": {"secrets": [SECRET]}})
        trace = Trace(company, engine, receiver, reaching(document, receiver))
        try:
            yield trace
            trace.compare()
        except Circling:
            reject()
        finally:
            trace.close()


def reaching(value: Any, receiver: Receiver) -> Any:
    """The document, with what drawn mails would say posted to the receiver."""
    if isinstance(value, list):
        return [reaching(item, receiver) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("channel") == "email" and "with" in value:
        posted = {"url": receiver.url("/drawn"), "body": {"to": value["with"]["to"]}}
        return {**value, "channel": "webhook", "with": posted, "retry": {"attempts": 1}}
    given = value.get("with")
    if value.get("channel") == "webhook" and isinstance(given, dict):
        return {**value, "with": {**given, "url": receiver.url(given["url"])}}
    return {key: reaching(item, receiver) for key, item in value.items()}


# --- a fixed corpus -----------------------------------------------------------------------------


def post(path: str, **more: Any) -> dict[str, Any]:
    body = {"subject": "{{ subject.id }}", "score": "{{ data.score }}"}
    return {"channel": "webhook", "with": {"url": path, "body": body}, **more}


def running(run: object, **more: object) -> dict[str, Any]:
    return {
        "id": "traced",
        "version": "1.0.0",
        "entities": {"lead": {"stages": ["new", {"id": "busy", "run": run}, "won", "lost"]}},
        "transitions": {
            "go": {"from": "new", "to": "busy"},
            "win": {"from": "busy", "to": "won", "condition": "data.score > 2"},
            "drop": {"entity": "lead", "from": "*", "to": "lost", "interrupts": True},
            "again": {"from": "won", "to": "lost", "on": {"event": "returned"}},
        },
        **more,
    }


def act(action: str, actor: Actor = ANN, **given: Any) -> Act:
    return Act(actor=actor, action=action, **given)


START = Start(actor=ANN, subject=ACME, data={"score": 3})
OPENED = ReceiveEvent(actor=ANN, event="opened", data={"by": "Ann"})

CORPUS: dict[str, tuple[dict[str, Any], list[WireCommand]]] = {
    "parallel channels that join": (
        running([post("/a"), post("/b"), {"channel": "log", "with": {"message": "hello"}}]),
        [START, act("go"), act("go"), act("win")],
    ),
    "a sequence that uses an answer": (
        running(
            {
                "sequence": [
                    post("/a", name="first"),
                    {"set": {"status": "steps.first.response.status"}},
                    post("/b"),
                ]
            }
        ),
        [START, act("go"), act("win")],
    ),
    "gateways": (
        running(
            [
                {
                    "inclusive": [
                        {"when": "data.score > 1", "do": post("/a")},
                        {"when": "data.score > 2", "do": post("/b")},
                    ],
                    "default": post("/c"),
                },
                {
                    "exclusive": [{"when": "data.score > 5", "do": post("/d")}],
                    "default": [post("/e"), {"set": {"seen": "true"}}],
                },
            ]
        ),
        [START, act("go"), act("drop", ADMIN)],
    ),
    "a task, and an event that comes too early": (
        running(
            {
                "sequence": [
                    {"task": {"title": "Call", "assign": {"users": ["ann"]}}, "name": "call"},
                    {"waitFor": {"event": "opened", "timeout": "1h", "then": post("/a")}},
                ]
            }
        ),
        [
            START,
            act("go"),
            OPENED,
            act("win"),
            CompleteTask(actor=MAX, task="task-8"),
            CompleteTask(actor=ANN, task="task-8", data={"reached": True}),
            act("win"),
            ReceiveEvent(actor=ANN, event="returned"),
        ],
    ),
    "a call that fails, its incident, and another try": (
        running([post("/down", retry={"attempts": 1}), post("/a")]),
        [
            START,
            act("go"),
            RetryIncident(actor=ANN, incident="the open one"),
            SkipIncident(actor=ANN, incident="the open one"),
            act("win"),
        ],
    ),
    "a run that is interrupted": (
        running([{"wait": "1h"}, {"task": {"title": "Call"}}, post("/a")]),
        [START, act("go"), act("win"), act("drop")],
    ),
    "an automatic transition that interrupts at once": (
        {
            **running([post("/a"), {"wait": "1h"}]),
            "transitions": {
                "go": {"entity": "lead", "from": "new", "to": "busy"},
                "leave": {
                    "entity": "lead",
                    "from": "busy",
                    "to": "lost",
                    "on": "auto",
                    "condition": "data.score > 2",
                    "interrupts": True,
                },
            },
        },
        [START, act("go")],
    ),
    "refusals of all kinds": (
        running([], roles={"sales": {"can": ["go", "update"]}}),
        [
            START,
            act("go", Actor("eve")),
            act("win"),
            act("dance"),
            act("go", record="lead-9"),
            act("update", data={"score": 1}),
            act("go"),
            act("win", ADMIN),
            START,
        ],
    ),
}
LEAD = {"name": "Cleo", "email": "cleo@example.com", "budget": 5000, "need": "a CRM"}
SHIPPED: dict[str, list[WireCommand]] = {
    "sales-pipeline": [
        Start(actor=ANN, subject=ACME, data={"score": 50}),
        act("qualify"),
        act("update", data={"score": 51}),
        act("qualify"),
        act("convert"),
    ],
    "promo-funnel": [
        Start(actor=ANN, subject=ACME, data={"segment": 101}),
        act("activate"),
        act("convert"),
    ],
    "enterprise-crm": [Start(actor=ANN, subject=ACME), act("comment", comment="hm"), act("close")],
    "enterprise-sm": [Start(actor=ANN, subject=ACME), act("cancel")],
    "inbound-lead": [
        Start(actor=ANN, subject=ACME, data=LEAD),
        act("contact", data={"channel": "pigeon"}),
        act("contact", data={"channel": "phone"}),
        ReceiveEvent(actor=ANN, event="email.replied"),
        act("qualify"),
        act("win", record="opportunity-1", data={"value": 7}),
    ],
    "opportunity": [
        Start(actor=ANN, subject=ACME, data={**LEAD, "company": "Acme"}),
        act("discover", data={"need": "a CRM"}),
        act("propose", data={"amount": 1, "discount": 20, "valid_until": "2026-12-01"}),
        act("approve"),
        act("approve", MAX),
        ReceiveEvent(actor=ANN, event="proposal.viewed"),
        act("agree"),
        act("sign"),
        act("welcome"),
    ],
}


def settled(command: WireCommand, trace: Trace) -> WireCommand:
    """The command, on the incident that is open, whose number is chance."""
    if isinstance(command, RetryIncident | SkipIncident):
        incident = next(iter(trace.bare.state.incidents), "incident-1")
        return type(command)(actor=command.actor, incident=incident)
    return command


@pytest.mark.parametrize("name", CORPUS)
def test_all_shells_do_the_same_with(name: str, platform: Platform, engine: Engine) -> None:
    document, given_ = CORPUS[name]
    with traced(platform, engine, document) as trace:
        for command in given_:
            trace.take(settled(command, trace))


def test_clocks_fire_in_all_shells(platform: Platform, engine: Engine) -> None:
    """What waits, what waits in vain, and what moves on by itself; R7: after the join."""
    run = [
        {"sequence": [{"wait": "1s"}, {"set": {"waited": "true"}}]},
        {"waitFor": {"event": "opened", "timeout": "1.5s", "else": {"set": {"silent": "true"}}}},
        {"wait": "3s"},
    ]
    document = running(run)
    document["transitions"] |= {
        "hurry": {"from": "busy", "to": "won", "on": {"after": "2s"}, "condition": "data.silent"},
        "forget": {"from": "won", "to": "lost", "on": {"after": "1s"}},
    }
    with traced(platform, engine, document) as trace:
        trace.take(START)
        trace.take(act("go"))
        trace.elapse(6)
        assert trace.bare.state.status == "completed"
        assert trace.bare.state.records["lead-1"].stage == "lost"


@pytest.mark.parametrize("name", SHIPPED)
def test_all_shells_do_the_same_with_what_ships(
    name: str, platform: Platform, engine: Engine
) -> None:
    document = json.loads((DEFINITIONS / f"{name}.json").read_text())
    document = {**document, "id": f"traced-{name}"}
    with traced(platform, engine, document) as trace:
        for command in SHIPPED[name]:
            trace.take(command)


# --- drawn ones ---------------------------------------------------------------------------------


def can_run(document: dict[str, Any]) -> bool:
    """What is drawn may go on without end, which the compiler sees."""
    try:
        compiled(document)
    except DefinitionError:
        return False
    return True


@pytest.mark.timeout(120 + 5 * CASES)  # against hanging; it takes a fraction of that
@seed(SEED)
@settings(
    max_examples=CASES,
    derandomize=False,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(document=definitions(), data=st.data())
def test_all_shells_do_the_same_with_whatever_is_drawn(
    platform: Platform, engine: Engine, document: dict[str, Any], data: st.DataObject
) -> None:
    note(f"NEXUS_TRACE_SEED={SEED}")
    note(json.dumps(document, indent=2))
    assume(can_run(document))
    with traced(platform, engine, document) as trace:
        for _ in range(data.draw(st.integers(1, MOST_COMMANDS))):
            state = trace.bare.state
            command = data.draw(commands(trace.bare.program, state))
            if isinstance(command, GiveUp):
                continue  # what the API does by itself, before another start
            assert isinstance(command, WireCommand)
            if isinstance(command, Start) and state.ended:
                continue  # would begin another instance
            trace.take(command)
            if trace.bare.state.status == "new" or (
                trace.bare.state.ended and not lingers(trace.bare.state)
            ):
                break

"""What many runs are like: who there is, what comes in, what is done, how likely and how soon."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nexus.core.calls import CallRequest
from nexus.core.errors import escape_pointer
from nexus.core.program import Program
from nexus.schema import population_schema
from nexus.simulation.distributions import (
    NOTHING,
    DistributionError,
    Draw,
    delay_of,
    value_of,
)
from nexus.simulation.documents import located, read_document
from nexus.simulation.generated import People, generated_data, people_of
from nexus.simulation.simulator import Answer

CODE = "invalid_population"
A_DAY_OR_SO = {"exponential": "1 day"}

Delay = Callable[[random.Random], timedelta]

_A_DAY_OR_SO = delay_of(A_DAY_OR_SO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """How something is done.

    Attributes:
        probability: That it is done at all, each time that it can be.
        delay: From when it can be done.
        data: What comes with it; None for what its schema takes, made up.
        by: Who does it; None for one of those who may.
    """

    probability: float = 1.0
    delay: Delay = _A_DAY_OR_SO
    data: Mapping[str, Draw] | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceAnswer:
    """What a call comes to, with a probability."""

    answer: Answer
    channel: str | None = None
    step: str | None = None
    probability: float = 1.0
    delay: Delay | None = None


_ANYHOW = Doing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What runs are like; see the schema for what each part means.

    Attributes:
        actions, events: By name; None where everything is done.
        people: None for somebody for each role.
    """

    data: Mapping[str, Draw] | None = None
    entity: str | None = None
    people: People | None = None
    actions: Mapping[str, Doing] | None = None
    events: Mapping[str, Doing] | None = None
    tasks: Doing = _ANYHOW
    answers: tuple[ChanceAnswer, ...] = ()

    def doing(self, action: str) -> Doing | None:
        """How an action is taken; None where it is not."""
        return _ANYHOW if self.actions is None else self.actions.get(action)

    def happening(self, event: str) -> Doing | None:
        """How an event happens; None where it does not."""
        return _ANYHOW if self.events is None else self.events.get(event)

    def people_for(self, program: Program) -> People:
        """Who there is."""
        return people_of(program) if self.people is None else self.people

    def start_data(self, program: Program, rng: random.Random) -> dict[str, object]:
        """The data of one more instance."""
        if self.data is None:
            return generated_data(program.data_schema, rng)
        return drawn(self.data, rng)


EVERYTHING = Population()


def drawn(data: Mapping[str, Draw], rng: random.Random) -> dict[str, object]:
    """One set of values; what `maybe` leaves out is not in it."""
    values = {key: draw(rng) for key, draw in data.items()}
    return {key: value for key, value in values.items() if value is not NOTHING}


class ChanceAnswering:
    """Answers calls as a population has it."""

    def __init__(self, program: Program, population: Population, rng: random.Random) -> None:
        """One for each run, as it draws from that run's chance."""
        self._program = program
        self._answers = population.answers
        self._rng = rng

    def __call__(self, request: CallRequest) -> Answer:
        """What a call comes to."""
        for one in self._answers:
            if one.channel not in (None, request.channel):
                continue
            if one.step is not None and one.step not in (request.step, self._name(request)):
                continue
            if self._rng.random() < one.probability:
                after = one.delay(self._rng) if one.delay else timedelta()
                answer = one.answer
                return Answer(
                    outcome=answer.outcome,
                    response=answer.response,
                    code=answer.code,
                    message=answer.message,
                    after=after,
                )
        return Answer()

    def _name(self, request: CallRequest) -> str:
        entity = request.record.rpartition("-")[0]
        run = self._program.entities[entity].stages[request.stage].run
        assert run is not None
        return run.name_of(request.step)


# --- reading ------------------------------------------------------------------------------------


def read_population(text: bytes, source: str, program: Program) -> Population:
    """What a population file says.

    Args:
        text: At most 1 MiB of JSON.
        source: The file's name, for messages.
        program: The definition that it is for; what it names has to be there.

    Raises:
        DocumentError: It is no JSON, not what `population.schema.json` says, or makes no sense.
    """
    document = read_document(text, source, population_schema, CODE)
    reader = _Reader()
    population = reader.population(document)
    reader.check_names(document, program)
    if reader.found:
        raise located(text, source, CODE, reader.found)
    return population


@dataclass(slots=True)
class _Reader:
    found: list[tuple[str, str]] = field(default_factory=list)

    def population(self, document: Mapping[str, Any]) -> Population:
        people = document.get("people")
        data = document.get("data")
        return Population(
            data=None if data is None else self._values(data, "/data"),
            entity=document.get("entity"),
            people=None if people is None else {name: tuple(r) for name, r in people.items()},
            actions=self._doings(document.get("actions"), "/actions"),
            events=self._doings(document.get("events"), "/events"),
            tasks=self._doing(document.get("tasks", {}), "/tasks"),
            answers=tuple(
                self._answer(answer, f"/answers/{index}")
                for index, answer in enumerate(document.get("answers", ()))
            ),
        )

    def check_names(self, document: Mapping[str, Any], program: Program) -> None:
        """What a misspelt name would do is nothing, so it is a problem."""
        events = {t.trigger.event for t in program.transitions.values()} | {
            event
            for entity in program.entities.values()
            for stage in entity.stages.values()
            if stage.run is not None
            for event in stage.run.events
        }
        self._known("actions", document, set(program.actions), "no action that a person can take")
        self._known("events", document, events - {""}, "no event that anything waits for")
        people = document.get("people")
        if people is not None and not people:
            self.found.append(("/people", "there is nobody: leave it out, or name somebody"))
        entity = document.get("entity")
        if entity is not None and entity not in program.entities:
            self.found.append(("/entity", f"there is no entity {entity!r}"))
        there = set(people_of(program) if people is None else people)
        for key in ("actions", "events"):
            for name, doing in document.get(key, {}).items():
                self._somebody(doing, f"/{key}/{escape_pointer(name)}", there)
        self._somebody(document.get("tasks", {}), "/tasks", there)

    def _somebody(self, doing: Mapping[str, Any], pointer: str, people: set[str]) -> None:
        who = doing.get("by")
        if who is not None and who not in people:
            named = ", ".join(sorted(people)) or "nobody"
            self.found.append((f"{pointer}/by", f"{who!r} is not among the people: {named}"))

    def _known(self, key: str, document: Mapping[str, Any], known: set[str], what: str) -> None:
        for name in document.get(key, {}):
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                place = f"/{key}/{escape_pointer(name)}"
                self.found.append((place, f"{name!r} is {what}; there are: {there}"))

    def _doings(self, written: Any, pointer: str) -> dict[str, Doing] | None:
        if written is None:
            return None
        return {
            name: self._doing(doing, f"{pointer}/{escape_pointer(name)}")
            for name, doing in written.items()
        }

    def _doing(self, written: Mapping[str, Any], pointer: str) -> Doing:
        data = written.get("data")
        return Doing(
            probability=written.get("probability", 1.0),
            delay=self._delay(written.get("delay", A_DAY_OR_SO), f"{pointer}/delay"),
            data=None if data is None else self._values(data, f"{pointer}/data"),
            by=written.get("by"),
        )

    def _values(self, written: Mapping[str, Any], pointer: str) -> dict[str, Draw]:
        values: dict[str, Draw] = {}
        for key, one in written.items():
            try:
                values[key] = value_of(one)
            except DistributionError as error:
                self._report(f"{pointer}/{escape_pointer(key)}", error)
        return values

    def _delay(self, written: Any, pointer: str) -> Delay:
        try:
            return delay_of(written)
        except DistributionError as error:
            self._report(pointer, error)
            return _A_DAY_OR_SO

    def _report(self, pointer: str, error: DistributionError) -> None:
        place = f"{pointer}/{error.key}" if error.key else pointer
        self.found.append((place, error.message))

    def _answer(self, written: Mapping[str, Any], pointer: str) -> ChanceAnswer:
        fails = written.get("fails")
        if fails is None:
            answer = Answer(response=written.get("response"))
        else:
            answer = Answer(
                outcome="timed_out" if fails["code"] == "timed_out" else "failed",
                code=fails["code"],
                message=fails.get("message", "as the population has it"),
            )
        delay = written.get("delay")
        return ChanceAnswer(
            answer=answer,
            channel=written.get("channel"),
            step=written.get("step"),
            probability=written.get("probability", 1.0),
            delay=None if delay is None else self._delay(delay, f"{pointer}/delay"),
        )

"""Scenarios: what is given, what happens when, and what then is true. Values, as they were written.

`nexus/schema/scenarios.schema.json` is what a file of them looks like, and
`reading` makes these values of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nexus.core.state import Data, Subject
from nexus.simulation.simulator import START

SUBJECT = Subject("subject", "1")
SOMEONE = "someone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """What some calls come to; see the schema for what each part means.

    Attributes:
        code: How they fail; None where they succeed.
        times: For how many calls; None for all.
        attempts: How often each is tried; None for as often as its step says, if it fails.
        after: How long each takes; None for the pauses between its tries.
    """

    channel: str | None = None
    step: str | None = None
    record: str | None = None
    times: int | None = None
    response: object = None
    code: str | None = None
    message: str = ""
    attempts: int | None = None
    after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRecord:
    """A record that an instance starts with."""

    entity: str
    data: Data = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a run begins with.

    Attributes:
        at: When.
        people: Who there is, with their roles.
        by: Who starts it, and acts where nobody is named.
    """

    at: datetime = START
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by: str = SOMEONE
    subject: Subject = SUBJECT
    data: Data = field(default_factory=dict)
    entity: str | None = None
    records: tuple[GivenRecord, ...] = ()
    answers: tuple[ScriptedAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What is true at a moment. None, or nothing named, means that it is not looked at.

    Attributes:
        pointer: Where it stands in the file.
        expected: By key, as the file has it.
    """

    pointer: str
    expected: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happens, or only a look at what is.

    Attributes:
        pointer: Where it stands in the file.
        at: When; None for when what stands before it happened, and `after`.
        after: How long after that.
        kind: `do`, `event`, `complete`, `retry`, `skip`, `add`; None for a look.
        what: The action, the event's type, the task, the incident, the entity.
    """

    pointer: str
    at: timedelta | datetime | None = None
    after: timedelta = timedelta()
    by: str | None = None
    kind: str | None = None
    what: str = ""
    record: str | None = None
    data: Data = field(default_factory=dict)
    comment: str | None = None
    then: Then | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run, and what is expected of it."""

    name: str
    pointer: str
    given: Given = Given()
    when: Sequence[Happening] = ()
    then: Then | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """What one file has.

    Attributes:
        source: Its name.
        text: As it was read, for places in it.
        definition: File of the definition, as it names it; None for that of its own name.
    """

    source: str
    text: bytes
    definition: str | None
    scenarios: tuple[Scenario, ...]

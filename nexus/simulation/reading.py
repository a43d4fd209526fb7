"""Reading files of scenarios, with every problem located."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nexus.core.durations import DurationError, parse_duration
from nexus.core.state import Subject
from nexus.schema import scenarios_schema
from nexus.simulation.documents import located, read_document
from nexus.simulation.scenarios import (
    SOMEONE,
    SUBJECT,
    Given,
    GivenRecord,
    Happening,
    Scenario,
    ScenarioFile,
    ScriptedAnswer,
    Then,
)
from nexus.simulation.simulator import START

CODE = "invalid_scenario"

KINDS = ("do", "event", "complete", "retry", "skip", "add")


def read_scenarios(text: bytes, source: str) -> ScenarioFile:
    """The scenarios of a file.

    Args:
        text: At most 1 MiB of JSON.
        source: The file's name, for messages.

    Raises:
        DocumentError: It is no JSON, or not what `scenarios.schema.json` says; or a time, an
            order of times, a name used twice makes no sense.
    """
    document = read_document(text, source, scenarios_schema, CODE)
    reader = _Reader()
    scenarios = reader.scenarios(document)
    if reader.found:
        raise located(text, source, CODE, reader.found)
    return ScenarioFile(
        source=source, text=text, definition=document.get("definition"), scenarios=scenarios
    )


class _Reader:
    """Makes values of a document that its schema has found to be right."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def scenarios(self, document: Mapping[str, Any]) -> tuple[Scenario, ...]:
        defaults = document.get("given", {})
        read: list[Scenario] = []
        names: set[str] = set()
        for index, one in enumerate(document["scenarios"]):
            pointer = f"/scenarios/{index}"
            if one["name"] in names:
                self.found.append(
                    (f"{pointer}/name", f"another scenario is called {one['name']!r} as well")
                )
            names.add(one["name"])
            given = self._given(defaults, one.get("given", {}), f"{pointer}/given")
            when = self._when(one.get("when", ()), f"{pointer}/when", given.at)
            then = _then(one, pointer)
            if then is not None and "refused" in then.expected:
                self.found.append(
                    (f"{then.pointer}/refused", "'refused' is said of what happens: in its 'then'")
                )
            read.append(
                Scenario(name=one["name"], pointer=pointer, given=given, when=when, then=then)
            )
        return tuple(read)

    # --- given ------------------------------------------------------------------------------

    def _given(self, defaults: Mapping[str, Any], own: Mapping[str, Any], pointer: str) -> Given:
        given = {**defaults, **own}
        data = dict(defaults.get("data", {}))
        for key, value in own.get("data", {}).items():
            # As RFC 7396 has it: null takes away what would be there otherwise.
            if value is None and key in data:
                del data[key]
            else:
                data[key] = value
        given["data"] = data
        people = {
            name: tuple(roles)
            for name, roles in {**defaults.get("people", {}), **own.get("people", {})}.items()
        }
        subject = given.get("subject")
        answers = [*own.get("answers", ()), *defaults.get("answers", ())]
        at = given.get("at")
        return Given(
            at=START if at is None else self._moment(at, f"{pointer}/at"),
            people=people,
            by=given.get("by", next(iter(people), SOMEONE)),
            subject=SUBJECT if subject is None else Subject(**subject),
            data=given["data"],
            entity=given.get("entity"),
            records=tuple(GivenRecord(**record) for record in given.get("records", ())),
            answers=tuple(
                self._answer(answer, f"{pointer}/answers/{index}")
                for index, answer in enumerate(answers)
            ),
        )

    def _answer(self, answer: Mapping[str, Any], pointer: str) -> ScriptedAnswer:
        fails = answer.get("fails")
        if fails is not None and "response" in answer:
            self.found.append((f"{pointer}/response", "a call that fails has no response"))
        after = answer.get("after")
        return ScriptedAnswer(
            channel=answer.get("channel"),
            step=answer.get("step"),
            record=answer.get("record"),
            times=answer.get("times"),
            response=answer.get("response"),
            code=fails["code"] if fails else None,
            message=fails.get("message", "") if fails else "",
            attempts=answer.get("attempts"),
            after=None if after is None else self._duration(after, f"{pointer}/after"),
        )

    # --- when -------------------------------------------------------------------------------

    def _when(
        self, when: list[Mapping[str, Any]], pointer: str, start: datetime
    ) -> tuple[Happening, ...]:
        read: list[Happening] = []
        latest = start
        for index, one in enumerate(when):
            place = f"{pointer}/{index}"
            kinds = [kind for kind in KINDS if kind in one]
            if len(kinds) > 1:
                self.found.append(
                    (f"{place}/{kinds[1]}", f"{kinds[0]!r} happens here already: one at a time")
                )
            if "at" in one and "after" in one:
                self.found.append((f"{place}/after", "'at' says already when it happens"))
            kind = kinds[0] if kinds else None
            happening = Happening(
                pointer=place,
                at=self._at(one["at"], f"{place}/at") if "at" in one else None,
                after=self._duration(one["after"], f"{place}/after")
                if "after" in one
                else timedelta(),
                by=one.get("by"),
                kind=kind,
                what=one[kind] if kind else "",
                record=one.get("record"),
                data=one.get("data", {}),
                comment=one.get("comment"),
                then=_then(one, place),
            )
            if kind is None and happening.then is None:
                self.found.append(
                    (
                        place,
                        f"nothing happens here: there is none of {', '.join(KINDS)}, and no 'then'",
                    )
                )
            if kind is None and happening.then and "refused" in happening.then.expected:
                self.found.append(
                    (f"{place}/then/refused", "nothing happens that could be refused")
                )
            moment = when_of(happening, start, latest)
            if moment < latest and not self._is_wrong(place):
                self.found.append((f"{place}/at", "that is before what stands before it"))
            latest = max(latest, moment)
            read.append(happening)
        return tuple(read)

    def _is_wrong(self, place: str) -> bool:
        return any(pointer.startswith(f"{place}/") for pointer, _ in self.found)

    # --- times ------------------------------------------------------------------------------

    def _at(self, text: str, pointer: str) -> timedelta | datetime:
        if "T" in text[1:] and text[:1].isdigit():
            return self._moment(text, pointer)
        return self._duration(text, pointer)

    def _moment(self, text: str, pointer: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.found.append((pointer, f"{text!r} is no point in time"))
            return START
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _duration(self, text: str, pointer: str) -> timedelta:
        if text.strip() in ("0s", "0"):
            return timedelta()
        try:
            return parse_duration(text)
        except DurationError as error:
            self.found.append((pointer, error.message))
            return timedelta()


def when_of(happening: Happening, start: datetime, before: datetime) -> datetime:
    """When something happens.

    Args:
        happening: What.
        start: When the run began.
        before: When what stands before it happened.
    """
    if happening.at is None:
        return before + happening.after
    return happening.at if isinstance(happening.at, datetime) else start + happening.at


def _then(one: Mapping[str, Any], pointer: str) -> Then | None:
    then = one.get("then")
    return None if then is None else Then(pointer=f"{pointer}/then", expected=then)

"""An instance that its model keeps itself, in one column."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from nexus.core.calls import idempotency_key, plain_response
from nexus.core.commands import Act, Actor, CallEnded, WireCommand
from nexus.core.errors import Rejected
from nexus.core.program import Program
from nexus.core.projection import HistoryRow
from nexus.core.state import Subject
from nexus.local import configuration
from nexus.local.backend import Around, Backend, Done
from nexus.local.calls import (
    MOST_CALLS,
    Attempt,
    CallFailed,
    Later,
    Outcome,
    claimed,
    made,
    making_of,
    settled,
)
from nexus.local.kept import NOTHING, Kept, decode, encode
from nexus.local.shell import (
    Applied,
    Asking,
    applied,
    caught_up,
    decided,
    permission,
    permission_when_new,
    record_view,
    view_of,
)
from nexus.local.spec import UNSAVED, Spec
from nexus.local.views import HistoryEntry, Permission, Record, View

T = TypeVar("T")

_TRIES = 3
_APPLICATION = Actor(configuration.APPLICATION)


class _Quicker(Exception):
    """Somebody else has changed the row meanwhile."""


@dataclass(frozen=True, slots=True)
class _Change(Generic[T]):
    """A decision that was written, and the tries that were claimed with it."""

    result: T
    kept: Kept
    attempts: list[Attempt]


class InColumn(Backend):
    """The instance of one object, in the column of its domain.

    Args:
        model: The object.
        spec: What its class says of itself.
    """

    def __init__(self, model: Any, spec: Spec) -> None:
        self._model = model
        self._spec = spec

    @property
    def program(self) -> Program:
        """The definition of the class."""
        return self._spec.definition.program

    @property
    def default_actor(self) -> Actor:
        """The application itself."""
        return _APPLICATION

    # --- looking ----------------------------------------------------------------------------

    def kept(self) -> Kept:
        """What the column holds now.

        Raises:
            ColumnError: It cannot be read.
            ConfigurationError: It points to a platform, beside which nothing may begin anew.
            Rejected: `conflict`, where the class's definition has no place for it any more.
        """
        spec = self._spec
        kept = decode(spec.adapter.get(self._model, spec.domain.column), spec.place)
        if kept.platform is not None and of_a_copy(kept, spec.subject(self._model)):
            return replace(NOTHING, revision=kept.revision)
        if kept.platform is not None:
            raise configuration.ConfigurationError(
                f"{spec.place} points to the platform {kept.platform.url}, and this process is not "
                "told of it: set NEXUS_URL and NEXUS_API_KEY here as well, or have 'nexus demote' "
                "take back what is there."
            )
        if kept.digest != spec.definition.digest and kept.instance:
            from nexus.core.fitting import require_fit  # only after a definition has changed

            require_fit(spec.program, kept.state)
        return self._with_subject(kept)

    def looked_at(self) -> Kept:
        """What the column would hold if clocks were looked at now; nothing is written."""
        return caught_up(self.program, self.kept(), configuration.now())

    def view(self) -> View:
        """The instance as it stands, its clocks looked at."""
        return view_of(self.program, self._touched().state)

    def history(self) -> list[HistoryEntry]:
        """All that happened, former instances first."""
        kept = self._touched()
        rows = [row for past in kept.past for row in past.history]
        return [HistoryEntry.of(row) for row in (*rows, *kept.history)]

    def permission(self, act: Act, asking: Asking) -> tuple[Permission, Record | None]:
        """Whether an action could be taken; clocks that came due are thought of, not kept."""
        program, now = self.program, configuration.now()
        kept = self.kept()
        if kept.state.status == "new":
            subject = self._spec.subject(self._model)
            return permission_when_new(program, act, subject, now, asking)
        state = caught_up(program, kept, now).state
        return permission(program, state, act, now, asking)

    # --- doing ------------------------------------------------------------------------------

    def give(self, command: WireCommand, around: Around) -> Done:
        """Apply a command, in the transaction of the caller; then make the calls that it wants."""
        subject = self._spec.subject(self._model)
        program = self.program
        self.look(around.happened if around.wants_entries else None)

        def decide(kept: Kept, now: datetime) -> Applied:
            result = applied(program, kept, command, subject, now)
            if around.wants_record:
                around.ahead(result.record_ahead(program))
            return result

        def after(result: Applied) -> None:
            if around.wants_record:
                around.done(record_view(program, result.after.state, result.record))
            if around.wants_entries:
                around.happened(_entries(result.rows))

        change = self._change(decide, lambda result: result.after, after)
        result = change.result
        rows: list[HistoryRow] = []
        kept = self._make_calls(change, rows)
        if rows and around.wants_entries:
            around.happened(_entries(rows))
        if around.wants_record or around.wants_entries:
            kept = self.kept()  # hooks and listeners may have gone on with it
        return Done(record_view(program, kept.state, result.record))

    def look(self, happened: Callable[[list[HistoryEntry]], None] | None = None) -> int:
        """Have clocks that came due take effect, and calls that are due be made.

        Returns:
            How many things happened.
        """
        rows: list[HistoryRow] = []
        self._touched(rows)
        if rows and happened is not None:
            happened(_entries(rows))
        return len(rows)

    def call_ended(self, key: str, response: object, failed: CallFailed | None) -> bool:
        """Say what came of a call that was handed on; False where nobody waits for it."""
        kept = self.kept()
        origin = kept.state.origin or kept.instance
        calls = (id_ for id_ in kept.state.calls if idempotency_key(origin, id_) == key)
        call = next(calls, None)
        if call is None:
            return False
        tried = kept.tries.get(call)
        self.call_came_to(
            CallEnded(
                call=call,
                outcome="done" if failed is None else "failed",
                response=plain_response(response),
                code=failed.code if failed else "",
                message=failed.message if failed else "",
                attempts=tried.attempts if tried else 1,
            )
        )
        return True

    def call_came_to(self, ended: CallEnded) -> None:
        """Decide on the end of a call, and make those that it leads to."""
        program = self.program
        change = self._change(lambda kept, now: decided(program, kept, ended, now), _itself)
        self._make_calls(change, [])

    def _touched(self, rows: list[HistoryRow] | None = None) -> Kept:
        """What is kept once clocks and calls were looked at; written only where that changes it."""
        kept, now = self.kept(), configuration.now()
        due = kept.due
        waiting = any(id_ not in kept.tries for id_ in kept.state.calls)
        if not waiting and (due is None or due > now):
            return kept
        program = self.program
        seen: list[HistoryRow] = rows if rows is not None else []

        def decide(kept: Kept, now: datetime) -> Kept:
            return caught_up(program, kept, now)

        before = len(kept.history)
        change = self._change(decide, _itself)
        seen += change.kept.history[before:]
        return self._make_calls(change, seen)

    def _change(
        self,
        decide: Callable[[Kept, datetime], T],
        what_is_kept: Callable[[T], Kept],
        after: Callable[[T], None] | None = None,
    ) -> _Change[T]:
        """Decide on what is kept, claim the calls that it wants, and write both.

        Where somebody was quicker, it is decided anew on what they left.

        Raises:
            Exception: Whatever deciding and `after` raise; then nothing has changed.
            Rejected: `conflict`: others were quicker, again and again.
        """
        spec, model = self._spec, self._model
        adapter, column = spec.adapter, spec.domain.column
        for attempt in range(_TRIES):
            swapped, held = False, None
            try:
                with adapter.atomic(model):
                    if attempt:  # nobody shall be quicker once more
                        adapter.hold(model, column)
                    held = adapter.get(model, column)
                    kept, now = self.kept(), configuration.now()
                    result = decide(kept, now)
                    new, attempts = claimed(self.program, what_is_kept(result), now)
                    if new is kept:
                        return _Change(result, kept, attempts)
                    new = self._stamped(new, kept.revision + 1)
                    value = encode(new) if adapter.wants_json(model, column) else new
                    if not adapter.swap(model, column, kept.revision, value):
                        raise _Quicker  # noqa: TRY301 - it has to leave the savepoint
                    swapped = True
                    if after is not None:
                        after(result)
            except _Quicker:
                adapter.refresh(model, column)
                continue
            except BaseException:
                if swapped:  # the database has undone it by now
                    adapter.restore(model, column, held)
                raise
            return _Change(result, new, attempts)
        raise Rejected(
            "conflict",
            f"Others changed {spec.place} at the same time, {_TRIES} times in a row: try again.",
        )

    def _make_calls(self, change: _Change[Any], rows: list[HistoryRow]) -> Kept:
        """Make the tries that a write has claimed, and those that these lead to."""
        program = self.program
        making = making_of(configuration.configuration().channels)
        todo, kept = list(change.attempts), change.kept
        for _ in range(MOST_CALLS):
            if not todo:
                break
            attempt = todo.pop(0)
            outcome = made(attempt, making)

            def decide(
                kept: Kept,
                now: datetime,
                attempt: Attempt = attempt,
                outcome: Outcome | Later = outcome,
            ) -> tuple[Kept, int]:
                return settled(program, kept, attempt, outcome, now), len(kept.history)

            ended = self._change(decide, lambda result: result[0])
            kept = ended.kept
            rows += kept.history[ended.result[1] :]
            todo += ended.attempts
        return kept

    def _stamped(self, kept: Kept, revision: int) -> Kept:
        definition = self._spec.definition
        return replace(
            kept,
            revision=revision,
            definition=definition.program.id,
            version=definition.program.version,
            digest=definition.digest,
        )

    def _with_subject(self, kept: Kept) -> Kept:
        """The instance as that of this object, whose id may have changed since.

        One that had none when its instance began has one once it is saved; and a copy of another
        object has a copy of its instance, which from then on is one of its own.
        """
        subject, own = kept.state.subject, self._spec.subject(self._model)
        if subject is None or own.id in (UNSAVED, subject.id):
            return kept
        if of_a_copy(kept, own):
            kept = replace(
                kept,
                # The same for whoever looks, until it is written.
                instance=uuid.uuid5(uuid.NAMESPACE_OID, f"{kept.instance}/{own.id}").hex,
                state=replace(kept.state, origin=""),
            )
        return with_subject(kept, own)


def of_a_copy(kept: Kept, own: Subject) -> bool:
    """What is kept is another object's: this one is a copy of it."""
    known = kept.state.subject.id if kept.state.subject is not None else ""
    if kept.platform is not None:
        known = kept.platform.subject
    return known not in ("", UNSAVED, own.id) and own.id != UNSAVED


def _itself(kept: Kept) -> Kept:
    return kept


def with_subject(kept: Kept, subject: Subject) -> Kept:
    """The same instance about another subject; the event of its start says so as well."""
    first, *others = kept.history
    payload = {**first.payload, "subject": {"type": subject.type, "id": subject.id}}
    history = (dataclasses.replace(first, payload=payload), *others)
    return replace(kept, state=replace(kept.state, subject=subject), history=history)


def _entries(rows: Iterable[HistoryRow]) -> list[HistoryEntry]:
    return [HistoryEntry.of(row) for row in rows]

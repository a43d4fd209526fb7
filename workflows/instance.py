"""The generic workflow: one instance of any definition, decided by the core.

Theory of operation. A command arrives as an update or a signal, or is what came
of an effect: a clock, a channel call. It is decided at once, without an `await`,
so decisions never interleave. What was decided is owed to two places: effects are
reconciled with the state (`workflows.effects`), and rows wait in `_unwritten`
until one local activity has projected them.
The lock guards the projection alone, so that concurrent commands are written
together. An update is answered when its own events are projected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    import msgspec

    from nexus.core.codec import Carried, decode_carried, encode_carried, require_room, size_of
    from nexus.core.commands import (
        Act,
        Actor,
        CallEnded,
        CarryOver,
        Command,
        RefusedSignal,
        Start,
        Stop,
        TimerDue,
        WireCommand,
        parse_command,
    )
    from nexus.core.compiler import program_of
    from nexus.core.decide import can, step
    from nexus.core.errors import Rejected
    from nexus.core.incidents import lingers
    from nexus.core.projection import HistoryRow, Snapshot
    from nexus.core.rows import Identity, history_row, project, project_all, snapshot
    from nexus.core.state import State
    from workflows.appearance import details, search_attributes, shortened, told
    from workflows.contract import (
        AUTHENTICATE,
        CAN,
        COMMAND,
        PROJECT,
        SNAPSHOT,
        WORKFLOW,
        InstanceInput,
    )
    from workflows.effects import Effects

SIGNAL_ACTOR = "system:signal"
RECENT_FOR = timedelta(hours=24)  # R26
MOST_RECENT = 2_000  # updates that the server takes in one run
MOST_ANSWERED = 512 * 1024  # bytes; a larger instance is read from SQL
UNSTARTED_FOR = timedelta(minutes=10)  # longer than any client tries to start an instance

# Nothing is given up: a database that is away delays, for as long as it takes.
_PROJECTION = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
)
# Shorter waits keep the workflow task open, whose heartbeats would fill the workflow's history
# (51,200 events) within two days; longer ones are durable timers.
_WAIT_IN_TASK = timedelta(seconds=10)
_AUTHENTICATION = RetryPolicy(maximum_attempts=3)


@workflow.defn(name=WORKFLOW)
class NexusInstance:
    """One instance, from its start to its end."""

    @workflow.init
    def __init__(self, given: InstanceInput | bytes) -> None:
        info = workflow.info()
        carried = Carried(State())
        if isinstance(given, bytes):
            carried = decode_carried(given)
            given = msgspec.convert(carried.shell, type=InstanceInput)
        self._given = given
        self._beside = len(given.definition.encode())
        self._program = program_of(given.definition)
        self._identity = Identity(info.first_execution_run_id, given.tenant, info.workflow_id)
        self._state = carried.state
        self._recent: dict[str, datetime] = dict(carried.recent)
        self._projected = self._state.seq
        self._unwritten: list[HistoryRow] = []
        self._writing = asyncio.Lock()
        self._effects = Effects(
            self._program,
            self._identity,
            state=lambda: self._state,
            happened=self._happened,
            roll_over_after=given.roll_over_after,
        )
        self._stillborn = False
        self._shown: dict[str, object] = {}

    @workflow.run
    async def run(self, _given: InstanceInput | bytes) -> str:
        """Wait until the instance has ended, or hand over to a new run.

        Args:
            _given: What to run; a later run of an instance is given what `_hand_over` made.

        Returns:
            The status in which it ended; `refused` if it was never started.
        """
        try:
            return await self._run()
        except (asyncio.CancelledError, FailureError) as error:
            # A cancel that meets this coroutine in a local activity arrives as that one's error.
            if not is_cancelled_exception(error) or self._state.status == "new":
                raise
            stopped = self._state.status == "active"
            if not self._over():
                self._decide(Stop(), None)
            await workflow.wait_condition(lambda: self._over() or self._effects.crash is not None)
            self._raise_crash()
            await self._settle()
            if stopped and self._state.status == "cancelled":
                raise
            return self._state.status  # it had ended before, or was about to

    async def _run(self) -> str:
        if self._state.status == "new":
            await self._await_start()
        else:
            workflow.set_current_details(details(self._program, self._state))
        self._effects.reconcile()
        while True:
            await workflow.wait_condition(self._something_to_do)
            self._raise_crash()
            await self._settle()
            if self._stillborn:
                return "refused"
            if self._over():
                return self._state.status
            settled = workflow.all_handlers_finished() and self._projected == self._state.seq
            if self._roll_over() and settled:
                workflow.continue_as_new(self._hand_over())

    async def _await_start(self) -> None:
        """Give up an instance whose start never came.

        Start and update come together, but a client and a server that die between the two leave
        a workflow behind that nobody would ever end.
        """
        if self._state.status == "new" and not self._stillborn:
            try:
                await workflow.wait_condition(
                    lambda: self._stillborn or self._state.status != "new",
                    timeout=UNSTARTED_FOR,
                    timeout_summary="waiting to be started",
                )
            except TimeoutError:
                self._stillborn = self._state.status == "new"

    async def _settle(self) -> None:
        """Return once every command is answered and every event projected."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        # Effects are no handlers: an instance that a clock ended is written here.
        await self._flush(self._state.seq)

    def _something_to_do(self) -> bool:
        ended = self._stillborn or self._over()
        return ended or self._effects.crash is not None or self._roll_over()

    def _over(self) -> bool:
        """Nothing can follow any more. Calls that failed outlast the end of their instance."""
        return self._state.ended and not lingers(self._state)

    def _raise_crash(self) -> None:
        """An error in an effect must fail the workflow task, where people see it."""
        if self._effects.crash is not None:
            raise self._effects.crash

    # --- commands -------------------------------------------------------------------------

    @workflow.update(name=COMMAND)
    async def command(self, *wires: Any) -> Snapshot | None:
        """Apply a command and answer with the instance as it stands once that is projected.

        Takes any number of arguments, so that one too many is refused in words.

        Returns:
            The whole instance; None if that is too much for an answer: then it is
            read from SQL, where it stands already.
        """
        update = workflow.current_update_info()
        assert update is not None
        if update.id not in self._recent:
            try:
                self._decide(parse_command(_only(wires)), update.id)
                self._stillborn = False
            except Rejected as refusal:
                # Reached by a start alone: everything else was refused by the validator.
                self._stillborn = self._state.status == "new"
                raise _refused(refusal, self._identity.id) from None
            self._recent[update.id] = workflow.now()
        await self._flush(self._state.seq)
        return self._answer()

    @command.validator
    def _admissible(self, *wires: Any) -> None:
        """Refuse before anything is written to the workflow's history."""
        update = workflow.current_update_info()
        if self._state.status == "new" or (update is not None and update.id in self._recent):
            return
        try:
            command = parse_command(_only(wires))
            _, state = step(self._program, self._state, command, workflow.now())
            require_room(state, self._beside)
        except Rejected as refusal:
            raise _refused(refusal, self._identity.id) from None

    @workflow.signal(name=COMMAND)
    async def signalled(self, *wires: Any) -> None:
        """Apply a command that nobody waits for; the history keeps what is wrong with it (R27).

        Takes any number of arguments, since one too many would fail the workflow task for ever.
        """
        actor = Actor(SIGNAL_ACTOR, tuple(self._given.signal_roles))
        try:
            command = await self._read_signal(wires, actor)
            self._decide(command, None, bounded=True)
        except Rejected as refusal:
            if self._state.status != "active":
                return
            message = shortened(refusal.message, 2_000)
            self._decide(RefusedSignal(actor=actor, code=refusal.code, message=message), None)
        await self._flush(self._state.seq)

    async def _read_signal(self, wires: Sequence[object], unsigned: Actor) -> WireCommand:
        wire = _only(wires)
        if not isinstance(wire, dict):
            raise Rejected("invalid_data", "A signal takes an object with a 'type'.")
        body = dict(wire)
        if "actor" in body:
            raise Rejected("forbidden", "A signal names its actor by a 'token' alone.")
        actor = await self._authenticated(body.pop("token")) if "token" in body else unsigned
        command = parse_command({**body, "actor": msgspec.to_builtins(actor)})
        if isinstance(command, Start | CarryOver):
            raise Rejected("invalid_data", "An instance is not started by a signal.")
        return command

    @workflow.query(name=CAN)
    def can(self, wire: Any = None) -> dict[str, object]:
        """Whether an action would be admitted now, and why or why not."""
        asked = dict(wire) if isinstance(wire, dict) else {}
        try:
            if asked.pop("instance", self._identity.id) != self._identity.id:
                # Queries go by the workflow's id, which a subject's next instance has as well.
                raise Rejected("wrong_stage", "This instance has ended.")  # noqa: TRY301
            act = parse_command({**asked, "type": "act"})
        except Rejected as refusal:
            return {
                "allowed": False,
                "code": refusal.code,
                "message": refusal.message,
                "why": [],
            }
        assert isinstance(act, Act)
        return can(self._program, self._state, act, workflow.now())

    @workflow.query(name=SNAPSHOT)
    def snapshot(self) -> Snapshot | None:
        """The instance as it stands; None before it has started, or if it is too large."""
        return None if self._state.status == "new" else self._answer()

    async def _authenticated(self, token: object) -> Actor:
        if not isinstance(token, str):
            raise Rejected("forbidden", "A signal's 'token' is a string.")
        try:
            found = await workflow.execute_local_activity(
                AUTHENTICATE,
                token,
                start_to_close_timeout=timedelta(seconds=5),
                retry_policy=_AUTHENTICATION,
                result_type=dict[str, Any],
            )
        except FailureError:  # a local activity's own error arrives unwrapped
            raise Rejected("forbidden", "The signal's token is not valid.") from None
        if found["tenant"] != self._given.tenant:
            raise Rejected("forbidden", "The signal's token is of another tenant.")
        return Actor(found["id"], tuple(found["roles"]))

    def _decide(self, command: Command, command_id: str | None, *, bounded: bool = False) -> None:
        """Decide, evolve, and owe the effects and the rows. Synchronous: never interleaved.

        Raises:
            Rejected: Nothing has changed. With `bounded` also if the state would grow too large,
                which for updates has been asked by the validator already.
        """
        events, state = step(self._program, self._state, command, workflow.now())
        if bounded or self._state.status == "new":
            require_room(state, self._beside)
        self._state = state
        self._unwritten += [history_row(event, command_id) for event in events]
        self._effects.reconcile()

    async def _happened(self, came: TimerDue | CallEnded) -> None:
        """Decide on what came of an effect. Nobody can be told that it is refused."""
        if isinstance(came, CallEnded):
            try:
                self._decide(came, None, bounded=True)
            except Rejected as refusal:
                self._decide(replace(came, response={"dropped": refusal.message}), None)
            # Calls often end together: once all of them are decided, one projection writes them.
            await workflow.wait_condition(lambda: True)
        else:
            self._decide(came, None)
        await self._flush(self._state.seq)

    def _answer(self) -> Snapshot | None:
        if size_of(self._state) > MOST_ANSWERED:
            return None
        return snapshot(self._identity, self._program, self._state)

    # --- projection -----------------------------------------------------------------------

    async def _flush(self, upto: int) -> None:
        """Return once all events up to this one are projected. One call writes for all who wait."""
        async with self._writing:
            if self._projected >= upto:
                return
            state, rows = self._state, list(self._unwritten)
            await self._project(state, rows)
            del self._unwritten[: len(rows)]
            self._projected = state.seq
            self._show()

    async def _project(self, state: State, rows: list[HistoryRow]) -> None:
        summary = told(rows)
        projection = project(self._identity, self._program, state, rows)
        if await self._write(projection, summary) == "resync":
            await self._write(project_all(self._identity, self._program, state, rows), summary)

    async def _write(self, projection: object, summary: str) -> str:
        try:
            outcome: str = await workflow.execute_local_activity(
                PROJECT,
                msgspec.json.encode(projection).decode(),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=_PROJECTION,
                local_retry_threshold=_WAIT_IN_TASK,
                result_type=str,
                summary=summary,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            # As it is it would end the instance; this fails the workflow task, which is retried.
            raise RuntimeError("The projection gave up.") from error
        return outcome

    def _show(self) -> None:
        """What the Web UI and `temporal workflow list` show."""
        wanted = search_attributes(self._given.tenant, self._program, self._state)
        changed = [one for one in wanted if self._shown.get(one.key.name) != one.value]
        if changed:
            workflow.upsert_search_attributes(changed)
            self._shown.update((one.key.name, one.value) for one in changed)
        workflow.set_current_details(details(self._program, self._state))

    # --- handing over ---------------------------------------------------------------------

    def _roll_over(self) -> bool:
        # What is held back, or waits for a person or for time, is state and goes along.
        if self._effects.calling:
            return False
        if self._effects.spent and self._state.calls:
            return True
        info = workflow.info()
        limit = self._given.roll_over_after
        return info.is_continue_as_new_suggested() or bool(
            limit and info.get_current_history_length() >= limit
        )

    def _hand_over(self) -> bytes:
        """All that the next run needs. Raw bytes, since JSON would take a third more room."""
        shell = msgspec.to_builtins(self._given)
        return encode_carried(Carried(self._state, self._recent_now(), shell))

    def _recent_now(self) -> dict[str, datetime]:
        since = workflow.now() - RECENT_FOR
        recent = [(id_, at) for id_, at in self._recent.items() if at >= since]
        return dict(recent[-MOST_RECENT:])


def _only(wires: Sequence[object]) -> object:
    if len(wires) != 1:
        raise Rejected("invalid_data", f"A command is one argument, an object; got {len(wires)}.")
    return wires[0]


def _refused(refusal: Rejected, instance: str) -> ApplicationError:
    details = refusal.details
    if refusal.code == "instance_exists":
        details = {**details, "existing": instance}
    return ApplicationError(refusal.message, details, type=refusal.code, non_retryable=True)

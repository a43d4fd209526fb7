"""What somebody has to do: on the platform, or, where there is none, in the models themselves.

for row in CrmDashboard.for_user("ann", ["sales"]).pending().filter(stage="new").sort("due_at"):
print(row.record, row.stage, row.due_at)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from msgspec import Struct
from msgspec.structs import replace

from nexus.core.authority import is_assigned
from nexus.core.commands import Actor
from nexus.core.errors import nearest
from nexus.core.projection import RecordRow, TaskRow
from nexus.core.rows import record_rows, task_rows
from nexus.core.state import Assignees
from nexus.local import configuration
from nexus.local.configuration import ConfigurationError, actor_of, current_actor
from nexus.local.domains import Domain, domains_of_class
from nexus.local.in_column import InColumn
from nexus.local.spec import Spec, spec_of

if TYPE_CHECKING:
    from nexus.client.models import DashboardEntry

Matches = Callable[["DashboardEntry"], bool]

_SORTS = ("since", "due_at")
_NAMES = ("definition", "entity", "stage", "subject_type", "subject_id")
_OF_THE_API = ("definition", "stage", "subject_type", "subject_id")
_END = datetime.max.replace(tzinfo=UTC)


class Rows(Struct, frozen=True):
    """Rows of a dashboard; nothing is read before they are gone through.

    Each `filter` and `sort` gives new ones, and all filters have to hold.
    """

    _user: Actor
    _view: str
    _domain: Domain
    _over: Callable[[], Iterable[Any]] | None = None
    _equal: tuple[tuple[str, str], ...] = ()
    _matching: tuple[Matches, ...] = ()
    _sort: str = "since"

    def filter(self, *matching: Matches, **equal: str) -> Rows:
        """Only rows of which all of this holds.

        Args:
            *matching: Functions that are given a row.
            **equal: `definition`, `entity`, `stage`, `subject_type`, `subject_id`.

        Raises:
            ConfigurationError: Rows cannot be filtered so.
        """
        for name in equal:
            if name not in _NAMES:
                raise ConfigurationError(_no_such("filter", name, _NAMES))
        return replace(
            self,
            _equal=(*self._equal, *equal.items()),
            _matching=(*self._matching, *matching),
        )

    def sort(self, by: str) -> Rows:
        """In another order.

        Args:
            by: `since`, or `due_at`, which has those without a deadline last; with a minus,
                descending.

        Raises:
            ConfigurationError: Rows cannot be sorted so.
        """
        if by.removeprefix("-") not in _SORTS:
            raise ConfigurationError(_no_such("order", by, _SORTS))
        return replace(self, _sort=by)

    def __iter__(self) -> Iterator[DashboardEntry]:
        there = configuration.platform()
        rows = self._of_models() if there is None else self._of_platform(there)
        for row in rows:
            if all(match(row) for match in self._matching):
                yield row

    # --- on the platform --------------------------------------------------------------------

    def _of_platform(self, there: configuration.Platform) -> Iterator[DashboardEntry]:
        from nexus.local.connection import connection_to

        client = connection_to(there).acting(self._user)
        asked = {name: value for name, value in self._equal if name in _OF_THE_API}
        read = client.pending if self._view == "pending" else client.active
        # Several filters of one name are all looked at here; the platform takes one.
        found = read(self._user.id, **asked, domain=self._domain.name, sort=self._sort)
        return (row for row in found if self._is_equal(row))

    # --- in models --------------------------------------------------------------------------

    def _of_models(self) -> Iterator[DashboardEntry]:
        models = self._over or configuration.configuration().models
        if models is None:
            raise ConfigurationError(
                "There is no platform, and nobody has said which models there are: give "
                "for_user(…, over=…) objects, or nexus.configure(models=…) a function that does."
            )
        found = [
            row
            for model in models()
            if self._domain in domains_of_class(type(model))
            for row in self._of_model(model)
            if self._is_equal(row)
        ]
        descending = self._sort.startswith("-")
        key = self._sort.removeprefix("-")
        found.sort(key=lambda row: (row.instance, row.record, row.task or ""), reverse=descending)
        found.sort(key=lambda row: getattr(row, key) or _END, reverse=descending)
        return iter(found)

    def _of_model(self, model: Any) -> Iterator[DashboardEntry]:
        spec = spec_of(model, self._domain)
        kept = InColumn(model, spec).looked_at()
        state = kept.state
        if state.status != "active":
            return
        about = {"instance": kept.instance, "spec": spec, "model": model}
        records = {row.id: row for row in record_rows(spec.program, state, state.records)}
        for row in records.values():
            if row.status == "open" and (row.pending or self._view == "active"):
                yield from self._mine(row, row, **about)
        for task in task_rows(state, state.records):
            yield from self._mine(task, records[task.record], **about)

    def _mine(
        self, owed: RecordRow | TaskRow, record: RecordRow, instance: str, spec: Spec, model: Any
    ) -> Iterator[DashboardEntry]:
        """The row of what is owed, if it is assigned to the user."""
        from nexus.client.models import DashboardEntry, DefinitionReference, Subject

        assignees = Assignees(tuple(owed.users), tuple(owed.roles))
        if not is_assigned(self._user, assignees):
            return
        named = self._user.id in assignees.users
        role = next((role for role in self._user.roles if role in assignees.roles), None)
        task = owed if isinstance(owed, TaskRow) else None
        subject = spec.subject(model)
        yield DashboardEntry(
            instance=instance,
            record=record.id,
            task=task.id if task else None,
            title=task.title if task else None,
            entity=record.entity,
            definition=DefinitionReference(id=spec.program.id, version=spec.program.version),
            stage=record.stage,
            subject=Subject(type=subject.type, id=subject.id),
            assigned_as="user" if named else "role",
            role=None if named else role,
            due_at=record.due_at,
            since=owed.since,
        )

    def _is_equal(self, row: DashboardEntry) -> bool:
        values = {
            "definition": row.definition.id,
            "entity": row.entity,
            "stage": row.stage,
            "subject_type": row.subject.type,
            "subject_id": row.subject.id,
        }
        return all(values[name] == value for name, value in self._equal)


class Dashboard:
    """The dashboard of one user, in one domain."""

    domain: ClassVar[Domain]

    def __init__(self, user: Actor, over: Callable[[], Iterable[Any]] | None) -> None:
        """See `for_user`."""
        self._user = user
        self._over = over

    @classmethod
    def for_user(
        cls,
        user: str,
        roles: Sequence[str] | None = None,
        *,
        over: Iterable[Any] | Callable[[], Iterable[Any]] | None = None,
    ) -> Self:
        """The dashboard of a user.

        Args:
            user: Their id.
            roles: The roles that they hold: what is assigned to these is theirs as well. Without,
                those with which they act now (`nexus.acting`), or none.
            over: The models to look at where there is no platform, or a function that gives them;
                else those of `nexus.configure(models=…)`.

        Raises:
            ConfigurationError: No user can be called so.
        """
        acting = current_actor()
        if roles is None:
            roles = acting.roles if acting is not None and acting.id == user else ()
        actor = actor_of(user, roles)
        assert actor is not None
        given = over if over is None or callable(over) else (lambda: over)
        return cls(actor, given)

    def pending(self) -> Rows:
        """What waits for the user."""
        return Rows(self._user, "pending", self.domain, self._over)

    def active(self) -> Rows:
        """All that is open and assigned to the user, also what is just running by itself."""
        return Rows(self._user, "active", self.domain, self._over)


def _no_such(what: str, name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"There is no {what} {name!r}.{hint} There are: {', '.join(known)}."

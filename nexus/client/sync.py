"""The client for programs that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from nexus.client import requests
from nexus.client.models import (
    DashboardEntry,
    DefinitionDocument,
    DefinitionEntry,
    DefinitionVersion,
    DueTimer,
    HistoryEntry,
    Instance,
    ListedIncident,
    Me,
    Permission,
    Record,
    RetiredVersions,
    StoredDefinition,
    Validated,
)
from nexus.client.sync_connection import Connection

Data = Mapping[str, Any]


class NexusClient(Connection):
    """Talks to one platform. Safe to share between threads.

    Commands carry an idempotency key of their own, or the `key` that they are given, so what got
    no answer is tried again without being done twice.
    """

    # --- who, and what there is ---------------------------------------------------------------

    def me(self) -> Me:
        """Whom the token names, or who acts."""
        return self._send(requests.me())

    def ready(self) -> Data:
        """The checks of a platform that can work.

        Raises:
            Unavailable: It cannot; `details["checks"]` says why.
        """
        return self._send(requests.ready())

    def definitions(self) -> Iterator[DefinitionEntry]:
        """The live version of each definition that can be started, by id."""
        return self._all(requests.definitions())

    def definition(self, definition: str, *, version: str | None = None) -> DefinitionDocument:
        """A definition with its document: the live version, or the one that is named."""
        return self._send(requests.definition(definition, version))

    def versions(self, definition: str) -> Iterator[DefinitionVersion]:
        """All versions of a definition, the newest upload first."""
        return self._all(requests.versions(definition))

    def store_definition(self, document: Data | str, *, key: str | None = None) -> StoredDefinition:
        """Store a definition; it is live at once. Needs the role `admin`.

        Args:
            document: It, or its text, which is then kept as it is.
            key: Idempotency key.
        """
        return self._send(requests.store_definition(document, key))

    def validate_definition(self, document: Data | str) -> Validated:
        """Check a definition, and store nothing."""
        return self._send(requests.validate_definition(document))

    def activate(
        self, definition: str, version: str, *, key: str | None = None
    ) -> DefinitionVersion:
        """Make a stored version live for new instances. Needs the role `admin`."""
        return self._send(requests.activate(definition, version, key))

    def retire(
        self, definition: str, version: str | None = None, *, key: str | None = None
    ) -> RetiredVersions:
        """Take no new instances of a version, or of any. Needs the role `admin`."""
        return self._send(requests.retire(definition, version, key))

    def simulate(self, definition: Data | str, **told: Any) -> Data:
        """Play a definition on a virtual clock; nothing is stored or sent.

        Args:
            definition: Its id, or the document itself.
            **told: `version`, `scenarios`, `data`, `people`, `until`, `seed`, as the API has them.
        """
        return self._send(requests.simulate(definition, told))

    # --- instances ----------------------------------------------------------------------------

    def start(
        self,
        definition: str,
        subject_type: str,
        subject_id: str,
        *,
        data: Data | None = None,
        entity: str | None = None,
        records: Iterable[tuple[str, Data]] = (),
        version: str | None = None,
        key: str | None = None,
    ) -> Instance:
        """Start an instance.

        Args:
            definition: Id of the definition.
            subject_type: What it is about, in your own system.
            subject_id: Which one.
            data: Belongs to the instance.
            entity: Of which it gets a record.
            records: Entity and data of each record that it begins with; without, and without
                `entity`, it gets one of the first entity that has stages.
            version: Else the live one.
            key: Idempotency key.

        Raises:
            InstanceExists: The subject has an open instance of this definition.
        """
        subject = (subject_type, subject_id)
        return self._send(
            requests.start(
                definition,
                subject,
                version=version,
                data=data,
                entity=entity,
                records=records,
                key=key,
            )
        )

    def carry_over(
        self,
        definition: str,
        subject_type: str,
        subject_id: str,
        *,
        origin: str,
        history: Iterable[Data | HistoryEntry],
        version: str | None = None,
        key: str | None = None,
    ) -> Instance:
        """Have the platform take over an instance that lived elsewhere. Needs the role `admin`.

        Args:
            definition: Id of the definition.
            subject_type: What it is about.
            subject_id: Which one.
            origin: Its id where it lived; its calls keep their idempotency keys by it.
            history: All that happened to it, as `history` gives it.
            version: Else the live one.
            key: Idempotency key.
        """
        subject = (subject_type, subject_id)
        return self._send(
            requests.carry_over(
                definition, subject, version=version, origin=origin, history=history, key=key
            )
        )

    def instance(self, instance: str) -> Instance:
        """An instance as it stands."""
        return self._send(requests.instance(instance))

    def instances(
        self,
        *,
        definition: str | None = None,
        stage: str | None = None,
        status: str | None = None,
        subject_type: str | None = None,
        subject_id: str | None = None,
        data: Data | None = None,
        sort: str | None = None,
    ) -> Iterator[Instance]:
        """Instances of the tenant, page by page as they are read.

        Args:
            definition: Of this definition.
            stage: In this stage.
            status: `active`, `completed`, `cancelled` or `failed`.
            subject_type: About this.
            subject_id: The same.
            data: Whose data has these values.
            sort: `started_at`, `updated_at` or `id`; with a minus, descending.
        """
        return self._all(
            requests.instances(
                data,
                definition=definition,
                stage=stage,
                status=status,
                subject_type=subject_type,
                subject_id=subject_id,
                sort=sort,
            )
        )

    def act(
        self,
        instance: str,
        action: str,
        *,
        record: str | None = None,
        data: Data | None = None,
        comment: str | None = None,
        key: str | None = None,
    ) -> Instance:
        """Take an action.

        Args:
            instance: Id of the instance.
            action: A transition, or a built-in action.
            record: On what; may be left out where exactly one would do.
            data: What comes with it.
            comment: What is said.
            key: Idempotency key.

        Raises:
            Rejected: It is refused; nothing has changed.
        """
        return self._send(
            requests.act(instance, action, record=record, data=data, comment=comment, key=key)
        )

    def can(self, instance: str, action: str, *, record: str | None = None) -> Permission:
        """Whether the action could be taken now, and why or why not. No effects."""
        return self._send(requests.can(instance, action, record))

    def add_record(
        self, instance: str, entity: str, data: Data | None = None, *, key: str | None = None
    ) -> Record:
        """Add a record to an instance."""
        return self._send(requests.add_record(instance, entity, data, key))

    def update_record(
        self, instance: str, record: str, data: Data, *, key: str | None = None
    ) -> Record:
        """Merge data into a record."""
        return self._send(requests.update_record(instance, record, data, key))

    def complete_task(
        self,
        instance: str,
        task: str,
        *,
        comment: str | None = None,
        data: Data | None = None,
        key: str | None = None,
    ) -> Instance:
        """Say that the work of a task is done."""
        return self._send(
            requests.complete_task(instance, task, comment=comment, data=data, key=key)
        )

    def send_event(
        self,
        instance: str,
        type_: str,
        *,
        data: Data | None = None,
        record: str | None = None,
        key: str | None = None,
    ) -> Instance:
        """Say that something happened outside, such as `email.opened`."""
        return self._send(requests.send_event(instance, type_, data=data, record=record, key=key))

    def cancel(
        self, instance: str, *, comment: str | None = None, key: str | None = None
    ) -> Instance:
        """End an instance where it stands."""
        return self._send(requests.cancel(instance, comment, key))

    def history(self, instance: str) -> Iterator[HistoryEntry]:
        """All that happened to an instance, the oldest first."""
        return self._all(requests.history(instance))

    # --- what there is to do ------------------------------------------------------------------

    def pending(
        self,
        user: str,
        *,
        definition: str | None = None,
        stage: str | None = None,
        subject_type: str | None = None,
        subject_id: str | None = None,
        domain: str | None = None,
        sort: str | None = None,
    ) -> Iterator[DashboardEntry]:
        """What waits for a user.

        Args:
            user: Whose dashboard; only oneself and `admin` may open it.
            definition: Of this definition.
            stage: In this stage.
            subject_type: About this.
            subject_id: The same.
            domain: `crm` or `sales_marketing`; definitions without a domain are of both.
            sort: `since` or `due_at`; with a minus, descending.
        """
        return self._all(
            requests.dashboard(
                user,
                "pending",
                definition=definition,
                stage=stage,
                subject_type=subject_type,
                subject_id=subject_id,
                domain=domain,
                sort=sort,
            )
        )

    def active(
        self,
        user: str,
        *,
        definition: str | None = None,
        stage: str | None = None,
        subject_type: str | None = None,
        subject_id: str | None = None,
        domain: str | None = None,
        sort: str | None = None,
    ) -> Iterator[DashboardEntry]:
        """All that is open and assigned to a user, also what waits for nobody; see `pending`."""
        return self._all(
            requests.dashboard(
                user,
                "active",
                definition=definition,
                stage=stage,
                subject_type=subject_type,
                subject_id=subject_id,
                domain=domain,
                sort=sort,
            )
        )

    def timers(self, *, due_before: datetime | None = None) -> Iterator[DueTimer]:
        """The running clocks, the next due first."""
        return self._all(requests.timers(due_before))

    def incidents(
        self,
        *,
        status: str | None = None,
        instance: str | None = None,
        definition: str | None = None,
        channel: str | None = None,
        code: str | None = None,
        sort: str | None = None,
    ) -> Iterator[ListedIncident]:
        """Incidents, the newest first; without `status` those that need somebody."""
        return self._all(
            requests.incidents(
                status=status,
                instance=instance,
                definition=definition,
                channel=channel,
                code=code,
                sort=sort,
            )
        )

    def incident(self, incident: str) -> ListedIncident:
        """One incident."""
        return self._send(requests.incident(incident))

    def retry_incident(
        self, incident: str, *, comment: str | None = None, key: str | None = None
    ) -> ListedIncident:
        """Have the call behind an incident tried again, under the same key."""
        return self._send(requests.settle_incident(incident, "retry", comment, key))

    def skip_incident(
        self, incident: str, *, comment: str | None = None, key: str | None = None
    ) -> ListedIncident:
        """Settle an incident as it is."""
        return self._send(requests.settle_incident(incident, "skip", comment, key))

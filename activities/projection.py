"""The local activity that writes what a workflow decided."""

from __future__ import annotations

import msgspec
import structlog
from temporalio import activity

from nexus.core.projection import Projection
from storage.engine import Engine
from storage.errors import is_unavailable
from storage.projection import Outcome, write_projection

_log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder(Projection).decode


class ProjectionActivities:
    """Writes projections into one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @activity.defn(name="project")
    def project(self, encoded: str) -> Outcome:
        """Write one projection; runs in the worker's threads, as the driver blocks.

        Whatever goes wrong is raised for Temporal to try again: a decision that
        has been made is never dropped. What another try will not heal is logged
        as an error each time, since only a person can help.

        Args:
            encoded: A `Projection` as JSON, by `msgspec.json.encode`. Handing
                the dataclass over would build its schema for each call.

        Returns:
            `applied`, or `resync` where a complete projection has to be sent.
        """
        try:
            projection = _decode(encoded)
        except msgspec.DecodeError:
            _log.exception("projection_unreadable", size=len(encoded))
            raise
        log = _log.bind(
            tenant=projection.instance.tenant,
            instance=projection.instance.id,
            seq=projection.instance.seq,
        )
        try:
            outcome = write_projection(self._engine, projection)
        except Exception as error:
            if is_unavailable(error):
                log.warning("database_unavailable", error=str(error).partition("\n")[0])
            else:
                log.exception("projection_failed")
            raise
        if outcome == "resync":
            log.warning("projection_needs_all_records")
        return outcome

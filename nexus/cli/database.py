"""Brings the projection database to the schema of this version."""

from __future__ import annotations

from nexus.cli.failures import CommandFailed, platform_module
from nexus.settings import Settings


def upgrade_database(settings: Settings) -> None:
    """Brings the projection database to the newest schema.

    Raises:
        CommandFailed: The database is not there, or is not one that can be brought up to date.
    """
    upgrade = platform_module("storage.migrate").upgrade
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        upgrade(settings.database_url)
    except (SQLAlchemyError, CommandError, ValueError) as error:
        # What stands before the host may be a password.
        place = settings.database_url.rpartition("@")[2]
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CommandFailed(
            f"the database {place} cannot be brought up to date ({reason}): see that it runs, "
            "restore it from a backup, or use another one"
        ) from error

"""Checks that nobody has changed a history behind our back (SR-005)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from nexus.cli.failures import CommandFailed, platform_module
from nexus.settings import Settings

PAGE = 200  # instances read at once


def run_verify(settings: Settings, tenant: str, given: Sequence[str]) -> None:
    """Follows the hashes of a tenant's histories, and ends with exit code 1 where one is broken.

    Args:
        settings: Where the database is.
        tenant: Whose histories.
        given: Ids of instances; all of the tenant's without any.

    Raises:
        CommandFailed: A history is not as it was written, or there is no such instance.
    """
    engine = platform_module("storage.engine").create_engine(settings.database_url)
    reading = platform_module("storage.scope").reading
    verify_chain = platform_module("storage.chain").verify_chain
    instances = platform_module("storage.instances")
    count = broken = 0
    with reading(engine, tenant) as session:
        for instance in given or _all(instances, session):
            if given and instances.get_row(session, instance) is None:
                raise CommandFailed(f"the tenant {tenant!r} has no instance {instance!r}")
            count += 1
            at = verify_chain(session, instance)
            if at is not None:
                broken += 1
                print(
                    f"{instance}: event {at} is not as it was written, or one before it is gone",
                    file=sys.stderr,
                )
    if broken:
        raise CommandFailed(f"{broken} of {count} histories of {tenant!r} are broken")
    print(f"{count} histories of {tenant!r} are as they were written.")


def _all(instances: Any, session: Any) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = instances.list_instances(
            session, instances.InstanceFilter(), sort="id", limit=PAGE, cursor=cursor
        )
        yield from (found.instance.id for found in page.items)
        cursor = page.next
        if cursor is None:
            return

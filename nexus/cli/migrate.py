"""Brings the database and Temporal up to what this version needs; run once before a release."""

from __future__ import annotations

import asyncio

from nexus.cli.database import upgrade_database
from nexus.cli.failures import CommandFailed, platform_module
from nexus.cli.logs import configure_logging
from nexus.cli.serve import connect_patiently, end_process
from nexus.settings import Settings

# How long a fresh Temporal may take to come up, and to make its search attributes known.
TEMPORAL_WITHIN = 300.0


def run_migrate(settings: Settings) -> None:
    """Brings the database and Temporal's search attributes up to date."""
    configure_logging()
    upgrade_database(settings)
    asyncio.run(_register(settings))
    print("The database and Temporal's search attributes are up to date.", flush=True)
    end_process(0)


async def _register(settings: Settings) -> None:
    register = platform_module("workflows.worker").register_search_attributes
    never = asyncio.Event()
    try:
        async with asyncio.timeout(TEMPORAL_WITHIN):
            client = await connect_patiently(settings, never)
            await register(client)
    except TimeoutError:
        raise CommandFailed(
            f"Temporal does not answer at {settings.temporal_address}: see that it runs, or name "
            "it in NEXUS_TEMPORAL_ADDRESS"
        ) from None

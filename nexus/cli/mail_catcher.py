"""Runs the mail catcher in this process."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import NoReturn

from nexus.cli.failures import CommandFailed, platform_module
from nexus.cli.logs import configure_logging
from nexus.cli.serve import end_process, on_end

_log = logging.getLogger("nexus.mail")


def run_mail_catcher(folder: Path, *, host: str, port: int) -> NoReturn:
    """Catches mails until this process is asked to end; does not return.

    Args:
        folder: Where they are kept.
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        CommandFailed: The port is taken, or the folder cannot be written.
    """
    configure_logging()
    asyncio.run(_catch(folder, host, port))
    end_process(0)


async def _catch(folder: Path, host: str, port: int) -> None:
    catcher = platform_module("nexus.channels.mail_catcher")
    end = asyncio.Event()
    on_end(end.set)
    try:
        server = await catcher.serve_catcher(folder, host, port)
    except OSError as error:
        raise CommandFailed(
            f"no mails can be caught at {host}:{port} in {folder}: {error}"
        ) from None
    _log.info("catching mails at %s:%s in %s", host, port, folder)
    async with server:
        await end.wait()

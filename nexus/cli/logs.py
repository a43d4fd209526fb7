"""How the API and the workers log: JSON lines, or coloured ones where a person is watching."""

from __future__ import annotations

import logging
import os
import sys

# What reports every request or every poll at `info` is kept to what needs a look.
_QUIET = ("httpx", "httpcore", "uvicorn.access", "watchfiles", "alembic", "temporalio.activity")


def configure_logging() -> None:
    """Sends structlog's entries and the standard library's to stderr, in one form.

    `NEXUS_LOG_LEVEL` says from which level on; `info` by default.
    """
    import msgspec
    import structlog

    named = os.environ.get("NEXUS_LOG_LEVEL", "info").upper()
    level = logging.getLevelNamesMapping().get(named, logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    factory: structlog.BytesLoggerFactory | structlog.PrintLoggerFactory
    if sys.stderr.isatty():
        factory = structlog.PrintLoggerFactory(sys.stderr)
        own: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer()]
        foreign = own
    else:
        # Straight to the file: the standard library's way costs several times as much, and the
        # API writes an entry for every request.
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)

        def as_bytes(entry: object, **_: object) -> bytes:
            return msgspec.json.encode(entry, enc_hook=str)

        def as_text(entry: object, **_: object) -> str:
            return as_bytes(entry).decode()

        traceback = structlog.processors.format_exc_info
        own = [traceback, structlog.processors.JSONRenderer(serializer=as_bytes)]
        foreign = [traceback, structlog.processors.JSONRenderer(serializer=as_text)]
    structlog.configure(
        processors=[*shared, *own],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *foreign],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))

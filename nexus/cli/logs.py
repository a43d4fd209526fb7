"""How the API and the workers log: JSON lines, or coloured ones where a person is watching."""

from __future__ import annotations

import logging
import os
import sys

# What reports every request or every poll at `info` is kept to what needs a look.
_QUIET = ("httpx", "httpcore", "uvicorn.access", "watchfiles", "alembic", "temporalio.activity")


def configure_logging(level: str = "info") -> None:
    """Sends the standard library's and structlog's entries the same way, to stderr.

    Args:
        level: The least level that is written; `NEXUS_LOG_LEVEL` overrides it.
    """
    import structlog

    chosen = os.environ.get("NEXUS_LOG_LEVEL", level).upper()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor]
    if sys.stderr.isatty():
        last = [structlog.dev.ConsoleRenderer()]
    else:
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(chosen if chosen in logging.getLevelNamesMapping() else "INFO")
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

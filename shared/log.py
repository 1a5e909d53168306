"""Structured logging: events, not sentences. `log = get_log(); log.warning("lease_lost", job_id=...)`."""

import logging
import logging.handlers
import sys
from typing import Any

import orjson
import structlog

from shared.settings import Settings

ROTATE_BYTES = 50 * 1024 * 1024
ROTATED_COUNT = 5


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")


def _handler(settings: Settings) -> logging.Handler:
    if settings.log_file:
        return logging.handlers.RotatingFileHandler(settings.log_file, maxBytes=ROTATE_BYTES, backupCount=ROTATED_COUNT)
    return logging.StreamHandler(sys.stdout)


def configure(settings: Settings, **context: Any) -> None:
    """Send our events and those of libraries to one place in one format. `context` is on every line."""
    shared_steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
        if settings.log_format == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]
    )
    handler = _handler(settings)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_steps,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    structlog.configure(
        processors=[*shared_steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)


def get_log() -> Any:
    """Return the logger; cheap, safe at import time."""
    return structlog.get_logger()

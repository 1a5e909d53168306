"""Log events of the child go to the consumer, which adds the job and writes them where its own go."""

import logging
from contextlib import suppress
from typing import Any

import orjson
import structlog

from consumer.child.channel import Channel
from consumer.processes.messages import Line
from shared.settings import Settings

MAX_EVENT_CHARS = 16_000
MAX_FIELDS_BYTES = 64 * 1024

LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50, "exception": 40, "fatal": 50}


def ship_logs(settings: Settings, channel: Channel) -> None:
    """Send structlog's events and those of `logging` through the channel."""
    shipper = _Shipper(channel)
    logging.basicConfig(handlers=[_Handler(shipper)], level=settings.log_level.upper(), force=True)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, shipper.structlog],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )


class _Shipper:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def structlog(self, _logger: Any, method: str, event: Any) -> Any:
        self.ship(LEVELS.get(method, logging.INFO), str(event.pop("event", "")), event)
        raise structlog.DropEvent

    def ship(self, level: int, event: str, fields: dict[str, Any]) -> None:
        # A process that the handler forked has no channel, and a consumer that is gone reads nothing.
        with suppress(OSError):
            self._channel.send(Line(level, _clean(event), _as_json(fields)))


class _Handler(logging.Handler):
    def __init__(self, shipper: _Shipper) -> None:
        super().__init__()
        self._shipper = shipper

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["exception"] = logging.Formatter().formatException(record.exc_info)
            self._shipper.ship(record.levelno, record.getMessage(), fields)
        except Exception:  # noqa: BLE001 - as every handler of `logging` does: a message that cannot be formatted ends nobody's job
            self.handleError(record)


def _as_json(fields: dict[str, Any]) -> bytes:
    try:
        data = orjson.dumps(fields, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except Exception:  # noqa: BLE001 - a value that cannot be shown must not end the job that mentions it
        data = orjson.dumps({"fields": _clean(ascii(list(fields)))})
    return data if len(data) <= MAX_FIELDS_BYTES else orjson.dumps({"fields": f"{len(data)} bytes of fields are too many for a log line"})


def _clean(text: str) -> str:
    return text[:MAX_EVENT_CHARS].encode("utf-8", "replace").decode()

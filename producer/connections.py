"""aiohttp's connections with two habits of ours: there is a bound on them, and what is no HTTP gets a problem document, too."""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from producer.problems import ProblemError, first_line
from shared.log import get_log

log = get_log()


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _refused(status: int, why: str) -> ProblemError:
    if "content-encoding" in why.lower():
        return ProblemError(415, "this Content-Encoding is not supported; send the body as it is, or gzip or deflate", closes=True)
    return ProblemError(status, f"this is not the HTTP that we understand: {why}", closes=True)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what no route could: the parser refused the request."""
        if status >= 500:
            log.error("request_failed", status=status, exc_info=exc)
            problem = ProblemError(status, "an error of ours; it is in the log", closes=True)
        else:
            log.info("request_refused", status=status, remote=request.remote, error=first_line(message or ""))
            problem = _refused(status, first_line(message or ""))
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return problem.response()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what is our fault. A body that its sender broke was answered with 400, and anybody can send one: it is no error of ours."""
        if not isinstance(kw.get("exc_info"), (web.RequestPayloadError, HttpProcessingError)):
            super().log_exception(*args, **kw)


class BoundedConnections:
    """Protocol factory in place of aiohttp's: at most `most` connections, beyond it a new one is closed at once."""

    def __init__(self, server: web.Server, most: int) -> None:
        self._server = server
        self._most = most

    def __call__(self) -> asyncio.BaseProtocol:
        """Return the protocol for a new connection."""
        server = self._server
        if len(server._connections) >= self._most:  # noqa: SLF001 - `connections` copies them
            return _Refusal()
        return _Connection(server, loop=server._loop, **server._kwargs)  # noqa: SLF001 - as aiohttp's own factory does

"""One of the clients: it has a connection when it needs one, and one request at a time."""

import asyncio
import os
from time import perf_counter
from typing import Protocol, cast

from loadtest.http1 import ProtocolError, Response, ResponseReader, Target
from loadtest.load.meter import LOST, Meter
from loadtest.load.work import Request

TRY_AGAIN_SECONDS = 0.5  # after a connection could not be made
MOST_PAUSE_SECONDS = 5.0  # of what Retry-After may ask for


class Pace(Protocol):
    """Who decides when a sender sends."""

    def free(self, sender: "Sender", pause: float = 0.0) -> None:
        """The sender has nothing to do. `pause`: the server, or good manners, would rather have it wait so many seconds."""


class Sender(asyncio.Protocol):
    """Sends what it is told, counts how that went, and says when it is free again."""

    def __init__(self, target: Target, meter: Meter, *, keep_alive: bool) -> None:
        self._target = target
        self._meter = meter
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader()
        self._request: Request | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._warm: asyncio.Future[None] | None = None
        self._due_at = self._sent_at = 0.0
        self.pace: Pace

    async def connect(self) -> None:
        """Have a connection. Raises OSError."""
        await self._loop.create_connection(lambda: self, self._target.host, self._target.port)

    async def warm_up(self, timeout: float) -> None:  # noqa: ASYNC109 - one bound for both steps
        """Have a connection that the server has answered on; before that it may wait for seconds to be accepted. Raises OSError."""
        async with asyncio.timeout(timeout):
            await self.connect()
            if self._transport is not None:
                self._warm = self._loop.create_future()
                self._transport.write(self._target.request("GET", "/livez"))
                await self._warm

    def send(self, request: Request, due_at: float, now: float) -> None:
        """Send a request that should have gone out at `due_at`; connect first if need be."""
        self._request, self._due_at, self._sent_at = request, due_at, now
        self._meter.sent(request.job_count, due_at, now)
        if self._transport is not None:
            self._transport.write(request.data)
        else:
            self._connecting = self._loop.create_task(self._connect_and_send(request))

    def give_up(self, now: float, timeout: float) -> None:
        """Drop a request that has waited longer than `timeout` seconds for its answer."""
        request = self._request
        if request is not None and now - self._sent_at > timeout:
            self.close()
            self._meter.timed_out(self._due_at, now, timeout)
            self.pace.free(self)

    def close(self) -> None:
        """Hang up; what is under way is forgotten."""
        self._request = None
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self._hang_up()

    def close_idle(self, now: float, seconds: float) -> None:
        """Hang up when there was nothing to do for so long: soon the server would, perhaps just when the next request goes out."""
        if self._request is None and now - self._sent_at > seconds:
            self._hang_up()

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._reader = ResponseReader()

    def data_received(self, data: bytes) -> None:
        """Count the answer and be free for the next request."""
        now = perf_counter()
        try:
            responses = self._reader.feed(data)
        except ProtocolError as error:
            self._failed("not HTTP", str(error))
            return
        for response in responses:
            self._answered(response, now)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer waits in vain."""
        self._transport = None
        self._warmed_up()
        if self._request is not None:
            self._failed(LOST, str(exc or "the server closed it before it answered"))

    def _answered(self, response: Response, now: float) -> None:
        if self._warmed_up():
            return
        request, self._request = self._request, None
        if request is not None:
            self._meter.answered(response, request.job_count, self._due_at, self._sent_at, now)
        if response.closes or not self._keep_alive or request is None:  # an answer that nobody asked for: the server is about to close
            self._hang_up()
        if request is not None:
            self.pace.free(self, min(response.retry_after, MOST_PAUSE_SECONDS) if response.retry_after else 0.0)

    def _warmed_up(self) -> bool:
        """Whether that was the answer to the first, empty question."""
        warm, self._warm = self._warm, None
        if warm is not None and not warm.done():
            warm.set_result(None)
        return warm is not None

    def _failed(self, kind: str, why: str) -> None:
        self._warmed_up()
        request, self._request = self._request, None
        self._hang_up()
        if request is not None:
            self._meter.failed(kind, why)
            self.pace.free(self, TRY_AGAIN_SECONDS)

    def _hang_up(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.set_protocol(asyncio.Protocol())  # what it still says is nobody's business, and the next one may be open by then
            transport.abort()

    async def _connect_and_send(self, request: Request) -> None:
        try:
            await self.connect()
        except OSError as error:
            self._connecting = None
            self._failed(f"no connection: {_reason(error)}", str(error))
            return
        self._connecting = None
        if self._transport is not None and self._request is request:
            self._transport.write(request.data)


def _reason(error: OSError) -> str:
    """Return the system's words, which have no address in them: errors are counted by kind."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__

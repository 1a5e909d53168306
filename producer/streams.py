"""`GET /events`: what happens to jobs, as server-sent events, for live views.

Every client gets the same frames, made once. There is no replay: who connects anew (Last-Event-ID) goes on with what comes then.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from producer.problems import unavailable
from shared.errors import UnavailableError
from shared.events import News
from shared.job_views import JobViews
from shared.log import get_log

log = get_log()

MOST_CLIENTS = 200
MOST_FRAMES = 100  # that wait for a client; one that is so slow is dropped
COUNTERS_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
_HEADERS = {hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}
_encode = msgspec.json.encode


def frame(event: str, data: Any) -> bytes:
    """Return one event as it goes over the wire."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data))


class Client:
    """One connection: the frames that it has not been sent yet."""

    def __init__(self, request: web.Request) -> None:
        self._transport = request.transport
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_FRAMES)

    def put(self, data: bytes | None) -> None:
        """Send this soon; None ends the stream. Who is too slow to take it is cut off."""
        try:
            self._frames.put_nowait(data)
        except asyncio.QueueFull:
            if self._transport is not None:
                log.info("slow_client_dropped")
                self._transport.abort()

    async def next(self) -> bytes | None:
        """Wait for the next frame; a comment when there is none for a while, so that proxies keep the connection."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                return await self._frames.get()
        except TimeoutError:
            return b": still here\n\n"


class Streams:
    """All clients of this process. `need_news` is called while there are any."""

    def __init__(self, views: JobViews, need_news: Callable[[], None]) -> None:
        self._views = views
        self._need_news = need_news
        self._clients: set[Client] = set()
        self._closed = False

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (("GET", "/events", self.stream),)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /events."""
        if self._closed:
            raise unavailable("this producer is draining")
        if len(self._clients) >= MOST_CLIENTS:
            raise unavailable(f"{MOST_CLIENTS} clients are connected already", retry_after=5)
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=_HEADERS)
        response = web.StreamResponse(headers=_HEADERS)
        client = Client(request)
        self._clients.add(client)
        self._need_news()
        try:
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            while (data := await client.next()) is not None:
                await response.write(data)
        except ConnectionError:  # it is gone
            pass
        finally:
            self._clients.discard(client)
        return response

    def heard(self, news: News) -> None:
        """Tell all clients."""
        if self._clients:
            self._send(frame("jobs", news))

    def close(self) -> None:
        """End all streams, now and from now on: this process ends."""
        self._closed = True
        self._send(None)

    async def run(self) -> None:
        """Send the counters every second, until cancelled; ask for them only when somebody is there."""
        while True:
            await asyncio.sleep(COUNTERS_SECONDS)
            if self._clients:
                self._need_news()
                await self._count()

    async def _count(self) -> None:
        try:
            counts, per_minute = await self._views.counts(), await self._views.completed_per_minute()
        except UnavailableError as error:
            log.warning("counters_not_sent", error=str(error))
        except Exception:
            log.exception("counters_not_sent")
        else:
            self._send(frame("counters", {"by_status": counts.by_status, "throughput_per_second": per_minute / 60}))

    def _send(self, data: bytes | None) -> None:
        for client in self._clients:
            client.put(data)

"""Routes about queues: what is in them, pause, resume."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from producer.jobs_api import answer
from producer.problems import not_found
from shared.broker import Broker
from shared.errors import BrokerUnavailableError
from shared.keys import lanes_of
from shared.queue_store import QueueStore, QueueView

REDIS_SECONDS = 1.0
QUEUE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

Depths = Mapping[str, tuple[int, int]]


class QueuesApi:
    """Handlers of these routes."""

    def __init__(self, store: QueueStore, broker: Broker) -> None:
        self._store = store
        self._broker = broker

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/queues", self.list),
            ("POST", "/queues/{name}/pause", self.pause),
            ("POST", "/queues/{name}/resume", self.resume),
        )

    async def list(self, _: web.Request) -> web.Response:
        """GET /queues. `lag` (entries that no worker has read) and `pending` (those that one has) are null while Redis is away."""
        depths = await self._depths()
        return answer({"queues": [_described(queue, depths) for queue in await self._store.overview()]})

    async def pause(self, request: web.Request) -> web.Response:
        """POST /queues/{name}/pause: within two seconds no worker starts its jobs any more; what runs, runs on."""
        return await self._set(request, paused=True)

    async def resume(self, request: web.Request) -> web.Response:
        """POST /queues/{name}/resume."""
        return await self._set(request, paused=False)

    async def _set(self, request: web.Request, *, paused: bool) -> web.Response:
        name = request.match_info["name"]
        if not QUEUE_NAME.fullmatch(name):
            raise not_found(f"queue {name[:100]!r}")
        await self._store.pause(name, paused=paused)
        return answer({"name": name, "paused": paused})

    async def _depths(self) -> Depths | None:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                return await self._broker.lane_depths()
        except (BrokerUnavailableError, TimeoutError):
            return None


def _described(queue: QueueView, depths: Depths | None) -> dict[str, Any]:
    lengths = [depths[lane] for lane in lanes_of([queue.name]) if lane in depths] if depths is not None else None
    pending = None if lengths is None else sum(held for _, held in lengths)
    lag = None if lengths is None or pending is None else max(0, sum(length for length, _ in lengths) - pending)
    return msgspec.structs.asdict(queue) | {"lag": lag, "pending": pending}

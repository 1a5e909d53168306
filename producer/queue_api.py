"""Routes about the whole: statistics, probes, metrics."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from producer.backlog import undelivered
from producer.jobs_api import answer
from producer.problems import unavailable
from shared import metrics
from shared.broker import Broker
from shared.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.job_views import JobViews

READY_SECONDS = 3.0
REDIS_SECONDS = 1.0  # jobs are accepted without it, so a probe must not wait for it


class QueueApi:
    """Handlers of these routes. `draining` says whether this process is about to end."""

    def __init__(self, views: JobViews, broker: Broker, draining: Callable[[], bool]) -> None:
        self._views = views
        self._broker = broker
        self._draining = draining

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/jobs/stats", self.stats),
            ("GET", "/workers", self.workers),
            ("GET", "/livez", self.livez),
            ("GET", "/readyz", self.readyz),
            ("GET", "/metrics", self.metrics),
        )

    async def stats(self, _: web.Request) -> web.Response:
        """GET /jobs/stats. No table is scanned for it."""
        counts, dispatch = await self._views.counts(), await self._dispatch()
        return answer(
            msgspec.structs.asdict(counts)
            | {
                "lag": dispatch and dispatch["lag"],
                "pending": dispatch and dispatch["pending"],
                "dispatch": dispatch,
                "oldest_age_seconds": await self._views.oldest_age(),
                "throughput_per_second": await self._views.completed_per_minute() / 60,
                "latency_seconds": await self._views.latencies(),
                "workers": len(await self._views.workers()),
            }
        )

    async def _dispatch(self) -> dict[str, int] | None:
        """What Redis holds; None while it is away. `lag`: entries that no worker has read yet."""
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                depths = await self._broker.depths()
        except (BrokerUnavailableError, TimeoutError):
            return None
        return depths | {"lag": undelivered(depths)}

    async def workers(self, _: web.Request) -> web.Response:
        """GET /workers: who is alive."""
        return answer({"workers": await self._views.workers()})

    async def livez(self, _: web.Request) -> web.Response:
        """GET /livez: the process answers."""
        return answer({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """GET /readyz: 200 while jobs can be accepted, which needs PostgreSQL but not Redis."""
        if self._draining():
            raise unavailable("this producer is draining")
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._views.ping()
        except DatabaseUnavailableError as error:
            raise unavailable(str(error)) from error
        except TimeoutError:
            raise unavailable(f"PostgreSQL did not answer within {READY_SECONDS:g} s") from None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await self._broker.ping()
        except (BrokerUnavailableError, TimeoutError) as error:
            return answer({"status": "degraded", "postgres": "ok", "redis": str(error) or f"no answer within {REDIS_SECONDS:g} s"})
        return answer({"status": "ok", "postgres": "ok", "redis": "ok"})

    async def metrics(self, _: web.Request) -> web.Response:
        """GET /metrics, in Prometheus' text format."""
        return web.Response(body=metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

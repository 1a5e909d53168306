"""arq (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker

from loadtest.peers.kit import Reporter, run

CONCURRENCY = 100
ENQUEUES = 100  # arq has no bulk call: as many single ones at a time

servers = RedisSettings.from_dsn(os.environ["REDIS_URL"])


@dataclass
class Client:
    """Queues jobs."""

    pool: ArqRedis

    async def add(self, at: float) -> None:
        """Queue one."""
        await self.pool.enqueue_job("noop", at)

    async def add_many(self, count: int) -> None:
        """Queue `count`."""
        for done in range(0, count, ENQUEUES):
            await asyncio.gather(*(self.add(0.0) for _ in range(min(ENQUEUES, count - done))))


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    pool = await create_pool(servers)
    yield Client(pool)
    await pool.aclose()


async def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()

    async def noop(_ctx: dict[str, Any], at: float) -> None:
        reporter.started(at)

    async def after_job_end(_ctx: dict[str, Any]) -> None:
        reporter.settled()

    noop.__qualname__ = "noop"  # the name by which it is queued
    await Worker(
        functions=[noop],
        redis_settings=servers,
        max_jobs=CONCURRENCY,
        poll_delay=0.01,
        keep_result=0,
        after_job_end=after_job_end,
        handle_signals=False,
    ).main()


if __name__ == "__main__":
    run(client, work, runner=uvloop.run)

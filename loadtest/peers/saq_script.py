"""SAQ (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from saq import Queue, Worker

from loadtest.peers.kit import IN_FLIGHT, Reporter, run

# Each blocks on a connection of its own, and the pool of redis-py ends at 100. With 100, and with 300 and a larger pool,
# a job cost more CPU time than with 50.
CONCURRENCY = 50
NOT_KEPT = -1  # `ttl` of a finished job


def queue() -> Queue:
    """Describe the queue; it connects when it is used. Its own limit of 20 calls at a time would hold our 64 back."""
    return Queue.from_url(os.environ["REDIS_URL"], max_concurrent_ops=IN_FLIGHT)


@dataclass
class Client:
    """Queues jobs."""

    jobs: Queue

    async def add(self, at: float) -> None:
        """Queue one."""
        await self.jobs.enqueue("noop", at=at, ttl=NOT_KEPT)

    async def add_many(self, count: int) -> None:
        """Queue `count`: as many single ones at a time as it lets through."""
        for done in range(0, count, IN_FLIGHT):
            await asyncio.gather(*(self.add(0.0) for _ in range(min(IN_FLIGHT, count - done))))


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    jobs = queue()
    await jobs.connect()
    yield Client(jobs)
    await jobs.disconnect()


async def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()

    async def noop(_ctx: dict[str, Any], *, at: float) -> None:
        reporter.started(at)

    async def after_process(_ctx: dict[str, Any]) -> None:
        reporter.settled()  # the job's end is written and published before

    jobs = queue()
    await jobs.connect()
    await Worker(jobs, [("noop", noop)], concurrency=CONCURRENCY, after_process=after_process).start()


if __name__ == "__main__":
    run(client, work, runner=uvloop.run)

"""taskiq with taskiq-redis (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from loadtest.peers.kit import IN_FLIGHT, Reporter, run

# The default. From 10 to 300, prefetch, longer reads, orjson, unparsed parameters: all the same within the noise.
CONCURRENCY = 100


class ReportingBroker(RedisStreamBroker):
    """Counts a job when it is acked; middleware, the hook that there is, runs before."""

    reporter: Reporter

    def _ack_generator(self, id: str, queue_name: str) -> Callable[[], Awaitable[None]]:  # noqa: A002 - its name there
        ack = super()._ack_generator(id, queue_name)

        async def acked() -> None:
            await ack()
            self.reporter.settled()

        return acked


broker = ReportingBroker(os.environ["REDIS_URL"])


@broker.task("noop")
async def noop(at: float) -> None:
    """Do nothing."""
    broker.reporter.started(at)


class Client:
    """Queues jobs."""

    async def add(self, at: float) -> None:
        """Queue one."""
        await noop.kiq(at)

    async def add_many(self, count: int) -> None:
        """Queue `count`: many single ones at a time."""
        for done in range(0, count, IN_FLIGHT):
            await asyncio.gather(*(self.add(0.0) for _ in range(min(IN_FLIGHT, count - done))))


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect. The start makes the consumer group as well, which sees only jobs that are queued after it."""
    await broker.startup()
    yield Client()
    await broker.shutdown()


async def work() -> None:
    """Run a worker for ever: what a process of `taskiq worker` runs, without the process that watches it."""
    broker.reporter = Reporter()
    await run_receiver_task(broker, max_async_tasks=CONCURRENCY, run_startup=True)


if __name__ == "__main__":
    run(client, work, runner=uvloop.run)

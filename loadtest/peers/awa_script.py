"""awa (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop
from awa import AsyncClient, Job

from loadtest.peers.kit import Reporter, run

QUEUE = "bench"
CONCURRENCY = 300
QUEUING_CONNECTIONS = 4


@dataclass
class Noop:
    """What a job carries."""

    at: float


@dataclass
class Client:
    """Queues jobs."""

    awa: AsyncClient

    async def add(self, at: float) -> None:
        """Queue one."""
        await self.awa.insert(Noop(at), queue=QUEUE)

    async def add_many(self, count: int) -> None:
        """Queue `count`."""
        await self.awa.enqueue_many_copy([Noop(0.0)] * count, queue=QUEUE)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    async with AsyncClient(os.environ["DATABASE_URL"], QUEUING_CONNECTIONS) as awa:
        yield Client(awa)


async def start(awa: AsyncClient, handler: Callable[[Job], Awaitable[None]]) -> None:
    """Start a worker."""
    awa.task(Noop, queue=QUEUE)(handler)
    await awa.start([(QUEUE, CONCURRENCY)])


async def setup() -> None:
    """Create the schema. The first worker on an empty one chooses the fast storage; once there are jobs none does."""

    async def never(_job: Job) -> None:
        pass

    async with AsyncClient(os.environ["DATABASE_URL"]) as awa:
        await awa.migrate()
        await start(awa, never)
        await awa.shutdown()


async def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()

    async def noop(job: Job) -> None:
        reporter.started(job.args.at)
        reporter.settled()  # its Rust half writes the end, in batches, and tells Python nothing of it

    async with AsyncClient(os.environ["DATABASE_URL"]) as awa:
        await start(awa, noop)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(client, work, setup=setup, runner=uvloop.run)

"""streaq (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from streaq import Worker

from loadtest.peers.kit import Reporter, run

CONCURRENCY = 50  # from 16 to 300, a larger prefetch and silent tasks: all the same within the noise


class ReportingWorker(Worker[None]):
    """Counts a job when its end is written; middleware, the hook that there is, returns before."""

    reporter: Reporter

    async def finish_task(self, *args: Any, **kwargs: Any) -> None:
        """See Worker."""
        await super().finish_task(*args, **kwargs)
        self.reporter.settled()


worker = ReportingWorker(os.environ["REDIS_URL"], concurrency=CONCURRENCY)


@worker.task(ttl=0)
async def noop(at: float) -> None:
    """Do nothing."""
    worker.reporter.started(at)


class Client:
    """Queues jobs."""

    async def add(self, at: float) -> None:
        """Queue one."""
        await noop.enqueue(at)

    async def add_many(self, count: int) -> None:
        """Queue `count` in one pipeline."""
        await worker.enqueue_many([noop.enqueue(0.0) for _ in range(count)])


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    async with worker:
        yield Client()


async def work() -> None:
    """Run a worker for ever."""
    worker.reporter = Reporter()
    await worker.run_async()


if __name__ == "__main__":
    run(client, work, runner=uvloop.run)

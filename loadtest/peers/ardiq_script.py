"""ArdiQ (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from ardiq import Ardiq

from loadtest.peers.kit import Reporter, run

CONCURRENCY = 100  # 300 and a longer prefetch cost as much CPU time a job, 16 costs half more

app = Ardiq(os.environ["REDIS_URL"], concurrency=CONCURRENCY, result_ttl_ms=0)


@app.task()
async def noop(at: float) -> None:
    """Do nothing. Rust writes the end of the job, with no hook after it: counted here, at most CONCURRENCY jobs too early."""
    app.state.reporter.started(at)
    app.state.reporter.settled()


class Client:
    """Queues jobs."""

    async def add(self, at: float) -> None:
        """Queue one."""
        await noop.enqueue(at)

    async def add_many(self, count: int) -> None:
        """Queue `count` in one round trip."""
        await app.enqueue_many([noop.prepare(0.0) for _ in range(count)])


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect with the first call."""
    yield Client()


async def work() -> None:
    """Run a worker for ever."""
    app.state.reporter = Reporter()
    await app.run()


if __name__ == "__main__":
    run(client, work, runner=uvloop.run)
    sys.stdout.flush()
    os._exit(0)  # as its own command ends: while Python takes itself down, its Rust threads may crash it

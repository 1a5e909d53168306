"""awa (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from awa import AsyncClient

from loadtest.peers.kit import Reporter, run

T = json.loads(os.environ.get("TRY", "{}"))
QUEUE = "bench"


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
async def connected(connections: int) -> AsyncIterator[AsyncClient]:
    awa = AsyncClient(os.environ["DATABASE_URL"], connections)
    yield awa
    await awa.close()


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    async with connected(T.get("max", 10)) as awa:
        yield Client(awa)


async def setup() -> None:
    """Create the schema. The first worker that starts on an empty one chooses the storage engine: let that be before jobs come."""
    async with connected(10) as awa:
        await awa.migrate()

        @awa.task(Noop, queue=QUEUE)
        async def noop(job: Any) -> None:
            """Never runs."""

        await awa.start([(QUEUE, 1)])
        await awa.shutdown()


async def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()
    async with connected(T.get("wmax", 10)) as awa:

        @awa.task(Noop, queue=QUEUE)
        async def noop(job: Any) -> None:
            reporter.started(job.args.at)
            reporter.settled()

        await awa.start([{"name": QUEUE, "max_workers": T.get("c", 100), **T.get("q", {})}], **T.get("start", {}))
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(client, work, setup=setup, runner=asyncio.run if T.get("asyncio") else uvloop.run)

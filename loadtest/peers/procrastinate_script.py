"""Procrastinate (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from procrastinate import App, PsycopgConnector

from loadtest.peers.kit import Reporter, run

T = json.loads(os.environ.get("TRY", "{}"))
app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"], min_size=1, max_size=T.get("max", 10)))
reporter = Reporter() if "BENCH_REPORT" in os.environ else None


@app.task(name="noop", queue="bench")
async def noop(at: float) -> None:
    """Do nothing."""
    reporter.started(at)
    reporter.settled()


class Client:
    """Queues jobs."""

    async def add(self, at: float) -> None:
        """Queue one."""
        await noop.defer_async(at=at)

    async def add_many(self, count: int) -> None:
        """Queue `count`."""
        await noop.batch_defer_async(*[{"at": 0.0}] * count)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    async with app.open_async():
        yield Client()


async def setup() -> None:
    """Create the schema."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    """Run a worker for ever."""
    async with app.open_async():
        await app.run_worker_async(concurrency=T.get("c", 10), delete_jobs=T.get("delete", "successful"), install_signal_handlers=False)


if __name__ == "__main__":
    import asyncio

    run(client, work, setup=setup, runner=asyncio.run if T.get("asyncio") else uvloop.run)

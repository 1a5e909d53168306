"""Procrastinate (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer

from loadtest.peers.kit import Reporter, run

TASK = "noop"
CONCURRENCY = 10

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"], min_size=1, max_size=CONCURRENCY))


@dataclass
class Client:
    """Queues jobs."""

    task: JobDeferrer

    async def add(self, at: float) -> None:
        """Queue one."""
        await self.task.defer_async(at=at)

    async def add_many(self, count: int) -> None:
        """Queue `count`."""
        await self.task.batch_defer_async(*[{"at": 0.0}] * count)


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Connect."""
    async with app.open_async():
        yield Client(app.configure_task(TASK))


async def setup() -> None:
    """Create the schema."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()

    @app.task(name=TASK)
    async def noop(at: float) -> None:
        reporter.started(at)
        reporter.settled()  # it has no hook after the one statement that ends the job

    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="successful", install_signal_handlers=False)


if __name__ == "__main__":
    run(client, work, setup=setup, runner=uvloop.run)

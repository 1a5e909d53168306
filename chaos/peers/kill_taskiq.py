"""taskiq on Redis Streams with its defaults (see chaos/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
import sys

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(os.environ["REDIS_URL"])


def note(line: str) -> None:
    """Add a line to the record."""
    with open(os.environ["CHAOS_RECORD"], "a", encoding="ascii") as record:  # noqa: PTH123
        record.write(line + "\n")


@broker.task("task")
async def task(number: int) -> None:
    """Take two seconds."""
    note(f"start {number}")
    await asyncio.sleep(2)
    note(f"end {number}")


async def queue(count: int) -> None:
    """Queue jobs."""
    await broker.startup()
    for number in range(count):
        await task.kiq(number)
    await broker.shutdown()


async def work() -> None:
    """Run a worker: what a process of `taskiq worker` runs."""
    await run_receiver_task(broker, run_startup=True)


asyncio.run(work() if sys.argv[1] == "work" else queue(int(sys.argv[2])))

"""arq with its defaults (see chaos/peers/__init__.py), run in its own environment: ours is not there."""

import asyncio
import os
import sys
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

servers = RedisSettings.from_dsn(os.environ["REDIS_URL"])


def note(line: str) -> None:
    """Add a line to the record."""
    with open(os.environ["CHAOS_RECORD"], "a", encoding="ascii") as record:  # noqa: PTH123
        record.write(line + "\n")


async def task(_ctx: dict[str, Any], number: int) -> None:
    """Take two seconds."""
    note(f"start {number}")
    await asyncio.sleep(2)
    note(f"end {number}")


async def queue(count: int) -> None:
    """Queue jobs."""
    pool = await create_pool(servers)
    for number in range(count):
        await pool.enqueue_job("task", number)


async def work() -> None:
    """Run a worker."""
    await Worker(functions=[task], redis_settings=servers, handle_signals=False).main()


asyncio.run(work() if sys.argv[1] == "work" else queue(int(sys.argv[2])))

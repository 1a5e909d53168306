"""The two verbs of a peer (see loadtest/peers/__init__.py) for arq, run in its own environment: ours is not there."""

import asyncio
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
from arq import create_pool  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]
from arq.worker import Worker  # type: ignore[import-not-found]

CONCURRENCY = 100


@dataclass
class Drained:
    """What `drain` prints."""

    begun: float
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    resident_bytes: int = 0

    async def after_job_end(self, _ctx: dict[str, Any]) -> None:
        """Count a job whose end arq has written to Redis."""
        self.count += 1
        self.last = time.perf_counter()
        self.first = self.first or self.last


async def noop(_ctx: dict[str, Any]) -> None:
    """Do nothing."""


async def fill(servers: RedisSettings, count: int) -> None:
    """Queue `count` jobs."""
    pool = await create_pool(servers)
    for done in range(0, count, CONCURRENCY):
        await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(min(CONCURRENCY, count - done))))
    await pool.aclose()


async def drain(servers: RedisSettings) -> None:
    """Run a worker until the queue is empty."""
    drained = Drained(begun=time.perf_counter())
    worker = Worker(
        functions=[noop],
        redis_settings=servers,
        burst=True,
        max_jobs=CONCURRENCY,
        poll_delay=0.01,
        keep_result=0,
        after_job_end=drained.after_job_end,
        handle_signals=False,
    )
    await worker.main()
    await worker.close()
    drained.resident_bytes = resident_bytes()
    sys.stdout.write(json.dumps(asdict(drained)))


def resident_bytes() -> int:
    """Return what this process holds now; where /proc is missing, the most that it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Do what the command line says."""
    servers = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    uvloop.run(fill(servers, int(sys.argv[2])) if sys.argv[1] == "fill" else drain(servers))


if __name__ == "__main__":
    main()

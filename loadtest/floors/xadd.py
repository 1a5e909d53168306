"""The floor of a publish: the same entries by pipelined XADD, in batches of the same size, one after the other on one connection.

`python -m loadtest.floors.xadd --count 50000 --batch 30`.
"""

import argparse
import os

import uvloop
from redis.asyncio import Redis

from loadtest.floors.result import Result
from shared.ids import new_id

BATCH = 30  # jobs that a publish of one producer holds under 64 connections, by `make profile`
STREAM = "floor"


async def add(url: str, count: int, batch: int, stream: str = STREAM) -> Result:
    """Add at least `count` entries."""
    batches = [[new_id() for _ in range(batch)] for _ in range(-(-count // batch))]
    result = Result()
    async with Redis.from_url(url, protocol=2) as client:
        for ids in batches:
            async with client.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.xadd(stream, {"id": job_id})
                await pipe.execute()
            result.done(batch)
    return result


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description="bare pipelined XADD")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=BATCH)
    told = parser.parse_args()
    uvloop.run(add(os.environ["REDIS_URL"], told.count, told.batch)).print()


if __name__ == "__main__":
    main()

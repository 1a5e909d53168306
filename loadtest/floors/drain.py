"""The floor of a drain: read a batch, the same claim, the same settle, acknowledge and delete; no handler, no decision, no second thought.

`python -m loadtest.floors.drain --batch 500 --flight 4`, on jobs that a producer has queued. `--flight` batches are under way at a time,
each at its own step: there is one connection for each of the steps, as in a consumer, or `--settlers` of them for the settle.
"""

import argparse
import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import uvloop
from redis.asyncio import Redis

from loadtest.floors.result import Result
from shared.database import BY_KEY, DURABLE, connect
from shared.ids import new_id
from shared.queries import load

BATCH = 500  # jobs that a consumer claims at a time with MILLSTREAM_CONCURRENCY=1000, by `make profile`
STREAM, GROUP, CONSUMER = "jobs_stream", "workers", "floor"  # the first two are the defaults of MILLSTREAM_STREAM and MILLSTREAM_GROUP
MANY = 2**31 - 1
TYPES = ["test.noop"]
Turns = asyncio.Queue[Any]  # of connections: who holds one uses it alone


@dataclass
class Loop:
    """What all batches share."""

    batch: int
    redis: Redis
    stream: str
    lease: str
    claims: Turns
    settles: Turns
    result: Result
    queries: dict[str, str]

    async def run(self) -> None:
        """Drain until the stream gives nothing more."""
        while entries := await self._read():
            jobs = await _asked(self.claims, self.queries["claim"], sorted(entries.values()), self.lease, CONSUMER, TYPES, MANY)
            ids, attempts = [job[0] for job in jobs], [job[4] for job in jobs]
            won = await _asked(self.settles, self.queries["succeed"], ids, attempts, self.lease, [b"null"] * len(ids))
            await self._ack(list(entries))
            self.result.done(len(won))

    async def _read(self) -> dict[bytes, str]:
        """Return job ids by entry id."""
        reply: Any = await self.redis.xreadgroup(GROUP, CONSUMER, {self.stream: ">"}, count=self.batch)
        return {entry_id: fields[b"id"].decode() for _, entries in reply for entry_id, fields in entries}

    async def _ack(self, entry_ids: list[bytes]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.xack(self.stream, GROUP, *entry_ids)
            pipe.xdel(self.stream, *entry_ids)
            await pipe.execute()


async def drain(database_url: str, redis_url: str, *, batch: int, flight: int = 1, settlers: int = 1, stream: str = STREAM) -> Result:
    """Drain one stream."""
    claims = [await connect(database_url, 30.0, BY_KEY | {"synchronous_commit": "off"})]
    settles = [await connect(database_url, 30.0, BY_KEY | DURABLE) for _ in range(settlers)]
    lease = new_id()
    await claims[0].execute(load("leases")["open_lease"], lease, CONSUMER, "floor", os.getpid(), ["worker"], TYPES, batch, 60.0, [])
    async with Redis.from_url(redis_url, protocol=2) as redis:
        loop = Loop(batch, redis, stream, lease, _turns(claims), _turns(settles), Result(), load("jobs"))
        await asyncio.gather(*(loop.run() for _ in range(flight)))
    for connection in (*claims, *settles):
        await connection.close()
    return loop.result


def _turns(connections: Iterable[Any]) -> Turns:
    turns: Turns = asyncio.Queue()
    for connection in connections:
        turns.put_nowait(connection)
    return turns


async def _asked(turns: Turns, query: str, *arguments: Any) -> list[Any]:
    connection = await turns.get()
    try:
        rows: list[Any] = await connection.fetch(query, *arguments)
        return rows
    finally:
        turns.put_nowait(connection)


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description="bare drain")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--flight", type=int, default=1, help="batches under way at a time (default 1)")
    parser.add_argument("--settlers", type=int, default=1, help="connections that settle (default 1)")
    told = parser.parse_args()
    work = drain(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], batch=told.batch, flight=told.flight, settlers=told.settlers)
    uvloop.run(work).print()


if __name__ == "__main__":
    main()

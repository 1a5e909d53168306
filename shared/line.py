"""A connection to Redis for the few commands that go with every batch of jobs.

It is redis-py's, used without the layers of its client: borrowing from a pool, retrying and a task for every write cost more than
packing, sending and parsing together.
"""

import asyncio
from typing import Any

from redis.asyncio import Redis


class Line:
    """Commands go one after the other. Connects on demand, and anew after an error; sends nothing twice.

    Raises what redis-py raises, and TimeoutError when there is no answer within `timeout` seconds: what the command did is then unknown.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        pool: Any = client.connection_pool
        self._connection = pool.make_connection()
        self._connection.socket_timeout = None  # redis-py would guard every write by a task of its own; `call` has one limit for all
        self._timeout = timeout
        self._turn = asyncio.Lock()

    async def call(self, *words: str | int) -> Any:
        """Send one command and return its answer."""
        async with asyncio.timeout(self._timeout), self._turn:
            await self._connection.send_packed_command(self._connection.pack_command(*words), check_health=False)
            return await self._connection.read_response()

    async def close(self) -> None:
        """Hang up."""
        await self._connection.disconnect()

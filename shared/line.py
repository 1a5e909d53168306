"""Connections to Redis: those of redis-py, with writes that can be cancelled, and one for the commands that go with every batch of jobs."""

import asyncio
from typing import Any

from redis.asyncio import Connection, Redis, SSLConnection


class _Writes:
    """redis-py limits each write by asyncio.wait_for, which on Python 3.11 loses a cancellation that meets the end of the write.

    A loop that is ended by cancelling it would then go on for ever.
    """

    socket_timeout: float | None

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        limit, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)  # type: ignore[misc]
        finally:
            self.socket_timeout = limit


class PlainConnection(_Writes, Connection):
    """For redis://."""


class TlsConnection(_Writes, SSLConnection):
    """For rediss://."""


class Line:
    """A connection used without the layers of redis-py's client: borrowing it from a pool and retrying cost more than the command.

    Commands go one after the other. Connects on demand, and anew after an error; sends nothing twice.

    Raises what redis-py raises, and TimeoutError when there is no answer within `timeout` seconds: what the command did is then unknown.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        pool: Any = client.connection_pool
        self._connection = pool.make_connection()
        self._connection.socket_timeout = None  # `call` has one limit for all
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

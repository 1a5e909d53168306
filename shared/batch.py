"""Gathers items while the last batch is on its way and then sends all of them at once.

Batches so grow with the load and cost no delay when there is none.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """`put` items from anywhere in the loop; `run` hands them to `flush` in batches of at most `limit`, one batch at a time.

    `flush` has to deal with its own errors: an exception of it ends `run`.
    """

    def __init__(self, flush: Callable[[list[T]], Awaitable[None]], limit: int) -> None:
        self._flush = flush
        self._limit = limit
        self._waiting: deque[T] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T) -> None:
        """Add an item to the next batch."""
        self._waiting.append(item)
        self._idle.clear()
        self._wake.set()

    def put_all(self, items: Iterable[T]) -> None:
        """Add items to the next batch."""
        self._waiting.extend(items)
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    async def run(self) -> None:
        """Send batches until `close`, and what is waiting then."""
        while not (self._closed and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._flush(self._next())
            self._idle.set()

    def close(self) -> None:
        """Let `run` end as soon as nothing waits."""
        self._closed = True
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything that was put has been flushed."""
        await self._idle.wait()

    def _next(self) -> list[T]:
        if len(self._waiting) <= self._limit:
            batch = list(self._waiting)
            self._waiting.clear()
            return batch
        return [self._waiting.popleft() for _ in range(self._limit)]


class ParallelBatcher(Batcher[T]):
    """A batcher that begins a second batch, or more, up to `most` at a time, while one is on its way and at least `worth` items wait.

    Where a flush waits for a disk, the next one works meanwhile. Small batches still wait for each other, for they cost more each.
    """

    def __init__(self, flush: Callable[[list[T]], Awaitable[None]], limit: int, *, most: int, worth: int) -> None:
        super().__init__(flush, limit)
        self._most = most
        self._worth = worth
        self._under_way = 0

    async def run(self) -> None:
        """Send batches until `close`, and what is waiting then."""
        async with asyncio.TaskGroup() as tasks:
            while not (self._closed and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and self._may_begin():
                    self._under_way += 1
                    tasks.create_task(self._send(self._next()))

    def _may_begin(self) -> bool:
        return not self._under_way or (self._under_way < self._most and len(self._waiting) >= self._worth)

    async def _send(self, batch: list[T]) -> None:
        await self._flush(batch)
        self._under_way -= 1
        if self._waiting:
            self._wake.set()
        elif not self._under_way:
            self._idle.set()

"""What the Python scripts of all peers share (see loadtest/peers/__init__.py). Standard library only: our packages are not there."""

import asyncio
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

IN_FLIGHT = 64  # calls at a time that submit single jobs
BULK_IN_FLIGHT = 4
BULK_JOBS = 500
WARMUP_SECONDS = 0.5
REPORT_SECONDS = 0.05
REPORT_WAITS = 150  # numbers a line, so that a line stays below what the kernel appends in one piece
LATE_SECONDS = 0.002


class Client(Protocol):
    """Queues jobs. Every job carries `at`, a float that its handler gives to `Reporter.started` first of all."""

    async def add(self, at: float) -> None:
        """Queue one job; return when it is as durable as the peer makes it."""

    async def add_many(self, count: int) -> None:
        """Queue `count` jobs (at = 0) with the fastest call that there is for many."""


class BlockingClient(Protocol):
    """The same without asyncio."""

    def add(self, at: float) -> None:
        """See Client."""

    def add_many(self, count: int) -> None:
        """See Client."""


class Reporter:
    """Tells the benchmark what this process has done: a line of JSON in the file BENCH_REPORT every 50 ms.

    A forked child reports for itself. A process that ends by itself calls `flush` before.
    """

    def __init__(self) -> None:
        self._file = os.open(os.environ["BENCH_REPORT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def started(self, at: float) -> None:
        """Say that a handler has begun. `at`: what its job carries."""
        if at:
            self._waits.append(time.time() - at)

    def settled(self) -> None:
        """Say that the end of a job is written to where the peer keeps it."""
        self._last = time.time()
        self._count += 1
        if self._count == 1:
            self._first = self._last
            threading.Thread(target=self._flush_often, daemon=True).start()

    def flush(self) -> None:
        """Write a line."""
        waits = [round(self._waits.popleft(), 6) for _ in range(min(len(self._waits), REPORT_WAITS))]
        told = {"pid": os.getpid(), "count": self._count, "first": self._first, "last": self._last, "waits": waits}
        os.write(self._file, json.dumps(told).encode() + b"\n")
        if self._waits:
            self.flush()

    def _flush_often(self) -> None:
        while True:
            time.sleep(REPORT_SECONDS)
            self.flush()

    def _reset(self) -> None:
        self._count, self._first, self._last = 0, 0.0, 0.0
        self._waits: deque[float] = deque()


async def _nothing() -> None:
    """Set nothing up."""


def run(
    client: Callable[[], AbstractAsyncContextManager[Client]],
    work: Callable[[], Awaitable[Any]],
    *,
    setup: Callable[[], Awaitable[Any]] = _nothing,
    runner: Callable[[Any], Any] = asyncio.run,
) -> None:
    """Do what the command line says. `work` runs a worker for ever and makes a Reporter of its own. `runner`: e.g. uvloop.run."""

    async def with_client(call: Callable[[Client], Awaitable[Any]]) -> Any:
        async with client() as connected:
            return await call(connected)

    verb, *words = sys.argv[1:]
    numbers = [float(word) for word in words]
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "setup": setup,
        "work": work,
        "fill": lambda: with_client(lambda c: _fill(c, int(numbers[0]))),
        "submit": lambda: with_client(lambda c: _closed_loop(lambda: c.add(0.0), 1, IN_FLIGHT, numbers[0])),
        "bulk": lambda: with_client(lambda c: _closed_loop(lambda: c.add_many(BULK_JOBS), BULK_JOBS, BULK_IN_FLIGHT, numbers[0])),
        "pace": lambda: with_client(lambda c: _pace(c, *numbers)),
    }
    _print(runner(_awaited(calls[verb])))


def run_blocking(
    client: Callable[[], AbstractContextManager[BlockingClient]],
    work: Callable[[], Any],
    *,
    setup: Callable[[], Any] = lambda: None,
    threads: int = 1,
    bulk_jobs: int = BULK_JOBS,
) -> None:
    """Do the same for a peer without asyncio. `threads` that queue at a time: as many as make it fastest.

    `bulk_jobs`: how many a call of `bulk` queues. Fewer where they go one by one: of a long call, only a whole one would count.
    """
    verb, *words = sys.argv[1:]
    if verb in {"setup", "work"}:
        {"setup": setup, "work": work}[verb]()
        return
    numbers = [float(word) for word in words]
    with client() as connected, ThreadPoolExecutor(max(threads, 1)) as pool:
        adapter = _Threaded(connected, pool)
        calls: dict[str, Callable[[], Any]] = {
            "fill": lambda: asyncio.run(_fill(adapter, int(numbers[0]))),
            "submit": lambda: _blocking_loop(lambda: connected.add(0.0), 1, pool, threads, numbers[0]),
            "bulk": lambda: _blocking_loop(lambda: connected.add_many(bulk_jobs), bulk_jobs, pool, threads, numbers[0]),
            "pace": lambda: asyncio.run(_pace(adapter, *numbers)),
        }
        _print(calls[verb]())


class _Threaded:
    """A blocking client as an asyncio one, for what is not measured for its speed."""

    def __init__(self, client: BlockingClient, pool: ThreadPoolExecutor) -> None:
        self._client, self._pool = client, pool

    async def add(self, at: float) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._client.add, at)

    async def add_many(self, count: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._client.add_many, count)


async def _awaited(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def _fill(client: Client, count: int) -> None:
    """Queue `count` jobs, four calls at a time."""
    sizes = [BULK_JOBS] * (count // BULK_JOBS) + ([count % BULK_JOBS] if count % BULK_JOBS else [])

    async def one() -> None:
        while sizes:
            await client.add_many(sizes.pop())

    await asyncio.gather(*(one() for _ in range(BULK_IN_FLIGHT)))


async def _closed_loop(call: Callable[[], Awaitable[None]], jobs: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Each of `in_flight` callers makes its next call when its last one is done."""
    tally = _Tally(jobs, seconds)

    async def one() -> None:
        while not tally.is_over():
            since = time.perf_counter()
            await call()
            tally.done(since, time.perf_counter())

    await asyncio.gather(*(one() for _ in range(in_flight)))
    return tally.result()


def _blocking_loop(call: Callable[[], None], jobs: int, pool: ThreadPoolExecutor, threads: int, seconds: float) -> dict[str, float]:
    tally = _Tally(jobs, seconds)

    def one() -> None:
        while not tally.is_over():
            since = time.perf_counter()
            call()
            tally.done(since, time.perf_counter())

    for future in [pool.submit(one) for _ in range(threads)]:
        future.result()
    return tally.result()


class _Tally:
    """Counts calls in the counted time, after the warm-up.

    A call counts with the share of it that lies within: a slow peer makes few bulk calls, whole ones would count by chance.
    """

    def __init__(self, jobs: int, seconds: float) -> None:
        self._jobs, self._seconds = jobs, seconds
        self._begin = time.perf_counter() + WARMUP_SECONDS
        self._end = self._begin + seconds
        self._calls = 0.0

    def is_over(self) -> bool:
        return time.perf_counter() > self._end

    def done(self, since: float, until: float) -> None:
        """Count a call that ran from `since` to `until`, by the clock of time.perf_counter."""
        within = min(until, self._end) - max(since, self._begin)
        if within > 0:
            self._calls += within / (until - since)

    def result(self) -> dict[str, float]:
        return {"rate": self._calls * self._jobs / self._seconds}


async def _pace(client: Client, rate: float, seconds: float) -> None:
    """Call every 1 / rate seconds, whether or not earlier calls are done."""
    begin = time.time()
    calls = []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(due - time.time(), 0.0))
        now = time.time()
        # A generator that has fallen behind counts from when the job was due, so that it cannot hide a stall.
        calls.append(asyncio.create_task(_awaited_add(client, due if now - due > LATE_SECONDS else now)))
    await asyncio.gather(*calls)


async def _awaited_add(client: Client, at: float) -> None:
    await client.add(at)


def _print(result: Any) -> None:
    if result is not None:
        sys.stdout.write(json.dumps(result))

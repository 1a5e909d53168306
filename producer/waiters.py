"""Requests that wait for the end of a job. However many there are: one subscription, and one question a second to PostgreSQL.

The news come over Redis within milliseconds. The question finds what they missed: Redis was away, or the end was not announced.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from shared import probe
from shared.callback_store import CallbackStore
from shared.database import Databases
from shared.errors import UnavailableError
from shared.events import News
from shared.lifecycle import TERMINAL
from shared.log import get_log

log = get_log()

MOST_WAITERS = 10_000
ASK_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Waiter:
    """One request. `is_gone` tells whether its client is."""

    is_gone: Callable[[], bool]
    over: asyncio.Event

    async def wait(self, seconds: float) -> None:
        """Return when the job is over, or the time is, or there is no sense in waiting any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


class Waiters:
    """All requests of this process that wait, by job. `need_news` is called while there are any."""

    def __init__(self, databases: Databases, need_news: Callable[[], None]) -> None:
        self._databases = databases
        self._need_news = need_news
        self._waiting: dict[str, list[Waiter]] = defaultdict(list)
        self._count = 0
        self._closed = False
        self._ask = asyncio.Event()

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether no more can wait."""
        return self._count >= MOST_WAITERS

    @contextmanager
    def waiting(self, job_id: str, is_gone: Callable[[], bool]) -> Iterator[Waiter]:
        """Begin to wait. Look at the job after that: an end that came before is not announced again."""
        waiter = Waiter(is_gone, asyncio.Event())
        if self._closed:
            waiter.over.set()
        self._waiting[job_id].append(waiter)
        self._count += 1
        self._need_news()
        try:
            yield waiter
        finally:
            self._count -= 1
            self._waiting[job_id].remove(waiter)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def heard(self, news: News) -> None:
        """Wake those whose jobs are over."""
        if self._waiting:
            for status in TERMINAL:
                for job_id in news.get(status, ()):
                    self._wake(job_id)

    def ask_soon(self) -> None:
        """Ask PostgreSQL at once: news may have been missed."""
        self._ask.set()

    def close(self) -> None:
        """Let everybody go, now and from now on: this process ends."""
        self._closed = True
        for job_id in self._waiting:
            self._wake(job_id)

    async def run(self) -> None:
        """Ask, once a second, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    await self._ask.wait()
            self._ask.clear()
            if self._waiting:
                self._need_news()
                self._let_go()
                await self._look()

    async def _look(self) -> None:
        probe.reached("waiters_asked", list(self._waiting))
        try:
            for job_id in await CallbackStore(self._databases.any()).ended(list(self._waiting)):
                self._wake(job_id)
        except UnavailableError as error:
            log.warning("waiters_not_told", count=self._count, error=str(error))
        except Exception:
            log.exception("waiters_not_told", count=self._count)

    def _let_go(self) -> None:
        """Wake the requests of clients that have gone away, so that they end."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                if waiter.is_gone():
                    waiter.over.set()

    def _wake(self, job_id: str) -> None:
        for waiter in self._waiting.get(job_id, ()):
            waiter.over.set()

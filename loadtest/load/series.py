"""What happened in each second, for the charts and the progress."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from loadtest.load.meter import Meter

STEP_SECONDS = 1.0
SHORTEST_SECONDS = 0.5


class Second(NamedTuple):
    """One second; times are in seconds, `at` since the load began. Latencies are 0 when nothing was answered."""

    at: float
    span: float
    sent: int
    accepted: int
    failed: int  # requests
    p50: float
    p99: float
    backlog: int | None


class Series:
    """Takes a sample a second: about 150 bytes each, so a day is 13 MB."""

    def __init__(self, meter: Meter, backlog: Callable[[], int | None]) -> None:
        self.seconds: list[Second] = []
        self._meter = meter
        self._backlog = backlog
        self._began = self._last_at = perf_counter()
        self._latency = meter.latency.copy()
        self._sent, self._accepted, self._failed = meter.sent_jobs, meter.accepted.count, meter.failed_requests

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await asyncio.sleep(max(self._last_at + STEP_SECONDS - perf_counter(), 0.01))
            self.sample()

    def sample(self) -> None:
        """Close a second, whether it is full or not."""
        meter, now = self._meter, perf_counter()
        latency = meter.latency.since(self._latency)
        p50, p99 = latency.percentiles((50, 99))
        second = Second(
            at=now - self._began,
            span=now - self._last_at,
            sent=meter.sent_jobs - self._sent,
            accepted=meter.accepted.count - self._accepted,
            failed=meter.failed_requests - self._failed,
            p50=p50,
            p99=p99,
            backlog=self._backlog(),
        )
        self.seconds.append(second)
        self._last_at = now
        self._latency.merge(latency)
        self._sent, self._accepted, self._failed = meter.sent_jobs, meter.accepted.count, meter.failed_requests

    def close(self) -> None:
        """Take the last sample; what is left of a second is counted with the one before it, for its rates would mean little."""
        self.sample()
        if len(self.seconds) > 1 and self.seconds[-1].span < SHORTEST_SECONDS:
            last, before = self.seconds.pop(), self.seconds.pop()
            self.seconds.append(_joined(before, last))


def _joined(one: Second, other: Second) -> Second:
    return Second(
        at=other.at,
        span=one.span + other.span,
        sent=one.sent + other.sent,
        accepted=one.accepted + other.accepted,
        failed=one.failed + other.failed,
        p50=max(one.p50, other.p50),
        p99=max(one.p99, other.p99),
        backlog=other.backlog,
    )

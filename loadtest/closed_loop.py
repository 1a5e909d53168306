"""Closed-loop load: N keep-alive connections, each sends its next request when its last answer is there.

A process of its own, so that it shares no event loop with what it measures: `python -m loadtest.closed_loop URL`, the
body of every request on standard input, the result as one JSON object on standard output.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import cast

import orjson
import uvloop

from loadtest.http1 import ProtocolError, ResponseReader, Target
from loadtest.stats import percentile

ANSWER_SECONDS = 60.0  # requests that are still open when the time is up may take so long


@dataclass
class Tally:
    """What all connections of a run share. Stops by `count` (requests) or `until` (perf_counter)."""

    begin: float = 0.0  # answers to requests sent before it are warm-up
    until: float = float("inf")
    count: int = sys.maxsize
    sent: int = 0
    latencies: list[float] = field(default_factory=list)  # seconds
    first_at: float = 0.0
    last_at: float = 0.0
    bad_count: int = 0
    bad_example: str = ""

    def may_send(self, now: float) -> bool:
        """Whether one more request belongs to this run; counts it."""
        if now >= self.until or self.sent >= self.count:
            return False
        self.sent += 1
        return True

    def answered(self, sent_at: float, now: float) -> None:
        """Count a good answer."""
        if sent_at >= self.begin and now <= self.until:
            self.first_at = self.first_at or sent_at
            self.last_at = now
            self.latencies.append(now - sent_at)

    def bad(self, why: str) -> None:
        """Count an answer that is none."""
        self.bad_count += 1
        self.bad_example = self.bad_example or why

    def result(self) -> dict[str, float | str]:
        """Return counts (`sent`: with those of the warm-up), answers a second over the counted span, latencies in ms."""
        span = self.last_at - self.first_at
        return {
            "count": len(self.latencies),
            "sent": self.sent,
            "seconds": span,
            "rate": len(self.latencies) / span if span else 0.0,
            "p50_ms": percentile(self.latencies, 50) * 1000 if self.latencies else 0.0,
            "p99_ms": percentile(self.latencies, 99) * 1000 if self.latencies else 0.0,
            "bad_count": self.bad_count,
            "bad_example": self.bad_example,
        }


class Connection(asyncio.Protocol):
    """One client: one request in flight, the next one as soon as the answer is there."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self._request = request
        self._tally = tally
        self._reader = ResponseReader()
        self._sent_at = 0.0
        self._waiting = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._send(perf_counter())

    def data_received(self, data: bytes) -> None:
        """Count the answer and go on."""
        now = perf_counter()
        try:
            responses = self._reader.feed(data)
        except ProtocolError as error:
            self._tally.bad(str(error))
            self._transport.close()
            return
        for response in responses:
            self._waiting = False
            if response.ok:
                self._tally.answered(self._sent_at, now)
            else:
                self._tally.bad(f"{response.status} {response.body[:300].decode(errors='replace')}")
            self._send(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish; a connection that breaks while an answer is due is counted as bad."""
        if self._waiting:
            self._tally.bad(f"connection lost: {exc}")
        if not self.done.done():
            self.done.set_result(None)

    def _send(self, now: float) -> None:
        if self._tally.may_send(now):
            self._sent_at = now
            self._waiting = True
            self._transport.write(self._request)
        else:
            self._transport.close()


async def run(target: Target, request: bytes, connections: int, tally: Tally) -> None:
    """Run until `tally` has enough. Raises OSError when nobody listens, TimeoutError when answers stay out."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Connection(request, tally), target.host, target.port)
        clients.append(client)
    left = tally.until - perf_counter() if tally.until != float("inf") else ANSWER_SECONDS * 5
    await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), left + ANSWER_SECONDS)


def main() -> None:
    """Read the command line and standard input, run, print."""
    parser = argparse.ArgumentParser(description="closed-loop POSTs of the body on standard input")
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds that are not counted")
    parser.add_argument("--seconds", type=float, help="counted seconds")
    parser.add_argument("--count", type=int, help="stop after so many requests")
    told = parser.parse_args()
    target = Target.parse(told.url)
    begin = perf_counter() + told.warmup
    tally = Tally(begin=begin, until=begin + told.seconds if told.seconds else float("inf"), count=told.count or sys.maxsize)
    if not told.seconds and not told.count:
        parser.error("--seconds or --count")
    started = process_time()
    uvloop.run(run(target, target.post(sys.stdin.buffer.read()), told.connections, tally))
    sys.stdout.buffer.write(orjson.dumps(tally.result() | {"cpu_seconds": process_time() - started}))


if __name__ == "__main__":
    main()

"""When requests go out: as soon as an answer is there (closed loop), or at their time whatever the server does (open loop)."""

import asyncio
import math
from time import perf_counter

from loadtest.load.meter import Meter
from loadtest.load.sender import Sender
from loadtest.load.work import Work

TICK_SECONDS = 0.001  # timers of the event loop are no finer
MOST_RECORDED = 100_000  # of dropped requests; one stands for several when there are more


class ClosedLoop:
    """Every sender sends its next request when its last one was answered."""

    def __init__(self, work: Work, until: float) -> None:
        self._work = work
        self._until = until
        self._loop = asyncio.get_running_loop()

    def start(self, senders: list[Sender]) -> None:
        """Set all of them going."""
        for sender in senders:
            self.free(sender)

    def stop(self) -> None:
        """Send nothing any more."""
        self._until = 0.0

    def is_over(self, now: float) -> bool:
        """Whether nothing will be sent any more."""
        return now >= self._until or self._work.is_done

    def free(self, sender: Sender, pause: float = 0.0) -> None:
        """Send the next request, after the pause that was asked for."""
        now = perf_counter()
        if self.is_over(now):
            return
        if pause:
            self._loop.call_later(pause, self.free, sender)
        else:
            sender.send(self._work.take(), now, now)


class OpenLoop:
    """Request n is due at begin + n / rate. One that finds every sender busy waits, and that counts.

    The moment is computed, not stored: however far behind the server is, what is overdue takes no memory.
    """

    def __init__(self, work: Work, meter: Meter, until: float, request_rate: float, bulk: int) -> None:
        self._work = work
        self._meter = meter
        self._until = until
        self._rate = request_rate
        self._bulk = bulk
        self._number = 0  # of the next request
        self._idle: list[Sender] = []
        self._loop = asyncio.get_running_loop()

    def start(self, senders: list[Sender]) -> None:
        """Begin with the first request."""
        self._idle = senders[::-1]
        self._begin = perf_counter()
        self._beat()

    def stop(self) -> None:
        """Send nothing any more. What is due and was not sent is counted as dropped."""
        now = min(perf_counter(), self._until)
        self._until = 0.0
        dropped = range(self._number, math.ceil(min((now - self._begin) * self._rate, self._number + self._work.left / self._bulk)))
        stride = max(len(dropped) // MOST_RECORDED, 1)
        for number in dropped[::stride]:
            self._meter.dropped(self._bulk, now - self._due(number), min(stride, dropped[-1] + 1 - number))

    def is_over(self, now: float) -> bool:
        """Whether nothing will be sent any more."""
        return now >= self._until or self._work.is_done

    def free(self, sender: Sender, pause: float = 0.0) -> None:
        """Take what is overdue; a pause that was asked for changes nothing about when requests are due."""
        del pause
        now = perf_counter()
        if self._due(self._number) <= now and not self.is_over(now):
            self._send(sender, now)
        else:
            self._idle.append(sender)

    def _beat(self) -> None:
        """Send what is due and come back for the next one."""
        now = perf_counter()
        while self._idle and self._due(self._number) <= now and not self.is_over(now):
            self._send(self._idle.pop(), now)
        if not self.is_over(now):
            self._loop.call_later(max(self._due(self._number) - now, TICK_SECONDS), self._beat)

    def _send(self, sender: Sender, now: float) -> None:
        due_at = self._due(self._number)
        self._number += 1
        sender.send(self._work.take(), due_at, now)

    def _due(self, number: int) -> float:
        return self._begin + number / self._rate

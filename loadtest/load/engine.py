"""The run: senders, their pace, and an end that is bounded."""

import asyncio
import resource
from contextlib import suppress
from time import perf_counter

from loadtest.load.meter import Meter
from loadtest.load.options import Options
from loadtest.load.pace import ClosedLoop, OpenLoop
from loadtest.load.sender import Sender
from loadtest.load.work import Work

SWEEP_SECONDS = 0.1
IDLE_SECONDS = 50.0  # servers hang up after a minute or so
CONNECT_AT_ONCE = 64  # the backlog of a listening socket is bounded
SPARE_FILES = 64
INTERRUPTED_SECONDS = 10.0  # answers that are still due may take so long when somebody wants to end


class TooFewFilesError(Exception):
    """The system does not allow so many connections."""


class Engine:
    """`connect`, then `run`; `stop` ends it early."""

    def __init__(self, options: Options, meter: Meter) -> None:
        self._options = options
        self._meter = meter
        self._work = Work(options)
        self._timeout = options.timeout
        self._pace: ClosedLoop | OpenLoop | None = None
        self._stopped = False
        self._senders = [Sender(options.target, meter, keep_alive=options.keep_alive) for _ in range(connection_count(options))]

    async def connect(self) -> None:
        """Open all connections before the clock runs: a thousand at once would be more than a listening socket queues. Raises OSError."""
        if not self._options.keep_alive:
            return
        for first in range(0, len(self._senders), CONNECT_AT_ONCE):
            await asyncio.gather(*(sender.warm_up(self._timeout) for sender in self._senders[first : first + CONNECT_AT_ONCE]))

    async def run(self) -> None:
        """Send everything and wait for the answers, at most so long as one may take."""
        self._pace = pace = self._paced()
        for sender in self._senders:
            sender.pace = pace
        pace.start(self._senders)
        while not (pace.is_over(perf_counter()) or self._stopped):
            await self._sweep()
        pace.stop()
        while self._meter.outstanding:
            await self._sweep()
        for sender in self._senders:
            sender.close()

    def stop(self) -> None:
        """Send nothing any more, and do not wait long for answers."""
        self._stopped = True
        self._timeout = min(self._timeout, INTERRUPTED_SECONDS)

    def _paced(self) -> ClosedLoop | OpenLoop:
        until = perf_counter() + self._options.seconds
        if self._options.rate is None:
            return ClosedLoop(self._work, until)
        return OpenLoop(self._work, self._meter, until, self._options.rate / self._options.bulk, self._options.bulk)

    async def _sweep(self) -> None:
        """One look at all senders instead of a timer for each request."""
        await asyncio.sleep(SWEEP_SECONDS)
        now = perf_counter()
        for sender in self._senders:
            sender.give_up(now, self._timeout)
            sender.close_idle(now, IDLE_SECONDS)


def connection_count(options: Options) -> int:
    """Return the number of senders: in a closed loop as many as have `connections` jobs in flight."""
    return options.connections if options.rate is not None else max(options.connections // options.bulk, 1)


def allow_files(count: int) -> None:
    """Let this process have so many connections. Raises TooFewFilesError with what a person can do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooFewFilesError(
            f"{count} connections need {wanted} open files, and {hard} are allowed here; use --connections, or raise ulimit -n"
        )
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return
    raise TooFewFilesError(
        f"{count} connections need {wanted} open files, and the limit of {soft} could not be raised; try ulimit -n {wanted}"
    )

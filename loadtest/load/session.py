"""The whole of a load test: trial, load, wait, check."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from loadtest.load.api import Api, AwayError
from loadtest.load.check import Check, Verdict
from loadtest.load.engine import Engine, allow_files, connection_count
from loadtest.load.meter import Meter
from loadtest.load.options import Options
from loadtest.load.series import Series
from loadtest.load.trial import START, trial
from loadtest.load.watch import Watch


@dataclass
class Outcome:
    """What a run has shown."""

    options: Options
    meter: Meter
    series: Series
    began_at: float  # Unix seconds
    tried_at: float  # Unix seconds; when the first trial job was accepted, so that PostgreSQL's clock can be set to ours
    seconds: float = 0.0  # of load, from the first request to the last accepting answer
    trial_jobs: int = 0
    cpu_seconds: float = 0.0  # of this process while it sent
    sending_seconds: float = 0.0
    verdict: Verdict | None = None
    interrupted: bool = False

    @property
    def accepted(self) -> int:
        """Jobs that the load has submitted, without those of the trial."""
        return self.meter.accepted.count + self.meter.accepted.duplicate_count - self.trial_jobs

    @property
    def rate(self) -> float:
        """Accepted jobs a second."""
        return self.accepted / self.seconds if self.seconds > 0 else 0.0


@dataclass
class Now:
    """What the progress shows."""

    outcome: Outcome
    watch: Watch
    check: Check | None = None

    @property
    def phase(self) -> str:
        """What goes on, in a few words."""
        return "sending" if self.check is None else self.check.phase


Show = Callable[[Now], Coroutine[Any, Any, None]]  # shows progress until it is cancelled


class Session:
    """One run."""

    def __init__(self, options: Options, show: Show) -> None:
        self._options = options
        self._show = show
        self._api = Api(options)
        self._check: Check | None = None
        self._engine: Engine | None = None
        self._interrupted = False

    async def run(self) -> Outcome:
        """Return what has happened. Raises AwayError, RefusedError and TooFewFilesError before there is any load."""
        allow_files(connection_count(self._options))
        tried = await trial(self._api, self._options)
        meter = Meter(open_loop=self._options.rate is not None)
        for job_id in tried.job_ids:
            meter.accepted.add(job_id)
        watch = Watch(self._api, tried.types, self._options.queue)
        await watch.look()
        self._engine = await self._connected(meter)
        series = Series(meter, lambda: watch.open_count)
        outcome = Outcome(self._options, meter, series, time.time(), tried.at, trial_jobs=len(tried.job_ids))
        now = Now(outcome, watch)
        async with _interrupts(self._interrupt), _beside(self._show(now)), _beside(outcome.series.run()):
            async with _beside(watch.run()):
                await self._load(self._engine, outcome)
            self._engine = None
            if self._options.wait and not (self._interrupted and meter.accepted.count == 0):
                self._check = now.check = Check(self._api, watch, meter.accepted, tried.types, self._options.queue)
                outcome.verdict = await self._check.run(self._options.wait_seconds)
            outcome.series.close()
        outcome.interrupted = self._interrupted
        self._api.close()
        return outcome

    async def _connected(self, meter: Meter) -> Engine:
        engine = Engine(self._options, meter)
        try:
            await engine.connect()
        except OSError as error:
            raise AwayError(f"{self._api.where} does not take {connection_count(self._options)} connections: {error}\n  {START}") from error
        return engine

    @staticmethod
    async def _load(engine: Engine, outcome: Outcome) -> None:
        cpu, began = process_time(), perf_counter()
        await engine.run()
        outcome.cpu_seconds, outcome.sending_seconds = process_time() - cpu, perf_counter() - began
        outcome.seconds = max(outcome.meter.last_at - outcome.meter.first_at, 0.0)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._engine is not None:
            self._engine.stop()
        elif self._check is not None:
            self._check.stop()


@asynccontextmanager
async def _interrupts(first: Callable[[], None]) -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM: the first calls `first`, the second cancels the caller."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    counted = 0

    def interrupt() -> None:
        nonlocal counted
        counted += 1
        if counted == 1:
            first()
        elif task is not None:
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    async with AsyncExitStack() as stack:
        for number in numbers:
            loop.add_signal_handler(number, interrupt)
            stack.callback(loop.remove_signal_handler, number)
        yield


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` while the block does, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))

"""One attempt of one job inside this process, and how its handler is run to an ending."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec

from consumer.blocking import BlockingContext
from consumer.context import JobContext
from consumer.outcome import Cancelled, Ending, Raised, Returned, Stopped, TimedOut, trace_of
from shared import probe
from shared.errors import PermanentFailure
from shared.jobs import Handler
from shared.models import Claimed, Entry, Lease

TIMED_OUT = "timed_out"
DRAINING = "draining"
FENCED = "fenced"
CANCELLED = "cancelled"


class NotBegunError(Exception):
    """The handler must not begin: the job may be running elsewhere, or be done."""


class Attempt:
    """A claimed job, the entry that brought it, the lease that fences it, and the task that runs it."""

    __slots__ = ("_holds", "context", "deadline", "ended", "entry", "handler", "job", "lease", "limit", "started", "stop_reason", "task")

    def __init__(
        self,
        job: Claimed,
        entry: Entry,
        lease: Lease,
        handler: Handler,
        context: JobContext,
        limit: float,
        now: float,
        holds: Callable[[Lease], bool],
    ) -> None:
        self.job = job
        self.entry = entry
        self.lease = lease
        self.handler = handler
        self.context = context
        self.limit = limit  # seconds
        self.started = now
        self._holds = holds
        self.deadline = now + limit  # by the loop's clock
        self.stop_reason = ""
        self.ended = False  # its outcome is known; a handler that runs on after that is abandoned
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Say that its handler begins now. Raises NotBegunError when its lease may be over: we were frozen, or are cut off."""
        if not self._holds(self.lease):
            raise NotBegunError(self.job.id)
        probe.reached("started", self)

    def stop(self, reason: str) -> None:
        """Ask the handler to stop, by its flag and by cancellation."""
        self.stop_reason = reason
        self.context.cancelled = True
        if self.task is not None:
            self.task.cancel()

    def kill(self) -> bool:
        """End the handler that does not obey; False if it is none that can be ended."""
        if self.handler.executor != "process" or self.task is None:
            return False
        self.task.cancel()  # for the second time: see ProcessPool.run
        return True

    def forced_ending(self, stopped_by: BaseException | None = None) -> Ending:
        """Return how an attempt ends that was told to stop; `stopped_by` is what the handler gave in to."""
        if self.stop_reason == TIMED_OUT:
            return TimedOut(self.limit, trace_of(stopped_by) if stopped_by else "")
        return Cancelled() if self.stop_reason == CANCELLED else Stopped()


class Processes(Protocol):
    """Where attempts run in child processes."""

    async def run(self, attempt: Attempt) -> Ending:
        """Run it until it has ended."""


async def run_handler(attempt: Attempt, threads: ThreadPoolExecutor, processes: Processes) -> Ending:
    """Run the handler until it returns, raises or gives in to `Attempt.stop`. Raises nothing: neighbours must not suffer."""
    if attempt.handler.executor == "process":
        return await _in_process(attempt, processes)
    try:
        return Returned(await _called(attempt, threads))
    except NotBegunError:
        return Stopped()
    except asyncio.CancelledError as error:
        return attempt.forced_ending(error) if attempt.stop_reason else Raised(error)
    except BaseException as error:  # noqa: BLE001 - SystemExit of a handler ends its job, not the worker
        return Raised(error)


async def _in_process(attempt: Attempt, processes: Processes) -> Ending:
    try:
        return await processes.run(attempt)
    except NotBegunError:
        return Stopped()
    except asyncio.CancelledError as error:
        return attempt.forced_ending() if attempt.stop_reason else Raised(error)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong with a child is the matter of this job alone
        return Raised(error)


async def _called(attempt: Attempt, threads: ThreadPoolExecutor) -> Any:
    function: Any = attempt.handler.function
    if attempt.handler.executor == "async":
        attempt.begin()
        return await function(attempt.context, _payload(attempt))
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(threads, _in_thread, function, attempt, attempt.context.for_thread(loop))


def _in_thread(function: Any, attempt: Attempt, context: BlockingContext) -> Any:
    attempt.begin()  # it may have waited for a thread
    try:
        return function(context, _payload(attempt))
    except StopIteration as error:  # a future cannot carry it
        raise RuntimeError("the handler raised StopIteration") from error
    except (SystemExit, KeyboardInterrupt) as error:  # it would end the thread, and the future would never be told
        raise RuntimeError(f"the handler raised {type(error).__name__}") from error


def _payload(attempt: Attempt) -> Any:
    try:
        return attempt.handler.decode(attempt.job.payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PermanentFailure(f"invalid payload: {error}") from None

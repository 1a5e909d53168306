"""What a worker has claimed and not settled, and who of it is stopped: by its time limit, by a cancel, or because the worker ends."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from consumer.attempt import CANCELLED, DRAINING, FENCED, TIMED_OUT, Attempt
from consumer.outcome import Abort, Outcome, decide
from shared import metrics
from shared.job_store import JobStore
from shared.log import get_log

log = get_log()

CANCELS_AFTER_SECONDS = 0.25
OBEY_SECONDS = 5.0  # a handler that was told to stop and runs on after so long is abandoned


class InFlight:
    """Attempts by the ids of their jobs. `end(attempt, outcome)` hears of those that end because they did not obey, or were fenced."""

    def __init__(self, jobs: JobStore, end: Callable[[Attempt, Outcome], None]) -> None:
        self._jobs = jobs
        self._end = end
        self._attempts: dict[str, Attempt] = {}
        self.abandoned = 0  # handlers that run on although their attempts are over

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts.values())

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._attempts

    def add(self, attempt: Attempt) -> None:
        """Take one that begins."""
        self._attempts[attempt.job.id] = attempt

    def settled(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Let go of these; return those that were still here, not fenced meanwhile."""
        over = [attempt for attempt in attempts if self._attempts.get(attempt.job.id) is attempt]
        for attempt in over:
            del self._attempts[attempt.job.id]
        return over

    def fence(self) -> None:
        """Stop all, and let go of them: their lease is lost, so they are never settled or acked."""
        for attempt in [*self]:
            log.warning("lease_lost", job_id=attempt.job.id, attempt=attempt.job.attempt)
            attempt.stop(FENCED)
            self._end(attempt, Abort())
        self._attempts.clear()

    def drain(self) -> None:
        """Ask those that have not ended to stop: the worker does."""
        for attempt in self._unfinished():
            attempt.stop(DRAINING)

    def abandon_all(self) -> None:
        """End those that did not obey."""
        for attempt in self._unfinished():
            self._abandon(attempt)

    async def enforce_time_limits(self) -> None:
        """Stop attempts whose time is up, and abandon those that do not obey. One sweep costs less than a timer a job."""
        now = asyncio.get_running_loop().time()
        for attempt in self._unfinished():
            if attempt.deadline > now:
                continue
            if attempt.stop_reason:
                self._abandon(attempt)
            else:
                attempt.stop(TIMED_OUT)
                attempt.deadline = now + OBEY_SECONDS

    async def honour_cancels(self) -> None:
        """Stop attempts whose jobs were cancelled while they ran. Short jobs are not asked for: they end sooner."""
        now = asyncio.get_running_loop().time()
        running = {attempt.job.id: attempt for attempt in self._unfinished() if now - attempt.started > CANCELS_AFTER_SECONDS}
        for job_id in await self._jobs.cancels_requested(list(running)) if running else ():
            if not running[job_id].stop_reason:
                running[job_id].stop(CANCELLED)
                running[job_id].deadline = now + OBEY_SECONDS

    def _unfinished(self) -> list[Attempt]:
        return [attempt for attempt in self if not attempt.ended]

    def _abandon(self, attempt: Attempt) -> None:
        if attempt.kill():
            metrics.killed.inc()
            log.warning("handler_killed", job_id=attempt.job.id, job_type=attempt.job.type, reason=attempt.stop_reason)
        else:
            self.abandoned += 1
            metrics.abandoned.inc()
            log.error("handler_abandoned", job_id=attempt.job.id, job_type=attempt.job.type, reason=attempt.stop_reason)
        self._end(attempt, decide(attempt.job, attempt.forced_ending()))

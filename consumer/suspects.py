"""Suspects: jobs that were running at so many deaths of workers that one more would dead-letter them.

A worker runs one of them at a time. Otherwise the innocent that ran beside a poison job, and were taken back and claimed again
together with it, would be dead-lettered with it.
"""

from collections.abc import Mapping, Sequence

from consumer.attempt import Attempt
from shared.job_store import JobStore
from shared.lifecycle import WAITING
from shared.models import Claimed, Entry, Lease, Seen


def suspicious_at(max_crashes: int) -> int:
    """Crashes from which on a job is a suspect. Not earlier than needed: suspects have to queue up, and most crashes have other causes."""
    return max(1, max_crashes - 1)


class Suspects:
    """The suspect that runs here, if any."""

    def __init__(self, jobs: JobStore, max_crashes: int) -> None:
        self._jobs = jobs
        self.crashes = suspicious_at(max_crashes)
        self._running: Attempt | None = None

    async def claim_one(self, unclaimed: Mapping[str, Entry], lease: Lease, types: Sequence[str]) -> list[Claimed]:
        """Claim one suspect of these, if none runs here."""
        if self._running is not None and not self._running.ended:
            return []
        seen = await self._jobs.inspect(list(unclaimed))
        waiting = sorted(job_id for job_id, job in seen.items() if self._is_waiting(job))
        return await self._jobs.claim(waiting[:1], lease, types) if waiting else []

    def note(self, attempt: Attempt) -> None:
        """Remember that this one runs."""
        self._running = attempt

    def _is_waiting(self, job: Seen) -> bool:
        return job.crashes >= self.crashes and job.status in WAITING and job.due_in <= 0

"""Suspects: jobs that were running at so many deaths of workers that one more would dead-letter them.

A worker runs one of them at a time. Otherwise the innocent that ran beside a poison job, and were taken back and claimed again
together with it, would be dead-lettered with it. Some wait here, so that the next one begins when the one before it ends; the others are
put off, and so come to workers that have room.
"""

import asyncio
from collections.abc import Collection

from consumer.attempt import Attempt
from shared.job_store import JobStore
from shared.lifecycle import WAITING
from shared.models import Entry, Seen

MOST_HELD = 50
HELD_SHARE = 4  # one in so many slots may be kept for suspects that wait


def suspicious_at(max_crashes: int) -> int:
    """Crashes from which on a job is a suspect. Not earlier than needed: suspects have to queue up, and most crashes have other causes."""
    return max(1, max_crashes - 1)


class Suspects:
    """The suspect that runs here or is not settled yet, if any, and those that wait for its end. A slot is kept for each."""

    def __init__(self, jobs: JobStore, max_crashes: int, slots: int) -> None:
        self._jobs = jobs
        self.crashes = suspicious_at(max_crashes)
        self._most = max(1, min(MOST_HELD, slots // HELD_SHARE))
        self._held: dict[str, Entry] = {}
        self._running: Attempt | None = None
        self._changed = asyncio.Event()

    @property
    def held(self) -> Collection[Entry]:
        """Entries of those that wait here."""
        return self._held.values()

    async def hold(self, unclaimed: dict[str, Entry], types: Collection[str]) -> None:
        """Keep the suspects of these types among these that there is room for, and take them out."""
        if self._most > len(self._held):
            seen = await self._jobs.inspect(list(unclaimed))
            waiting = sorted(job_id for job_id, job in seen.items() if job.type in types and self._is_waiting(job))
            for job_id in waiting[: self._most - len(self._held)]:
                self._held[job_id] = unclaimed.pop(job_id)
            self._changed.set()

    def holds(self, job_id: str) -> bool:
        """Whether this job waits here."""
        return job_id in self._held

    async def changed(self) -> None:
        """Wait until something has happened that may let one begin."""
        await self._changed.wait()
        self._changed.clear()

    def next(self) -> tuple[str, Entry] | None:
        """Return the one that may begin now; it stays here until it is released."""
        return None if self._running else next(iter(self._held.items()), None)

    def release(self, job_id: str) -> None:
        """It runs, or is not ours."""
        self._held.pop(job_id, None)
        self._changed.set()

    def note(self, attempt: Attempt) -> None:
        """Remember that this one runs."""
        self._running = attempt

    def settled(self, attempts: Collection[Attempt]) -> None:
        """Let the next one begin if the one that ran is among these: what is not on disk yet would die with the worker."""
        if self._running in attempts:
            self._running = None
            self._changed.set()

    def wake(self) -> None:
        """Let go of whoever waits for a change: the worker stops."""
        self._changed.set()

    def clear(self) -> None:
        """Forget all of them: the lease is lost, or the worker ends."""
        self._held.clear()
        self._running = None

    def _is_waiting(self, job: Seen) -> bool:
        return job.crashes >= self.crashes and job.status in WAITING and job.due_in <= 0 and not job.expired

"""Claims whose answers were lost. What became of them PostgreSQL alone knows.

The worker's pending list tells it only for as long as it has the entries. When they have lain there for a lease, or seem to because Redis's
clock was set, the reaper has them, and it leaves alone what a live worker holds.
"""

import time
from collections.abc import Callable, Collection, Mapping

from consumer.triage import Triage
from shared.models import Entry, Lease

LATE_SECONDS = 60.0  # of a PostgreSQL that answers: by then a claim that waited for a lock when it broke off was carried out, or cancelled


class UnansweredClaims:
    """The jobs that a worker asked for and never heard of, each with the entry that led to it."""

    def __init__(self, triage: Triage) -> None:
        self._triage = triage
        self._asked: dict[str, Entry] = {}
        self._until: dict[str, float] = {}  # when to forget them; none before PostgreSQL answers again

    def note(self, entries: Mapping[str, Entry]) -> None:
        """Remember that the claim of these, by job id, broke off."""
        self._asked |= entries
        for job_id in entries:
            self._until.pop(job_id, None)

    async def look(self, lease: Lease, known: Callable[[], Collection[str]]) -> None:
        """Hand back those that are claimed under `lease` all the same, unless their ids are `known`: the worker has found them again."""
        found = known()
        if unknown := {job_id: entry for job_id, entry in self._asked.items() if job_id not in found}:
            released = await self._triage.release(unknown, lease.id, known)
            now = time.monotonic()
            for job_id in unknown.keys() & self._asked.keys():  # the lease may have been lost meanwhile
                if job_id in released or now > self._until.setdefault(job_id, now + LATE_SECONDS):
                    self._forget(job_id)

    def clear(self) -> None:
        """Forget all of them: the lease is lost, and with it every claim under it."""
        self._asked.clear()
        self._until.clear()

    def _forget(self, job_id: str) -> None:
        del self._asked[job_id]
        self._until.pop(job_id, None)

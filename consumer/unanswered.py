"""Claims whose answers were lost. What became of them PostgreSQL alone knows.

The worker's pending list tells it only for as long as it has the entries. When they have lain there for a lease, or seem to because Redis's
clock was set, the reaper has them, and it leaves alone what a live worker holds.
"""

import time
from collections.abc import Callable, Collection, Mapping

from consumer.triage import Triage
from shared.models import Entry, Lease

LATE_SECONDS = 60.0  # by then a claim that waited for a lock when it broke off has been carried out, or will not be


class UnansweredClaims:
    """The jobs that a worker asked for and never heard of, each with the entry that led to it."""

    def __init__(self, triage: Triage) -> None:
        self._triage = triage
        self._asked: dict[str, tuple[Entry, float]] = {}  # and until when to look

    def note(self, entries: Mapping[str, Entry]) -> None:
        """Remember that the claim of these, by job id, broke off."""
        until = time.monotonic() + LATE_SECONDS
        self._asked |= {job_id: (entry, until) for job_id, entry in entries.items()}

    async def look(self, lease: Lease, known: Callable[[], Collection[str]]) -> None:
        """Hand back those that are claimed under `lease` all the same, unless their ids are `known`: the worker has found them again."""
        now = time.monotonic()
        self._asked = {job_id: asked for job_id, asked in self._asked.items() if asked[1] > now}
        unknown = {job_id: entry for job_id, (entry, _) in self._asked.items() if job_id not in known()}
        if unknown:
            for job_id in await self._triage.release(unknown, lease.id, known):
                self._asked.pop(job_id, None)  # a lease may have been lost meanwhile

    def clear(self) -> None:
        """Forget all of them: the lease is lost, and with it every claim under it."""
        self._asked.clear()

"""Removes the artifacts of jobs that are gone. The janitor's, and as patient: what cannot be removed now is found again later.

Nothing is written down about artifacts. Their places begin with the ids of their jobs, and ids sort by age: the oldest places
are looked up in PostgreSQL, and those without a job are removed. A crash half-way, an outage and jobs that were deleted by hand
all end the same way. Only places older than the retention are looked at, so that a wrong DATABASE_URL cannot cost young files.
"""

import asyncio

from shared.artifact_places import ArtifactPlaces
from shared.artifact_store import ArtifactStore
from shared.dispatch_store import DispatchStore
from shared.errors import ArtifactsUnavailableError
from shared.ids import floor_id
from shared.log import get_log

log = get_log()

PAGE = 500  # jobs looked at in a round
ROUND_SECONDS = 30.0  # a bucket that is slow gets no more of the janitor's time


class ArtifactSweep:
    """Goes through the old places, a page a round, and begins again at the end."""

    def __init__(self, store: ArtifactStore, dispatch: DispatchStore, retention_seconds: float) -> None:
        self._places = ArtifactPlaces(store)
        self._dispatch = dispatch
        self._retention_seconds = retention_seconds
        self._after = ""
        self._failing = False

    async def step(self) -> None:
        """One round. An outage of the store is logged, once; errors of PostgreSQL are raised."""
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await self._look_at_a_page()
            self._failing = False
        except (ArtifactsUnavailableError, TimeoutError) as error:
            if not self._failing:
                log.warning("artifacts_not_removed", error=str(error) or f"no end within {ROUND_SECONDS:g} s")
            self._failing = True

    async def _look_at_a_page(self) -> None:
        old = await self._dispatch.moment(self._retention_seconds)
        found = await self._places.of_old_jobs(self._after, floor_id(old.timestamp()), PAGE)
        gone = sorted(found.keys() - await self._dispatch.existing(sorted(found))) if found else []
        await self._places.remove({job_id: found[job_id] for job_id in gone})
        if gone:
            log.info("artifacts_removed", job_count=len(gone))
        self._after = max(found) if len(found) == PAGE else ""

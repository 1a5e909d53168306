"""Progress that handlers report as often as they like, and that is written seldom: the latest of every job, all jobs in one statement."""

import threading
from collections.abc import Collection

from consumer.outcome import clean
from shared.effect_store import Owner, ProgressStore, Report

EVERY_SECONDS = 0.5  # so at most about two writes a second a job
MAX_MESSAGE_CHARS = 500


def checked(owner: Owner, percent: float, message: str) -> Report:
    """Return what may be stored. Raises ValueError unless 0 <= percent <= 100; a long message is cut."""
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise ValueError(f"progress is a percentage from 0 to 100, not {percent!r}")
    return Report(owner, float(percent), clean(str(message), MAX_MESSAGE_CHARS))


class ProgressBoard:
    """What was reported and not written yet. `put` from any thread; it costs the handler nothing more."""

    def __init__(self, store: ProgressStore) -> None:
        self._store = store
        self._waiting: dict[str, Report] = {}
        self._lock = threading.Lock()

    def put(self, report: Report) -> None:
        """Show this soon, instead of what the job reported before."""
        with self._lock:
            self._waiting[report.owner.job_id] = report

    @property
    def has_news(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    async def step(self) -> None:
        """Write all that waits. Raises DatabaseUnavailableError, and then keeps it."""
        await self._write([*self._waiting])

    async def deliver(self, job_ids: Collection[str]) -> None:
        """Write what waits of these jobs: after their settle it would be refused."""
        await self._write([job_id for job_id in job_ids if job_id in self._waiting])

    async def _write(self, job_ids: Collection[str]) -> None:
        # One connection runs these statements in the order of the calls, so an older report never overwrites a newer one.
        with self._lock:
            reports = [self._waiting[job_id] for job_id in job_ids if job_id in self._waiting]
        if reports:
            await self._store.report(reports)
        with self._lock:
            for report in reports:
                if self._waiting.get(report.owner.job_id) is report:
                    del self._waiting[report.owner.job_id]

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
        """Write what waits. Raises DatabaseUnavailableError, and then keeps it; also keeps what is about jobs whose rows others lock."""
        if reports := self._reports():
            self._forget(reports, but=await self._store.show_free(reports))

    async def deliver(self, job_ids: Collection[str]) -> None:
        """Write what waits of these jobs, which are about to be settled: after that it would be refused."""
        if reports := [report for report in self._reports() if report.owner.job_id in job_ids]:
            await self._store.show(reports)
            self._forget(reports)

    # One connection runs the statements in the order of the calls, so an older report never overwrites a newer one.

    def _reports(self) -> list[Report]:
        with self._lock:
            return [*self._waiting.values()]

    def _forget(self, written: Collection[Report], but: Collection[str] = ()) -> None:
        with self._lock:
            for report in written:
                job_id = report.owner.job_id
                if job_id not in but and self._waiting.get(job_id) is report:
                    del self._waiting[job_id]

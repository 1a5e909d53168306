"""What a handler gets as its first argument."""

from collections.abc import Mapping
from typing import Any

from shared.log import get_log
from shared.models import Claimed


class JobContext:
    """See shared.jobs.Context. Kept small: one is made for every attempt."""

    __slots__ = ("_job", "_log", "cancelled", "resources")

    def __init__(self, job: Claimed, resources: Mapping[str, Any]) -> None:
        self._job = job
        self._log: Any = None
        self.cancelled = False
        self.resources = resources

    @property
    def job_id(self) -> str:
        """UUIDv7 of the job."""
        return self._job.id

    @property
    def attempt(self) -> int:
        """Grows with every claim, never reset."""
        return self._job.attempt

    @property
    def log(self) -> Any:
        """Logger that carries the job's id, type and attempt."""
        if self._log is None:
            self._log = get_log().bind(job_id=self._job.id, job_type=self._job.type, attempt=self._job.attempt)
        return self._log

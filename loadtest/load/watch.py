"""Looks at GET /jobs/stats from time to time: the backlog while load goes on, and whether it is gone afterwards."""

import asyncio
from collections.abc import Collection, Mapping
from time import perf_counter
from typing import Any

from loadtest.load.api import Api, AwayError, RefusedError

EVERY_SECONDS = 1.0
OPEN = ("SCHEDULED", "PENDING", "PROCESSING", "RETRYING")
OVER = ("COMPLETED", "FAILED", "CANCELLED")


class Watch:
    """Counts jobs of our types (or in our queue), whoever has submitted them. None: not known."""

    def __init__(self, api: Api, types: Collection[str], queue: str) -> None:
        self._api = api
        self._types = types
        self._queue = queue
        self._over_before: int | None = None
        self.open_count: int | None = None
        self.over_count: int | None = None  # that have ended since the first look

    async def look(self) -> None:
        """Look once; what cannot be seen is not known."""
        try:
            stats = await self._api.get_json("/jobs/stats")
            self.open_count, over = self._counts(stats)
        except (AwayError, RefusedError, KeyError, TypeError, AttributeError):
            self.open_count = self.over_count = None
            return
        if self._over_before is None:
            self._over_before = over
        self.over_count = over - self._over_before

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            began = perf_counter()
            await self.look()
            await asyncio.sleep(max(EVERY_SECONDS, perf_counter() - began))  # at most half of the time, however slow the answers are

    def seems_drained(self, accepted_count: int) -> bool:
        """Whether nothing is open, or as many have ended as we have submitted. It is a hint: others' jobs count as well."""
        return self.open_count == 0 or (self.over_count is not None and self.over_count >= accepted_count)

    def _counts(self, stats: Mapping[str, Any]) -> tuple[int, int]:
        groups = [stats["by_queue"].get(self._queue, {})] if self._queue else [stats["by_type"].get(kind, {}) for kind in self._types]
        return sum(group.get(name, 0) for group in groups for name in OPEN), sum(group.get(name, 0) for group in groups for name in OVER)

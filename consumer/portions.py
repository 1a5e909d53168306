"""How the free slots of a worker are divided among the queues: by weight, and nothing stays idle while a queue has work.

Smooth weighted round robin with credit: a queue that got less than its weight demands gets more the next time, one that had nothing to
run keeps no credit.
"""

from collections.abc import Iterable, Mapping

from shared.models import Portion

OTHERS = "*"  # in weights: every queue that is not named
UNLIMITED = 10**9


class Portions:
    """Decides for one worker. `weights` by queue; empty: all queues alike. `limits`: jobs of a queue that may run here at a time."""

    def __init__(self, weights: Mapping[str, int], limits: Mapping[str, int]) -> None:
        self._weights = weights
        self._limits = limits
        self._credits: dict[str, float] = {}

    @property
    def limited(self) -> bool:
        """Whether any queue has a limit."""
        return bool(self._limits)

    def divide(self, free: int, queues: Iterable[str], running: Mapping[str, int]) -> list[Portion]:
        """Divide `free` slots among those of `queues` that are served here; who is owed most comes first."""
        room = {queue: self._room(queue, running) for queue in queues if self._weight(queue)}
        open_queues = [queue for queue in room if room[queue] > 0]
        total = sum(map(self._weight, open_queues))
        self._credits = {queue: self._credits.get(queue, 0.0) + free * self._weight(queue) / total for queue in open_queues}
        order = sorted(open_queues, key=lambda queue: -self._credits[queue])
        return [Portion(queue, max(0, int(self._credits[queue])), room[queue]) for queue in order]

    def took(self, portions: Iterable[Portion], taken: Mapping[str, int], free: int) -> None:
        """Settle after a read that gave `taken` jobs by queue to `free` slots."""
        counts = {portion.queue: taken.get(portion.queue, 0) for portion in portions}
        dry = {queue for queue, share, _ in portions if counts[queue] < share or sum(counts.values()) < free}
        lowest = 0.0 if dry else -float(free)  # what the others leave is free of charge
        for queue, count in counts.items():
            self._credits[queue] = 0.0 if queue in dry else max(self._credits[queue] - count, lowest)

    def any_full(self, queues: Iterable[str], running: Mapping[str, int]) -> bool:
        """Whether one of `queues` is served here and at its limit."""
        return self.limited and any(self._weight(queue) and self._room(queue, running) <= 0 for queue in queues)

    def _weight(self, queue: str) -> int:
        return self._weights.get(queue, self._weights.get(OTHERS, 0)) if self._weights else 1

    def _room(self, queue: str, running: Mapping[str, int]) -> int:
        return self._limits.get(queue, UNLIMITED) - running.get(queue, 0)

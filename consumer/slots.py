"""How many more jobs a worker may take: by its slots, by what waits to be settled, by the bytes of the payloads that it holds."""

from collections.abc import Iterable, Sequence

WORTH_HALVING = 500  # slots; from there on a read takes half of them at most, so that the next one can go on while the jobs are claimed
UNSETTLED_PER_SLOT = 4  # jobs that ended but are not settled yet; more than that and reading pauses
LARGEST_BYTES = 1024 * 1024  # that a payload may have; what a worker expects before it has seen any
FORGETTING = 0.5  # of what payloads were like goes with each batch of smaller ones


class Slots:
    """Counts for one worker. A payload is known when its job is claimed, so how many fit is told from those of the last batches.

    A job always fits when nothing else is held, however large it is.
    """

    def __init__(self, count: int, payload_bytes: int) -> None:
        self._count = count
        self._at_once = count // 2 if count >= WORTH_HALVING else count
        self._payload_bytes = payload_bytes
        self._usual: float = LARGEST_BYTES  # bytes of a payload, going by the last batches
        self._held = 0  # bytes
        self.used = 0

    def free(self, in_hand: int, in_flight: int) -> int:
        """Return how many jobs to read now. `in_hand` are read and not claimed yet, `in_flight` claimed and not settled."""
        slots = self._count - self.used - in_hand
        if slots <= 0 or in_flight >= self._count * UNSETTLED_PER_SLOT:
            return 0
        fit = int((self._payload_bytes - self._held) / self._usual) - in_hand
        if fit < 1:
            return 0 if self._held or in_hand else 1
        return min(slots, self._at_once, fit)

    def take(self, payloads: Sequence[bytes]) -> None:
        """Count jobs that start."""
        if payloads:
            taken = sum(map(len, payloads))
            self._held += taken
            self.used += len(payloads)
            self._usual = max(taken / len(payloads), self._usual * FORGETTING, 1.0)

    def end(self) -> None:
        """Count a handler that has ended: its slot is free."""
        self.used -= 1

    def settle(self, payloads: Iterable[bytes]) -> None:
        """Count jobs that are settled: their payloads are held no longer."""
        self._held -= sum(map(len, payloads))

    def let_go(self) -> None:
        """Forget all payloads: the lease is lost, and with it what it held."""
        self._held = 0

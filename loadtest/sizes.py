"""How much work a run does."""

from dataclasses import dataclass

from loadtest.peers import Peer


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Amounts of one round."""

    submit_seconds: float = 4.0
    submit_connections: int = 64
    warmup_seconds: float = 1.0
    bulk_seconds: float = 3.0
    bulk_connections: int = 4
    bulk_jobs: int = 500  # jobs in a bulk request
    drain_jobs: int = 100_000  # ours; every peer names its own
    latency_seconds: float = 6.0
    memory_jobs: tuple[int, int] = (
        50_000,
        200_000,
    )  # resident memory is read after so many, both counted from the start
    memory_queued: int = 100_000
    peer_divisor: int = 1  # of what a peer drains

    def drain_jobs_of(self, peer: Peer) -> int:
        """Return how many jobs `peer` drains."""
        return peer.drain_jobs // self.peer_divisor


FULL = Sizes()
QUICK = Sizes(
    submit_seconds=1.0,
    warmup_seconds=0.5,
    bulk_seconds=1.0,
    drain_jobs=10_000,
    latency_seconds=2.0,
    memory_jobs=(2_000, 6_000),
    memory_queued=5_000,
    peer_divisor=10,
)

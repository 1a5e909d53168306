"""How much work a run does."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Amounts of one round."""

    submit_seconds: float = 5.0
    submit_connections: int = 64
    warmup_seconds: float = 1.0
    bulk_seconds: float = 4.0
    bulk_connections: int = 4
    bulk_jobs: int = 500  # jobs in a bulk request
    drain_jobs: int = 20_000
    latency_rate: float = 100.0  # requests a second
    latency_seconds: float = 10.0
    memory_jobs: tuple[int, int] = (
        50_000,
        200_000,
    )  # resident memory is read after so many, both counted from the start
    memory_queued: int = 100_000


FULL = Sizes()
QUICK = Sizes(
    submit_seconds=1.0,
    warmup_seconds=0.5,
    bulk_seconds=1.0,
    drain_jobs=2_000,
    latency_seconds=2.0,
    memory_jobs=(2_000, 6_000),
    memory_queued=5_000,
)

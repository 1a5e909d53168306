"""How far each curve goes."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """The points of every curve."""

    queued: tuple[int, ...] = (10_000, 100_000, 1_000_000, 5_000_000)  # jobs that wait when the consumer starts
    rows: int = 10_000_000
    calls: int = 50  # of each kind
    consumers: tuple[int, ...] = (1, 2, 3, 4)
    consumer_jobs: int = 200_000
    payload_bytes: tuple[int, ...] = (100, 10_000, 1_000_000)
    payload_jobs: tuple[int, ...] = (100_000, 20_000, 600)
    retention_seconds: float = 1040.0  # of steady load: twelve retention times of 86.4 s
    retention_rate: int = 1_000  # jobs a second


FULL = Amounts()
QUICK = Amounts(
    queued=(2_000, 6_000),
    rows=20_000,
    calls=5,
    consumers=(1, 2),
    consumer_jobs=4_000,
    payload_bytes=(100, 10_000),
    payload_jobs=(2_000, 500),
    retention_seconds=3.0,
    retention_rate=500,
)

"""Numbers out of numbers: percentiles of latencies, medians of rounds, ratios of neighbours."""

import math
from collections.abc import Sequence
from statistics import median

Sample = dict[str, float]  # one contender in one round: measure -> value, e.g. {"jobs/s": 3120.0, "p99 ms": 14.2}


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `percent` % of `values` do not exceed.

    `values` need not be sorted. Raises ValueError when it is empty or `percent` is not in 0..100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError("a percentile wants at least one value and a percent from 0 to 100")
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def medians(samples: Sequence[Sample]) -> Sample:
    """Return the median of every measure over the rounds that have it, in the order in which measures first appear."""
    return {name: median(values) for name, values in _by_measure(samples).items()}


def spreads(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value of every measure."""
    return {name: (min(values), max(values)) for name, values in _by_measure(samples).items()}


def paired_ratio(ours: Sequence[Sample], theirs: Sequence[Sample], measure: str) -> float | None:
    """Return the median of ours / theirs, each pair from one round: a slow minute of the machine hits both.

    None when no round has both.
    """
    pairs = zip(ours, theirs, strict=False)
    ratios = [one[measure] / other[measure] for one, other in pairs if measure in one and other.get(measure)]
    return median(ratios) if ratios else None


def _by_measure(samples: Sequence[Sample]) -> dict[str, list[float]]:
    collected: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.items():
            collected.setdefault(name, []).append(value)
    return collected

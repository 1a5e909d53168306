"""Latencies in 27 kB however many there are: a log-linear histogram, as HdrHistogram has it.

Each doubling is cut into 128 buckets of equal width, so a value is known to 0.4 % (half a bucket); below 256 us to 1 us.
Longer than 71 minutes counts as 71 minutes.
"""

from array import array
from collections.abc import Iterator
from itertools import accumulate

BITS = 8  # of a value that are kept
HALF = 1 << (BITS - 1)
MOST_US = (1 << 32) - 1
SIZE = ((32 - BITS) << (BITS - 1)) + (1 << BITS)


def place(microseconds: int) -> int:
    """Return the bucket of a value of 0..MOST_US."""
    shift = max(microseconds.bit_length() - BITS, 0)
    return (shift << (BITS - 1)) + (microseconds >> shift)


def lowest(bucket: int) -> int:
    """Return the smallest value of a bucket."""
    if bucket < 1 << BITS:
        return bucket
    return ((bucket & (HALF - 1)) | HALF) << ((bucket >> (BITS - 1)) - 1)


def middle(bucket: int) -> int:
    """Return the value that stands for a bucket."""
    return (lowest(bucket) + lowest(bucket + 1) - 1) // 2


class Histogram:
    """Counts durations. Seconds outside, microseconds inside."""

    __slots__ = ("count", "counts", "most_us", "sum_us")

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * SIZE))
        self.count = 0
        self.sum_us = 0
        self.most_us = 0

    def record(self, seconds: float, times: int = 1) -> None:
        """Count a duration."""
        microseconds = int(seconds * 1e6)
        self.add(microseconds if 0 <= microseconds <= MOST_US else max(0, min(microseconds, MOST_US)), times)

    def add(self, microseconds: int, times: int = 1) -> None:
        """Count a value of 0..MOST_US so many times."""
        shift = microseconds.bit_length() - BITS  # `place`, written out: this runs once a request
        self.counts[(shift << (BITS - 1)) + (microseconds >> shift) if shift > 0 else microseconds] += times
        self.count += times
        self.sum_us += microseconds * times
        if microseconds > self.most_us:  # noqa: PLR1730 - `max` costs twice as much
            self.most_us = microseconds

    @property
    def longest(self) -> float:
        """The longest, in seconds, exactly; 0 without any."""
        return self.most_us / 1e6

    @property
    def mean(self) -> float:
        """The mean in seconds, exactly; 0 without any."""
        return self.sum_us / self.count / 1e6 if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the nearest-rank percentile in seconds; 0 without any."""
        return next(self.percentiles((percent,)))

    def percentiles(self, percents: tuple[float, ...]) -> Iterator[float]:
        """Yield the nearest-rank percentile in seconds for each of `percents`, which ascend."""
        passed = enumerate(accumulate(self.counts))
        bucket, reached = -1, 0
        for percent in percents:
            wanted = max(-(-self.count * percent // 100), 1)  # rounded up
            while reached < wanted and self.count:
                bucket, reached = next(passed)
            yield min(middle(bucket), self.most_us) / 1e6 if self.count else 0.0

    def merge(self, other: "Histogram") -> None:
        """Count what `other` has counted, too."""
        for bucket, times in enumerate(other.counts):
            if times:
                self.counts[bucket] += times
        self.count += other.count
        self.sum_us += other.sum_us
        self.most_us = max(self.most_us, other.most_us)

    def copy(self) -> "Histogram":
        """Return another one with the same counts."""
        twin = Histogram()
        twin.merge(self)
        return twin

    def since(self, earlier: "Histogram") -> "Histogram":
        """Return what was counted after the copy `earlier` was made; its sum, mean and longest are as exact as its buckets."""
        later = Histogram()
        for bucket, (now, before) in enumerate(zip(self.counts, earlier.counts, strict=True)):
            if now != before:
                later.add(middle(bucket), now - before)
        return later

    def corrected(self, interval_seconds: float) -> "Histogram":
        """Return it with the requests that were never sent because an earlier one was slow (coordinated omission).

        A client that wants to send every `interval_seconds` and gets one answer after ten of them has left out nine requests, which would
        have taken nine, eight, ... intervals: those are counted as well. HdrHistogram: copyCorrectedForCoordinatedOmission.
        """
        whole = self.copy()
        interval = max(int(interval_seconds * 1e6), 1)
        for bucket, times in enumerate(self.counts):
            if times:
                whole.backfill(min(middle(bucket), self.most_us), interval, times)
        return whole

    def backfill(self, value: int, interval: int, times: int) -> None:
        """Count value - interval, value - 2 * interval, ... down to interval; those that share a bucket at once."""
        step, steps = 1, value // interval - 1
        while step <= steps:
            omitted = value - step * interval
            last = min(steps, (value - lowest(place(omitted))) // interval)
            self.add(omitted, times * (last - step + 1))
            step = last + 1

"""The load test's histogram against exact percentiles."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.load.histogram import MOST_US, SIZE, Histogram, lowest, place
from loadtest.stats import percentile

PERCENTS = (0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0)


def of(values: list[int]) -> Histogram:
    """Return a histogram of microseconds."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_buckets_follow_each_other_without_a_gap() -> None:
    """Every bucket begins where `place` says, and none is wider than 1/128 of its values."""
    edges = [lowest(bucket) for bucket in range(SIZE)]
    assert [place(edge) for edge in edges] == list(range(SIZE))
    assert place(MOST_US) == SIZE - 1
    assert all(0 < after - before <= max(1, before / 128) for before, after in pairwise(edges))


@given(st.lists(st.integers(0, MOST_US), min_size=1, max_size=200))
def test_percentiles_are_within_half_a_percent(values: list[int]) -> None:
    """Against the nearest rank of the values themselves; the longest and the mean are exact."""
    histogram = of(values)
    for percent, found in zip(PERCENTS, histogram.percentiles(PERCENTS), strict=True):
        exact = percentile(values, percent)
        assert abs(found * 1e6 - exact) <= max(1.0, exact * 0.005), percent
    assert histogram.longest == max(values) / 1e6
    assert histogram.mean == pytest.approx(sum(values) / len(values) / 1e6)


def test_halves_merge_to_the_whole() -> None:
    """Counting in two and adding up is counting in one; what came later is the difference."""
    chance = random.Random(7)
    values = [int(chance.lognormvariate(9, 2)) for _ in range(5000)]
    first, second, whole = of(values[:3000]), of(values[3000:]), of(values)
    merged = first.copy()
    merged.merge(second)
    assert (merged.counts, merged.count, merged.sum_us, merged.most_us) == (whole.counts, whole.count, whole.sum_us, whole.most_us)
    assert whole.since(first).counts == second.counts


def test_seconds_out_of_range_stay_at_its_ends() -> None:
    """A clock that jumps must not break a run."""
    histogram = Histogram()
    for seconds in (-1.0, 0.0, 1e9):
        histogram.record(seconds)
    assert (histogram.counts[0], histogram.counts[SIZE - 1], histogram.count) == (2, 1, 3)


def test_an_empty_histogram_answers() -> None:
    """With zeros."""
    assert [Histogram().percentile(50), Histogram().mean, Histogram().longest] == [0, 0, 0]


@pytest.mark.parametrize(("slow", "interval"), [(1_000_000, 10_000), (999_999, 70), (20_000, 10_000), (5_000, 10_000)])
def test_omitted_requests_are_put_back(slow: int, interval: int) -> None:
    """One answer after `slow` us hides those that should have gone out meanwhile: the same ones as by counting them singly."""
    corrected = of([interval // 2, slow]).corrected(interval / 1e6)
    middle_of_slow = of([slow]).percentile(50) * 1e6
    omitted = [int(middle_of_slow) - step * interval for step in range(1, int(middle_of_slow) // interval)]
    single = of([interval // 2, slow, *omitted])
    assert corrected.count == single.count
    assert abs(corrected.percentile(50) - single.percentile(50)) <= single.percentile(50) * 0.01
    assert corrected.longest == slow / 1e6

"""The arithmetic of the benchmark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.stats import medians, paired_ratio, percentile, spreads


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 0, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 51, 3.0),
        ([1.0, 2.0, 3.0, 4.0], 100, 4.0),
        ([float(value) for value in range(1, 101)], 99, 99.0),
        ([float(value) for value in range(1, 1001)], 99, 990.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    """An observed value is returned, never one between two."""
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.integers(1, 100))
def test_percentile_leaves_the_right_share_below(values: list[float], percent: int) -> None:
    """At least `percent` % of the values do not exceed it, and fewer do not exceed anything smaller."""
    found = percentile(values, percent)
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_percentile_refuses_what_has_no_answer(values: list[float], percent: float) -> None:
    """No values, or a percent that is none."""
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_medians_take_each_measure_by_itself() -> None:
    """A measure that a round lacks is not counted as zero, and the order of measures is kept."""
    samples = [{"jobs/s": 10.0, "p99 ms": 5.0}, {"jobs/s": 30.0}, {"jobs/s": 20.0, "p99 ms": 7.0}]
    assert medians(samples) == {"jobs/s": 20.0, "p99 ms": 6.0}
    assert list(medians(samples)) == ["jobs/s", "p99 ms"]
    assert spreads(samples) == {"jobs/s": (10.0, 30.0), "p99 ms": (5.0, 7.0)}
    assert medians([]) == {}


def test_a_ratio_compares_neighbours() -> None:
    """Each round is compared with itself: that the third one was slow for both changes nothing."""
    ours = [{"jobs/s": 20.0}, {"jobs/s": 22.0}, {"jobs/s": 2.0}]
    theirs = [{"jobs/s": 10.0}, {"jobs/s": 11.0}, {"jobs/s": 1.0}]
    assert paired_ratio(ours, theirs, "jobs/s") == 2.0


@pytest.mark.parametrize("theirs", [[], [{"jobs/s": 0.0}], [{"p99 ms": 1.0}]])
def test_no_pair_no_ratio(theirs: list[dict[str, float]]) -> None:
    """Nobody to compare with, a rate of zero, or another measure."""
    assert paired_ratio([{"jobs/s": 1.0}], theirs, "jobs/s") is None

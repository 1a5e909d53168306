"""Dividing free slots among queues."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.portions import OTHERS, UNLIMITED, Portions
from shared.models import Portion

WEIGHTS = {"critical": 6, "default": 3, "low": 1}


def read(portions: Portions, free: int, backlog: dict[str, int], running: dict[str, int] | None = None) -> Counter[str]:
    """Take from `backlog` as the script `take` does: shares first, then what is left in order."""
    plan = portions.divide(free, list(backlog), running or {})
    taken: Counter[str] = Counter()
    for is_share in (True, False):
        for queue, share, limit in plan:
            most = min(share if is_share else free, limit - taken[queue], backlog[queue], free - taken.total())
            taken[queue] += max(0, most)
            backlog[queue] -= max(0, most)
    portions.took(plan, taken, free)
    return +taken


@pytest.mark.parametrize("free", [1, 2, 7, 10, 100])
def test_full_queues_are_served_by_weight(free: int) -> None:
    """Over many reads each gets its part, whether slots come free one by one or all together."""
    portions, total = Portions(WEIGHTS, {}), Counter[str]()
    backlog = dict.fromkeys(WEIGHTS, 10**6)
    for _ in range(1000):
        total += read(portions, free, backlog)
    assert total.total() == 1000 * free
    for queue, weight in WEIGHTS.items():
        assert total[queue] == pytest.approx(1000 * free * weight / 10, abs=2 * free)


def test_nothing_is_idle_while_a_queue_has_work() -> None:
    """The lightest queue has the worker to itself when the others are empty, and gives way at once when they are not."""
    portions = Portions(WEIGHTS, {})
    for _ in range(500):
        assert read(portions, 10, {"critical": 0, "default": 0, "low": 1000}) == {"low": 10}
    busy = sum((read(portions, 10, dict.fromkeys(WEIGHTS, 1000)) for _ in range(10)), Counter[str]())
    assert busy["critical"] >= 55
    assert busy["low"] >= 5


def test_an_idle_queue_saves_nothing_up() -> None:
    """Who had nothing to run for an hour gets its weight after it, not the hour."""
    portions = Portions(WEIGHTS, {})
    for _ in range(3600):
        read(portions, 10, {"critical": 0, "default": 1000, "low": 1000})
    assert read(portions, 10, dict.fromkeys(WEIGHTS, 1000))["critical"] <= 7


def test_queues_without_weights_are_alike() -> None:
    """No setting: every queue there is, each as much as any other."""
    assert read(Portions({}, {}), 10, {"a": 50, "b": 50}) == {"a": 5, "b": 5}


def test_only_named_queues_are_served_unless_others_are_named_too() -> None:
    """A star stands for the rest."""
    assert read(Portions({"a": 1}, {}), 10, {"a": 50, "b": 50}) == {"a": 10}
    assert read(Portions({"a": 4, OTHERS: 1}, {}), 10, {"a": 50, "b": 50}) == {"a": 8, "b": 2}


def test_a_limit_counts_what_runs() -> None:
    """Two of three run: one more may start; at the limit the queue is left out, and it is known that it is full."""
    portions = Portions({}, {"a": 3})
    assert read(portions, 10, {"a": 50, "b": 50}, {"a": 2}) == {"a": 1, "b": 9}
    assert portions.divide(10, ["a"], {"a": 3}) == []
    assert portions.divide(10, ["a", "b"], {"a": 3}) == [Portion("b", 10, UNLIMITED)]
    assert portions.any_full(["a", "b"], {"a": 3})
    assert not portions.any_full(["a", "b"], {"a": 2})


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1), st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_shares_never_exceed_what_is_free_by_more_than_rounding(weights: dict[str, int], frees: list[int]) -> None:
    """Whatever the order of reads: all slots are used while there is work, and nobody's credit runs away."""
    portions = Portions(weights, {})
    for free in frees:
        assert read(portions, free, dict.fromkeys(weights, 1000)).total() == free

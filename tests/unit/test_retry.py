"""When to try again, by table."""

from itertools import pairwise

import pytest

from consumer.retry import delay

TABLE: list[tuple[bytes | None, list[float]]] = [
    (None, [2, 4, 8, 16, 32]),
    (b'{"kind":"exponential"}', [2, 4, 8]),
    (b'{"kind":"exponential","base":0.5,"factor":3}', [0.5, 1.5, 4.5]),
    (b'{"kind":"exponential","base":10,"max":25}', [10, 20, 25, 25]),
    (b'{"kind":"exponential","base":0}', [0, 0]),
    (b'{"kind":"fixed","base":5}', [5, 5, 5]),
    (b'{"kind":"fixed","base":7200}', [7200, 7200]),
]


@pytest.mark.parametrize(("backoff", "delays"), TABLE)
def test_the_delays_are_those_of_the_policy(backoff: bytes | None, delays: list[float]) -> None:
    """After the first failure, the second, ..."""
    assert [delay(backoff, failures) for failures in range(1, len(delays) + 1)] == delays


@pytest.mark.parametrize("failures", [1, 10, 1000, 10**6])
def test_a_delay_never_exceeds_its_maximum(failures: int) -> None:
    """However often it failed: the power overflows long before."""
    assert delay(None, failures) <= 3600
    assert delay(b'{"kind":"exponential","base":86400,"factor":100,"max":60}', failures) == 60


def test_jitter_only_adds() -> None:
    """Never earlier than asked, at most the given part later, and not always the same."""
    delays = {delay(b'{"kind":"fixed","base":10,"jitter":0.5}', 1) for _ in range(200)}
    assert all(10 <= seconds <= 15 for seconds in delays)
    assert len(delays) > 100
    assert any(first != second for first, second in pairwise(sorted(delays)))

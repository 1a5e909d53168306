"""`Prefer: wait=N` as RFC 7240 has it: what can be understood counts, the rest is ignored."""

import pytest

from producer.prefer import preferred_wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["wait=1"], 1),
        (["wait=60"], 60),
        (["wait=61"], 60),
        (["wait=" + "9" * 5000], 60),
        (["Wait = 10"], 10),
        (['wait="10"'], 10),
        (["respond-async, wait=10"], 10),
        (["respond-async", "wait=10"], 10),
        (["wait=10; quick"], 10),
        (['return=representation; foo="a, wait=3", wait=10'], 10),
        (["wait=10, wait=20"], 10),
        ([], None),
        ([""], None),
        (["wait"], None),
        (["wait="], None),
        (["wait=0"], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=abc"], None),
        (["wait=٣"], None),
        (["waiting=10"], None),
        (["wait:10"], None),
        (["wait=abc, wait=10"], None),
        ([',,;="\\'], None),
        (['"' * 5000], None),
        (["a=" * 5000], None),
    ],
)
def test_what_counts(headers: list[str], seconds: int | None) -> None:
    """The first `wait` of all headers, a whole number of seconds from 1, at most 60."""
    assert preferred_wait(headers) == seconds

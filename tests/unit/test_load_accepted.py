"""The load test's memory of accepted ids."""

import sys
from collections import Counter

import pytest

from loadtest.load.accepted import Accepted
from shared.ids import new_id


def sealed(ids: list[str]) -> Accepted:
    """Return a memory that has all of them."""
    accepted = Accepted()
    for job_id in ids:
        accepted.add(job_id.encode())
    accepted.seal()
    return accepted


def test_every_id_is_told_from_every_other() -> None:
    """Ours are found once each, strangers are not, and what was never seen is named in full."""
    ids = [new_id() for _ in range(2000)]
    accepted = sealed(ids)
    assert all(accepted.mark(job_id, "COMPLETED") for job_id in ids[:-2])
    assert not accepted.mark(new_id(), "COMPLETED")
    assert accepted.statuses() == Counter({"COMPLETED": 1998, "": 2})
    assert set(accepted.unseen()) == set(ids[-2:])
    assert accepted.oldest(unfinished_only=False) == min(ids)


def test_ids_that_differ_in_their_time_only_are_different() -> None:
    """All 128 bits count: the random part alone would take these for one."""
    one, other = "01a20472-bd4b-7959-9d0a-52caa7b071d5", "01a20473-bd4b-7959-9d0a-52caa7b071d5"
    accepted = sealed([one, other])
    assert accepted.mark(other, "COMPLETED")
    assert list(accepted.unseen()) == [one]
    assert accepted.duplicate_count == 0


def test_an_id_that_was_given_out_twice_is_counted() -> None:
    """Two 202 with one id are one job: that is worth a word."""
    job_id = new_id()
    accepted = sealed([job_id, new_id(), job_id])
    assert (accepted.count, accepted.duplicate_count) == (2, 1)


def test_a_job_is_over_once() -> None:
    """A job that was open may be seen again; one that was over is not counted twice."""
    job_id = new_id()
    accepted = sealed([job_id])
    assert accepted.mark(job_id, "RETRYING")
    assert list(accepted.unfinished()) == [job_id] == [accepted.oldest(unfinished_only=True)]
    assert accepted.mark(job_id, "COMPLETED")
    assert not accepted.mark(job_id, "COMPLETED")
    assert accepted.oldest(unfinished_only=True) == ""


@pytest.mark.parametrize("text", ["", "01a20472", "01a20472-bd4b-7959-9d0a-52caa7b071dx"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """An answer that holds none must not count as accepted."""
    with pytest.raises(ValueError, match=r"id|literal"):
        Accepted().add(text)


def test_an_id_takes_seventeen_bytes() -> None:
    """So a million jobs fit into memory anywhere."""
    accepted = sealed([new_id() for _ in range(20_000)])
    arrays = [part for bucket in accepted._buckets for part in (bucket.high, bucket.low, bucket.marks)]
    assert sum(map(sys.getsizeof, arrays)) < 20_000 * 20

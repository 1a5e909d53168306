"""The verdicts on entries, one line each."""

import pytest

from consumer.suspects import suspicious_at
from consumer.triage import Verdict, judge
from shared.models import Seen

OURS, TYPES = "our lease", ("known",)


def seen(
    status: str,
    *,
    job_type: str = "known",
    lease: str | None = None,
    due_in: float = -1.0,
    expired: bool = False,
    alive: bool = False,
    crashes: int = 0,
    served: bool = False,
) -> Seen:
    return Seen("an id", job_type, status, "normal", 1, lease, due_in, expired, alive, crashes, served)


@pytest.mark.parametrize(
    ("job", "for_a_worker", "for_a_reaper"),
    [
        (None, Verdict.UNKNOWN, Verdict.UNKNOWN),
        (seen("COMPLETED"), Verdict.ACK, Verdict.ACK),
        (seen("FAILED"), Verdict.ACK, Verdict.ACK),
        (seen("CANCELLED"), Verdict.ACK, Verdict.ACK),
        (seen("PROCESSING", lease=OURS, alive=True), Verdict.RELEASE, Verdict.LEAVE),
        (seen("PROCESSING", lease="another", alive=True), Verdict.ACK, Verdict.LEAVE),
        (seen("PROCESSING", lease="another"), Verdict.RECLAIM, Verdict.RECLAIM),
        (seen("PENDING", expired=True), Verdict.EXPIRE, Verdict.EXPIRE),
        (seen("SCHEDULED", due_in=5), Verdict.POSTPONE, Verdict.POSTPONE),
        (seen("RETRYING", due_in=5, crashes=2), Verdict.POSTPONE, Verdict.POSTPONE),
        (seen("PENDING"), Verdict.REQUEUE, Verdict.REQUEUE),
        (seen("PENDING", job_type="strange"), Verdict.DEFER, Verdict.REQUEUE),
        (seen("PENDING", job_type="strange", served=True), Verdict.YIELD, Verdict.REQUEUE),
        (seen("PENDING", crashes=1), Verdict.REQUEUE, Verdict.REQUEUE),
        (seen("PENDING", crashes=2), Verdict.BUSY, Verdict.REQUEUE),
    ],
)
def test_verdicts(job: Seen | None, for_a_worker: Verdict, for_a_reaper: Verdict) -> None:
    """What a worker with a lease and a reaper without one do with an entry, by its job's row."""
    assert judge(job, own_lease=OURS, types=TYPES, busy_at=2) is for_a_worker
    assert judge(job, own_lease=None, types=None, busy_at=2) is for_a_reaper


@pytest.mark.parametrize(("max_crashes", "suspicious"), [(1, 1), (2, 1), (3, 2), (10, 9)])
def test_suspects_have_one_chance_left(max_crashes: int, suspicious: int) -> None:
    """A job is a suspect when one more crash would dead-letter it; with a budget of one there is no such state."""
    assert suspicious_at(max_crashes) == suspicious

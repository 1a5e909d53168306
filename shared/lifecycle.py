"""The life of a job: one table. Everything else follows from it.

`shared/sql/jobs.sql` makes these moves, `tests/integration/test_matrix.py` proves that it makes no other, and
`docs/lifecycle.md` is generated from here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a job is. Equal to the PostgreSQL enum `job_status`, which a test proves."""

    SCHEDULED = "SCHEDULED"  # waits for its run_at
    PENDING = "PENDING"  # may run now
    PROCESSING = "PROCESSING"  # a worker holds it under a lease
    RETRYING = "RETRYING"  # failed, waits for its next attempt
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  # dead-lettered: it is in the dead-letter queue
    CANCELLED = "CANCELLED"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
WAITING = frozenset({Status.SCHEDULED, Status.PENDING, Status.RETRYING})
OPEN = WAITING | {Status.PROCESSING}


@dataclass(frozen=True)
class Move:
    """One event that may change a job's status.

    `fenced`: only the holder of the current (attempt, lease) may do it; a worker that lost its lease cannot.
    """

    event: str
    sources: frozenset[Status]
    targets: frozenset[Status]
    fenced: bool
    note: str


def _move(event: str, sources: frozenset[Status] | set[Status], *targets: Status, fenced: bool = False, note: str) -> Move:
    return Move(event, frozenset(sources), frozenset(targets), fenced, note)


_RUNNING = {Status.PROCESSING}

MOVES: dict[str, Move] = {
    move.event: move
    for move in (
        _move("claim", WAITING, Status.PROCESSING, note="when due; attempt + 1, lease set"),
        _move("succeed", _RUNNING, Status.COMPLETED, fenced=True, note="the result is kept"),
        _move("retry", _RUNNING, Status.RETRYING, fenced=True, note="failures + 1; due again after 2 s, 4 s, 8 s"),
        _move("snooze", _RUNNING, Status.SCHEDULED, fenced=True, note="counts no failure"),
        _move("bury", _RUNNING, Status.FAILED, fenced=True, note="attempts spent, or a permanent failure"),
        _move(
            "hand_back",
            _RUNNING,
            Status.PENDING,
            fenced=True,
            note="graceful shutdown, or not begun as its lease may be over; counts nothing",
        ),
        _move("abort", _RUNNING, Status.CANCELLED, fenced=True, note="the worker honours a cancel request"),
        _move(
            "reclaim",
            _RUNNING,
            Status.PENDING,
            Status.FAILED,
            note="its lease is dead; crashes + 1; FAILED when that budget is spent",
        ),
        _move("cancel", WAITING, Status.CANCELLED, note="a running job gets a flag instead, see abort"),
        _move("expire", WAITING, Status.CANCELLED, note="its start deadline passed; reason `expired`"),
        _move("replay", {Status.FAILED, Status.CANCELLED}, Status.PENDING, note="same id; budgets reset, attempt never"),
    )
}

"""Invariant 12: schedules and webhooks."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from chaos.checks.invariant import HELD, invariant
from chaos.history import History, Row
from chaos.schedules import WHEN
from shared.lifecycle import TERMINAL, Status
from shared.webhooks import DELIVERY_TYPE

REFUSED = 300  # and above: what an answer says that is no 2xx
LEFT_OUT_SECONDS = 1.99  # between two ticks, one was left out


@invariant(12, "one job a tick")
def one_job_a_tick(history: History) -> Iterator[str]:
    """A run that is noted has its job, and no scheduled job came of nothing."""
    noted = {job for _, _, job in history.ticks}
    for schedule, tick, job in history.ticks:
        yield HELD if job in history.rows else f"{schedule}: the tick {tick:.3f} has no job"
    for (schedule, tick), count in Counter((schedule, tick) for schedule, tick, _ in history.ticks).items():
        if count > 1:
            yield f"{schedule}: the tick {tick:.3f} has {count} jobs"
    for row in history.rows.values():
        if row.ours and row.payload.get("schedule") and row.id not in noted:
            yield f"{row.id}: is of no tick of {row.payload['schedule']}"


@invariant(12, "no tick is left out where nothing is broken")
def every_tick_comes(history: History) -> Iterator[str]:
    """Of our own schedules, which have one a second from when they were made until they were deleted."""
    ends = [at for at in (history.scheduled, history.whole) if at is not None]
    for name in WHEN:
        times = sorted([*ends, *(tick for schedule, tick, _ in history.ticks if schedule == name)])
        for first, second in pairwise(times):
            if not history.troubled(first, min(second, first + LEFT_OUT_SECONDS)):
                yield f"{name}: none came for {second - first:.1f} s after {first:.1f}" if second - first >= LEFT_OUT_SECONDS else HELD


@invariant(12, "at least one webhook for each end of a job, always with the same id")
def every_end_is_told(history: History) -> Iterator[str]:
    """A delivery that was answered 2xx; the receiver tells repeats by their id. A job that was replayed ends again."""
    failed = [row for row in history.rows.values() if row.type == DELIVERY_TYPE and row.status == Status.FAILED]
    yield from (f"{row.id}: a webhook was given up ({row.reason}) for no reason" for row in failed if not _in_vain(history, row))
    given_up = Counter(_told_of(row) for row in failed)
    for row in history.rows.values():
        if row.webhook_url and row.status in TERMINAL:
            yield HELD
            yield from _untold(history, row, given_up[row.id])


def _untold(history: History, row: Row, given_up: int) -> Iterator[str]:
    hooks = history.hooks[row.id]
    taken = {hook["id"] for hook in hooks if 200 <= hook["answer"] < 300}
    ends = [move.went_to for move in history.moves[row.id] if move.went_to in TERMINAL and move.came_from not in TERMINAL]
    if len(taken) < len(ends) - given_up:  # each of those has a letter
        yield f"{row.id}: ended {len(ends)} times, the last time {row.status}, and {len(taken)} webhooks were taken"
    if len(ids := {hook["id"] for hook in hooks}) > len(ends):
        yield f"{row.id}: ended {len(ends)} times, and its webhooks had the ids {sorted(ids)}"
    if strange := {hook["state"] for hook in hooks} - {*ends}:
        yield f"{row.id}: ended as {ends}, and its webhooks said {sorted(strange)}"


def _in_vain(history: History, delivery: Row) -> bool:
    """Whether it was tried as often as it may be, each time with a refusal; or it was running at too many deaths of workers."""
    refused = sum(hook["answer"] >= REFUSED for hook in history.hooks[_told_of(delivery)])
    tried = delivery.failures >= delivery.max_attempts and refused >= delivery.failures
    return tried or delivery.crashes >= history.max_crashes


def _told_of(delivery: Row) -> str:
    """Return the id of the job that a delivery is about."""
    return str(delivery.payload["event"]["data"]["id"])

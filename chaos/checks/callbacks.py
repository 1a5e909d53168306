"""Invariant 12: schedules and webhooks."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from chaos.checks.invariant import HELD, invariant
from chaos.history import History, Row
from chaos.schedules import WHEN
from shared.lifecycle import TERMINAL, Status
from shared.webhooks import DELIVERY_TYPE

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
    given_up = Counter(_told_of(row) for row in history.rows.values() if row.type == DELIVERY_TYPE and row.status == Status.FAILED)
    for row in history.rows.values():
        if not row.webhook_url or row.status not in TERMINAL:
            continue
        hooks = history.hooks[row.id]
        yield HELD
        taken = {hook["id"] for hook in hooks if 200 <= hook["answer"] < 300}
        ends = sum(move.went_to in TERMINAL and move.came_from not in TERMINAL for move in history.moves[row.id])
        if len(taken) < ends - given_up[row.id]:  # each of those has a letter
            yield f"{row.id}: ended {ends} times, the last time {row.status}, and {len(taken)} webhooks were taken"
        if len(ids := {hook["id"] for hook in hooks}) > ends:
            yield f"{row.id}: ended {ends} times, and its webhooks had the ids {sorted(ids)}"


def _told_of(delivery: Row) -> str:
    """Return the id of the job that a delivery is about."""
    return str(delivery.payload["event"]["data"]["id"])

"""Invariant 8: what waits for its time begins then, not before, and not much later."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.checks.invariant import EARLY_SECONDS, HELD, invariant
from chaos.history import History, Moved, Run
from shared.lifecycle import TERMINAL, Status

BACKOFF_SECONDS = 2.0
TARDY_SECONDS = 1.0
ECHO_SECONDS = 14.0  # after a time in which new jobs had to wait those of them come back that failed: 2, 4 and 8 s later


@invariant(8, "a retry comes after 2, 4, 8 s")
def retries_wait(history: History) -> Iterator[str]:
    """From the end of the handler to its next start."""
    for job, first, second, wanted in _retries(history):
        gap = second.began - (first.ended or 0)
        soon = f"{job}: attempt {second.attempt} began {gap:.2f} s after the failure, {wanted:g} s wanted"
        yield HELD if gap >= wanted - EARLY_SECONDS else soon


@invariant(8, "and at most one second later")
def retries_come(history: History) -> Iterator[str]:
    """Where nothing is broken by then and new jobs do not wait either, for jobs that stand in no line."""
    waits = _waits(history)
    for job, first, second, wanted in _retries(history):
        ended = first.ended or 0
        due = ended + wanted + TARDY_SECONDS
        if history.rows[job].in_line or _may_be_late(history, waits, ended, min(second.began, due)):
            continue
        gap = second.began - ended
        why = f"{job}: attempt {second.attempt} began {gap:.2f} s after the failure, with nothing broken ({wanted:g} s wanted)"
        yield why if second.began > due else HELD


@invariant(8, "nothing begins before it is due")
def nothing_is_early(history: History) -> Iterator[str]:
    """Retries, snoozes and delays: by the row, at the claim."""
    for job, moves in history.moves.items():
        for before, move in pairwise(moves):
            if move.went_to == Status.PROCESSING != move.came_from and before.due is not None:
                early = f"{job}: attempt {move.after} was claimed {before.due - move.t:.2f} s before it was due"
                yield early if move.t < before.due - EARLY_SECONDS else HELD


@invariant(8, "what waits for its time begins at most one second later")
def nothing_is_tardy(history: History) -> Iterator[str]:
    """Snoozes and delays, under the same conditions as retries."""
    waits = _waits(history)
    for job, moves in history.moves.items():
        runs = {run.attempt: run for run in history.runs[job]}
        for before, move in pairwise(moves):
            run = runs.get(move.after or 0)
            if move.came_from != Status.SCHEDULED or move.went_to != Status.PROCESSING or before.due is None or run is None:
                continue
            late = run.began - before.due
            if not (job in history.rows and history.rows[job].in_line) and not _may_be_late(
                history, waits, before.t, min(run.began, before.due + TARDY_SECONDS)
            ):
                yield f"{job}: attempt {run.attempt} began {late:.2f} s late, with nothing broken" if late > TARDY_SECONDS else HELD


def _retries(history: History) -> Iterator[tuple[str, Run, Run, float]]:
    """Yield job, the run that failed, the next one, and how many seconds should be between them."""
    for job, runs in history.runs.items():
        row = history.rows.get(job)
        if row is None or not row.ours:
            continue
        by_attempt = {run.attempt: run for run in runs}
        for number, attempt in _retried(history.moves[job]):
            first = by_attempt.get(attempt)
            second = min((run for run in runs if run.attempt > attempt), key=lambda run: run.attempt, default=None)
            if first is not None and second is not None and first.ended is not None:
                yield job, first, second, BACKOFF_SECONDS * 2**number


def _may_be_late(history: History, waits: Sequence[tuple[float, float]], since: float, until: float) -> bool:
    return history.troubled(since, until) or any(begin <= until and since <= end + ECHO_SECONDS for begin, end in waits)


def _waits(history: History) -> list[tuple[float, float]]:
    """When new jobs waited for longer than a retry may be late: consumers had more to do than they could."""
    found: list[tuple[float, float]] = []
    for request in sorted(history.requests, key=lambda request: request.answered):
        runs = [run.began for job in request.ids for run in history.runs[job][:1] if history.moves[job][:1] and _is_due(history, job)]
        begin, end = request.answered, max(runs, default=0.0)
        if end - begin > TARDY_SECONDS:
            if found and begin <= found[-1][1]:
                begin, end = found[-1][0], max(end, found.pop()[1])
            found.append((begin, end))
    return found


def _is_due(history: History, job: str) -> bool:
    return history.moves[job][0].went_to == Status.PENDING


def _retried(moves: Sequence[Moved]) -> Iterator[tuple[int, int]]:
    """Yield how many failures went before and the attempt that failed, for each that is to be tried again; a replay begins anew."""
    failures = 0
    for move in moves:
        if move.came_from in TERMINAL:
            failures = 0
        if move.went_to == Status.RETRYING and move.came_from == Status.PROCESSING:
            yield failures, move.after or 0
            failures += 1

"""Invariants 1 to 5 and 9: no job is lost, none is made up, each goes its legal way."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from chaos.checks.invariant import HELD, invariant
from chaos.history import History, Moved, Replay, Row
from shared.lifecycle import MOVES, TERMINAL, Status

LEGAL = {(source, target) for move in MOVES.values() for source in move.sources for target in move.targets}
RECORDED_SECONDS = 2.0  # the recorder stamps what it hears when it comes to it
ENDED_SECONDS = 0.1  # who ends says when that was; clocks of one machine, read in two processes
READ_SECONDS = 0.02  # clocks of one machine, read in two processes
REPLAY_SECONDS = 5.0  # a client waits four
SETTLED = {Status.COMPLETED, Status.RETRYING, Status.SCHEDULED, Status.FAILED, Status.CANCELLED}
STUBBORN = "hang"  # the misdeed of a handler that runs on when its attempt is over
NEW = {Status.PENDING, Status.SCHEDULED}


@invariant(1, "every job that was answered 2xx is in a terminal state in the end")
def nothing_is_lost(history: History) -> Iterator[str]:
    """In time, and also what was accepted without our hearing of it. A service that does not come back has lost all that it had to do."""
    yield from history.stranded
    yield from history.left.get("jobs", ())
    for request in history.requests:
        if request.accepted and len(request.ids) != len(request.numbers):
            yield f"{len(request.numbers)} jobs were sent at {request.sent:.3f}, and {len(request.ids)} accepted"
    for job in sorted(history.accepted - history.rows.keys()):
        yield f"{job}: accepted, and there is no row"
    for row in history.rows.values():
        yield HELD if row.status in TERMINAL else f"{row.id}: {row.status} ({row.type}, {row.attempts} attempts)"


@invariant(2, "no job that nobody sent")
def nothing_is_made_up(history: History) -> Iterator[str]:
    """A number that was sent once is one job at most."""
    sent = {number for request in history.requests for number in request.numbers}
    rows = [row for row in history.rows.values() if row.ours and not row.payload.get("schedule")]
    for row in rows:
        yield HELD if row.payload["n"] in sent else f"{row.id}: has the number {row.payload['n']}, which nobody sent"
    for number, count in Counter(row.payload["n"] for row in rows).items():
        if count > 1:
            yield f"number {number} is {count} jobs"
    numbers = {row.id: row.payload["n"] for row in rows}
    for request in history.requests:
        for job, number in zip(request.ids, request.numbers, strict=False):
            if numbers.get(job, number) != number:
                yield f"{job}: is the answer to number {number}, and has {numbers[job]}"


@invariant(3, "COMPLETED means that an attempt of that number really ended well, with that result")
def completed_is_true(history: History) -> Iterator[str]:
    """By the recorder, which heard it from the handler itself."""
    for row in history.rows.values():
        if row.status != Status.COMPLETED:
            continue
        yield HELD
        ended = {(run.attempt, run.worker) for run in history.runs[row.id] if run.how == "returned"}
        if (row.attempts, row.worker) not in ended:
            yield f"{row.id}: completed by {row.worker} as attempt {row.attempts}, which did not end well there"
        elif row.ours and _token(row.result) not in history.effects[row.id, row.attempts]:
            yield f"{row.id}: its result {str(row.result)[:100]} is none of attempt {row.attempts}"


def _token(result: Any) -> Any:
    return result.get("token") if isinstance(result, dict) else None


@invariant(3, "a success that is on disk stays, and nothing runs after it")
def success_stays(history: History) -> Iterator[str]:
    """The worker gives the entry away when PostgreSQL has said that it is on disk: from then on there is no way back."""
    for job, at in history.settled.items():
        row = history.rows.get(job)
        yield HELD
        if row is not None and row.status != Status.COMPLETED:
            yield f"{job}: was said to be on disk as COMPLETED, and is {row.status}"
        if any(run.began > at and not history.woke_to_begin(run) for run in history.runs[job]):
            yield f"{job}: ran again after its success was on disk"


@invariant(3, "a result that is there is never overwritten")
def results_stay(history: History) -> Iterator[str]:
    """Until somebody runs the job again."""
    for job, moves in history.moves.items():
        if any(move.went_to == Status.COMPLETED for move in moves):
            yield HELD
        for first, second in pairwise(moves):
            if first.went_to == second.went_to == Status.COMPLETED and first.digest != second.digest:
                yield f"{job}: its result was overwritten {second.t - first.t:.1f} s later"


@invariant(4, "only legal moves, and one terminal state a run")
def moves_are_legal(history: History) -> Iterator[str]:
    """Against the table of shared/lifecycle.py."""
    for job, moves in history.moves.items():
        yield HELD
        yield from _illegal(job, moves)
        ends = sum(move.went_to in TERMINAL for move in moves)
        replays = sum(move.came_from in TERMINAL and move.went_to not in TERMINAL for move in moves)
        if ends > 1 + replays:
            yield f"{job}: came to {ends} terminal states with {replays} replays"


def _illegal(job: str, moves: list[Moved]) -> Iterator[str]:
    state: str | None = None
    for move in moves:
        if move.came_from != state:
            yield f"{job}: was {state} and moved from {move.came_from}"
        elif state is None and move.went_to not in NEW:
            yield f"{job}: began as {move.went_to}"
        elif state not in (None, move.went_to) and (state, move.went_to) not in LEGAL:
            yield f"{job}: {state} to {move.went_to}"
        state = move.went_to


@invariant(5, "the attempt number never falls, and rises by one at a claim only")
def attempts_rise(history: History) -> Iterator[str]:
    """So a number names one claim."""
    for job, moves in history.moves.items():
        for move in moves:
            risen = (move.after or 0) - (move.before or 0)
            claimed = move.went_to == Status.PROCESSING and move.came_from != Status.PROCESSING
            if move.came_from is not None and move.went_to is not None:
                wrong = f"{job}: attempt {move.before} became {move.after} on the way from {move.came_from} to {move.went_to}"
                yield HELD if risen == int(claimed) else wrong


@invariant(9, "one idempotency key, one job")
def one_key_one_job(history: History) -> Iterator[str]:
    """In the rows, and in what clients were told."""
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in history.rows.values():
        if row.key:
            by_key[row.key].append(row)
    for key, rows in by_key.items():
        yield HELD if len(rows) == 1 else f"key {key} is {len(rows)} jobs"
    yield from _told_apart(history)


def _told_apart(history: History) -> Iterator[str]:
    told: dict[str, set[str]] = defaultdict(set)
    for request in history.requests:
        if request.key:
            told[request.key].update(request.ids)
    for key, ids in told.items():
        if len(ids) > 1:
            yield f"key {key} was answered with {sorted(ids)}"


@invariant(4, "a job fails for a reason, is cancelled and replayed at somebody's request")
def ends_have_reasons(history: History) -> Iterator[str]:
    """Of our own jobs, which fail as they were asked to."""
    for row in history.rows.values():
        if row.ours and row.status == Status.FAILED:
            why = f"{row.id}: FAILED ({row.reason}) after {row.failures} failures of {row.max_attempts} and {row.crashes} crashes"
            yield HELD if _deserved(history, row) else why
        if row.ours and row.status == Status.CANCELLED:
            yield HELD if row.id in history.cancels else f"{row.id}: CANCELLED ({row.reason}), which nobody asked for"
    yield from _unasked_replays(history)


def _unasked_replays(history: History) -> Iterator[str]:
    """Each is named in the answer to a request, or comes within moments of one without an answer; later only where something is broken."""
    unanswered = [replay for replay in history.replays if replay.ids is None]
    unnamed = 0
    for job, moves in _unnamed(history):
        for move in moves:
            unnamed += 1
            asked = any(0 <= move.t - replay.t + RECORDED_SECONDS <= REPLAY_SECONDS for replay in unanswered)
            if not asked and not history.troubled(move.t, move.t):
                yield f"{job}: {move.came_from} to {move.went_to}, and nobody had just asked for a replay"
    if unnamed > (most := sum(replay.limit for replay in unanswered)):
        yield f"{unnamed} jobs were replayed that no answer names, and {most} may have been without an answer"


def _unnamed(history: History) -> Iterator[tuple[str, Sequence[Moved]]]:
    """Yield jobs with the moves of theirs that begin anew and are in no answer: each answer is of the first one while it was awaited."""
    answers: dict[str, list[Replay]] = defaultdict(list)
    for replay in sorted(history.replays, key=lambda replay: replay.answered):
        for job in replay.ids or ():
            answers[job].append(replay)
    for job, moves in history.moves.items():
        again = [move for move in moves if move.came_from in TERMINAL and move.went_to not in (None, move.came_from)]
        for replay in answers[job]:
            named = (move for move in again if replay.t - READ_SECONDS <= move.t <= replay.answered + READ_SECONDS)
            if (first := next(named, None)) is not None:
                again.remove(first)
        yield job, again


def _deserved(history: History, row: Row) -> bool:
    misdeed = row.payload.get("misdeed", "")
    deserved = {
        "attempts_spent": row.failures >= row.max_attempts,
        "crashed": row.crashes >= history.max_crashes,
        "permanent_failure": misdeed == "give_up",
        "invalid_result": misdeed in {"overflow", "poison"},
        "result_too_large": misdeed == "overflow",
    }
    return bool(deserved.get(row.reason or ""))


@invariant(5, "no stale settle: what a row says of an attempt was said by who ran it")
def settles_are_of_their_attempts(history: History) -> Iterator[str]:
    """Each move of a running job, by the lease that it had, belongs to a run of that number that ended there, or was abandoned."""
    for job, moves in history.moves.items():
        limit = min(history.limits.get(job) or history.job_timeout, history.job_timeout)
        ended = {(run.attempt, run.worker): run.ended or run.began + limit for run in history.runs.get(job, ())}
        given_up = {tried.attempt for tried in history.tried[job] if tried.outcome in {"lost", "handed_back"}}
        for move in moves:
            worker = history.leases.get(move.lease or "")
            if move.came_from != Status.PROCESSING or move.went_to not in SETTLED or move.before in given_up or worker is None:
                continue
            if move.went_to == Status.CANCELLED and not _was_to_obey(history, job, move.before or 0, worker):
                continue
            stale = ended.get((move.before or 0, worker), float("inf")) > move.t + ENDED_SECONDS
            what = f"{job}: {move.came_from} to {move.went_to} as attempt {move.before} of {worker}, which has not ended there"
            yield what if stale else HELD


def _was_to_obey(history: History, job: str, attempt: int, worker: str) -> bool:
    """Whether a cancel waits for the end of that attempt: it has begun, and is none that runs on."""
    begun = any((run.attempt, run.worker) == (attempt, worker) for run in history.runs.get(job, ()))
    return begun and (job not in history.rows or history.rows[job].payload.get("misdeed") != STUBBORN)

"""Invariants 6 and 7: how often a job runs, and never beside itself without a reason."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from chaos.checks.invariant import EARLY_SECONDS, HELD, invariant
from chaos.checks.processes import AT_ONCE, IN_A_CHILD
from chaos.history import CALM_SECONDS, History, Row, Run, Tried
from chaos.limit import NO_LIMIT
from shared.lifecycle import Status

FORGETFUL = ("postgres.immediate", "postgres.kill", "postgres.backend.kill", "postgres.disk")  # claims of the last moment may be forgotten
ANYBODY = "?"  # the worker of a lease that is not there any more
FORGOTTEN_SECONDS = 1.0  # so old a claim may be that is forgotten: three times wal_writer_delay, and some
LATE_LEASES = 2.0  # a lease that a fault has broken is found to be dead within so many, and some seconds
GIVEN_UP = ("lost", "handed_back")  # outcomes of attempts whose handlers may run on
SPARE = 0.1  # of a lease, of the time in which a beat has to get through
STARVED = "MemoryError"  # how an attempt ends that takes more memory than a child process may have
TIGHT = "handler.starve.consumer"  # the fault by which a consumer has little memory, with all its children
ENDED_BY_KERNEL = "ProcessDied"  # how an attempt ends whose child process was killed
DRAIN_SECONDS = 3.0  # over the grace time: so long a worker that was told to end tries to settle
POSTGRES = "Postgres"  # a kind of faults: any of them may keep an answer from a worker


def forgotten(history: History, job: str) -> list[Run]:
    """Return the runs of which PostgreSQL has no claim: of one attempt and worker the first ones. It may forget some in a crash."""
    claims = Counter(
        (move.after, history.leases.get(move.next_lease or "", ANYBODY))
        for move in history.moves[job]
        if move.went_to == Status.PROCESSING != move.came_from
    )
    found = []
    for run in history.runs[job][::-1]:
        if claim := next((key for key in ((run.attempt, run.worker), (run.attempt, ANYBODY)) if claims[key]), None):
            claims[claim] -= 1
        else:
            found.append(run)
    return found


def _crashed(history: History, run: Run) -> bool:
    until = (run.ended or run.began) + FORGOTTEN_SECONDS
    return any(strike.fault in FORGETFUL and strike.covers(run.began, until, CALM_SECONDS) for strike in history.strikes)


@invariant(6, "executions <= 1 + failures + snoozes + handed back + leases that were lost by an injected fault")
def executions_are_bounded(history: History) -> Iterator[str]:
    """A claim that PostgreSQL forgot in a crash of its own is a lease loss, too."""
    for job in history.runs.keys() | history.tried.keys():
        if (row := history.rows.get(job)) is None:
            continue
        yield from _too_often(history, row)
        for tried in history.tried[job]:
            if tried.outcome == "lost" and not _explained(history, tried):
                yield f"{job}: attempt {tried.attempt} of {tried.worker} was lost, and no fault explains that"
            if tried.outcome == "handed_back" and not _gave_back(history, tried):
                yield f"{job}: attempt {tried.attempt} was handed back by {tried.worker}, which had no reason to"
        yield from _unasked(history, row)


def _too_often(history: History, row: Row) -> Iterator[str]:
    """Each run is of an attempt of its own: the last one, or one that is known not to have succeeded."""
    runs, unknown = history.runs[row.id], forgotten(history, row.id)
    yield from (f"{row.id}: ran as attempt {run.attempt}, which nobody has claimed" for run in unknown if not _crashed(history, run))
    ran = {run.attempt for run in runs}
    allowed = len(ran & {row.attempts, *(tried.attempt for tried in history.tried[row.id])}) + len(unknown)
    yield HELD if len(runs) <= allowed else f"{row.id}: ran {len(runs)} times, {allowed} are explained"


@invariant(6, "nothing begins when its attempt is over")
def nobody_begins_too_late(history: History) -> Iterator[str]:
    """Its lease was lost, or it was handed back, and that was known: who looked at its lease before that may begin."""
    for job, attempts in history.tried.items():
        over = {(tried.attempt, tried.worker): tried.ended for tried in attempts if tried.outcome in GIVEN_UP}
        for run in history.runs[job]:
            if (ended := over.get((run.attempt, run.worker))) is not None:
                looked = run.began if run.looked is None else run.looked
                late = f"{job}: attempt {run.attempt} began {looked - ended:.3f} s after it was over"
                yield late if looked > ended + EARLY_SECONDS else HELD


def _explained(history: History, tried: Tried) -> bool:
    died, code = history.deaths.get(tried.pid, (float("inf"), 0))
    if died <= tried.ended + EARLY_SECONDS:
        at_once = tried.pid in history.told_again if code in AT_ONCE else code != 0
        if at_once or _left_behind(history, tried, died):
            return True
    held = tried.began or tried.ended
    cut_off = history.cut_off(tried.pid, held - _late(history), held, tried.ended)
    return cut_off >= history.lease_seconds * (1 - SPARE) - history.heartbeat_seconds


def _left_behind(history: History, tried: Tried, died: float) -> bool:
    """It was told to end, and did in order, but had not heard of its claim, or could not settle what had run until its time was up."""
    told = history.told.get(tried.pid, float("inf"))
    ran = any((run.attempt, run.worker) == (tried.attempt, tried.worker) for run in history.runs[tried.job])
    in_vain = not ran or died - told >= history.grace_seconds + DRAIN_SECONDS
    return told <= died and in_vain and _unanswered(history, tried, died, CALM_SECONDS)


def _gave_back(history: History, tried: Tried) -> bool:
    """It was told to end, was not sure of its lease, or never heard of its claim."""
    told = history.told.get(tried.pid, float("inf")) <= tried.ended + EARLY_SECONDS
    return told or _unanswered(history, tried, tried.ended, _late(history))


def _unanswered(history: History, tried: Tried, until: float, margin: float) -> bool:
    """Whether a fault may have kept an answer of PostgreSQL about this attempt from its worker."""
    return any(
        (strike.kind == POSTGRES or strike.hits(tried.pid)) and strike.covers(tried.began or tried.ended, until, margin)
        for strike in history.strikes
    )


def _late(history: History) -> float:
    return LATE_LEASES * history.lease_seconds + CALM_SECONDS


def _unasked(history: History, row: Row) -> Iterator[str]:
    """Our own jobs fail as often as they were told to."""
    if row.ours:
        asked = row.payload.get("times", 0)
        for attempt in history.tried[row.id]:
            if attempt.outcome in {"failed", "snoozed"} and not _stood(history, attempt):
                if attempt.attempt > asked:
                    yield f"{row.id}: attempt {attempt.attempt} {attempt.outcome}, which nobody asked for: {attempt.error[:100]}"
                elif row.payload.get("misdeed") == "starve" and not _starved(history, row, attempt):
                    yield f"{row.id}: attempt {attempt.attempt} took more memory than it may, and ended by {attempt.error[:100]}"


def _starved(history: History, row: Row, tried: Tried) -> bool:
    """A child process always has a limit; a consumer only for a while, in which the kernel ends it, or a child of it instead."""
    if STARVED in tried.error or row.type != IN_A_CHILD:
        return STARVED in tried.error or NO_LIMIT in tried.error
    tight = any(strike.fault == TIGHT and strike.covers(tried.began or tried.ended, tried.ended) for strike in history.strikes)
    return tight and ENDED_BY_KERNEL in tried.error


def _stood(history: History, tried: Tried) -> bool:
    """Its time was up because its process was frozen, or another handler blocked the loop there."""
    return tried.error.startswith("timeout") and any(
        (strike.fault.startswith("handler.block") or tried.pid in strike.victims)
        and strike.covers(tried.began or tried.ended, tried.ended, CALM_SECONDS)
        for strike in history.strikes
    )


@invariant(7, "a job runs beside itself only when a lease was lost")
def no_overlap(history: History) -> Iterator[str]:
    """By the recorder's clock; the run of a process that died ends with it, that of a handler that hangs when it is abandoned."""
    for job, runs in history.runs.items():
        unknown, hangs = forgotten(history, job), job in history.rows and history.rows[job].payload.get("misdeed") == "hang"
        given_up = {(tried.attempt, tried.worker): tried.ended for tried in history.tried[job] if hangs or tried.outcome in GIVEN_UP}
        for first, second in pairwise(sorted(runs, key=lambda run: run.began)):
            yield HELD
            end = _end(history, first)
            lost_at = given_up.get((first.attempt, first.worker), float("inf"))
            if second.began >= min(end, lost_at - EARLY_SECONDS) or history.woke_to_begin(second):
                continue
            if not (first in unknown and _crashed(history, first)):
                yield f"{job}: attempt {second.attempt} began {end - second.began:.3f} s before attempt {first.attempt} was over"


def _end(history: History, run: Run) -> float:
    died = history.deaths.get(run.pid, (float("inf"), 0))[0]
    return min(run.ended if run.ended is not None else float("inf"), died)

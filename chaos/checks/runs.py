"""Invariants 6 to 8: how often a job runs, when, and never beside itself without a reason."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.checks.invariant import HELD, invariant
from chaos.history import CALM_SECONDS, History, Moved, Row, Run, Tried, pid_of
from chaos.limit import NO_LIMIT
from shared.lifecycle import TERMINAL, Status

FORGETFUL = ("postgres.immediate", "postgres.kill", "postgres.backend.kill", "postgres.disk")  # claims of the last moment may be forgotten
ANYBODY = "?"  # the worker of a lease that is not there any more
FORGOTTEN_SECONDS = 1.0  # so old a claim may be that is forgotten: three times wal_writer_delay, and some
LATE_LEASES = 2.0  # a lease that a fault has broken is found to be dead within so many, and some seconds
BACKOFF_SECONDS = 2.0
EARLY_SECONDS = 0.02  # clocks of one machine, read in three processes
TARDY_SECONDS = 1.0
ECHO_SECONDS = 14.0  # after a time in which new jobs had to wait those of them come back that failed: 2, 4 and 8 s later
HARMLESS = ("SIGKILL", "upgrade", "clock")  # kinds of faults that do not keep a process from draining
GIVEN_UP = ("lost", "handed_back")  # outcomes of attempts whose handlers may run on
SPARE = 0.1  # of a lease, of the time in which a beat has to get through
KILLED = -9
AT_ONCE = (-15, 143)  # how who is told to end does so that cannot hear that yet, or is told twice
STARTING_SECONDS = 5.0  # until a producer can hear that
BY_HANDLERS = {-11: "segfault", 3: "exit", KILLED: "starve"}  # what a handler was asked to do, by the exit code of its process
STARVED = "MemoryError"  # how an attempt ends that takes more memory than a child process may have
TIGHT = "handler.starve.consumer"  # the fault by which a consumer has little memory, with all its children
ENDED_BY_KERNEL = "ProcessDied"  # how an attempt ends whose child process was killed
IN_A_CHILD = "chaos.process"  # a type of job
HANDLER_SECONDS = 5.0  # in which a process is gone, and that is noted, after its handler has said that it ends it
DRAIN_SECONDS = 3.0  # over the grace time: so long a worker that was told to end tries to settle
POSTGRES = "Postgres"  # a kind of faults: any of them may keep an answer from a worker


def _forgotten(history: History, job: str) -> list[Run]:
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
    runs, forgotten = history.runs[row.id], _forgotten(history, row.id)
    yield from (f"{row.id}: ran as attempt {run.attempt}, which nobody has claimed" for run in forgotten if not _crashed(history, run))
    ran = {run.attempt for run in runs}
    allowed = len(ran & {row.attempts, *(tried.attempt for tried in history.tried[row.id])}) + len(forgotten)
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


@invariant(6, "no process ends by itself")
def nobody_gives_up(history: History) -> Iterator[str]:
    """Other than by a signal of ours, by a handler that was asked to, or drained; and a drain comes to its end."""
    for pid, (at, code) in history.deaths.items():
        told = history.told.get(pid, float("inf")) <= at
        killed = code == KILLED and pid in history.killed
        drained = told and (code == 0 or (code in AT_ONCE and _was_deaf(history, pid)))
        allowed = killed or drained or _ended_by_handler(history, pid)
        yield HELD if allowed else f"process {pid} ended with {code}, {'' if told else 'not '}told to end"
    for at, name, seconds, pid in history.hung:
        broken = any(strike.kind not in HARMLESS and strike.covers(at - seconds, at) for strike in history.strikes)
        if not (broken or _was_blocked(history, pid, at - seconds, at)):
            yield f"{name} was told to end and did not within {seconds:g} s"


def _was_blocked(history: History, pid: int, since: float, until: float) -> bool:
    """Whether a handler blocked its loop then, long after it was asked to: whoever asks gives up sooner."""
    return any(
        what == "block" and job in history.rows and said <= until and since <= said + history.rows[job].payload.get("seconds", 0.0)
        for (job, attempt), (said, what) in history.misdeeds.items()
        if _ran_in(history, job, attempt, pid)
    )


def _was_deaf(history: History, pid: int) -> bool:
    """Whether it was told twice to end, or before it could hear that."""
    born, part = history.births.get(pid, (float("inf"), ""))
    began = any(pid_of(worker) == pid for worker in history.leases.values())
    starts = history.told[pid] - born < STARTING_SECONDS if part == "producer" else not began
    return pid in history.told_again or starts


def _ended_by_handler(history: History, pid: int) -> bool:
    """Whether a job that ran there, and not in a child process, had just said that it does what ends a process like this."""
    at, code = history.deaths[pid]
    return any(
        what == BY_HANDLERS.get(code) and abs(at - told) <= HANDLER_SECONDS and _ran_in(history, job, attempt, pid)
        for (job, attempt), (told, what) in history.misdeeds.items()
    )


def _ran_in(history: History, job: str, attempt: int, pid: int) -> bool:
    in_a_child = job in history.rows and history.rows[job].type == IN_A_CHILD
    return not in_a_child and any((run.pid, run.attempt) == (pid, attempt) for run in history.runs[job])


@invariant(6, "and none logs an error that nobody foresaw")
def errors_are_foreseen(history: History) -> Iterator[str]:
    """Each is either handled, or is a fault of the service."""
    yield HELD
    yield from history.logged


@invariant(7, "a job runs beside itself only when a lease was lost")
def no_overlap(history: History) -> Iterator[str]:
    """By the recorder's clock; the run of a process that died ends with it."""
    for job, runs in history.runs.items():
        if job in history.rows and history.rows[job].payload.get("misdeed") == "hang":
            continue  # it was abandoned, and runs on until its process ends
        forgotten = _forgotten(history, job)
        given_up = {(tried.attempt, tried.worker): tried.ended for tried in history.tried[job] if tried.outcome in GIVEN_UP}
        for first, second in pairwise(sorted(runs, key=lambda run: run.began)):
            yield HELD
            end = _end(history, first)
            lost_at = given_up.get((first.attempt, first.worker), float("inf"))
            if second.began >= min(end, lost_at - EARLY_SECONDS) or history.woke_to_begin(second):
                continue
            if not (first in forgotten and _crashed(history, first)):
                yield f"{job}: attempt {second.attempt} began {end - second.began:.3f} s before attempt {first.attempt} was over"


def _end(history: History, run: Run) -> float:
    died = history.deaths.get(run.pid, (float("inf"), 0))[0]
    return min(run.ended if run.ended is not None else float("inf"), died)


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

"""Invariants 13 and 14: what a crash costs is bounded, and where nothing is broken nothing waits."""

from collections.abc import Iterator

from chaos.checks.invariant import HELD, invariant
from chaos.history import CALM_SECONDS, History, pid_of

CRASH_SECONDS = 2.0  # over the lease: 12 s by default
GHOST_SECONDS = 8.0
PROMPT_SECONDS = 2.0
WARM_SECONDS = 3.0  # everything has just started, and the first jobs for child processes start these, too
KILLED = -9


@invariant(13, "the jobs of a killed consumer run again within the lease and 2 s")
def crashes_are_short(history: History) -> Iterator[str]:
    """Where another consumer has lived for a lease to see it, nothing else was broken, and the job stands in no line."""
    for job, attempts in history.tried.items():
        if job in history.rows and history.rows[job].in_line:
            continue
        for tried in attempts:
            died, code = history.deaths.get(tried.pid, (0.0, 0))
            again = min((run.began for run in history.runs[job] if run.attempt > tried.attempt), default=None)
            if tried.outcome != "lost" or code != KILLED or again is None:
                continue
            limit = history.lease_seconds + CRASH_SECONDS
            if _was_seen(history, tried.pid, died, died + min(again - died, limit)):
                late = f"{job}: ran again {again - died:.1f} s after the death of its worker"
                yield late if again - died > limit else HELD


def _was_seen(history: History, dead: int, died: float, again: float) -> bool:
    since = died - history.lease_seconds
    if any(died < other <= again for other, _ in history.deaths.values()):
        return False  # it may have been on its way to that one
    if any(strike.kind != "SIGKILL" and strike.covers(since, again, CALM_SECONDS) for strike in history.strikes):
        return False
    return any(
        part in {"consumer", "reaper"} and born < since and pid != dead and history.deaths.get(pid, (again + 1, 0))[0] > again
        for pid, (born, part) in history.births.items()
        if part == "reaper" or not any(part == "reaper" for _, part in history.births.values())
    )


@invariant(13, "a killed consumer has left its group within the lease and 8 s, with nothing pending")
def ghosts_go(history: History) -> Iterator[str]:
    """Under the same conditions."""
    limit = history.lease_seconds + GHOST_SECONDS
    for pid, (died, code) in history.deaths.items():
        stays = [at for at, members in history.groups if at > died and not any(pid_of(name) == pid for name in members)]
        was_there = any(pid_of(name) == pid for at, members in history.groups if at <= died + limit for name in members)
        gone = min(stays, default=float("inf"))
        known = min(gone, history.whole or gone) - died >= limit or gone - died < limit
        if code == KILLED and was_there and known and _was_seen(history, pid, died, died + limit):
            left = "never left it" if gone == float("inf") else f"left it after {gone - died:.1f} s"
            stayed = f"process {pid}: was still a consumer of the group {limit:g} s after its death, and {left}"
            yield stayed if gone - died > limit else HELD


@invariant(14, "where nothing is broken a job starts within 2 s")
def nothing_waits(history: History) -> Iterator[str]:
    """From the answer to the handler, for jobs that are due at once."""
    warm = history.scheduled + WARM_SECONDS if history.scheduled else 0.0
    for request in (request for request in history.requests if request.sent >= warm):
        for job in request.ids:
            moves, runs = history.moves[job], history.runs[job]
            if not runs or not moves or moves[0].went_to != "PENDING":
                continue
            began = min(run.began for run in runs)
            waited = began - request.answered
            if not history.troubled(request.sent, request.answered + min(waited, PROMPT_SECONDS)):
                late = f"{job}: began {waited:.1f} s after it was accepted, with nothing broken by then"
                yield late if waited > PROMPT_SECONDS else HELD


@invariant(15, "where nothing is broken submissions are accepted")
def nothing_is_refused(history: History) -> Iterator[str]:
    """Of clients that wait as long as clients do."""
    for request in history.requests:
        if request.patient and not history.troubled(request.sent, request.answered):
            took = request.answered - request.sent
            refused = f"{len(request.numbers)} jobs were answered {request.status} after {took:.2f} s, with nothing broken"
            yield HELD if request.accepted else refused


@invariant(15, "when all is over, each consumer that is there works")
def everybody_works(history: History) -> Iterator[str]:
    """Some load comes when all had been well for long: who holds its lease and does not read shows."""
    if history.calm is None or history.troubled(*history.calm):
        return
    since, until = history.calm
    busy = {run.pid for runs in history.runs.values() for run in runs if since <= run.began <= until}
    for pid, (born, part) in history.births.items():
        if part == "consumer" and born < since and history.deaths.get(pid, (until, 0))[0] >= until:
            yield HELD if pid in busy else f"process {pid} ran no job in the {until - since:.0f} s after all was over"

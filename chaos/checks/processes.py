"""Invariant 6, of processes: none ends by itself, and none logs what nobody foresaw."""

from collections.abc import Iterator

from chaos.checks.invariant import HELD, invariant
from chaos.history import History, pid_of

HARMLESS = ("SIGKILL", "upgrade", "clock")  # kinds of faults that do not keep a process from draining
KILLED = -9
AT_ONCE = (-15, 143)  # how who is told to end does so that cannot hear that yet, or is told twice
STARTING_SECONDS = 5.0  # until a producer can hear that
BY_HANDLERS = {-11: "segfault", 3: "exit", KILLED: "starve"}  # what a handler was asked to do, by the exit code of its process
IN_A_CHILD = "chaos.process"  # a type of job
HANDLER_SECONDS = 5.0  # in which a process is gone, and that is noted, after its handler has said that it ends it


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

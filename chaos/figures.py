"""The figures of a segment: how often each kind of fault struck, what was accepted, lost and run twice, and how long recovery took."""

import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.faults import AIMS
from chaos.history import History, Row, Strike
from shared.lifecycle import TERMINAL, Status

SIGKILL = "SIGKILL"


@dataclass
class Figures:
    """Can be added up over segments. Times in seconds."""

    accepted: int = 0
    lost: int = 0
    ends: dict[str, int] = field(default_factory=dict)  # by state, and of FAILED by reason
    runs: int = 0
    again: int = 0  # runs of a job after one that nobody asked to repeat: neither a failure nor a snooze nor handed back
    allowed: int = 0  # of those, by leases that were lost and claims that PostgreSQL forgot
    injected: dict[str, int] = field(default_factory=dict)  # by kind
    by_fault: dict[str, int] = field(default_factory=dict)
    by_aim: dict[str, int] = field(default_factory=lambda: dict.fromkeys(AIMS, 0))  # by point and by way through the network
    recovery: dict[str, list[float]] = field(default_factory=dict)  # by fault
    judged: dict[str, int] = field(default_factory=dict)  # by invariant, how many cases were looked at

    def add(self, other: "Figures") -> None:
        """Add another segment's."""
        for name in ("accepted", "lost", "runs", "again", "allowed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("ends", "injected", "by_fault"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))
        self.by_aim = {aim: self.by_aim.get(aim, 0) + other.by_aim.get(aim, 0) for aim in self.by_aim | other.by_aim}
        self.judged = {name: self.judged.get(name, 0) + other.judged.get(name, 0) for name in self.judged | other.judged}
        for fault, seconds in other.recovery.items():
            self.recovery.setdefault(fault, []).extend(seconds)


def figures_of(history: History) -> Figures:
    """Read them out of a history."""
    accepted = history.accepted
    figures = Figures(accepted=len(accepted))
    figures.lost = sum(job not in history.rows or history.rows[job].status not in TERMINAL for job in accepted)
    figures.ends = dict(Counter(_told_end(history.rows[job]) for job in accepted if job in history.rows))
    figures.injected = _injected(history)
    figures.by_fault = dict(Counter(strike.fault for strike in history.counted))
    figures.by_aim |= Counter(strike.aim for strike in history.counted if strike.aim)
    figures.runs = sum(map(len, history.runs.values()))
    for job, runs in history.runs.items():
        outcomes = Counter(tried.outcome for tried in history.tried[job])
        asked = outcomes["failed"] + outcomes["snoozed"] + outcomes["handed_back"]
        figures.again += max(len(runs) - 1 - asked, 0)
        figures.allowed += outcomes["lost"]
    waits = _waits(history)
    for strike in history.counted:
        if (seconds := _recovery(history, strike, waits)) is not None:
            figures.recovery.setdefault(strike.fault, []).append(seconds)
    return figures


def _injected(history: History) -> dict[str, int]:
    """By kind; of SIGKILL every process that got it: some faults kill several."""
    kinds = Counter(strike.kind for strike in history.counted)
    killed = sum(code == -signal.SIGKILL for _, code in history.deaths.values())
    return dict(kinds | Counter({SIGKILL: killed}))


def _told_end(row: Row) -> str:
    return f"{row.status}: {row.reason}" if row.status == Status.FAILED else row.status


def _waits(history: History) -> Sequence[tuple[float, float]]:
    """(answered, begun) of jobs that were due at once."""
    return [
        (request.answered, min(run.began for run in history.runs[job]))
        for request in history.requests
        for job in request.ids
        if history.runs.get(job) and history.moves[job] and history.moves[job][0].went_to == Status.PENDING
    ]


def _recovery(history: History, strike: Strike, waits: Sequence[tuple[float, float]]) -> float | None:
    """Seconds until all is as before.

    Of a killed consumer: until the last job that it was running has started again. Of anything else: from when it was healed until the
    last job has begun that was waiting then.
    """
    if strike.kind == SIGKILL and strike.victims:
        return _taken_over(history, strike)
    if (healed := strike.healed) is None:
        return None
    return max((begun - healed for answered, begun in waits if answered <= healed < begun), default=0.0)


def _taken_over(history: History, strike: Strike) -> float | None:
    deaths: Mapping[int, float] = {pid: history.deaths[pid][0] for pid in strike.victims if pid in history.deaths}
    seconds = []
    for job, tried in history.tried.items():
        for attempt in tried:
            if attempt.outcome == "lost" and attempt.pid in deaths:
                again = [run.began for run in history.runs[job] if run.attempt > attempt.attempt]
                if again:
                    seconds.append(min(again) - deaths[attempt.pid])
    return max(seconds, default=None)

"""The figures of a segment: how often each kind of fault struck, what was accepted, lost and run twice, and how long recovery took."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.checks.runs import forgotten
from chaos.faults import AIMS
from chaos.history import History, Row, Strike
from chaos.recovery import Recovery
from shared.lifecycle import TERMINAL, Status

SIGKILL = "SIGKILL"
EXAMPLES = 20
LOST = "lost"


@dataclass
class Figures:
    """Can be added up over segments. Times in seconds."""

    accepted: int = 0
    lost: int = 0
    ends: dict[str, int] = field(default_factory=dict)  # by state, of FAILED by reason, and of the user's jobs by type
    errors: dict[str, str] = field(default_factory=dict)  # the last error of one of the user's jobs that FAILED, by how it ended
    runs: int = 0
    again: int = 0  # runs of a job after one whose lease was lost
    allowed: int = 0  # leases of jobs that were lost, each by a fault (invariant 6): so many may run again,
    forgotten: int = 0  # and so many more, of which PostgreSQL has forgotten the claim in a crash
    again_by_type: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str, int]] = field(default_factory=list)  # (job, type, runs) of some that ran again
    injected: dict[str, int] = field(default_factory=dict)  # by kind; each process that is killed is one
    by_fault: dict[str, int] = field(default_factory=dict)
    by_aim: dict[str, int] = field(default_factory=lambda: dict.fromkeys(AIMS, 0))  # by point and by way through the network
    pairs: dict[str, int] = field(default_factory=dict)  # of different faults that were under way at the same time
    unanswered: int = 0  # submissions: the client gave up, or the connection broke
    repeated: int = 0  # submissions with an idempotency key that was sent before
    recovery: dict[str, list[float]] = field(default_factory=dict)  # by fault
    judged: dict[str, int] = field(default_factory=dict)  # by invariant, how many cases were looked at

    def add(self, other: "Figures") -> None:
        """Add another segment's."""
        for name in ("accepted", "lost", "runs", "again", "allowed", "forgotten", "unanswered", "repeated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = [*self.examples, *other.examples][:EXAMPLES]
        for name in ("ends", "injected", "by_fault", "again_by_type", "pairs"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))
        self.by_aim = {aim: self.by_aim.get(aim, 0) + other.by_aim.get(aim, 0) for aim in self.by_aim | other.by_aim}
        self.judged = {name: self.judged.get(name, 0) + other.judged.get(name, 0) for name in self.judged | other.judged}
        self.errors = other.errors | self.errors
        for fault, seconds in other.recovery.items():
            self.recovery.setdefault(fault, []).extend(seconds)


def figures_of(history: History) -> Figures:
    """Read them out of a history."""
    accepted = history.accepted
    figures = Figures(accepted=len(accepted))
    if history.rows_read:
        figures.lost = sum(job not in history.rows or history.rows[job].status not in TERMINAL for job in accepted)
    figures.ends = dict(Counter(_told_end(history.rows[job]) for job in accepted if job in history.rows))
    figures.errors = _errors(history)
    figures.injected = _injected(history)
    figures.by_fault = dict(Counter(strike.fault for strike in history.counted))
    figures.by_aim |= Counter(strike.aim for strike in history.counted if strike.aim)
    figures.pairs = dict(_pairs(history.counted))
    figures.unanswered = sum(request.status == 0 for request in history.requests)
    keys = [request.key for request in history.requests if request.key]
    figures.repeated = len(keys) - len({*keys})
    figures.runs = sum(map(len, history.runs.values()))
    _count_runs(figures, history)
    recovery = Recovery(history)
    for strike in history.counted:
        if (seconds := recovery.seconds(strike)) is not None:
            figures.recovery.setdefault(strike.fault, []).append(seconds)
    return figures


def _count_runs(figures: Figures, history: History) -> None:
    by_type: Counter[str] = Counter()
    for job, runs in history.runs.items():
        others = {tried.attempt for tried in history.tried[job] if tried.outcome != LOST}
        figures.allowed += sum(tried.outcome == LOST for tried in history.tried[job])
        figures.forgotten += len(forgotten(history, job))
        if (again := sum(run.attempt not in others for run in runs) - 1) > 0:
            figures.again += again
            kind = history.rows[job].type if job in history.rows else "?"
            by_type[kind] += again
            figures.examples = [*figures.examples[: EXAMPLES - 1], (job, kind, len(runs))]
    figures.again_by_type = dict(by_type)


def _pairs(strikes: Sequence[Strike]) -> Counter[str]:
    """Count pairs of which one began when the other was not healed yet, by their names."""
    found: Counter[str] = Counter()
    under_way: list[Strike] = []
    for strike in sorted(strikes, key=lambda strike: strike.began):
        under_way = [other for other in under_way if strike.began <= (other.healed or other.hit)]
        found.update(" + ".join(sorted((strike.fault, other.fault))) for other in under_way if other.fault != strike.fault)
        under_way.append(strike)
    return found


def _injected(history: History) -> dict[str, int]:
    """By kind; of SIGKILL every process that got one of ours: some faults kill several."""
    kinds = Counter(strike.kind for strike in history.counted)
    killed = sum(code == -signal.SIGKILL and pid in history.killed for pid, (_, code) in history.deaths.items())
    return dict(kinds | Counter({SIGKILL: killed}))


def _errors(history: History) -> dict[str, str]:
    """What the user's handlers raised: whose fault it is that their jobs failed should be told at a glance."""
    failed = [history.rows[job] for job in history.accepted if job in history.rows and history.rows[job].status == Status.FAILED]
    return {_told_end(row): history.tried[row.id][-1].error for row in failed if not row.ours and history.tried[row.id]}


def _told_end(row: Row) -> str:
    end = f"{row.status}: {row.reason}" if row.status == Status.FAILED else row.status
    return end if row.ours else f"{row.type} {end}"

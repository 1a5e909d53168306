"""What happened in one segment of a run, in order by job."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CALM_SECONDS = 3.0
EVERYONE = -1  # a victim: any worker may lose its lease by this
FREEZE = "SIGSTOP"


class Row(NamedTuple):
    """A job in the end."""

    id: str
    type: str
    status: str
    attempts: int
    failures: int
    crashes: int
    max_attempts: int
    worker: str | None
    reason: str | None
    payload: dict[str, Any]
    result: Any
    key: str | None
    webhook_url: str | None
    created_at: float
    finished_at: float | None

    @property
    def in_line(self) -> bool:
        """Whether it may have had to wait for others: jobs that two crashes have hit run one at a time."""
        return self.crashes >= 2

    @property
    def ours(self) -> bool:
        """Whether it is of a type of chaos.work."""
        return self.type.startswith("chaos.")


class Tried(NamedTuple):
    """An attempt that did not succeed."""

    job: str
    attempt: int
    worker: str | None
    began: float | None
    ended: float
    outcome: str
    error: str

    @property
    def pid(self) -> int:
        """Of its worker; 0 if there was none."""
        return pid_of(self.worker)


class Moved(NamedTuple):
    """A change of a row."""

    job: str
    t: float
    came_from: str | None
    went_to: str | None
    before: int | None
    after: int | None
    lease: str | None
    next_lease: str | None
    digest: str | None = None  # of the result after it
    due: float | None = None  # when it may run, after it


@dataclass
class Run:
    """One execution of a handler, as the recorder heard of it. `ended` is None when nothing was heard of its end.

    Its worker had `looked` at its lease just before `began`, by its own word; None if it said nothing of that.
    """

    job: str
    attempt: int
    worker: str
    began: float
    ended: float | None = None
    how: str = ""
    looked: float | None = None

    @property
    def pid(self) -> int:
        """Of its worker."""
        return pid_of(self.worker)


class Request(NamedTuple):
    """A submission and its answer; status 0: there was none."""

    sent: float
    numbers: Sequence[int | None]
    key: str | None
    answered: float
    status: int
    ids: Sequence[str]
    patient: bool = True  # the client waited as long as clients do

    @property
    def accepted(self) -> bool:
        """Whether the answer was 2xx."""
        return self.status in {200, 202}


class Replay(NamedTuple):
    """Somebody asked at `t` to run dead jobs again, `limit` at most; `ids` of those that do by the answer, None if there was none."""

    t: float
    limit: int
    ids: Collection[str] | None = None
    answered: float = float("inf")


@dataclass
class Strike:
    """A fault that struck: its making began at `began` and was done at `hit`; its mending began at `mending` and was done at `healed`."""

    fault: str
    kind: str
    strikes: Sequence[str]
    victims: Sequence[int]
    began: float
    hit: float
    detail: str = ""
    healed: float | None = None
    mending: float | None = None
    aim: str = ""
    missed: str = ""  # why it does not count: it had no effect, or ended before its time

    def hits(self, pid: int) -> bool:
        """Whether that worker may lose its lease by it."""
        return pid in self.victims or EVERYONE in self.victims

    def covers(self, since: float, until: float, margin: float = 0.0) -> bool:
        """Whether it was under way in some part of this time."""
        return self.began <= until and since <= (self.healed or until) + margin


@dataclass
class History:
    """All of it."""

    rows_read: bool = True  # at the end; without them nothing can be judged
    requests: list[Request] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    tried: dict[str, list[Tried]] = field(default_factory=lambda: defaultdict(list))
    moves: dict[str, list[Moved]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    effects: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    settled: dict[str, float] = field(default_factory=dict)  # job -> when its success was on disk, as its worker said
    strikes: list[Strike] = field(default_factory=list)
    lease_seconds: float = 10.0
    heartbeat_seconds: float = 3.0
    grace_seconds: float = 5.0
    births: dict[int, tuple[float, str]] = field(default_factory=dict)  # pid -> when, part
    deaths: dict[int, tuple[float, int]] = field(default_factory=dict)  # pid -> when, exit code
    killed: set[int] = field(default_factory=set)  # pids of those that died by a signal of ours
    misdeeds: dict[tuple[str, int], tuple[float, str]] = field(default_factory=dict)  # (job, attempt) -> when its handler did what
    told: dict[int, float] = field(default_factory=dict)  # pid -> when it was told to end
    told_again: set[int] = field(default_factory=set)  # pids of those that were told once more
    hung: list[tuple[float, str, float, int]] = field(default_factory=list)  # when a drain was given up, of whom, after how long, its pid
    cancels: set[str] = field(default_factory=set)  # jobs whose end was asked for
    leases: dict[str, str] = field(default_factory=dict)  # lease -> worker
    max_crashes: int = 3
    limits: dict[str, float] = field(default_factory=dict)  # seconds that jobs asked for themselves
    job_timeout: float = 300.0  # seconds
    replays: list[Replay] = field(default_factory=list)
    hooks: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))  # by job
    ticks: list[tuple[str, float, str]] = field(default_factory=list)  # schedule, tick, job
    groups: list[tuple[float, set[str]]] = field(default_factory=list)  # who was in the consumer groups from then on
    letters: list[tuple[float, str, bool]] = field(default_factory=list)  # when seen, of which job, whether there was one of that death
    scheduled: float | None = None  # when there were schedules
    whole: float | None = None  # when all was healed
    calm: tuple[float, float] | None = None  # when there was load and nothing had been broken for long
    stranded: list[str] = field(default_factory=list)  # what did not come back after the healing
    left: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # what was at rest that should not be there: jobs, entries, ghosts, books
    logged: Sequence[str] = ()  # lines that no process should write

    def troubled(self, since: float, until: float) -> bool:
        """Whether anything was broken in this time, or so shortly before that what waited was still being worked off."""
        margin = self.lease_seconds + CALM_SECONDS
        deaths = any(since - margin <= died <= until for died, _ in self.deaths.values())
        return deaths or any(strike.covers(since, until, margin) for strike in self.strikes)

    def cut_off(self, pid: int, since: float, held: float, until: float) -> float:
        """For how many seconds from `since` to `until`, on end, that process could not tell PostgreSQL that it lives.

        A beat that is under way when a connection breaks is given up after `heartbeat_seconds`; whoever was frozen goes on at once.
        Between two outages that are less than that apart no beat may have come through. What was over before `held`, when it took
        something under its lease, did not cost it that.
        """
        spans = []
        for strike in self.strikes:
            if strike.hits(pid):
                late = 0.0 if strike.kind == FREEZE else self.heartbeat_seconds
                spans.append((max(strike.began, since), min((strike.healed or until) + late, until)))
        stretches = _stretches(spans, self.heartbeat_seconds)
        return max((end - begin for begin, end in stretches if end >= held), default=0.0)

    def woke_to_begin(self, run: Run) -> bool:
        """Whether its worker was frozen after the last look at its lease and before the first step of the handler."""
        return any(run.pid in strike.victims and _stood_between(strike, run) for strike in self.strikes if strike.kind == FREEZE)

    @property
    def counted(self) -> list[Strike]:
        """Those that had their effect, to the end."""
        return [strike for strike in self.strikes if not strike.missed]

    @property
    def accepted(self) -> set[str]:
        """Ids of the jobs whose submission was answered 2xx."""
        return {job for request in self.requests for job in request.ids}


def _stood_between(strike: Strike, run: Run) -> bool:
    """It had looked before it stood, and was heard of when it went on."""
    return run.looked is not None and run.looked <= strike.hit and run.began >= (strike.mending or float("inf"))


def _stretches(spans: Iterable[tuple[float, float]], gap: float) -> Iterator[tuple[float, float]]:
    """Yield what they cover; less than `gap` between two of them does not end a stretch."""
    since, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        if begin - reached >= gap:
            if reached > since:
                yield since, reached
            since = begin
        reached = max(reached, end)
    if reached > since:
        yield since, reached


def pid_of(worker: str | None) -> int:
    """Return the pid in a worker's name, host:pid:token."""
    parts = (worker or "").split(":")
    return int(parts[-2]) if len(parts) >= 3 and parts[-2].isdigit() else 0
